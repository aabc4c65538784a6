"""Where in the stream the loop is, and when it got there."""

from __future__ import annotations

import math

from .messages import Chunk
from .pace import Pace
from .windows import Slot

# How fast the quickest way that was ever seen is forgotten, in signal time: twice what a stream
# may be off its nominal rate, so that a slow clock never looks like a slow network. A way that has
# become 0.3 s longer for good is the new one after 15 s.
_FORGOTTEN = 0.02


class Position:
    """What has come, and the times of what is cut from it.

    Parameters
    ----------
    pace : Pace
        Between the source's samples and the conditioned ones.
    rate_hz : float
        Of the source.
    now_ns : int
        Loop time at which the stream was opened.

    Attributes
    ----------
    came : int
        Stream index one past the last sample that came.
    arrived_ns, conditioned_ns : int
        Loop time at which it came, and at which it was conditioned.
    """

    def __init__(self, pace: Pace, rate_hz: float, now_ns: int) -> None:
        self._pace = pace
        self._period_ns = 1e9 / rate_hz
        self._newest: Chunk | None = None
        self._quickest_ns = math.inf
        self.came = 0
        self.arrived_ns = self.conditioned_ns = now_ns

    def receive(self, chunk: Chunk, now_ns: int) -> int:
        """Go on to the end of a chunk that has been conditioned.

        Returns
        -------
        delay_ns : int
            How much longer it was under way than the quickest before it: what a network held up
            and brings all at once is old, although it has just come.
        """
        forgotten_ns = _FORGOTTEN * (chunk.stop_sample - self.came) * self._period_ns
        way_ns = chunk.arrived_ns - chunk.stop_sample * self._period_ns
        self._quickest_ns = min(self._quickest_ns + forgotten_ns, way_ns)
        self._newest = chunk
        self.came = chunk.stop_sample
        self.arrived_ns, self.conditioned_ns = chunk.arrived_ns, now_ns
        return round(way_ns - self._quickest_ns)

    def due_ns(self, slot: Slot) -> int:
        """Loop time at which the last sample of a slot was produced."""
        return self.arrived_ns - round(self._pace.behind(self.came, slot.stop) * self._period_ns)

    def lsl_times(self, slot: Slot) -> tuple[float, float]:
        """LSL times of the last sample of a slot, raw and corrected; NaN where there are none."""
        if self._newest is None:
            return math.nan, math.nan
        back_s = self._pace.behind(self._newest.stop_sample, slot.stop) * self._period_ns / 1e9
        return self._newest.lsl_raw_s - back_s, self._newest.lsl_corrected_s - back_s
