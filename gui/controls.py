"""What a person does in a window, carried to the session without the window ever waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Queue
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from ..runtime.access import SAFER, Action, Why
from ..runtime.control_wire import Fact, Reply
from ..runtime.errors import AccessError, DiverloopError
from ..runtime.shield import Kept

_CODE_HELPS = frozenset({Why.LOCKED, Why.CODE_MISSING, Why.CODE_WRONG, Why.CODE_USED})
_NOT_CONNECTED = (
    "Nobody could be asked: this window has no control link. Press the stop at the machine."
)


class ControlLink(Protocol):
    """A connection to a session's control link; `ControlClient` is one. For one thread."""

    def ask(self, action: Action, *, code: str = "", text: str = "") -> Reply:
        """Ask, and wait for the answer; `AccessError` if nobody answers."""

    def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of something that was asked.

    Parameters
    ----------
    action : Action
        What was asked for.
    done : bool
        Whether it was done.
    text : str
        One sentence for a person.
    facts : mapping
        Of a status.
    why : str
        Why it was refused, one of `Why`; empty if it was not, or nobody answered.
    """

    action: Action
    done: bool
    text: str
    facts: Mapping[str, Fact]
    why: str = ""

    @property
    def wants_code(self) -> bool:
        """Whether the same, with a one-time code that shows now, may be done."""
        return self.why in _CODE_HELPS


class Controls(QObject):
    """Asks on threads of its own: what makes things safer waits for nothing that was asked before.

    Parameters
    ----------
    connect : callable, optional
        Opens a link; called on those threads, for each its own, and again after a link broke.
        Without it nothing can be asked, and every answer says so.
    """

    answered = Signal(object)
    """An `Answer`, on the window's thread."""

    def __init__(self, connect: Callable[[], ControlLink] | None = None) -> None:
        super().__init__()
        self._connect = connect
        # The first stop is not to wait for a handshake, so its link is opened at once.
        self._safer = _Lane(self._opened, self.answered.emit, eager=connect is not None)
        self._other = _Lane(self._opened, self.answered.emit)

    @property
    def connected(self) -> bool:
        """Whether there is anybody to ask."""
        return self._connect is not None

    def ask(self, action: Action, *, code: str = "", text: str = "") -> None:
        """Ask for something; the answer comes as `answered`.

        Parameters
        ----------
        action : Action
            What for.
        code : str
            One-time code, where one is needed.
        text : str
            Of a note.
        """
        lane = self._safer if action in SAFER else self._other
        lane.asked.put((action, code, text))

    def close(self) -> None:
        """End the threads once what was asked is answered."""
        for lane in (self._safer, self._other):
            lane.asked.put(None)
        for lane in (self._safer, self._other):
            lane.thread.join(5.0)

    def _opened(self) -> ControlLink:
        if self._connect is None:
            raise AccessError(_NOT_CONNECTED)
        return self._connect()


class _Lane:
    """One thread with one link, and what waits for it, in order."""

    def __init__(
        self,
        connect: Callable[[], ControlLink],
        tell: Callable[[Answer], object],
        *,
        eager: bool = False,
    ) -> None:
        self.asked: Queue[tuple[Action, str, str] | None] = Queue()
        self._connect, self._tell = connect, tell
        self._link: ControlLink | None = None
        self.thread = threading.Thread(
            target=self._serve, args=(eager,), name="controls", daemon=True
        )
        self.thread.start()

    def _serve(self, eager: bool) -> None:
        if eager:
            with Kept():  # whoever asks will be told
                self._link = self._connect()
        while (asked := self.asked.get()) is not None:
            self._tell(self._answer(*asked))
        self._leave()

    def _answer(self, action: Action, code: str, text: str) -> Answer:
        with Kept() as kept:  # whatever goes wrong: on a thread that died, the next stop is unheard
            self._link = self._link or self._connect()
            reply = self._link.ask(action, code=code, text=text)
            return Answer(
                action=action,
                done=reply.done,
                text=reply.text,
                facts=dict(reply.facts),
                why=reply.why,
            )
        self._leave()  # the next question begins with a new link
        return Answer(action=action, done=False, text=_said(kept.error), facts={})

    def _leave(self) -> None:
        link, self._link = self._link, None
        if link:
            with Kept():
                link.close()


def _said(error: Exception | None) -> str:
    if isinstance(error, DiverloopError):
        return str(error)
    return f"The link failed ({type(error).__name__}: {error}): press the stop at the machine."
