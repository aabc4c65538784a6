"""Mailboxes between the loop and a watcher: one puts, one takes, neither waits nor locks."""

from __future__ import annotations

from collections import deque

from .messages import Message


class Queue:
    """Everything in order, up to a bound; a message that finds it full is dropped.

    Parameters
    ----------
    bound : int
        Most messages that may wait.
    """

    def __init__(self, bound: int) -> None:
        self._waiting: deque[Message] = deque()
        self._bound = bound
        self.dropped = 0

    @property
    def pending(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Leave a message."""
        if len(self._waiting) < self._bound:
            self._waiting.append(message)
        else:
            self.dropped += 1

    def take(self) -> Message | None:
        """The oldest message; None if there is none."""
        return self._waiting.popleft() if self._waiting else None


class Newest:
    """The newest message of each type; the type that has waited longest goes first.

    The loop alone counts what was offered and the watcher's thread alone what was taken, so no
    count is ever torn between them and no lock is needed.
    """

    def __init__(self) -> None:
        self._slots: dict[type, tuple[int, Message]] = {}
        self._offered = 0
        self._taken = 0

    @property
    def pending(self) -> int:
        """How many messages wait."""
        return len(self._slots)

    @property
    def dropped(self) -> int:
        """How many were replaced before anybody took them."""
        return self._offered - self._taken - len(self._slots)

    def put(self, message: Message) -> None:
        """Leave a message in the place of an older one of its type."""
        self._offered += 1
        self._slots[type(message)] = (self._offered, message)

    def take(self) -> Message | None:
        """The message that has waited longest; None if there is none."""
        waiting = tuple(self._slots.items())  # one step of the interpreter: a consistent picture
        if not waiting:
            return None
        oldest = min(waiting, key=lambda slot: slot[1][0])[0]
        # It may have been replaced since by a newer one: so much the better.
        message = self._slots.pop(oldest)[1]
        self._taken += 1
        return message
