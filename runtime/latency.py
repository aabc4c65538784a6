"""How long the stages take, what was lost beside it, and the report at the end."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from .histogram import Histogram
from .json_text import finite
from .messages import Event, EventKind, StageTimes

_MAX_REASONS = 32

STAGES = ("wait", "condition", "cut", "encode", "decide", "feedback", "act", "loop", "total")
"""Rows of a report. The first seven follow each other; ``loop`` runs from the arrival of the last
sample to the act, ``total`` from the moment it was produced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One line of a report.

    Parameters
    ----------
    name : str
        The stage, one of `STAGES`, or ``"effective"``.
    n : int
        How many windows it rests on.
    p50_ms, p95_ms, p99_ms, max_ms : float
        Quantiles and maximum in milliseconds; NaN when `n` is 0.
    """

    name: str
    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    def cells(self) -> tuple[str, ...]:
        """Name, n, p50, p95, p99 and max as text, times in milliseconds."""
        times_ms = (self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms)
        return (self.name, str(self.n), *("-" if math.isnan(t) else f"{t:.2f}" for t in times_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyReport:
    """What a run took, and what it lost.

    Parameters
    ----------
    stages : tuple of StageRow
        One for each of `STAGES`, in that order.
    effective : StageRow
        ``total`` plus `filter_delay_ms`, `half_window_ms` and `device_delay_ms`: the age, at the
        act, of the middle of the signal that the decision rests on.
    filter_delay_ms : float
        Delay of the filters in their pass band.
    half_window_ms : float
        Half the length of the decoded window.
    device_delay_ms : float
        From an event to its place in the signal, as it was measured on the device; 0 where nobody
        has.
    windows_due : int
        Windows that should have been decided: decoded, refused and skipped together.
    decoded : int
        Windows that led to a decision.
    skipped_late : int
        Windows passed over, because a newer one was complete.
    refused : dict of str to int
        Windows not decoded, by reason.
    missed_deadlines : int
        Decisions that came after their deadline.
    samples_lost : int
        Samples that never came.
    events : dict of str to int
        Events by kind.
    """

    stages: tuple[StageRow, ...]
    effective: StageRow
    filter_delay_ms: float
    half_window_ms: float
    device_delay_ms: float
    windows_due: int
    decoded: int
    skipped_late: int
    refused: dict[str, int]
    missed_deadlines: int
    samples_lost: int
    events: dict[str, int]

    def table(self) -> tuple[tuple[str, ...], ...]:
        """Rows for a person: name, n, p50, p95, p99, max; milliseconds, the effective row last."""
        return tuple(row.cells() for row in (*self.stages, self.effective))

    def sentence(self) -> str:
        """The effective latency and what it is made of, in one sentence."""
        total = self.stages[-1]
        return (
            f"Effective latency {self.effective.p50_ms:.1f} ms in the median and "
            f"{self.effective.p99_ms:.1f} ms at the 99th percentile: "
            f"{total.p50_ms:.1f} ms from the last sample to the act in the median, plus "
            f"{self.filter_delay_ms:.1f} ms of filter delay, plus {self.half_window_ms:.1f} ms "
            f"for half a window{self._device()}."
        )

    def _device(self) -> str:
        ms = self.device_delay_ms
        return f", plus {ms:.1f} ms in the device, as measured" if ms else ""

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for ``json.dumps``; NaN, which JSON does not have, becomes None."""
        plain = asdict(self)
        plain["stages"] = finite(plain["stages"])
        plain["effective"] = finite(plain["effective"])
        return plain


class LatencyBook:
    """Keeps the times and counts of a run; one thread writes.

    Only decoded windows enter the histograms: a refused one costs next to nothing, and would
    flatter the rest.

    Parameters
    ----------
    device_delay_s : float
        What the device takes before a sample is there, as it was measured; a negative one, of a
        device that dates its samples back, makes nothing newer and counts as 0.
    """

    def __init__(self, device_delay_s: float = 0.0) -> None:
        self._device_delay_ms = max(0.0, device_delay_s * 1e3)
        self._histograms = {name: Histogram() for name in STAGES}
        (
            self._wait, self._condition, self._cut, self._encode, self._decide, self._feedback,
            self._act, self._loop, self._total,
        ) = (histogram.record for histogram in self._histograms.values())  # fmt: skip
        self._decoded = 0
        self._refused: Counter[str] = Counter()
        self._events: Counter[EventKind] = Counter()
        self._skipped_late = 0
        self._missed_deadlines = 0
        self._samples_lost = 0

    def turn(self, times: StageTimes, decoded: bool = True, reason: str = "") -> None:
        """Count one window that went through the loop.

        Parameters
        ----------
        times : StageTimes
            When each stage was done with it.
        decoded : bool
            Whether it was decoded; False counts it as refused.
        reason : str
            Why it was not.
        """
        if not decoded:
            self.count_refused(reason or "no reason given")
            return
        self._decoded += 1
        due_ns, arrived_ns, acted_ns = times.due_ns, times.arrived_ns, times.acted_ns
        self._wait(arrived_ns - due_ns)
        self._condition(times.conditioned_ns - arrived_ns)
        self._cut(times.cut_ns - times.conditioned_ns)
        self._encode(times.encoded_ns - times.cut_ns)
        self._decide(times.decided_ns - times.encoded_ns)
        self._feedback(times.fed_back_ns - times.decided_ns)
        self._act(acted_ns - times.fed_back_ns)
        self._loop(acted_ns - arrived_ns)
        self._total(acted_ns - due_ns)

    def count_refused(self, reason: str, count: int = 1) -> None:
        """Count windows that were due and not decoded.

        Parameters
        ----------
        reason : str
            Why. Counted by its text, so keep numbers out of it: from the 33rd different reason
            on, they are counted together.
        count : int
            How many; 0 leaves the book as it is.
        """
        if not count:
            return
        if reason not in self._refused and len(self._refused) >= _MAX_REASONS:
            reason = "other reasons"
        self._refused[reason] += count

    def count_skipped(self, count: int) -> None:
        """Count windows passed over, because a newer one was complete."""
        self._skipped_late += count

    def count_missed(self) -> None:
        """Count a decision that came after its deadline."""
        self._missed_deadlines += 1

    def count_lost(self, count: int) -> None:
        """Count samples that never came."""
        self._samples_lost += count

    def count_event(self, event: Event) -> None:
        """Count an event by its kind, and nothing else: what it speaks of is counted by itself."""
        self._events[event.kind] += 1

    def report(self, *, filter_delay_s: float = 0.0, window_s: float = 0.0) -> LatencyReport:
        """What is known so far; the book stays open.

        Parameters
        ----------
        filter_delay_s : float
            Delay of the filters in their pass band (`Conditioner.delay_s`).
        window_s : float
            Length of the decoded window.

        Returns
        -------
        report : LatencyReport
            Of all that was counted until now.
        """
        rows = tuple(_row(name, histogram) for name, histogram in self._histograms.items())
        filter_delay_ms, half_window_ms = filter_delay_s * 1e3, window_s * 0.5e3
        return LatencyReport(
            stages=rows,
            effective=_shifted(rows[-1], filter_delay_ms + half_window_ms + self._device_delay_ms),
            filter_delay_ms=filter_delay_ms,
            half_window_ms=half_window_ms,
            device_delay_ms=self._device_delay_ms,
            windows_due=self._decoded + self._refused.total() + self._skipped_late,
            decoded=self._decoded,
            skipped_late=self._skipped_late,
            refused=dict(self._refused),
            missed_deadlines=self._missed_deadlines,
            samples_lost=self._samples_lost,
            events={kind.value: count for kind, count in self._events.items()},
        )


def _row(name: str, histogram: Histogram) -> StageRow:
    p50, p95, p99 = (histogram.quantile_ns(q) / 1e6 for q in (0.5, 0.95, 0.99))
    longest = histogram.max_ns / 1e6 if histogram.count else math.nan
    return StageRow(
        name=name, n=histogram.count, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=longest
    )


def _shifted(total: StageRow, by_ms: float) -> StageRow:
    return replace(
        total,
        name="effective",
        p50_ms=total.p50_ms + by_ms,
        p95_ms=total.p95_ms + by_ms,
        p99_ms=total.p99_ms + by_ms,
        max_ms=total.max_ms + by_ms,
    )
