"""From a device's own count of its samples to stream indices.

A device that numbers its samples says itself what was lost: no time stamp has to be judged, as
`diverloop.runtime.timeline.Timeline` does. What is left to judge is whether the count can be
believed:

=======================  =================================================================
the count                verdict
=======================  =================================================================
goes on                  the next samples
jumps ahead              samples were lost, if as much time has passed; else it began anew
goes back a little       samples came twice, or late: dropped, for their place is taken
goes back by far         the device began to count anew: the gap is measured by arrival
jumps less than time     behind a broken connection: it began anew, and went past its old count
=======================  =================================================================
"""

from __future__ import annotations

import math
from collections import deque

from ..runtime.messages import Event, EventKind
from ..runtime.swarm import Swarm
from ..runtime.timeline import TimelineConfig

_BACK_S = 1.0  # going back by more is another count, not a packet that came late
_AHEAD_S = 2.0  # going ahead by more than the time that has passed and this is another count, too
_ENVELOPE_S = 10  # seconds whose earliest arrivals the offset of the device's clock rests on
# So many before them say how the offset moves: a stall only makes arrivals late, and would have to
# last for all of these seconds to look like a slow device.
_BEFORE_S = 10


class DeviceCount:
    """Follows one device's count.

    Parameters
    ----------
    rate_hz : float
        Nominal rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._next = 0  # stream index that comes next
        self._base: int | None = None  # stream index of the device's number 0
        self._arrived_s = math.nan
        self._broken = False
        self._rate_told = False
        self._events: list[Event] = []
        self._repeats = Swarm(rate_hz, 60 * rate_hz)
        self._earliest: deque[tuple[int, float]] = deque(maxlen=_BEFORE_S + _ENVELOPE_S)

    @property
    def started(self) -> bool:
        """Whether a first sample has come."""
        return self._base is not None

    @property
    def offset_s(self) -> float:
        """What to add to ``index / rate`` to have this machine's clock, from earliest arrivals."""
        newest = list(self._earliest)[-_ENVELOPE_S:]
        return min((offset for _, offset in newest), default=0.0)

    def place(self, number: int, n_times: int, arrived_s: float) -> tuple[int, int]:
        """Give stream indices to consecutive samples that have just come.

        Parameters
        ----------
        number : int
            The device's number of the first of them.
        n_times : int
            How many they are.
        arrived_s : float
            When the last of them arrived, in seconds of this machine's monotonic clock.

        Returns
        -------
        first_sample, n_known : int
            Stream index of the first new sample, and how many samples before it are to be
            dropped since they are known; ``n_known == n_times`` if nothing is new.
        """
        first = self._index(number, n_times, arrived_s)
        n_known = min(max(0, self._next - first), n_times)
        if n_known and (told := self._repeats.admit(self._next, n_known)):
            self._tell(
                EventKind.DUPLICATE, f"{told} samples came twice or late and were dropped.", told
            )
        if first > self._next:
            lost = first - self._next
            self._tell(EventKind.GAP, f"{lost} samples were lost, by the device's own count.", lost)
        if n_known < n_times:
            self._next = first + n_times
            self._arrived_s = arrived_s
            self._follow(arrived_s)
        return first + n_known, n_known

    def index_of(self, number: int) -> int:
        """Stream index of a sample that the device names by its number."""
        return number + (self._base or 0)

    def interrupt(self) -> None:
        """Note that the connection broke: from here on a count that goes back began anew."""
        self._broken = True

    def take_events(self) -> tuple[Event, ...]:
        """What was wrong since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def _index(self, number: int, n_times: int, arrived_s: float) -> int:
        """Where the count says that a first sample belongs, if the count can be believed."""
        if self._base is None:
            self._base = -number
            return 0
        first = number + self._base
        passed = (arrived_s - self._arrived_s) * self._rate_hz
        ahead = first + n_times - self._next - passed
        # Behind a break, a count that stands where it stood is another one, and so is one that
        # is behind the clock: it counted while nobody listened, but from later on.
        back = 0.0 if self._broken else _BACK_S
        slow = self._broken and ahead < -_AHEAD_S * self._rate_hz
        self._broken = False
        if (
            self._next - first <= back * self._rate_hz
            and ahead <= _AHEAD_S * self._rate_hz
            and not slow
        ):
            return first
        lost = max(0, round(passed) - n_times)
        self._base = self._next + lost - number
        self._earliest.clear()
        self._tell(
            EventKind.CLOCK_STEP,
            f"The device began to count anew, at {number}; the gap before it was measured by this "
            f"machine's clock.",
        )
        return self._next + lost

    def _follow(self, arrived_s: float) -> None:
        """Keep the earliest arrival of each second: what comes later only waited longer."""
        second = math.floor(arrived_s)
        offset_s = arrived_s - self._next / self._rate_hz
        if self._earliest and self._earliest[-1][0] == second:
            offset_s = min(offset_s, self._earliest.pop()[1])
        elif len(self._earliest) == _BEFORE_S + _ENVELOPE_S and not self._rate_told:
            self._check_rate()
        self._earliest.append((second, offset_s))

    def _check_rate(self) -> None:
        """Compare the seconds that passed with those that were counted."""
        seconds = list(self._earliest)
        early, late = (
            min(half, key=lambda one: one[1]) for half in (seconds[:_BEFORE_S], seconds[_BEFORE_S:])
        )
        off = (early[1] - late[1]) / max(1, late[0] - early[0])
        if abs(off) > TimelineConfig().rate_limit:
            self._rate_told = True
            self._tell(
                EventKind.RATE,
                f"The device sends {self._rate_hz * (1 + off):.4g} samples a second but says "
                f"{self._rate_hz:g}; output stays neutral: check the amplifier's settings.",
                lasting=True,
            )

    def _tell(self, kind: EventKind, text: str, count: int = 0, *, lasting: bool = False) -> None:
        self._events.append(
            Event(kind=kind, text=text, sample=self._next, count=count, lasting=lasting)
        )
