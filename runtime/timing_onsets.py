"""When something physical began: onsets in a photodiode, audio or trigger channel.

The channel has two levels, rest and on. Both are estimated from the data themselves, block by
block, so that a sensor whose level creeps is followed. An onset is where the channel crosses the
middle between them, to a fraction of a sample; what flickers while it is on counts once.

At low rates the fraction rests on the amplifier's anti-alias filter: it spreads an edge over some
samples, and their values say where between two samples it was. An edge that reaches the samples
unfiltered, as a digital trigger does, is known to half a sample and no better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, RecordingError

KINDS = ("photodiode", "audio", "trigger")
POLARITIES = ("auto", "rising", "falling", "both")

_BLOCK_S = 10.0  # a sensor's levels creep over minutes
_CONTRAST = 6.0  # swing over noise at rest; two halves of one Gaussian have 2.3
_LEVEL_ON, _LEVEL_OFF = 0.65, 0.35  # of the swing; between them nothing changes
_FEW = 5e-4  # share of the samples that a stray spike may take
_PIECE = 1 << 20

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetConfig:
    """How onsets are found.

    Parameters
    ----------
    kind : str
        ``"photodiode"``; ``"audio"``, of which the size counts and not the sign; ``"trigger"``.
    polarity : str
        ``"rising"``, ``"falling"``, ``"both"`` for a patch that changes with every marker, or
        ``"auto"``: the level that is held for less of the time is the one that is on.
    quiet_s : float
        Rest before an onset, 0 to 10 s. It must be longer than a frame of the display, or every
        flicker of its backlight is an onset, and shorter than the pauses between flashes.
    shortest_s : float
        What is on for less than this is a glitch, 0 to 10 s.
    """

    kind: str = "photodiode"
    polarity: str = "auto"
    quiet_s: float = 0.04
    shortest_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        if self.polarity not in POLARITIES:
            raise ConfigError(
                f"polarity must be one of {', '.join(POLARITIES)}, got {self.polarity!r}."
            )
        for name in ("quiet_s", "shortest_s"):
            value = getattr(self, name)
            if not 0 <= value <= 10:
                raise ConfigError(f"{name} must be in [0, 10] s, got {value} s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Onsets:
    """What was found in a channel.

    Parameters
    ----------
    samples : ndarray, shape (n_onsets,)
        Stream index of each, in fractions of a sample, growing.
    rest, on : float
        The two levels, in the channel's unit: median over the blocks.
    contrast : float
        Their distance over the noise at rest; infinite for a noiseless channel.
    """

    samples: NDArray[np.float64]
    rest: float
    on: float
    contrast: float


def find_onsets(
    signal: Values, rate_hz: float, config: OnsetConfig | None = None, first_sample: int = 0
) -> Onsets:
    """Find when something began.

    Parameters
    ----------
    signal : ndarray, shape (n_times,)
        One channel, in any unit; NaN where samples were lost.
    rate_hz : float
        Its sampling rate.
    config : OnsetConfig, optional
        How to look.
    first_sample : int
        Stream index of its first sample.

    Returns
    -------
    onsets : Onsets
        Perhaps none, if the channel never rests for long enough.

    Raises
    ------
    RecordingError
        If the channel does not have two levels.
    """
    config = config or OnsetConfig()
    signal = np.asarray(signal)
    if signal.ndim != 1 or not len(signal):
        raise RecordingError(f"One channel with samples is needed, got shape {signal.shape}.")
    if config.kind == "audio":
        signal = np.abs(signal - np.nanmedian(signal))
    scaled, levels = _scaled(signal, rate_hz)
    if config.polarity == "both":
        both = (scaled, 1 - scaled)
        found = np.sort(np.concatenate([_rises(one, rate_hz, config) for one in both]))
    else:
        falls = config.polarity == "falling" or (
            config.polarity == "auto" and float(np.mean(scaled > 0.5)) > 0.5
        )
        found = _rises(1 - scaled if falls else scaled, rate_hz, config)
        levels = (levels[1], levels[0], levels[2]) if falls else levels
    return Onsets(samples=found + first_sample, rest=levels[0], on=levels[1], contrast=levels[2])


def two_levels(values: Values) -> tuple[float, float, float]:
    """The two levels between which a channel goes.

    Parameters
    ----------
    values : ndarray, shape (n_times,)
        Finite.

    Returns
    -------
    low, high : float
        Medians of the two clusters, samples next to an edge left out.
    contrast : float
        Their distance over the noise of the one that is held longer.
    """
    few = min(max(3, round(_FEW * len(values))), len(values)) - 1
    low, high = (
        float(np.partition(values, few)[few]),
        float(np.partition(values, -few - 1)[-few - 1]),
    )
    above = values > (low + high) / 2
    for _ in range(20):
        if not above.any() or above.all():
            return low, low, 0.0
        low, high = float(np.median(values[~above])), float(np.median(values[above]))
        again = values > (low + high) / 2
        if np.array_equal(again, above):
            break
        above = again
    low, high = (_plateau(values, mask) for mask in (~above, above))
    longer = ~above if above.mean() <= 0.5 else above
    centre = low if above.mean() <= 0.5 else high
    noise = 1.4826 * float(np.median(np.abs(values[longer] - centre)))
    return low, high, (high - low) / noise if noise > 0 else math.inf * (high > low)


def _plateau(values: Values, mask: NDArray[np.bool_]) -> float:
    """Median of a cluster without the samples next to an edge, if any are left then."""
    for reach in (2, 1):
        inner = mask.copy()
        for step in range(1, reach + 1):
            inner[step:] &= mask[:-step]
            inner[:-step] &= mask[step:]
        if inner.sum() >= max(3, mask.sum() / 10):
            return float(np.median(values[inner]))
    return float(np.median(values[mask]))


def _scaled(signal: Values, rate_hz: float) -> tuple[Values, tuple[float, float, float]]:
    """The channel with rest at 0 and on at 1, however the two levels creep."""
    size = max(64, round(_BLOCK_S * rate_hz))
    blocks = [(at, signal[at : at + size]) for at in range(0, len(signal), size)]
    found = [
        (at + len(block) / 2, *two_levels(kept))
        for at, block in blocks
        if len(kept := block[np.isfinite(block)]) >= 64
    ]
    good = [one for one in found if one[3] >= _CONTRAST]
    if not good:
        whole = signal[np.isfinite(signal)]
        levels = two_levels(whole) if len(whole) >= 64 else (0.0, 0.0, 0.0)
        good = [(0.0, *levels)] if levels[2] >= _CONTRAST else []
    if not good:
        best = max((one[3] for one in found), default=0.0)
        raise RecordingError(
            f"The channel does not go between two levels: they lie {best:.1f} times the noise "
            f"apart at best, and {_CONTRAST:g} are needed; check that the sensor is plugged in, "
            f"sits on the flashing patch, and that this is its channel."
        )
    swing = np.median([high - low for _, low, high, _ in good])
    good = [one for one in good if swing / 2 <= one[2] - one[1] <= 2 * swing]
    at, low, high, contrast = np.array(good).T
    scaled = np.empty(len(signal), np.float64)
    for start in range(0, len(signal), _PIECE):
        where = np.arange(start, min(start + _PIECE, len(signal)))
        rest = np.interp(where, at, low)
        scaled[where] = (signal[where] - rest) / (np.interp(where, at, high) - rest)
    return scaled, (float(np.median(low)), float(np.median(high)), float(np.median(contrast)))


def _rises(scaled: Values, rate_hz: float, config: OnsetConfig) -> NDArray[np.float64]:
    """Where a scaled channel starts to be on after it has rested."""
    ups, ends = _switches(scaled)
    if not len(ups):
        return np.empty(0)
    ended = np.concatenate(([0], ends))[np.searchsorted(ends, ups)]
    begins = ups[ups - ended >= config.quiet_s * rate_hz]
    if not len(begins):
        return np.empty(0)
    closed = np.append(ends, len(scaled))
    after = np.append(begins[1:], len(scaled) + 1)
    lasted = closed[np.searchsorted(closed, after) - 1] - begins
    return _crossings(scaled, begins[lasted >= config.shortest_s * rate_hz])


def _switches(scaled: Values) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where it turns on, and where rest begins; lost samples are neither on nor rest."""
    told = np.zeros(len(scaled), np.int8)
    told[scaled >= _LEVEL_ON] = 1
    told[scaled <= _LEVEL_OFF] = -1
    told[~np.isfinite(scaled)] = 2  # what begins in a hole is no onset, and no rest either
    at = np.flatnonzero(told)
    state = told[at]
    ups = at[1:][(state[1:] == 1) & (state[:-1] == -1)]
    return ups, at[1:][(state[1:] == -1) & (state[:-1] > 0)]


def _crossings(scaled: Values, ups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The last crossing of the middle up to each sample, by a cubic through four samples."""
    rising = np.flatnonzero((scaled[:-1] < 0.5) & (scaled[1:] >= 0.5))
    before = rising[np.searchsorted(rising, ups, side="left") - 1]
    at = np.clip(before[:, None] + np.arange(-1, 3), 0, len(scaled) - 1)
    around = scaled[at]
    straight = (0.5 - around[:, 1]) / (around[:, 2] - around[:, 1])
    cubic = _cubic_root(around)
    fine = np.isfinite(around).all(axis=1)
    return np.asarray(before + np.where(fine, cubic, straight), np.float64)


def _cubic_root(around: Values) -> NDArray[np.float64]:
    """Where the cubic through values at -1, 0, 1, 2 is one half, between 0 and 1, by bisection."""
    below, above = np.zeros(len(around)), np.ones(len(around))
    for _ in range(30):
        u = (below + above) / 2
        weights = (
            -u * (u - 1) * (u - 2) / 6,
            (u + 1) * (u - 1) * (u - 2) / 2,
            -(u + 1) * u * (u - 2) / 2,
            (u + 1) * u * (u - 1) / 6,
        )
        value = sum(w * around[:, place] for place, w in enumerate(weights))
        low = value < 0.5
        below, above = np.where(low, u, below), np.where(low, above, u)
    return np.asarray((below + above) / 2)
