"""Which onset belongs to which marker.

The delay between the two is unknown at first, up to a second. It is found where most pairs agree,
then followed from marker to marker, so that a drift of seconds over hours is no obstacle; when
several markers in a row find nothing, it is looked for again, because it may have stepped.
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
_PATIENCE = 5  # markers without an onset after which the delay is looked for again
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
    """Follow the delay from marker to marker."""
    pairs: list[tuple[int, int]] = []
    newest: deque[float] = deque(maxlen=_FOLLOW)
    lag_s = find_lag(markers_s[:_LOOK], onsets_s, config.search_s)
    used, lost, looked, at = -1, 0, 0, 0
    while at < len(markers_s):
        expected_s = float(np.median(newest)) if newest else lag_s
        onset = _nearest(onsets_s, markers_s[at] + expected_s, used)
        if onset >= 0 and abs(onsets_s[onset] - markers_s[at] - expected_s) <= config.tolerance_s:
            pairs.append((at, onset))
            newest.append(onsets_s[onset] - markers_s[at])
            used, at = onset, at + 1
            lost = at
            continue
        at += 1
        # Each look is further on than the one before, so that this comes to an end.
        if at - lost >= _PATIENCE and at - looked >= _PATIENCE:
            looked = at
            found_s = _looked_again(markers_s[lost : lost + _LOOK], onsets_s[used + 1 :], expected_s, config)
            if not np.isnan(found_s):
                newest.clear()
                lag_s, at = found_s, lost
    return pairs


def _looked_again(
    markers_s: Times, onsets_s: Times, expected_s: float, config: MatchConfig
) -> float:
    """Another delay than was expected, where one fits; NaN otherwise."""
    near_s = 0.0 if np.isnan(expected_s) else expected_s
    found_s = find_lag(markers_s, onsets_s, config.search_s, near_s)
    return float("nan") if abs(found_s - expected_s) <= config.tolerance_s else found_s


def _nearest(onsets_s: Times, wanted_s: float, after: int) -> int:
    """Place of the onset nearest to a moment, of those after one that is used; -1 if none is."""
    if np.isnan(wanted_s):
        return -1
    place = int(np.searchsorted(onsets_s, wanted_s))
    near = [one for one in (place - 1, place) if after < one < len(onsets_s)]
    return min(near, key=lambda one: abs(onsets_s[one] - wanted_s), default=-1)
