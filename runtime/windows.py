"""When to cut: on a fixed grid of samples, or at a set time after a marker.

A policy only names stretches of the stream. Whether a stretch is complete, and whether it still
matters, is for the loop to see.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from .errors import ConfigError
from .messages import Marker
from .pace import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A stretch of the stream that is to be decoded.

    Parameters
    ----------
    first, stop : int
        Stream indices, stop exclusive.
    marker : Marker, optional
        What it is locked to.
    """

    first: int
    stop: int
    marker: Marker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """How the stream is cut for the encoder.

    Parameters
    ----------
    length_s : float
        Length of a window, 0.05 to 60 s.
    step_s : float
        From one window to the next, when the window slides; at most `length_s`.
    lock_to : tuple of str
        Marker labels to lock to; empty for a sliding window, ``("*",)`` for every marker.
    offset_s : float
        From a marker to the first sample of its window, -10 to 60 s.
    device_delay_s : float
        How much later than its marker an event is in the signal, -1 to 1 s: windows that are
        locked to markers are cut by so much later, to the nearest sample.
    """

    length_s: float = 1.0
    step_s: float = 0.1
    lock_to: tuple[str, ...] = ()
    offset_s: float = 0.0
    device_delay_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.length_s <= 60:
            raise ConfigError(f"window.length_s must be in [0.05, 60] s, got {self.length_s} s.")
        if not 0 < self.step_s <= self.length_s:
            raise ConfigError(
                f"window.step_s must be in (0, length_s = {self.length_s}] s, got {self.step_s} s: "
                f"a longer step would leave samples undecoded."
            )
        if not -10 <= self.offset_s <= 60:
            raise ConfigError(f"window.offset_s must be in [-10, 60] s, got {self.offset_s} s.")
        if not -1 <= self.device_delay_s <= 1:
            raise ConfigError(
                f"window.device_delay_s must be in [-1, 1] s, got {self.device_delay_s} s."
            )

    @property
    def patience_s(self) -> float:
        """How late a window still matters: a step; where each answers a marker, each counts."""
        return 1.0 if self.lock_to else self.step_s

    def n_times(self, rate_hz: float) -> int:
        """Samples in a window at this rate."""
        return max(1, round(self.length_s * rate_hz))

    def policy(self, rate_hz: float, pace: Pace | None = None) -> WindowPolicy:
        """Build the policy that these settings describe.

        Parameters
        ----------
        rate_hz : float
            Rate of the conditioned stream.
        pace : Pace, optional
            How it stands to the source's, where they differ: markers count source samples.

        Returns
        -------
        policy : WindowPolicy
            `SlidingWindows`, or `LockedWindows` if there is something to lock to.
        """
        length = self.n_times(rate_hz)
        if self.lock_to:
            pace = pace or Pace()
            late = round(self.device_delay_s * rate_hz * pace.down / pace.up)
            return LockedWindows(length, round(self.offset_s * rate_hz), self.lock_to, pace, late)
        return SlidingWindows(length, max(1, round(self.step_s * rate_hz)))


class WindowPolicy(Protocol):
    """What the loop asks: how many samples to wait for, and what is complete."""

    @property
    def reach(self) -> int:
        """How far behind the newest sample a due window may begin, in samples."""

    def announce(self, marker: Marker) -> None:
        """A marker came."""

    def wanted(self, stop: int) -> int:
        """Samples still to come until the next window is complete, at least 1."""

    def due(self, stop: int) -> list[Slot]:
        """Windows that became complete since the last call, oldest first."""


class SlidingWindows:
    """A window every `step` samples, on a grid fixed to sample 0.

    The grid does not move when samples are lost, so windows stay comparable across a gap.

    Parameters
    ----------
    length, step : int
        In samples.
    """

    # After an outage of hours a list of every window that never was would stall the loop.
    _MOST = 1000

    def __init__(self, length: int, step: int) -> None:
        self._length = length
        self._step = step
        self._next_stop = length

    @property
    def reach(self) -> int:
        """How far behind the newest sample a due window may begin, in samples."""
        return self._length

    def announce(self, marker: Marker) -> None:
        """Markers do not move the grid."""

    def wanted(self, stop: int) -> int:
        """Samples still to come until the next window is complete, at least 1."""
        return max(1, self._next_stop - stop)

    def due(self, stop: int) -> list[Slot]:
        """Windows that became complete since the last call, oldest first."""
        ends = range(self._next_stop, stop + 1, self._step)
        self._next_stop += len(ends) * self._step
        return [Slot(first=end - self._length, stop=end) for end in ends[-self._MOST :]]


class LockedWindows:
    """A window at a fixed offset from every marker of interest.

    Parameters
    ----------
    length : int
        In samples.
    offset : int
        From the marker's sample to the first sample of its window.
    labels : tuple of str
        Which markers count; ``("*",)`` for all.
    pace : Pace, optional
        From a marker's sample to those that are cut.
    late : int
        Source samples by which an event comes after its marker.
    """

    # Longest time a marker may come after its samples, in windows; beyond it the ring has moved on.
    _PATIENCE = 2

    def __init__(
        self,
        length: int,
        offset: int,
        labels: tuple[str, ...],
        pace: Pace | None = None,
        late: int = 0,
    ) -> None:
        self._pace = pace or Pace()
        self._late = late
        self._early = min(0, self._pace.conditioned(late))
        self._length = length
        self._offset = offset
        self._labels = frozenset(labels)
        self._waiting: deque[Slot] = deque()

    @property
    def reach(self) -> int:
        """How far behind the newest sample a due window may begin, in samples."""
        return self._PATIENCE * self._length + max(0, -self._offset - self._early)

    def announce(self, marker: Marker) -> None:
        """Plan a window, if the marker is one that counts."""
        if "*" in self._labels or marker.label in self._labels:
            first = self._pace.conditioned(marker.sample + self._late) + self._offset
            slot = Slot(first=first, stop=first + self._length, marker=marker)
            self._waiting.append(slot)

    def wanted(self, stop: int) -> int:
        """Samples still to come until the next window is complete, at least 1."""
        # A marker may arrive at any time, so never wait for longer than a tenth of a window.
        patience = max(1, self._length // 10)
        ends = [slot.stop - stop for slot in self._waiting]
        return max(1, min([patience, *ends]))

    def due(self, stop: int) -> list[Slot]:
        """Windows that became complete since the last call, oldest first."""
        ready = [slot for slot in self._waiting if slot.stop <= stop]
        self._waiting = deque(slot for slot in self._waiting if slot.stop > stop)
        return sorted(ready, key=lambda slot: slot.stop)
