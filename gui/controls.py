"""What a person does in a window, carried to the session without the window ever waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import PriorityQueue
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from ..runtime.access import SAFER, Action
from ..runtime.control_wire import Fact, Reply
from ..runtime.errors import AccessError

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
    """

    action: Action
    done: bool
    text: str
    facts: Mapping[str, Fact]


class Controls(QObject):
    """Asks on a thread of its own; what makes things safer goes before everything else.

    Parameters
    ----------
    connect : callable, optional
        Opens a link; called on that thread, and again after a link broke. Without it nothing can
        be asked, and every answer says so.
    """

    answered = Signal(object)
    """An `Answer`, on the window's thread."""

    def __init__(self, connect: Callable[[], ControlLink] | None = None) -> None:
        super().__init__()
        self._connect = connect
        self._asked: PriorityQueue[tuple[int, int, Action | None, str, str]] = PriorityQueue()
        self._n = 0
        self._thread = threading.Thread(target=self._serve, name="controls", daemon=True)
        self._thread.start()

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
        self._n += 1
        self._asked.put((action not in SAFER, self._n, action, code, text))

    def close(self) -> None:
        """End the thread once what was asked is answered."""
        self._asked.put((2, self._n + 1, None, "", ""))
        self._thread.join(5.0)

    def _serve(self) -> None:
        link: ControlLink | None = None
        while True:
            _, _, action, code, text = self._asked.get()
            if action is None:
                break
            try:
                link = link or self._opened()
                reply = link.ask(action, code=code, text=text)
                answer = Answer(
                    action=action, done=reply.done, text=reply.text, facts=dict(reply.facts)
                )
            except AccessError as error:
                if link:
                    link.close()
                link = None  # the next question begins with a new one
                answer = Answer(action=action, done=False, text=str(error), facts={})
            self.answered.emit(answer)
        if link:
            link.close()

    def _opened(self) -> ControlLink:
        if self._connect is None:
            raise AccessError(_NOT_CONNECTED)
        return self._connect()
