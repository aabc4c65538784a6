"""Figures of a delay that was measured many times: how long, how it scatters, whether it moves.

References
----------
Efron, Tibshirani. An Introduction to the Bootstrap. 1993.
Sen. Estimates of the regression coefficient based on Kendall's tau. Journal of the American
Statistical Association, 1968.
Theil. A rank-invariant method of linear and polynomial regression analysis. 1950.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

_RESAMPLES = 2000
_SEED = 20240
_MOST_SLOPES = 1500  # points whose pairs are looked at: a million slopes
_SURE = 1.959964
_STEP_SIDE = 20  # delays on each side of a step
_FEWEST_SIDE = 8
_STEP_SIGMAS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a delay is distributed, in milliseconds.

    Parameters
    ----------
    n : int
        How often it was measured.
    median_ms, mean_ms, sd_ms, mad_ms, min_ms, max_ms, p5_ms, p95_ms : float
        `mad_ms` is the median distance from the median, times 1.4826: the standard deviation of a
        Gaussian that is as wide.
    median_interval_ms, mean_interval_ms : tuple of 2 float
        95 % confidence intervals, by bootstrap; they take the delays for independent, which under
        a drift they are not.
    """

    n: int
    median_ms: float
    mean_ms: float
    sd_ms: float
    mad_ms: float
    min_ms: float
    max_ms: float
    p5_ms: float
    p95_ms: float
    median_interval_ms: tuple[float, float]
    mean_interval_ms: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How fast a delay grows.

    Parameters
    ----------
    ppm : float
        Parts per million, which is microseconds a second; negative if it shrinks.
    interval_ppm : tuple of 2 float
        95 % confidence interval.
    """

    ppm: float
    interval_ppm: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A delay that changed at once and stayed changed.

    Parameters
    ----------
    at_s : float
        When, in seconds of the stream: the first marker with the new delay.
    by_ms : float
        By how much.
    """

    at_s: float
    by_ms: float


def spread_of(delays_s: Times) -> Spread:
    """Describe the distribution of a delay.

    Parameters
    ----------
    delays_s : ndarray, shape (n,)
        At least one, in seconds.

    Returns
    -------
    spread : Spread
        In milliseconds.
    """
    ms = np.asarray(delays_s) * 1e3
    median = float(np.median(ms))
    medians, means = _bootstrap(ms)
    p5, p95 = np.quantile(ms, (0.05, 0.95))
    return Spread(
        n=len(ms),
        median_ms=median,
        mean_ms=float(ms.mean()),
        sd_ms=float(ms.std(ddof=1)) if len(ms) > 1 else 0.0,
        mad_ms=robust_sd(ms),
        min_ms=float(ms.min()),
        max_ms=float(ms.max()),
        p5_ms=float(p5),
        p95_ms=float(p95),
        median_interval_ms=_middle(medians),
        mean_interval_ms=_middle(means),
    )


def robust_sd(values: Times) -> float:
    """Median distance from the median, as the standard deviation of a Gaussian."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _bootstrap(ms: Times) -> tuple[Times, Times]:
    """Medians and means of samples drawn again, a few million values at a time."""
    rng = np.random.default_rng(_SEED)
    at_once = max(1, min(_RESAMPLES, 4_000_000 // len(ms)))
    medians, means = np.empty(_RESAMPLES), np.empty(_RESAMPLES)
    for first in range(0, _RESAMPLES, at_once):
        stop = min(first + at_once, _RESAMPLES)
        drawn = ms[rng.integers(0, len(ms), (stop - first, len(ms)))]
        medians[first:stop], means[first:stop] = np.median(drawn, axis=1), drawn.mean(axis=1)
    return medians, means


def _middle(values: Times) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def drift_of(times_s: Times, delays_s: Times, parts: Sequence[slice] = (slice(None),)) -> Drift:
    """The median of the slopes of all pairs, and its interval from the pairs' ranks.

    Parameters
    ----------
    times_s, delays_s : ndarray, shape (n,)
        When, growing, and how long, in seconds.
    parts : sequence of slice
        Stretches between steps; only pairs within one are looked at.

    Returns
    -------
    drift : Drift
        NaN where there are fewer than three delays.
    """
    every = max(1, math.ceil(len(times_s) / _MOST_SLOPES))
    found, variance = [], 0.0
    for part in parts:
        t, d = times_s[part][::every], delays_s[part][::every]
        n = len(t)
        first, second = np.triu_indices(n, 1)
        apart_s = t[second] - t[first]
        real = apart_s > 0
        found.append((d[second] - d[first])[real] / apart_s[real])
        variance += n * (n - 1) * (2 * n + 5) / 18
    slopes = np.sort(np.concatenate(found)) * 1e6
    if len(slopes) < 3:
        return Drift(ppm=math.nan, interval_ppm=(math.nan, math.nan))
    reach = _SURE * math.sqrt(variance)
    low = max(0, math.floor((len(slopes) - reach) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))
    return Drift(
        ppm=float(np.median(slopes)), interval_ppm=(float(slopes[low]), float(slopes[high]))
    )


def steps_of(times_s: Times, delays_s: Times, smallest_s: float) -> tuple[Step, ...]:
    """Where a delay changed at once.

    The medians of the delays before and after each marker are compared, 20 on each side where
    there are enough, so that single outliers make no step and a step in the first or last 20 is
    not seen.

    Parameters
    ----------
    times_s, delays_s : ndarray, shape (n,)
        When, growing, and how long, in seconds.
    smallest_s : float
        What is smaller is no step.

    Returns
    -------
    steps : tuple of Step
        In order; none where there are fewer than 24 delays.
    """
    side = min(_STEP_SIDE, len(delays_s) // 3)
    if side < _FEWEST_SIDE:
        return ()
    level = delays_s - _slope_nearby(times_s, delays_s, side) * (times_s - times_s[0])
    middles = np.median(np.lib.stride_tricks.sliding_window_view(level, side), axis=1)
    jumps = middles[side:] - middles[:-side]  # the first is before marker `side`
    noise = robust_sd(np.diff(level)) / math.sqrt(2)
    least = max(smallest_s, _STEP_SIGMAS * noise * math.sqrt(math.pi / side))
    found: list[tuple[int, float]] = []
    size = np.abs(jumps)
    while len(size) and (peak := float(size.max())) > least:
        best = np.flatnonzero(size >= 0.98 * peak)
        best = best[np.abs(best - best[0]) <= side]
        place = int(best[len(best) // 2])
        found.append((_cut(level, place + side, side), float(jumps[place])))
        size[max(0, place - side) : place + side + 1] = 0.0
    return tuple(Step(at_s=float(times_s[at]), by_ms=by * 1e3) for at, by in sorted(found))


def between_steps(times_s: Times, steps: Sequence[Step]) -> list[slice]:
    """The stretches that steps leave.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        When the delays were measured.
    steps : sequence of Step
        From `steps_of`.

    Returns
    -------
    parts : list of slice
        One more than there are steps.
    """
    edges = [0, *(int(np.searchsorted(times_s, step.at_s)) for step in steps), len(times_s)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _slope_nearby(times_s: Times, delays_s: Times, side: int) -> float:
    """Median slope of pairs that lie close together: few of them have a step between them."""
    apart_s = times_s[side:] - times_s[:-side]
    return float(np.median((delays_s[side:] - delays_s[:-side]) / np.maximum(apart_s, 1e-9)))


def _cut(level: Times, near: int, side: int) -> int:
    """Where one level best gives way to the other, around a place near it."""
    first = near - side
    around = level[first : near + side]
    low, high = np.median(around[:side]), np.median(around[side:])
    costs_low, costs_high = np.abs(around - low), np.abs(around - high)
    # Of what comes before a cut each costs its distance from the first level, after it from the
    # second.
    cost = np.cumsum(costs_low) - np.cumsum(costs_high)
    return first + 1 + int(np.argmin(cost[:-1]))
