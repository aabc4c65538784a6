"""How good the signal was: an index from 0 to 1 for every electrode and every stretch of time.

Each second of each electrode is looked at by itself for flat line, clipping and mains hum, and
compared with all others for fast noise and slow swings. Each fault has a factor from 1 (none) to
0 (unusable); the index is their product, so that one fault is enough to lose it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

CAUSES = (
    "good",
    "signal lost",
    "flat",
    "clipped",
    "mains hum",
    "noisy",
    "large slow swings",
)
"""What can be wrong with a second, `good` first."""

GOOD = 0.5
"""Index from which a second counts as good."""

# A second without any change, or with less than any amplifier's own noise, is no signal.
_FLAT_UV, _STUCK_SHARE = 0.1, 0.9
# Natural signal spends next to no time at its own extremes.
_CLIPPED_SHARE = 0.05
# Least spread, in natural logarithms, that fast and slow power are measured against: without it
# a recording in which all electrodes are alike would call the smallest difference an outlier.
_FAST_SPREAD, _SLOW_SPREAD = 0.2, 0.35
_LOW_HZ = (1.0, 40.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What was measured in one second; every array has shape (n_channels,).

    Parameters
    ----------
    flat, clipped : ndarray of bool
        Whether it stood still, or sat at its limits.
    lost : ndarray
        Share of samples that are missing, 0 to 1.
    fast, slow : ndarray
        Natural logarithm of the RMS above and below about 40 Hz; NaN where unknown.
    mains : ndarray
        RMS at 50 or 60 Hz as a multiple of the RMS below 40 Hz; NaN where unknown.
    """

    flat: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    lost: Floats
    fast: Floats
    slow: Floats
    mains: Floats


def measure(block: Floats, power: Floats, freqs_hz: Floats) -> Second:
    """Look at one second.

    Parameters
    ----------
    block : ndarray, shape (n_channels, n_times)
        Microvolts, NaN where samples are missing.
    power : ndarray, shape (n_channels, n_freqs)
        Its power spectral density in microvolts squared per hertz; NaN where unknown.
    freqs_hz : ndarray, shape (n_freqs,)
        Frequencies of `power`.

    Returns
    -------
    second : Second
        What was seen.
    """
    lost = np.isnan(block).mean(axis=1)
    # Comparisons with NaN are false, so that missing samples count neither as stuck nor as limits.
    high, low = np.fmax.reduce(block, axis=1)[:, None], np.fmin.reduce(block, axis=1)[:, None]
    stuck = (block[:, 1:] == block[:, :-1]).mean(axis=1)
    flat = ((high - low)[:, 0] < _FLAT_UV) | (stuck > _STUCK_SHARE * (1 - lost)) & (lost < 1)
    at_limits = ((block == high) | (block == low)).mean(axis=1)
    slow = _rms(power, freqs_hz, *_LOW_HZ)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Second(
            flat=flat & (lost < 1),
            clipped=(at_limits > _CLIPPED_SHARE) & ~flat,
            lost=lost,
            fast=np.log(_rms(power, freqs_hz, *_fast_band(freqs_hz), but_mains=True)),
            slow=np.log(slow),
            mains=np.maximum(*(_rms(power, freqs_hz, f - 1.5, f + 1.5) for f in (50, 60))) / slow,
        )


def _fast_band(freqs_hz: Floats) -> tuple[float, float]:
    top = float(freqs_hz[-1])
    return (65.0, min(0.9 * top, 200.0)) if top > 80 else (0.6 * top, 0.9 * top)


def _rms(
    power: Floats, freqs_hz: Floats, low_hz: float, high_hz: float, *, but_mains: bool = False
) -> Floats:
    """Root mean square within a band; harmonics of both mains frequencies left out on request."""
    inside = (freqs_hz >= low_hz) & (freqs_hz <= high_hz)
    if but_mains:
        near = np.min([np.abs((freqs_hz + f / 2) % f - f / 2) for f in (50, 60)], axis=0)
        inside &= near > 1.5
    if not inside.any():
        return np.full(len(power), np.nan)
    step_hz = freqs_hz[1] - freqs_hz[0]
    found: Floats = np.sqrt(power[:, inside].sum(axis=1) * step_hz)
    return found


def judge(seconds: list[Second]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Turn what was measured into the index, and name the worst fault.

    Parameters
    ----------
    seconds : list of Second
        In order, at least one.

    Returns
    -------
    index : ndarray, shape (n_channels, n_seconds)
        0 unusable to 1 good.
    cause : ndarray of int, shape (n_channels, n_seconds)
        Place in `CAUSES` of what lowered it most; 0 where it is at least `GOOD`.
    """
    flat, clipped, lost, fast, slow, mains = (
        np.stack([getattr(second, name) for second in seconds], axis=1)
        for name in ("flat", "clipped", "lost", "fast", "slow", "mains")
    )
    fast[flat], slow[flat] = np.nan, np.nan
    factors = np.stack(
        [
            1 - lost,
            np.where(flat, 0.0, 1.0),
            np.where(clipped, 0.1, 1.0),
            1 / (1 + np.nan_to_num(mains, posinf=0) ** 2),
            _outlier_factor(fast, _FAST_SPREAD),
            _outlier_factor(slow, _SLOW_SPREAD),
        ]
    )
    index = factors.prod(axis=0)
    return index, np.where(index >= GOOD, 0, 1 + factors.argmin(axis=0))


def _outlier_factor(values: Floats, least_spread: float) -> Floats:
    """1 up to 2 robust standard deviations above the middle of all, 0.5 at 5, then towards 0."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.ones(values.shape)
    middle = np.median(known)
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), least_spread)
    above = np.where(np.isfinite(values), (values - middle) / spread - 2, 0)
    factor: Floats = 1 / (1 + (np.clip(above, 0, 99) / 3) ** 2)
    return factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One electrode over the whole session.

    Parameters
    ----------
    name : str
        Its label.
    good : bool
        Whether it was good for most of the time.
    share_good : float
        Share of the measured time in which it was good.
    cause : str
        What was wrong when it was not; one of `CAUSES`.
    from_s : float
        Since when it was bad to the end, in seconds; 0 from the start, NaN if on and off.
    """

    name: str
    good: bool
    share_good: float
    cause: str
    from_s: float


# Bad for more than this share of the time, or this share of all that follows a moment.
_BAD_SHARE, _STAYS_BAD = 1 / 3, 0.8


def verdict(
    name: str, index: Floats, cause: NDArray[np.int64], seconds_s: NDArray[np.floating]
) -> Verdict:
    """Sum up one electrode; seconds in which the whole signal was lost say nothing about it.

    Parameters
    ----------
    name : str
        Its label.
    index : ndarray, shape (n_seconds,)
        From `judge`.
    cause : ndarray of int, shape (n_seconds,)
        From `judge`.
    seconds_s : ndarray, shape (n_seconds,)
        Start of each second.

    Returns
    -------
    verdict : Verdict
        In short.
    """
    present = cause != CAUSES.index("signal lost")
    if not present.any():
        return Verdict(name=name, good=False, share_good=0.0, cause=CAUSES[1], from_s=0.0)
    bad = index[present] < GOOD
    share_bad = float(bad.mean())
    worst = np.bincount(cause[present][bad], minlength=len(CAUSES))
    named = CAUSES[int(worst[1:].argmax()) + 1] if bad.any() else CAUSES[0]
    good = share_bad <= _BAD_SHARE
    # From the end: the earliest moment after which it is bad nearly all the time.
    still = np.cumsum(bad[::-1]) / np.arange(1, len(bad) + 1)
    starts = np.flatnonzero((still[::-1] >= _STAYS_BAD) & bad)
    from_s = float(seconds_s[present][starts[0]]) if starts.size and not good else np.nan
    return Verdict(
        name=name, good=good, share_good=1 - share_bad, cause=named, from_s=float(from_s)
    )
