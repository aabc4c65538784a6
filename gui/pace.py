"""How often a chart is drawn anew: more often than it can be read is work for nothing."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says when the next drawing is due.

    What is not drawn now is drawn with a later frame, so the newest is always shown in the end.

    Parameters
    ----------
    every_s : float
        From one drawing to the next at least, seconds.
    clock_s : callable
        Seconds that never run backwards.
    """

    def __init__(self, every_s: float, clock_s: Callable[[], float] = time.perf_counter) -> None:
        self.every_s = every_s
        self._clock_s = clock_s
        self._last_s: float | None = None

    def due(self) -> bool:
        """Whether it is time; if so, counts from now."""
        now_s = self._clock_s()
        if self._last_s is not None and now_s - self._last_s < self.every_s:
            return False
        self._last_s = now_s
        return True
