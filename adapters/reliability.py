"""Reliability: when it says 0.8, it should be right eight times in ten.

The expected calibration error (ECE) sorts trials into bins by confidence and averages, over bins,
how far the share that was right is from the mean confidence [1]_. Bins of equal count waste none
on confidences that never occur [2]_. With few trials a perfect predictor has an error, too,
because shares scatter; it is computed along, since an ECE below it means nothing.

References
----------
.. [1] Naeini, Cooper, Hauskrecht. Obtaining well calibrated probabilities using Bayesian binning.
   AAAI, 2015.
.. [2] Nixon et al. Measuring calibration in deep learning. CVPR Workshops, 2019.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .linear import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """An expected calibration error and what puts it into proportion.

    Parameters
    ----------
    n : int
        Trials judged.
    error : float
        The ECE, 0 to 1.
    interval : tuple of 2 float
        Percentile bootstrap over groups, at 95 %. Resampling adds scatter of its own, so it sits
        high: compare with `expected_if_perfect`, not with 0.
    expected_if_perfect : float
        Mean ECE if the outcomes were drawn from the very probabilities, trials independent.
    p_value : float
        Share of such draws with at least this error: large if nothing speaks against calibration.
    """

    n: int
    error: float
    interval: tuple[float, float]
    expected_if_perfect: float
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, for a card or a report."""
        return asdict(self)


def expected_calibration_error(
    probabilities: ArrayLike, targets: ArrayLike, n_bins: int = 15, adaptive: bool = True
) -> float:
    """Mean distance between confidence and share right, over bins of confidence.

    Parameters
    ----------
    probabilities : array-like, shape (n_trials, n_classes) or (n_trials,)
        Probabilities of the classes, of which the largest is the confidence; or of one event.
    targets : array-like of int or bool, shape (n_trials,)
        Row of the true class; or whether the event happened.
    n_bins : int
        Bins, at least 1; fewer where there are fewer trials.
    adaptive : bool
        True for bins of equal count, False for bins of equal width.

    Returns
    -------
    error : float
        Weighted by trials, 0 to 1.

    Raises
    ------
    ValueError
        If there is nothing to judge, shapes do not fit, or a probability is outside 0 to 1.
    """
    confidence, right = _outcomes(probabilities, targets)
    return _error(confidence, right, _checked(n_bins), adaptive)


def calibration_error(
    probabilities: ArrayLike,
    targets: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    n_bins: int = 15,
    adaptive: bool = True,
    n_resamples: int = 1000,
    seed: int = 0,
) -> CalibrationError:
    """The expected calibration error, its interval, and what a perfect predictor would show.

    Parameters
    ----------
    probabilities, targets, n_bins, adaptive
        As for `expected_calibration_error`.
    groups : sequence, length n_trials, optional
        What is resampled together, such as runs; each trial by itself if None.
    n_resamples : int
        How many draws, at least 1.
    seed : int
        Seed of the draws.

    Returns
    -------
    found : CalibrationError
        With interval.

    Raises
    ------
    ValueError
        As for `expected_calibration_error`, or if there is not one group for each trial.
    """
    confidence, right = _outcomes(probabilities, targets)
    n, rng = len(right), np.random.default_rng(seed)
    members = _members(groups, n)
    error = _error(confidence, right, _checked(n_bins), adaptive)
    drawn, perfect = np.empty(n_resamples), np.empty(n_resamples)
    for draw in range(n_resamples):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        drawn[draw] = _error(confidence[rows], right[rows], n_bins, adaptive)
        perfect[draw] = _error(confidence, rng.random(n) < confidence, n_bins, adaptive)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return CalibrationError(
        n=n,
        error=error,
        interval=(float(low), float(high)),
        expected_if_perfect=float(perfect.mean()),
        p_value=float((1 + (perfect >= error).sum()) / (1 + n_resamples)),
    )


def _outcomes(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Confidence of each trial, and whether it was right."""
    given, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if given.ndim not in (1, 2) or truth.shape != given.shape[:1] or not given.size:
        raise ValueError(
            f"Needed is one target for each trial and at least 1, got probabilities of shape "
            f"{given.shape} and targets of shape {truth.shape}."
        )
    if not (given.min() >= 0 and given.max() <= 1):
        raise ValueError(
            f"Probabilities must be in [0, 1], got {given.min():g} to {given.max():g}: give them "
            f"after the softmax."
        )
    if given.ndim == 1:
        return given, truth.astype(bool)
    return given.max(axis=1), given.argmax(axis=1) == truth


def _members(groups: Sequence[Hashable] | None, n: int) -> list[NDArray[np.intp]]:
    names = list(range(n)) if groups is None else list(groups)
    if len(names) != n:
        raise ValueError(f"Needed is one group for each of {n} trials, got {len(names)}.")
    rows: dict[Hashable, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return [np.array(found, dtype=np.intp) for found in rows.values()]


def _checked(n_bins: int) -> int:
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}.")
    return n_bins


def _error(confidence: Floats, right: NDArray[np.bool_], n_bins: int, adaptive: bool) -> float:
    n = len(confidence)
    if adaptive:
        order = np.argsort(confidence, kind="stable")
        gap = (right - confidence)[order]
        edges = np.unique(np.linspace(0, n, min(n_bins, n) + 1).astype(int))
        return float(np.abs(np.add.reduceat(gap, edges[:-1])).sum() / n)
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return float(np.abs(np.bincount(bins, weights=right - confidence)).sum() / n)
