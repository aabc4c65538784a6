"""How people and other programs reach a decoder that hears, while a session runs.

A speech decoder is deaf until somebody lets it listen: at the start, or with ``diverloop listen``
while it runs. A second stage, a language model in another process, may correct what it has read.
All of that goes through the loop's inbox, and so onto the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .console import err
from .runtime.deciding import Hears
from .runtime.errors import ConfigError, RecordingError
from .runtime.inbox import Inbox, Kind, Told
from .runtime.keys import read_person_key
from .runtime.messages import Event
from .runtime.record.contents import Note
from .runtime.record.note_server import NoteServer, send_note
from .runtime.session import SessionConfig
from .runtime.stages import Adapter

DOOR = "listening.json"
"""Where a session leaves word of how to reach its decoder."""

LISTEN, IGNORE = Kind.LISTEN, Kind.IGNORE
OPERATOR = "the operator"


@contextmanager
def hearing(
    adapter: Adapter,
    inbox: Inbox,
    session: SessionConfig,
    *,
    listen: bool,
    live: bool,
    folder: Path | None,
    tell: Callable[[Event], None] = lambda event: None,
) -> Iterator[None]:
    """Let a decoder be told things while its loop runs.

    Parameters
    ----------
    adapter : Adapter
        What decodes.
    inbox : Inbox
        The loop's.
    session : SessionConfig
        Whether there is a second stage, and who the operator is.
    listen : bool
        Whether it listens from the start.
    live : bool
        A replay asks no second stage: its answers would come at another moment each time.
    folder : Path, optional
        The session's; without one nobody can reach the decoder while it runs.
    tell : callable
        Takes what becomes of the second stage, for everybody who looks on.

    Raises
    ------
    ConfigError
        If the model hears nothing, and somebody wants it to; or takes no second stage.
    """
    if not isinstance(adapter, Hears):
        if listen or session.second_stage:
            asked = "--listen" if listen else "model.second_stage"
            raise ConfigError(
                f"This model decodes no speech, so it cannot listen: leave {asked} out, or choose "
                f"a model of the task speech."
            )
        yield
        return
    if listen:
        inbox.listen(session.operator or OPERATOR)
    with _second_stage(adapter, session if live else None, tell), _door(inbox, folder):
        yield


@contextmanager
def _second_stage(
    adapter: Adapter, session: SessionConfig | None, tell: Callable[[Event], None]
) -> Iterator[None]:
    if session is None or not session.second_stage:
        yield
        return
    from .adapters.speech.adapter import SpeechAdapter
    from .adapters.speech.second_stage import RemoteSecondStage

    if not isinstance(adapter, SpeechAdapter):
        raise ConfigError(
            "This model listens, but takes no corrections from a second stage: leave "
            "model.second_stage out, or choose a model of the task speech."
        )
    key = read_person_key(session.second_stage_key) if session.second_stage_key else None
    stage = RemoteSecondStage(session.second_stage, key, tell)
    adapter.second_stage = stage
    try:
        yield
    finally:
        stage.close()


@contextmanager
def _door(inbox: Inbox, folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    with NoteServer(folder, _hand_on(inbox), _complain, file=DOOR):
        yield


def _hand_on(inbox: Inbox) -> Callable[[Note], None]:
    def put(note: Note) -> None:
        if note.text not in (LISTEN, IGNORE):
            raise RecordingError(f"a decoder can be told {LISTEN} or {IGNORE}, got {note.text!r}.")
        inbox.tell(Told(kind=Kind(note.text), text=note.who or OPERATOR))

    return put


def _complain(text: str) -> None:
    err.print(f"The decoder cannot be reached while it runs: {text}", highlight=False)


def ask_to(what: Kind, folder: Path, who: str = "") -> None:
    """Let the decoder of a running session listen, or listen no more.

    Parameters
    ----------
    what : Kind
        `LISTEN` or `IGNORE`.
    folder : Path
        The session's.
    who : str
        Who asks; a pseudonym.

    Raises
    ------
    RecordingError
        If no session runs there whose decoder hears.
    """
    if not (folder / DOOR).exists():
        raise RecordingError(
            f"No session whose decoder hears runs in {folder}: give the folder that the session "
            f"named when it began; only models of the task speech can listen."
        )
    send_note(folder, str(what), who, file=DOOR)
