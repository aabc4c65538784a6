"""Which sample is this? From time stamps to stream indices.

A stream of time-stamped samples says nothing about samples that never came. `Timeline` follows
the sender's clock (`SenderClock`) and judges each run of samples by how far its stamp lies from
the prediction, and by whether its arrival on this machine is shifted by as much:

===================  ========================  ===========================================
stamps               arrival                   verdict
===================  ========================  ===========================================
on time              any                       the next samples
late, stays late     late by as much           samples were lost: the index jumps
late, stays late     on time                   the sender's clock stepped: no index jumps
late, then on time   any                       jitter
early, same values   any                       the same samples again: dropped
early, fills a hole  any                       wrong order: put back
early, far           any                       the sender's clock stepped back
drifting             drifting                  the true rate is not the nominal one
===================  ========================  ===========================================

Jitter and a short loss look alike until the next samples come, so a run that is late by less
than `TimelineConfig.hold_s` is held back until its successors have settled the question. A loss
shorter than the tolerance (half a sample, or five times the scatter of the stamps) cannot be
told from jitter by anybody; the timing error it leaves is no larger than that tolerance.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .messages import Event, EventKind, Samples
from .sender_clock import SenderClock, Stamps, is_time, timed
from .swarm import Swarm


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineConfig:
    """What is tolerated.

    Parameters
    ----------
    hold_s : float
        Longest jitter that is told from a loss; also the longest time samples are held back.
    rate_tolerance : float
        Relative difference between true and nominal rate that is reported.
    rate_limit : float
        Relative difference beyond which filters and windows mean something else than they did
        when the model was fitted, so that nothing may be decoded.
    """

    hold_s: float = 0.15
    rate_tolerance: float = 5e-4
    rate_limit: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Consecutive samples with their index.

    Parameters
    ----------
    first_sample : int
        Stream index of the first column.
    samples : ndarray, shape (n_channels, n_times)
        The signal.
    last_stamp_s : float
        The sender's stamp of the last column.
    first_row : int
        How many rows had been received before the first column; the others follow on it.
    """

    first_sample: int
    samples: Samples
    last_stamp_s: float
    first_row: int = 0


@dataclass(slots=True)
class _Run:
    samples: Samples
    stamps: Stamps
    first_row: int

    @property
    def size(self) -> int:
        return len(self.stamps)


class Timeline:
    """Gives every sample its stream index, and says what was wrong with the stream.

    Parameters
    ----------
    rate_hz : float
        Nominal rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._config = TimelineConfig()
        self._rate_hz = rate_hz
        self._clock = SenderClock(rate_hz)
        self._next = 0
        self._held: list[_Run] = []
        self._history: deque[Placed] = deque()
        self._events: list[Event] = []
        swarms = (Swarm(rate_hz, 60 * rate_hz) for _ in range(3))
        self._repeats, self._swaps, self._undated = swarms
        self._arrival_offset_s = math.nan  # arrival minus stamp, when nothing is late
        self._last_stamp_s = math.nan
        self._jitter_told = False
        self._rate_grade = 0  # 1 once reported, 2 once it rules out decoding

    @property
    def started(self) -> bool:
        """Whether a first sample has come, so that moments can be turned into samples."""
        return self._next > 0

    def place(
        self, samples: Samples, stamps_s: Stamps, arrived_s: float, first_row: int = 0
    ) -> list[Placed]:
        """Give indices to samples that have just arrived.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Kept, not copied: hand over memory of your own.
        stamps_s : ndarray, shape (n_times,)
            The sender's time stamps.
        arrived_s : float
            When the last of them arrived, in seconds of a clock that never steps.
        first_row : int
            How many rows had been received before.

        Returns
        -------
        placed : list of Placed
            In order, without overlap. Empty while samples are held back.
        """
        if not len(stamps_s):
            return []
        if math.isnan(self._clock.phase_s):
            stamps_s = self._timed(stamps_s, arrived_s)
            self._clock.start(-1, float(stamps_s[0]) - self._clock.period_s)
        last_s = float(stamps_s[-1])
        if self._is_next(stamps_s, last_s):
            placed = [self._accept(_Run(samples, stamps_s, first_row))]
        else:
            stamps_s = self._timed(stamps_s, arrived_s)
            last_s = float(stamps_s[-1])
            runs = _split(samples, stamps_s, self._clock, first_row)
            placed = [item for run in runs for item in self._judge(run, arrived_s)]
        self._follow_arrival(last_s, arrived_s)
        self._check_rate()
        return placed

    def take_events(self) -> tuple[Event, ...]:
        """What was wrong since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def sample_at(self, stamp_s: float) -> int:
        """Stream index of the sample nearest to a moment of the sender's clock; if none, now."""
        clock = self._clock
        if not is_time(stamp_s):
            return clock.last
        return clock.last + round((stamp_s - clock.phase_s) / clock.period_s)

    def resume(self, stamp_s: float, outage_s: float) -> None:
        """The sender is back after an outage, perhaps with another clock.

        Parameters
        ----------
        stamp_s : float
            Stamp of its first sample.
        outage_s : float
            Time since the last sample arrived, by this machine's clock.
        """
        self._held.clear()
        if not is_time(stamp_s):
            stamp_s = self._clock.predict(self._next) + outage_s
        late_s = stamp_s - self._clock.predict(self._next)
        if late_s < 0 or abs(late_s - outage_s) > 0.5 + 0.1 * outage_s:
            step_s, late_s = late_s - outage_s, outage_s
            self._arrival_offset_s -= step_s
            self._tell(
                EventKind.CLOCK_STEP,
                f"The sender's clock is {step_s:+.3f} s off after its return; the gap was measured "
                f"by this machine's clock.",
            )
        self._jump(late_s)
        self._clock.start(self._next - 1, stamp_s - self._clock.period_s)

    def _timed(self, stamps_s: Stamps, arrived_s: float) -> Stamps:
        """Stamps that are all times: one NaN would stay in the clock for ever."""
        clock = self._clock
        before_s = float(self._held[-1].stamps[-1]) if self._held else clock.predict(self._next - 1)
        stamps_s, n_mended = timed(stamps_s, before_s, clock.period_s, arrived_s)
        if n_mended and (told := self._undated.admit(self._next, n_mended)):
            text = f"{told} time stamps are no times; their samples count on: check the sender."
            self._tell(EventKind.NOT_A_NUMBER, text, told)
        return stamps_s

    def _is_next(self, stamps: Stamps, last_s: float) -> bool:
        clock = self._clock
        last = self._next + len(stamps) - 1
        if self._held or not abs(last_s - clock.predict(last)) <= clock.tolerance_s:  # NaN is not
            return False
        least, most = 0.5 * clock.period_s, 1.5 * clock.period_s
        if len(stamps) <= 16:  # plain numbers, which after a sleep take less time than numpy does
            return all(least <= b - a <= most for a, b in pairwise(stamps.tolist()))
        steps = np.diff(stamps)
        return bool(steps.max() <= most and steps.min() >= least)

    def _judge(self, run: _Run, arrived_s: float) -> list[Placed]:
        if self._held:
            return self._judge_after_hold(run, arrived_s)
        late_s = self._late(run, self._next)
        if abs(late_s) <= self._clock.tolerance_s:
            return [self._accept(run)]
        if late_s < 0:
            return self._judge_early(run, late_s)
        self._held.append(run)
        return self._settle(arrived_s)

    def _judge_after_hold(self, run: _Run, arrived_s: float) -> list[Placed]:
        n_held = sum(held.size for held in self._held)
        if self._fills_the_hole(run):
            return self._restore_order(run)
        if abs(self._late(run, self._next + n_held)) <= self._clock.tolerance_s:
            return [*self._release_as_jitter(), self._accept(run)]
        if self._is_repeat(run):
            return self._drop(run)
        self._held.append(run)
        return self._settle(arrived_s)

    def _judge_early(self, run: _Run, late_s: float) -> list[Placed]:
        if self._is_repeat(run):
            return self._drop(run)
        if -late_s > self._config.hold_s:
            self._step_clock(run, late_s)
        else:
            self._widen(-late_s)
        return [self._accept(run)]

    def _settle(self, arrived_s: float) -> list[Placed]:
        """Decide what the held runs mean, if that can be told already."""
        late, index = [], self._next
        for run in self._held:
            late.append(self._late(run, index))
            index += run.size
        shift, spread = min(late), max(late) - min(late)
        span = float(self._held[-1].stamps[-1] - self._held[0].stamps[0])
        if shift <= self._config.hold_s and span < self._config.hold_s:
            return []
        if shift <= max(self._clock.tolerance_s, spread):
            return self._release_as_jitter()
        return self._release_shifted(shift, arrived_s)

    def _release_shifted(self, shift_s: float, arrived_s: float) -> list[Placed]:
        arrival_shift_s = arrived_s - self._arrival_offset_s - self._held[-1].stamps[-1] + shift_s
        if arrival_shift_s < shift_s - self._config.hold_s:
            self._step_clock(self._held[0], shift_s)
        else:
            self._jump(shift_s)
        return self._release()

    def _release_as_jitter(self) -> list[Placed]:
        self._widen(self._late(self._held[0], self._next))
        return self._release()

    def _release(self) -> list[Placed]:
        held, self._held = self._held, []
        return [self._accept(run) for run in held]

    def _restore_order(self, run: _Run) -> list[Placed]:
        n_held = sum(held.size for held in self._held)
        if told := self._swaps.admit(self._next, run.size):
            text = f"{told} samples came after {n_held} later ones and were put back in place."
            self._tell(EventKind.REORDERED, text, told)
        return [self._accept(run), *self._release()]

    def _fills_the_hole(self, run: _Run) -> bool:
        """Whether a run belongs in front of the held ones, beyond the doubt of its stamps."""
        tolerance = self._clock.tolerance_s
        if 2 * tolerance > run.size * self._clock.period_s:
            return False  # stamps scatter by more than a packet: arrival order is the better guide
        ahead = abs(self._late(run, self._next))
        behind = abs(self._late(self._held[0], self._next + run.size))
        return ahead <= tolerance and behind <= tolerance

    def _accept(self, run: _Run) -> Placed:
        placed = Placed(
            first_sample=self._next,
            samples=run.samples,
            last_stamp_s=float(run.stamps[-1]),
            first_row=run.first_row,
        )
        self._next += run.size
        self._clock.update(self._next - 1, placed.last_stamp_s)
        self._history.append(placed)
        old = self._next - 2 * self._rate_hz
        while len(self._history) > 1 and self._history[1].first_sample < old:
            self._history.popleft()
        self._check_jitter()
        return placed

    def _late(self, run: _Run, index: int) -> float:
        """How late a run's last stamp is if its first sample had this index, in seconds."""
        return float(run.stamps[-1]) - self._clock.predict(index + run.size - 1)

    def _is_repeat(self, run: _Run) -> bool:
        """Whether the same values already stand where the stamps point."""
        stop = self.sample_at(float(run.stamps[-1])) + 1
        first = stop - run.size
        return any(
            np.array_equal(old.samples[:, at : at + run.size], run.samples)
            for old in self._history
            # Jitter blurs where the stamps point to, values do not: look a few samples around.
            for at in range(max(0, first - old.first_sample - 2), first - old.first_sample + 3)
        )

    def _drop(self, run: _Run) -> list[Placed]:
        if told := self._repeats.admit(self._next, run.size):
            text = f"{told} samples came a second time and were dropped."
            self._tell(EventKind.DUPLICATE, text, told)
        return []

    def _jump(self, late_s: float) -> None:
        lost = round(late_s / self._clock.period_s)
        lost_s = lost * self._clock.period_s
        text = f"{lost} samples ({lost_s:.3f} s) were lost; no window is cut across them."
        self._tell(EventKind.GAP, text, lost)
        self._next += lost

    def _step_clock(self, run: _Run, step_s: float) -> None:
        text = f"The sender's clock stepped by {step_s:+.3f} s; no sample was lost, windows go on."
        self._tell(EventKind.CLOCK_STEP, text)
        self._clock.start(self._next - 1, self._clock.predict(self._next - 1) + step_s)
        self._arrival_offset_s -= step_s

    def _widen(self, late_s: float) -> None:
        self._clock.scatter_s = max(self._clock.scatter_s, abs(late_s) / 3)

    def _follow_arrival(self, stamp_s: float, arrived_s: float) -> None:
        # Arrival can only be late, so the smallest difference is the transport's own; it may
        # creep up by 50 ppm to follow a drift between the two clocks.
        offset = arrived_s - stamp_s
        if math.isnan(self._arrival_offset_s):
            self._arrival_offset_s = offset
        elif not self._held:
            creep_s = 5e-5 * max(0.0, stamp_s - self._last_stamp_s)
            self._arrival_offset_s = min(self._arrival_offset_s + creep_s, offset)
        self._last_stamp_s = stamp_s

    def _check_jitter(self) -> None:
        scatter, period = self._clock.scatter_s, self._clock.period_s
        if scatter > period and not self._jitter_told:
            self._jitter_told = True
            self._tell(
                EventKind.JITTER,
                f"Time stamps scatter by {scatter * 1e3:.1f} ms (one sample is "
                f"{period * 1e3:.2f} ms); samples are counted, not placed by their stamps.",
            )
        elif scatter < 0.5 * period:
            self._jitter_told = False

    def _check_rate(self) -> None:
        clock, config = self._clock, self._config
        off = clock.nominal_s / clock.period_s - 1
        worst = (config.rate_tolerance, config.rate_limit)
        if abs(off) <= min(worst):
            return
        unsure = 4 * clock.period_error_s / clock.period_s
        grade = sum(abs(off) > limit + unsure for limit in worst)
        if grade > self._rate_grade:
            self._rate_grade = grade
            lasting = grade == len(worst)
            told = "output stays neutral" if lasting else "decoding goes on"
            self._tell(
                EventKind.RATE,
                f"The stream runs at {1 / clock.period_s:.3f} Hz but says {self._rate_hz:g} Hz "
                f"({off * 100:+.2f} %, allowed is {config.rate_limit * 100:g} %); {told}: check "
                f"the amplifier's settings.",
                lasting=lasting,
            )

    def _tell(self, kind: EventKind, text: str, count: int = 0, *, lasting: bool = False) -> None:
        event = Event(kind=kind, text=text, sample=self._next, count=count, lasting=lasting)
        self._events.append(event)


def _split(samples: Samples, stamps: Stamps, clock: SenderClock, first_row: int) -> list[_Run]:
    """Cut where the stamps do not go on from one sample to the next."""
    breaks = np.abs(np.diff(stamps) - clock.period_s) > 0.5 * clock.period_s
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(stamps)]
    return [_Run(samples[:, a:b], stamps[a:b], first_row + a) for a, b in pairwise(edges)]
