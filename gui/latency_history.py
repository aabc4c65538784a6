"""How long the loop takes from sample to act, as far as a view can see it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.histogram import Histogram
from ..runtime.latency import LatencyReport
from ..runtime.messages import Event, EventKind, StageTimes, Turn

STEPS = ("arrived", "conditioned", "cut", "encoded", "decided", "fed back", "acted")
"""What has happened at the end of each stage, in order."""

BIN_S = 10.0
"""How finely misses are counted over time."""

PER_DECADE, LEAST_MS, DECADES = 20, 0.1, 5
"""Bins of the histogram: logarithmic, from 0.1 ms to 10 s."""

_KEPT, _BINS = 512, 60
_BACK_NS = 1_000_000_000


@dataclass(slots=True)
class Bin:
    """What happened in ten seconds.

    Parameters
    ----------
    number : int
        Which ten seconds of the loop's clock.
    decided, missed, skipped : int
        Decisions, decisions after their deadline, windows passed over.
    """

    number: int
    decided: int = 0
    missed: int = 0
    skipped: int = 0


class LatencyHistory:
    """Keeps the times of the last turns, a histogram of all, and misses over ten minutes.

    Only what was decoded is counted, as in the loop's own book: refusing takes next to no time.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self._total = Histogram()
        self._quantiles: tuple[int, tuple[float, float]] = (0, (math.nan, math.nan))
        self.report: LatencyReport | None = None
        """What the loop itself says, once it has."""
        self.missed = self.skipped = self.decided = 0
        """Since this view looks on."""
        self.last_ms: list[float] = []
        """When each of `STEPS` of the newest turn was over, ms after its sample; empty before."""
        self.counts = np.zeros(PER_DECADE * DECADES, np.int64)
        """Turns by how long they took from sample to act."""
        self.bins: deque[Bin] = deque(maxlen=_BINS)
        self._stages = np.zeros((_KEPT, len(STEPS)))
        self._acted_ns: deque[int] = deque(maxlen=_KEPT)

    def take(self, turn: Turn) -> None:
        """Learn how long a turn took."""
        if turn.embedding is None:
            return
        times = turn.times
        if self._acted_ns and times.acted_ns < self._acted_ns[-1] - _BACK_NS:
            self.forget()  # another session, or a recording that was wound back
        self._total.record(times.acted_ns - times.due_ns)
        self.last_ms = ends = _ends_ms(times)
        self._stages[self.decided % _KEPT] = [
            end - start for start, end in zip([0.0, *ends], ends, strict=False)
        ]
        self._acted_ns.append(times.acted_ns)
        self.counts[_place(ends[-1])] += 1
        self.decided += 1
        self._bin(times.acted_ns).decided += 1

    def take_event(self, event: Event) -> bool:
        """Learn of what was late.

        Parameters
        ----------
        event : Event
            Any.

        Returns
        -------
        late : bool
            Whether it is of that kind.
        """
        if event.kind is EventKind.MISSED:
            self.missed += 1
            self._bin(event.at_ns).missed += 1
        elif event.kind is EventKind.LATE:
            self.skipped += event.count
            self._bin(event.at_ns).skipped += event.count
        else:
            return False
        return True

    def medians_ms(self) -> NDArray[np.float64]:
        """Median of each stage over the last 512 turns, shape (n_steps,), ms."""
        return np.asarray(np.median(self._stages[: min(self.decided, _KEPT)], axis=0))

    def quantiles_ms(self) -> tuple[float, float]:
        """Median and 99th percentile from sample to act; the loop's own, once it has told them."""
        if self.report:
            total = self.report.stages[-1]
            return total.p50_ms, total.p99_ms
        if self._quantiles[0] != self.decided:
            found = (self._total.quantile_ns(0.5) / 1e6, self._total.quantile_ns(0.99) / 1e6)
            self._quantiles = (self.decided, found)
        return self._quantiles[1]

    def interval_ms(self) -> tuple[float, float]:
        """Median from act to act, and half the range that holds nine in ten: the jitter."""
        if len(self._acted_ns) < 3:
            return math.nan, math.nan
        steps = np.diff(np.fromiter(self._acted_ns, np.int64)) / 1e6
        low, middle, high = np.percentile(steps, (5, 50, 95))
        return float(middle), float(high - low) / 2

    def _bin(self, at_ns: int) -> Bin:
        number = int(at_ns / 1e9 // BIN_S)
        for known in reversed(self.bins):
            if known.number == number:
                return known
        fresh = Bin(number)
        if not self.bins or number > self.bins[-1].number:
            self.bins.append(fresh)
        return fresh  # what is older than what is kept is counted in the sums alone


def edges_ms() -> NDArray[np.float64]:
    """Lower edge of every bin of the histogram, and the upper one of the last."""
    return np.asarray(LEAST_MS * 10 ** (np.arange(PER_DECADE * DECADES + 1) / PER_DECADE))


def _place(ms: float) -> int:
    if ms <= LEAST_MS:
        return 0
    return min(int(math.log10(ms / LEAST_MS) * PER_DECADE), PER_DECADE * DECADES - 1)


def _ends_ms(times: StageTimes) -> list[float]:
    ends_ns = (
        times.arrived_ns, times.conditioned_ns, times.cut_ns, times.encoded_ns, times.decided_ns,
        times.fed_back_ns, times.acted_ns,
    )  # fmt: skip
    return [(end - times.due_ns) / 1e6 for end in ends_ns]
