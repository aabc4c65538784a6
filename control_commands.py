"""Commands that control a session while it runs: stop, disarm, arm, reset, and the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, err, facts_table, out, plain_errors, print_json
from .runtime.access import Action
from .runtime.control_client import DOOR, SIGN_EVERY_S, ControlClient, Door, read_door
from .runtime.control_wire import Reply
from .runtime.errors import AccessError
from .runtime.keys import PersonKey, read_person_key
from .runtime.people import own_key
from .runtime.record.holds import left_behind

Folder = Annotated[
    Path | None,
    typer.Argument(help="Folder of the running session; the newest in ./recordings if left out."),
]
Key = Annotated[
    Path | None,
    typer.Option(envvar="DIVERLOOP_KEY", help="Your key file; this user's own if left out."),
]
Code = Annotated[str, typer.Option(help="One-time code of your authenticator app.")]
At = Annotated[str, typer.Option(help="Control address of a session on another machine.")]


class Enabled(StrEnum):
    """What a clinician can enable for a time."""

    ADAPTATION = "adaptation"
    STIMULATION = "stimulation"


def stop(folder: Folder = None, key: Key = None, at: At = "", json: AsJson = False) -> None:
    """Stop a running session's output at once. Open to everybody who has a key."""
    _ask(Action.STOP, folder, key, at, json)


def disarm(folder: Folder = None, key: Key = None, at: At = "", json: AsJson = False) -> None:
    """Let no more commands of a running session pass. Open to everybody who has a key."""
    _ask(Action.DISARM, folder, key, at, json)


def arm(
    folder: Folder = None, key: Key = None, code: Code = "", at: At = "", json: AsJson = False
) -> None:
    """Let commands of a running session pass."""
    _ask(Action.ARM, folder, key, at, json, code)


def reset(
    folder: Folder = None, key: Key = None, code: Code = "", at: At = "", json: AsJson = False
) -> None:
    """Leave an emergency stop behind, as a clinician; the session stays disarmed."""
    _ask(Action.RESET, folder, key, at, json, code)


def enable(
    what: Enabled,
    folder: Folder = None,
    key: Key = None,
    code: Code = "",
    at: At = "",
    json: AsJson = False,
) -> None:
    """Allow adaptation or stimulation for a time, as a clinician with a one-time code."""
    _ask(Action(f"enable_{what}"), folder, key, at, json, code)


def disable(
    what: Enabled, folder: Folder = None, key: Key = None, at: At = "", json: AsJson = False
) -> None:
    """Allow adaptation or stimulation no more. Open to everybody who has a key."""
    _ask(Action(f"disable_{what}"), folder, key, at, json)


def roll_back(
    folder: Folder = None, key: Key = None, code: Code = "", at: At = "", json: AsJson = False
) -> None:
    """Bring a running session's weights of before back, to the bit."""
    _ask(Action.ROLL_BACK, folder, key, at, json, code)


def status(folder: Folder = None, key: Key = None, at: At = "", json: AsJson = False) -> None:
    """Show how a running session stands."""
    reply = _ask(Action.STATUS, folder, key, at, json, quiet=True)
    if json:
        print_json(dict(reply.facts))
    else:
        rows = [(name.replace("_", " "), str(value)) for name, value in reply.facts.items()]
        out.print(facts_table(rows))


def hold(folder: Folder = None, key: Key = None, at: At = "") -> None:
    """Hold the link that a session may require, until Ctrl-C; that disarms it."""
    with plain_errors(json_wanted=False), _connected(folder, key, at) as client:
        client.must(Action.HOLD)
        out.print("The link is held; Ctrl-C lets it go and disarms.", highlight=False)
        try:
            pause = threading.Event()
            while not pause.wait(SIGN_EVERY_S):
                client.sign_of_life()
        except KeyboardInterrupt:
            out.print(client.must(Action.LET_GO).text, highlight=False)


def _ask(
    action: Action,
    folder: Path | None,
    key: Path | None,
    at: str,
    json: bool,
    code: str = "",
    *,
    quiet: bool = False,
) -> Reply:
    with plain_errors(json), _connected(folder, key, at) as client:
        reply = client.must(action, code=code)
    if json and not quiet:
        print_json({"done": True, "text": reply.text})
    elif not quiet:
        out.print(reply.text, highlight=False)
    return reply


@contextmanager
def _connected(folder: Path | None, key: Path | None, at: str) -> Iterator[ControlClient]:
    person = person_key(key)
    door = Door(address=at, server=person.server) if at else read_door(folder or newest_session())
    with linked(door, person) as client:
        yield client


def linked(door: Door, person: PersonKey) -> ControlClient:
    """Connect a person to a session's control link.

    Parameters
    ----------
    door : Door
        Of the session.
    person : PersonKey
        Who asks.

    Returns
    -------
    client : ControlClient
        Open; a context manager.
    """
    return ControlClient(door.address, door.server, person.key)


def person_key(path: Path | None) -> PersonKey:
    """A person's key: from a file, or this user's own, which is made on first use.

    Parameters
    ----------
    path : Path, optional
        The file.

    Returns
    -------
    key : PersonKey
        With the public key of the machine that it was made for.

    Raises
    ------
    ConfigError
        If it cannot be used.
    """
    if path is not None:
        return read_person_key(path)
    person, new = own_key()
    if new:
        err.print(
            f"You are enrolled on this machine as {person.name!r}, an operator. After 15 minutes "
            f"without an act you are asked for a one-time code: set it up with diverloop keys "
            f"renew {person.name}.",
            highlight=False,
        )
    return person


def newest_session(root: Path = Path("recordings")) -> Path:
    """The folder of the session that began last, of those that can be controlled.

    One that was killed comes after all that still hold their log.

    Raises
    ------
    AccessError
        If there is none.
    """
    order: dict[Path, tuple[bool, int]] = {}
    for door in root.glob(f"*/{DOOR}"):
        with suppress(OSError):  # one that ends meanwhile takes its door along
            began_ns = door.stat().st_mtime_ns
            order[door.parent] = (not left_behind(door.parent), began_ns)
    if not order:
        raise AccessError(
            f"No session that can be controlled runs in {root}: name the folder of one."
        )
    return max(order, key=order.__getitem__)
