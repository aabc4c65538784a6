"""Which onset belongs to which marker.

The delay between the two is unknown at first, up to a second. It is found where most pairs agree,
then followed from marker to marker, so that a drift of seconds over hours is no obstacle; now and
then it is looked for again, because it may have stepped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError

Times = NDArray[np.float64]

_LOOK = 60  # markers from which a delay is found
_BIN_S = 0.005
_ALIKE = 0.9  # share of the best count from which a smaller delay is preferred
_FOLLOW = 15  # newest pairs that say where the next is expected
_GROUP = 20  # markers after which another delay is looked for
_WORTH = 3.0  # markers that another delay must explain beside those of the old one
_EVEN = 0.02  # relative scatter of distances below which they count as all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchConfig:
    """How far apart a marker and its onset may lie.

    Parameters
    ----------
    search_s : float
        Largest constant delay, either way, 0.01 to 10 s.
    tolerance_s : float
        How far a single delay may lie from those around it, 0.001 to 1 s.
    """

    search_s: float = 1.2
    tolerance_s: float = 0.05

    def __post_init__(self) -> None:
        if not 0.01 <= self.search_s <= 10:
            raise ConfigError(f"search_s must be in [0.01, 10] s, got {self.search_s} s.")
        if not 0.001 <= self.tolerance_s <= 1:
            raise ConfigError(f"tolerance_s must be in [0.001, 1] s, got {self.tolerance_s} s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Pairs of a marker and an onset, each used once.

    Parameters
    ----------
    markers, onsets : ndarray of int, shape (n_pairs,)
        Places in what was matched, growing.
    missing : ndarray of int, shape (n_missing,)
        Markers without an onset.
    extra : ndarray of int, shape (n_extra,)
        Onsets without a marker, between the first and the last marker.
    even : bool
        Whether the markers come at equal distances, so that a delay of a whole distance more
        would fit as well.
    """

    markers: NDArray[np.intp]
    onsets: NDArray[np.intp]
    missing: NDArray[np.intp]
    extra: NDArray[np.intp]
    even: bool


def match(markers_s: Times, onsets_s: Times, config: MatchConfig | None = None) -> Matches:
    """Pair markers with onsets.

    Parameters
    ----------
    markers_s, onsets_s : ndarray, shape (n_markers,) and (n_onsets,)
        In seconds, growing.
    config : MatchConfig, optional
        How far apart they may lie.

    Returns
    -------
    matches : Matches
        Perhaps without a pair.
    """
    config = config or MatchConfig()
    pairs = _pairs(markers_s, onsets_s, config)
    of_marker = np.array([marker for marker, _ in pairs], np.intp)
    of_onset = np.array([onset for _, onset in pairs], np.intp)
    missing = np.setdiff1d(np.arange(len(markers_s)), of_marker)
    extra = np.setdiff1d(np.arange(len(onsets_s)), of_onset)
    if len(pairs):
        lag_s = float(np.median(onsets_s[of_onset] - markers_s[of_marker]))
        begin_s, end_s = markers_s[0] + lag_s, markers_s[-1] + lag_s
        near = (onsets_s[extra] >= begin_s - config.search_s) & (
            onsets_s[extra] <= end_s + config.search_s
        )
        extra = extra[near]
    steps_s = np.diff(markers_s)
    even = len(steps_s) > 2 and float(np.std(steps_s)) < _EVEN * float(np.median(steps_s))
    return Matches(
        markers=of_marker,
        onsets=of_onset,
        missing=missing,
        extra=extra,
        even=bool(even and len(steps_s) and np.median(steps_s) <= config.search_s),
    )


def find_lag(markers_s: Times, onsets_s: Times, search_s: float, near_s: float = 0.0) -> float:
    """The delay at which most markers have an onset; NaN if none has.

    Parameters
    ----------
    markers_s, onsets_s : ndarray
        In seconds, growing.
    search_s : float
        How far from `near_s` it may lie.
    near_s : float
        What it was before; of delays that fit about as well, the nearest to it is taken.

    Returns
    -------
    lag_s : float
        Onset minus marker.
    """
    first = np.searchsorted(onsets_s, markers_s + near_s - search_s)
    stop = np.searchsorted(onsets_s, markers_s + near_s + search_s, side="right")
    lags = np.concatenate(
        [onsets_s[a:b] - at for at, a, b in zip(markers_s, first, stop, strict=True)] or [[]]
    )
    if not len(lags):
        return float("nan")
    edges = np.arange(near_s - search_s - _BIN_S, near_s + search_s + 2 * _BIN_S, _BIN_S)
    counts = np.histogram(lags, edges)[0]
    smooth = np.convolve(counts, (1, 2, 3, 2, 1), mode="same")
    centres = (edges[:-1] + edges[1:]) / 2
    good = np.flatnonzero(smooth >= _ALIKE * smooth.max())
    peak = centres[good[np.argmin(np.abs(centres[good] - near_s))]]
    # Of the bins of one peak the highest, not the nearest.
    around = np.abs(centres - peak) <= 4 * _BIN_S
    peak = centres[around][np.argmax(smooth[around])]
    return float(np.median(lags[np.abs(lags - peak) <= 4 * _BIN_S]))


def _pairs(markers_s: Times, onsets_s: Times, config: MatchConfig) -> list[tuple[int, int]]:
    """Follow the delay from marker to marker, and look after each group whether it stepped."""
    pairs: list[tuple[int, int]] = []
    lag_s = find_lag(markers_s[:_LOOK], onsets_s, config.search_s)
    used = -1
    for first in range(0, len(markers_s), _GROUP):
        stop = min(first + _GROUP, len(markers_s))
        if pairs:
            newest = np.array(pairs[-_FOLLOW:])
            lag_s = float(np.median(onsets_s[newest[:, 1]] - markers_s[newest[:, 0]]))
        near_s = 0.0 if np.isnan(lag_s) else lag_s
        ahead = markers_s[first : first + 2 * _GROUP]
        other_s = find_lag(ahead, onsets_s, config.search_s, near_s)
        turn = stop
        if abs(other_s - lag_s) > config.tolerance_s or np.isnan(lag_s):
            turn = first + _turn(ahead[: stop - first], onsets_s, (lag_s, other_s), config)
        for begin, end, delay_s in ((first, turn, lag_s), (turn, stop, other_s)):
            got = _follow(markers_s[begin:end], onsets_s, used, delay_s, config)
            pairs += [(begin + marker, onset) for marker, onset in got]
            used = pairs[-1][1] if pairs else used
    return _supported(pairs, markers_s, onsets_s, config)


def _turn(
    markers_s: Times, onsets_s: Times, lags_s: tuple[float, float], config: MatchConfig
) -> int:
    """From which marker on a second delay fits better than the first; past the last if nowhere."""
    old, new = (_fit(markers_s, onsets_s, lag_s, config) for lag_s in lags_s)
    before = np.concatenate(([0.0], np.cumsum(old)))
    after = np.concatenate((np.cumsum(new[::-1])[::-1], [0.0]))
    both = before + after
    best = int(np.argmax(both))
    return best if both[best] > before[-1] + _WORTH else len(markers_s)


def _fit(markers_s: Times, onsets_s: Times, lag_s: float, config: MatchConfig) -> Times:
    """How well each marker has an onset at a delay, 0 to 1."""
    if np.isnan(lag_s) or not len(onsets_s):
        return np.zeros(len(markers_s))
    wanted_s = markers_s + lag_s
    place = np.clip(np.searchsorted(onsets_s, wanted_s), 1, max(1, len(onsets_s) - 1))
    around = onsets_s[np.minimum(np.stack((place - 1, place)), len(onsets_s) - 1)]
    off = np.abs(around - wanted_s).min(axis=0) / config.tolerance_s
    return np.asarray(np.maximum(0.0, 1 - off**2))


def _follow(
    markers_s: Times, onsets_s: Times, used: int, lag_s: float, config: MatchConfig
) -> list[tuple[int, int]]:
    """Pair markers in order, the delay creeping along with what was found."""
    pairs: list[tuple[int, int]] = []
    newest: deque[float] = deque(maxlen=_FOLLOW)
    for marker, at_s in enumerate(markers_s):
        expected_s = float(np.median(newest)) if len(newest) > 2 else lag_s
        onset = _nearest(onsets_s, at_s + expected_s, used)
        if onset >= 0 and abs(onsets_s[onset] - at_s - expected_s) <= config.tolerance_s:
            pairs.append((marker, onset))
            newest.append(onsets_s[onset] - at_s)
            used = onset
    return pairs


def _supported(
    pairs: list[tuple[int, int]], markers_s: Times, onsets_s: Times, config: MatchConfig
) -> list[tuple[int, int]]:
    """The pairs whose neighbours agree; what met by chance, where nothing was shown, does not."""
    if not pairs:
        return []
    markers, onsets = np.array(pairs).T
    delay_s = np.full(len(markers_s), np.nan)
    delay_s[markers] = onsets_s[onsets] - markers_s[markers]
    padded = np.pad(delay_s, _GROUP // 2, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * (_GROUP // 2) + 1)[markers]
    agree = np.abs(around - delay_s[markers][:, None]) <= config.tolerance_s
    there = np.lib.stride_tricks.sliding_window_view(
        np.pad(np.ones(len(markers_s)), _GROUP // 2), 2 * (_GROUP // 2) + 1
    )[markers]
    kept = agree.sum(axis=1) >= there.sum(axis=1) / 3
    return [pair for pair, keep in zip(pairs, kept, strict=True) if keep]


def _nearest(onsets_s: Times, wanted_s: float, after: int) -> int:
    """Place of the onset nearest to a moment, of those after one that is used; -1 if none is."""
    if np.isnan(wanted_s):
        return -1
    place = int(np.searchsorted(onsets_s, wanted_s))
    near = [one for one in (place - 1, place) if after < one < len(onsets_s)]
    return min(near, key=lambda one: abs(onsets_s[one] - wanted_s), default=-1)
