"""One stream's clock against the loop's: offset and drift, from when its samples arrive.

A sample with stamp s arrives at a = s + offset(s) + delay, and the delay is never below some least
one: packets wait, they do not hurry. So the earliest arrivals tell the clocks apart, and the mean
would not: it moves with every queue. `Alignment` keeps the earliest arrival of each half second of
the last minute; their lower convex hull has one edge over the middle of that time, whose slope is
the drift (the line below all arrivals that is nearest to them: Moon et al. 1999, Zhang et al.
2002). The line of that slope through the earliest arrival of the last quarter of a minute is the
offset.

What arrivals alone cannot tell is the least delay itself: a transport, a driver or a device that
always takes 30 ms looks like a clock that is 30 ms behind. Only a measurement tells: of the
transport, which LSL makes by itself and which is taken in here, or of the whole device with a
photodiode, which a session states as a delay.

An offset that steps shows as arrivals that are *all* later, or *several* that are earlier, than
the line by more than the queue explains. A network that suddenly takes longer for every packet,
and keeps to it, looks the same to anybody who sees arrivals only.

References
----------
Moon, Skelly, Towsley. Estimation and removal of clock skew from network delay measurements. IEEE
INFOCOM, 1999.
Zhang, Liu, Xia. Clock synchronization algorithms for network measurements. IEEE INFOCOM, 2002.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError

_BLOCK_S = 0.5  # the earliest arrival of so long is kept
_DRIFT_MEMORY_S = 60.0
_OFFSET_MEMORY_S = 15.0
_DRIFT_AFTER_S = 8.0  # a slope over less is worse than none
_WORST_DRIFT = 0.02  # a stream whose rate is off by more is not the one it says it is
_STEP_WINDOW_S = 0.6
_TOGETHER_S = 0.005  # arrivals no further apart are one
_FEWEST = 5  # arrivals that have to agree on a step
_FIRST_JUDGED = 20  # arrivals without which the line is not known
_FIRST_LEARNED = 60  # delays without which it is not known what is normal
_SURE = 23.0  # of exponential delays, all n exceed 23 means / n once in 10^10 times
_MOST_DELAY_S = 2.0  # a transport that measures a longer one measures another clock than ours
_WORST_MEASUREMENT_S = 0.02
_MEASURED_EVERY_S, _MEASURED_APART_S = 5.0, 1.0
_MEASUREMENTS = 31  # some are of the old clock after a step: the median must not be theirs

Point = tuple[float, float]
"""A stamp, and arrival minus stamp; both in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentConfig:
    """What counts as a step.

    Parameters
    ----------
    least_step_s : float
        Smallest step of a clock that is told, 0.002 to 1 s. Where arrivals scatter more than they
        number, it takes a larger one.
    """

    least_step_s: float = 0.005

    def __post_init__(self) -> None:
        if not 0.002 <= self.least_step_s <= 1:
            raise ConfigError(
                f"alignment.least_step_s must be in [0.002, 1] s, got {self.least_step_s} s."
            )


class Alignment:
    """Follows one stream's clock.

    Parameters
    ----------
    config : AlignmentConfig, optional
        What counts as a step.
    """

    def __init__(self, config: AlignmentConfig | None = None) -> None:
        self._config = config or AlignmentConfig()
        self._blocks: deque[Point] = deque()
        self._recent: deque[Point] = deque()  # every arrival of the last step window
        self._suspects: list[Point] = []  # arrivals that came before they could
        self._anchor: Point | None = None
        self._drift = 0.0
        self._excess_s = 0.0  # mean delay beyond the least one
        self._n_heard = 0  # since the start, or the last step
        self._n_learned = 0  # how many delays the mean rests on; kept across steps
        self._begun_s = 0.0
        self._together_s = -math.inf  # when the first of what came together came
        self._settled_once = False
        self._steps: list[float] = []
        self._delays: deque[float] = deque(maxlen=_MEASUREMENTS)
        self._least_delay_s = 0.0
        self._measured: Point = (-math.inf, math.nan)

    @property
    def started(self) -> bool:
        """Whether anything has arrived."""
        return self._anchor is not None

    @property
    def settled(self) -> bool:
        """Whether enough has come, since the start or the last step, for the drift to be known."""
        return len(self._blocks) > 1 and self._span_s >= _OFFSET_MEMORY_S

    @property
    def drift_ppm(self) -> float:
        """By how much a second of the stream is longer than one of the loop, in ppm."""
        return self._drift * 1e6

    @property
    def least_delay_s(self) -> float:
        """The transport's own delay as its measurements show it; 0 where there are none."""
        return self._least_delay_s

    def hear(self, stamp_s: float, arrived_s: float, offset_s: float = math.nan) -> None:
        """Take in that something arrived.

        Parameters
        ----------
        stamp_s : float
            The sender's stamp of its last sample.
        arrived_s : float
            When it arrived, in seconds of the loop's clock.
        offset_s : float
            What the transport measured, to be added to stamps to have the loop's clock; NaN where
            it measures nothing.
        """
        if not (math.isfinite(stamp_s) and math.isfinite(arrived_s)):
            return
        point = (stamp_s, arrived_s - stamp_s)
        if self._anchor is None:
            self._begin([point])
        elif not self._is_too_early(point):
            self._take(point)
            self._check_lateness(point)
        if math.isfinite(offset_s):
            self._take_measurement(stamp_s, offset_s)

    def to_loop(self, stamps_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn stamps into seconds of the loop's clock, as far as is known now.

        Parameters
        ----------
        stamps_s : ndarray of float64
            The sender's.

        Returns
        -------
        loop_s : ndarray of float64
            Of the same shape; the least delay of the transport is in it unless it was measured.
        """
        at_s, offset_s = self._origin()
        return stamps_s + (offset_s + self._drift * (stamps_s - at_s))

    def to_stamps(self, loop_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn seconds of the loop's clock into stamps: the way back from `to_loop`.

        Parameters
        ----------
        loop_s : ndarray of float64
            Seconds of the loop's clock.

        Returns
        -------
        stamps_s : ndarray of float64
            Of the same shape.
        """
        at_s, offset_s = self._origin()
        return at_s + (loop_s - at_s - offset_s) / (1 + self._drift)

    def take_steps(self) -> tuple[float, ...]:
        """Steps of the sender's clock since the last call, in seconds; positive is ahead."""
        steps, self._steps = tuple(self._steps), []
        return steps

    def _origin(self) -> Point:
        at_s, late_s = self._anchor or (0.0, 0.0)
        return at_s, late_s - self._least_delay_s

    # ---------------------------------------------------------------------------- the envelope

    @property
    def _span_s(self) -> float:
        return self._blocks[-1][0] - self._blocks[0][0]

    def _line(self, stamp_s: float) -> float:
        """Arrival minus stamp of what is not held up, as expected for a stamp."""
        assert self._anchor is not None
        return self._anchor[1] + self._drift * (stamp_s - self._anchor[0])

    def _begin(self, points: list[Point]) -> None:
        """Begin a new envelope; the drift is kept, for it is the crystal's."""
        self._blocks.clear()
        self._recent.clear()
        self._suspects = []
        self._n_heard = 0
        self._begun_s = sum(points[0])
        self._anchor = min(points, key=self._level)
        for point in points:
            self._take(point)
            self._note_recent(point, sum(point))

    def _level(self, point: Point) -> float:
        """Lateness without what the drift makes of it: comparable between points."""
        return point[1] - self._drift * point[0]

    def _take(self, point: Point) -> None:
        """Keep the earliest of each block; a block that is over moves the line."""
        self._n_heard += 1
        if not self._blocks or point[0] // _BLOCK_S > self._blocks[-1][0] // _BLOCK_S:
            self._blocks.append(point)
            while point[0] - self._blocks[0][0] > _DRIFT_MEMORY_S:
                self._blocks.popleft()
            self._fit()
        elif self._level(point) < self._level(self._blocks[-1]):
            self._blocks[-1] = point
            if point[1] < self._line(point[0]):
                self._anchor = point

    def _fit(self) -> None:
        if self._span_s >= _DRIFT_AFTER_S:
            slope = middle_slope(list(self._blocks))
            self._drift = min(max(slope, -_WORST_DRIFT), _WORST_DRIFT)
        self._settled_once = self._settled_once or self.settled
        oldest_s = self._blocks[-1][0] - _OFFSET_MEMORY_S
        self._anchor = min((p for p in self._blocks if p[0] >= oldest_s), key=self._level)

    # ------------------------------------------------------------------------------- the steps

    def _judges(self, point: Point) -> bool:
        """Whether enough has been heard to know what is normal."""
        known = self._n_learned >= _FIRST_LEARNED and self._n_heard >= _FIRST_JUDGED
        return known and sum(point) - self._begun_s >= _STEP_WINDOW_S

    def _slack_s(self, n: int) -> float:
        """How far the earliest of n arrivals may lie from the line without any step."""
        return self._config.least_step_s + _SURE * self._excess_s / n

    def _is_too_early(self, point: Point) -> bool:
        """Whether it came before it could; if several agree on that, the clock has stepped."""
        if not self._judges(point):
            return False
        if point[1] >= self._line(point[0]) - self._slack_s(self._n_heard):
            return False
        arrived_s = sum(point)
        kept = [p for p in self._suspects if arrived_s - sum(p) <= _STEP_WINDOW_S]
        self._suspects = [*kept, point]
        if len(self._suspects) >= _FEWEST:
            self._step_to(self._suspects)
        return True

    def _check_lateness(self, point: Point) -> None:
        """Whether all that came of late is later than any queue explains."""
        arrived_s = sum(point)
        self._note_recent(point, arrived_s)
        while len(self._recent) > _FEWEST and arrived_s - sum(self._recent[0]) > _STEP_WINDOW_S:
            self._learn_excess(self._recent.popleft())
        n, oldest = len(self._recent), self._recent[0]
        long_enough = arrived_s - sum(oldest) >= 0.8 * _STEP_WINDOW_S
        if n < _FEWEST or not (long_enough and self._judges(point)):
            return
        slack_s = self._slack_s(n)
        if all(p[1] - self._line(p[0]) > slack_s for p in self._recent):
            # The oldest of them may be from before the step, and only held up.
            self._step_to(list(self._recent)[n // 2 :])

    def _note_recent(self, point: Point, arrived_s: float) -> None:
        """Keep what came of late; what was held up together comes together, and counts once."""
        if self._recent and arrived_s - self._together_s < _TOGETHER_S:
            if self._level(point) < self._level(self._recent[-1]):
                self._recent[-1] = point
            return
        self._together_s = arrived_s
        self._recent.append(point)

    def _learn_excess(self, point: Point) -> None:
        self._n_learned = min(self._n_learned + 1, 200)
        excess_s = max(0.0, point[1] - self._line(point[0]))
        # One that was held up for very long must not make everything else look normal.
        capped_s = min(excess_s, 10 * self._excess_s + self._config.least_step_s)
        self._excess_s += (capped_s - self._excess_s) / self._n_learned

    def _step_to(self, points: list[Point]) -> None:
        earliest = min(points, key=self._level)
        self._steps.append(self._line(earliest[0]) - earliest[1])
        self._measured = (earliest[0], self._measured[1])  # what was measured is of the old clock
        self._begin(points)

    # ------------------------------------------------------------------------ the measurements

    def _take_measurement(self, stamp_s: float, offset_s: float) -> None:
        """Learn the least delay from what the transport says of the clocks."""
        since_s = stamp_s - self._measured[0]
        fresh = offset_s != self._measured[1] and abs(since_s) >= _MEASURED_APART_S
        if not (fresh or abs(since_s) >= _MEASURED_EVERY_S):
            return
        self._measured = (stamp_s, offset_s)
        delay_s = self._line(stamp_s) - offset_s
        if not self._settled_once:
            self._delays.clear()  # the line was still coming down
        if -_WORST_MEASUREMENT_S <= delay_s <= _MOST_DELAY_S:
            self._delays.append(delay_s)
            self._least_delay_s = float(np.median(self._delays))


def middle_slope(points: list[Point]) -> float:
    """Slope of the lower convex hull over the middle of its points.

    It is the slope of the line that lies below all points and is nearest to them on average.

    Parameters
    ----------
    points : list of (float, float)
        In order of the first coordinate, at least two.

    Returns
    -------
    slope : float
        In units of the second coordinate per unit of the first.
    """
    hull: list[Point] = []
    for x, y in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    middle = sum(point[0] for point in points) / len(points)
    for left, right in pairwise(hull):
        if right[0] >= middle:
            return (right[1] - left[1]) / (right[0] - left[0])
    return 0.0


def _turns_down(a: Point, b: Point, c: Point) -> bool:
    """Whether b lies on or above the line from a to c, so that it is not of a lower hull."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
