"""Who may be listened to, and when: armed by a person, disarmed by a person or by silence.

What somebody attempts to say is theirs until they want it heard. Content is decoded only while
the adapter listens. It begins deaf; an operator arms it, or the person does by a keyword of their
own; it disarms on request, and by itself after a while without an attempt.

What comes from outside, arming and the second stage's corrections, waits in an `Inbox` until
the adapter looks, once for each window. So a run is determined by what was found at which look,
and a replay that finds the same at the same looks says the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from ...runtime.errors import ConfigError


class Kind(StrEnum):
    """What can be told to a speech adapter."""

    ARM = "arm"  # a person wants to be heard, or an operator was asked to
    DISARM = "disarm"  # stop listening now, and forget
    CORRECT = "correct"  # the second stage has read an utterance otherwise


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the adapter found in its inbox, for a recording.

    Parameters
    ----------
    look : int
        Which look it was, counted from 0: the adapter looks once for each window it decides.
    told : Told
        What it found.
    """

    look: int
    told: Told


class Inbox:
    """Where things wait until the adapter looks.

    Parameters
    ----------
    note : callable, optional
        Takes each `Found`; called from the loop's thread, and must not wait.
    """

    def __init__(self, note: Callable[[Found], None] | None = None) -> None:
        self._waiting: deque[Told] = deque()
        self._note = note
        self._looks = 0

    def tell(self, told: Told) -> None:
        """Leave something. May be called from any thread."""
        self._waiting.append(told)

    def arm(self, who: str) -> None:
        """Let it listen. May be called from any thread."""
        self.tell(Told(kind=Kind.ARM, text=who))

    def disarm(self, who: str) -> None:
        """Let it listen no more, and forget. May be called from any thread."""
        self.tell(Told(kind=Kind.DISARM, text=who))

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
        if self._note is not None:
            for told in found:
                self._note(Found(look=self._looks, told=told))
        self._looks += 1
        return tuple(found)


class ReplayedInbox(Inbox):
    """The inbox of a replay: at each look it holds what the recorded one held.

    Parameters
    ----------
    found : iterable of Found
        As `Inbox` noted them.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        super().__init__()
        self._due: dict[int, list[Told]] = {}
        for one in found:
            self._due.setdefault(one.look, []).append(one.told)

    def tell(self, told: Told) -> None:
        """Pass over what is told now: a replay hears nothing but its recording."""

    def take(self) -> tuple[Told, ...]:
        """What the recorded inbox held at this look."""
        self._looks += 1
        return tuple(self._due.pop(self._looks - 1, ()))


class Listening:
    """Whether the adapter listens, and why not.

    Parameters
    ----------
    disarm_after_hops : int
        Hops without an attempt after which it disarms itself, at least 1.
    """

    def __init__(self, disarm_after_hops: int) -> None:
        if disarm_after_hops < 1:
            raise ConfigError(f"It must listen for at least 1 hop, got {disarm_after_hops}.")
        self._most = disarm_after_hops
        self._quiet = 0
        self.armed = False
        self.reason = "not listening: nobody has armed it"

    def arm(self) -> None:
        """Listen from now on."""
        self.armed, self._quiet, self.reason = True, 0, ""

    def disarm(self, why: str) -> None:
        """Listen no more."""
        self.armed, self.reason = False, f"not listening: {why}"

    def pass_hops(self, hops: int, *, attempting: bool) -> bool:
        """Count hops that have gone by.

        Parameters
        ----------
        hops : int
            How many; more than one across a gap.
        attempting : bool
            Whether somebody attempts to speak.

        Returns
        -------
        over : bool
            True if it is armed, and nobody has attempted to speak for too long.
        """
        self._quiet = 0 if attempting else self._quiet + hops
        return self.armed and self._quiet >= self._most
