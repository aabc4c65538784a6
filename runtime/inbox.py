"""What a decoder is told by persons and other programs while it decides.

Things wait in an `Inbox` until the adapter looks, which it does once for each window. So a run is
determined by what was found at which look, and a replay that finds the same says the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be told to an adapter that hears."""

    LISTEN = "listen"  # decode what somebody attempts to say
    IGNORE = "ignore"  # decode nothing from now on, and forget
    CORRECT = "correct"  # a second stage has read an utterance otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something from outside.

    Parameters
    ----------
    kind : Kind
        What.
    text : str
        Who asked for it; for a correction what was said.
    utterance, version : int
        Which request a correction answers.
    """

    kind: Kind
    text: str = ""
    utterance: int = -1
    version: int = -1


class Inbox:
    """Where things wait until the adapter looks."""

    def __init__(self) -> None:
        self._waiting: deque[Told] = deque()

    def tell(self, told: Told) -> None:
        """Leave something. May be called from any thread."""
        self._waiting.append(told)

    def listen(self, who: str) -> None:
        """Let the adapter listen. May be called from any thread."""
        self.tell(Told(kind=Kind.LISTEN, text=who))

    def ignore(self, who: str) -> None:
        """Let it listen no more, and forget. May be called from any thread."""
        self.tell(Told(kind=Kind.IGNORE, text=who))

    def take(self) -> tuple[Told, ...]:
        """Look what is there. For the adapter.

        Returns
        -------
        found : tuple of Told
            In the order in which it was left.
        """
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return tuple(found)
