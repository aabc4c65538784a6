"""Scores of what is said with a number: area under the curve, bits, accuracy against coverage.

Intervals are DeLong's where observations are independent [1]_, and a bootstrap over whole groups
where they are not. Bits are the mutual information of what was meant and what was decided, which
does not suppose that errors are spread evenly as Wolpaw's rate does [2]_, less what so few
selections would seem to carry by chance [3]_.

References
----------
.. [1] DeLong, DeLong, Clarke-Pearson. Comparing the areas under two or more correlated receiver
   operating characteristic curves. Biometrics, 1988.
.. [2] Speier, Arnold, Pouratian. Evaluating true BCI communication rate through mutual information
   and language models. PLoS ONE, 2013.
.. [3] Miller. Note on the bias of information estimates. Information Theory in Psychology, 1955.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .linear import Floats
from .scores import bootstrap_ci


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and its interval at 95 %.

    Parameters
    ----------
    value, low, high : float
        The figure and its bounds; bounds NaN if the spread cannot be known.
    n : int
        Observations.
    n_groups : int
        How many of them are independent.
    """

    value: float
    low: float
    high: float
    n: int
    n_groups: int

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, for a card or a report."""
        return asdict(self)


def mid_ranks(values: ArrayLike) -> Floats:
    """Rank of every value, counted from 1; equal values share the middle of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: Floats = np.cumsum(counts) - (counts - 1) / 2
    return middle[place]


def auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Probability that a target scores higher than another; ties count half.

    Parameters
    ----------
    scores : array-like, shape (n,)
        Larger is more of a target, finite.
    truth : array-like of bool, shape (n,)
        Whether each was one.

    Returns
    -------
    auc : float
        0.5 at chance, 1 if all is right.

    Raises
    ------
    ValueError
        If there are only targets, or none, lengths differ, or a score is not finite.
    """
    said, real = _scored(scores, truth)
    n_targets = int(real.sum())
    least = n_targets * (n_targets + 1) / 2
    above = float(mid_ranks(said)[real].sum()) - least
    return above / (n_targets * (len(real) - n_targets))


def auc_interval(
    scores: ArrayLike,
    truth: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Area under the curve and its interval.

    Parameters
    ----------
    scores, truth
        As for `auc`.
    groups : sequence, length n, optional
        What is not independent, such as trials of overlapping flashes, or participants: these are
        drawn as a whole. Without, every observation counts for itself, by DeLong.
    level : float
        Confidence, in (0, 1).
    seed : int
        Seed of the draws.

    Returns
    -------
    found : Interval
        DeLong's bounds are cut off at 0 and 1; at exactly 1 they say nothing of the spread.

    Raises
    ------
    ValueError
        As for `auc`, or if there is one group only.
    """
    said, real = _scored(scores, truth)
    value = auc(said, real)
    if groups is not None:
        low, high = bootstrap_ci(
            np.arange(len(real)),
            groups,
            statistic=lambda rows: _auc_or_chance(said[rows.astype(int)], real[rows.astype(int)]),
            level=level,
            seed=seed,
            n_resamples=1000,
        )
        return Interval(value=value, low=low, high=high, n=len(real), n_groups=len(set(groups)))
    half = NormalDist().inv_cdf(0.5 + level / 2) * _delong(said, real)
    low, high = np.clip([value - half, value + half], 0.0, 1.0).tolist()
    return Interval(value=value, low=low, high=high, n=len(real), n_groups=len(real))


def _auc_or_chance(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """A draw can lack one of the two kinds, and then says nothing."""
    return auc(scores, truth) if 0 < truth.sum() < len(truth) else 0.5


def _delong(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Standard error of the area under the curve; NaN with a single target or other."""
    targets, others = scores[truth], scores[~truth]
    if min(len(targets), len(others)) < 2:
        return math.nan
    ranks = mid_ranks(np.concatenate([targets, others]))
    # For every target the share of others below it, and the other way round.
    of_targets = (ranks[: len(targets)] - mid_ranks(targets)) / len(others)
    of_others = 1 - (ranks[len(targets) :] - mid_ranks(others)) / len(targets)
    spread = of_targets.var(ddof=1) / len(targets) + of_others.var(ddof=1) / len(others)
    return math.sqrt(float(spread))


def _scored(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    said, real = np.asarray(scores, dtype=np.float64), np.asarray(truth).astype(bool)
    if said.ndim != 1 or said.shape != real.shape or not 0 < real.sum() < len(real):
        raise ValueError(
            f"Needed are targets and others with a score each, got {int(real.sum())} targets, "
            f"truth of shape {real.shape} and scores of shape {said.shape}."
        )
    if not np.isfinite(said).all():
        raise ValueError("Scores must be finite, got NaN or infinity: leave those out.")
    return said, real


def mutual_information(
    counts: ArrayLike, prior: ArrayLike | None = None, *, corrected: bool = True
) -> float:
    """Bits that one selection tells about what was meant, whatever the errors look like.

    Parameters
    ----------
    counts : array-like, shape (n_meant, n_outcomes)
        How often each meaning gave each outcome; "no decision" may be an outcome like any other.
    prior : array-like, shape (n_meant,), optional
        How often each is meant, by a language; as often as in the counts if None. Meanings without
        a count are left out.
    corrected : bool
        Take off what so few selections would seem to carry by chance. Without, 30 selections of
        two classes at chance carry 0.02 bits; never below 0.

    Returns
    -------
    bits : float
        At least 0.

    Raises
    ------
    ValueError
        If it is no matrix of counts, or empty, or a prior does not fit.

    Notes
    -----
    Each entropy is short by (cells that occur - 1) / 2n nats. Where every outcome follows every
    meaning that adds up to the degrees of freedom of a test of independence; where most confusions
    never occur, as among 36 letters, those would take off more than there is. With less than some
    ten selections for each meaning the figure is coarse all the same.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or not table.sum() > 0 or table.min() < 0:
        raise ValueError(
            f"A confusion matrix holds counts and at least one, got shape {table.shape} and sum "
            f"{table.sum():g}."
        )
    meant = table.sum(axis=1) if prior is None else np.asarray(prior, dtype=np.float64)
    if meant.shape != table.shape[:1] or meant.min() < 0:
        raise ValueError(f"A prior needs {len(table)} shares, got shape {meant.shape}.")
    seen = (table.sum(axis=1) > 0) & (meant > 0)
    if not seen.any():
        raise ValueError("No meaning with a count has a prior: give another prior.")
    table, meant = table[seen], meant[seen] / meant[seen].sum()
    joint = table / table.sum(axis=1, keepdims=True) * meant[:, None]
    outcome = joint.sum(axis=0)
    bits = _entropy(outcome) + _entropy(meant) - _entropy(joint)
    if corrected:
        cells = np.count_nonzero(joint) - np.count_nonzero(outcome) - np.count_nonzero(meant) + 1
        bits -= max(0, cells) / (2 * math.log(2) * table.sum())
    return max(0.0, float(bits))


def _entropy(shares: Floats) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())


def information_rate(confusion: ArrayLike, selection_s: float, *, corrected: bool = True) -> float:
    """Bits per minute by mutual information.

    Parameters
    ----------
    confusion : array-like of int, shape (n_meant, n_outcomes)
        Counts, as for `mutual_information`.
    selection_s : float
        Time from one selection to the next, pauses included, in seconds.
    corrected : bool
        As for `mutual_information`.

    Returns
    -------
    rate : float
        Bits per minute.

    Raises
    ------
    ValueError
        As for `mutual_information`, or if the time is not positive.
    """
    if not selection_s > 0:
        raise ValueError(f"selection_s must be positive, got {selection_s} s.")
    return 60 * mutual_information(confusion, corrected=corrected) / selection_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCurve:
    """Accuracy of the surest decisions, from a few to all.

    Parameters
    ----------
    thresholds : ndarray, shape (n_levels,)
        Confidence from which on is decided, falling.
    coverage : ndarray, shape (n_levels,)
        Share of trials that are then decided, rising to 1.
    accuracy : ndarray, shape (n_levels,)
        Share of those that are right.
    """

    thresholds: Floats
    coverage: Floats
    accuracy: Floats

    def accuracy_at(self, coverage: float) -> float:
        """Accuracy where at least this share of trials is decided, in (0, 1]."""
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must be in (0, 1], got {coverage}.")
        return float(self.accuracy[np.searchsorted(self.coverage, coverage - 1e-9)])


def coverage_curve(confidence: ArrayLike, right: ArrayLike) -> CoverageCurve:
    """How accuracy grows when only the surest trials are decided.

    Parameters
    ----------
    confidence : array-like, shape (n_trials,)
        Probability of the best class; trials that are equally sure are decided together.
    right : array-like of bool, shape (n_trials,)
        Whether the best class was the true one.

    Returns
    -------
    curve : CoverageCurve
        One level for each confidence that occurs.

    Raises
    ------
    ValueError
        If lengths differ, there is no trial, or a confidence is NaN.
    """
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right).astype(bool)
    if sure.ndim != 1 or sure.shape != hit.shape or not len(sure) or np.isnan(sure).any():
        raise ValueError(
            f"Needed is a confidence for each trial and at least 1, none of them NaN, got shapes "
            f"{sure.shape} and {hit.shape}."
        )
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.flatnonzero(np.diff(sure[order]) < 0), len(sure) - 1)
    n_decided = last + 1
    return CoverageCurve(
        thresholds=sure[order][last],
        coverage=n_decided / len(sure),
        accuracy=np.cumsum(hit[order])[last] / n_decided,
    )


def selective_gain(
    confidence: ArrayLike,
    right: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    coverage: float = 0.8,
    seed: int = 0,
) -> Interval:
    """What abstaining on the least sure trials gains in accuracy.

    Parameters
    ----------
    confidence, right
        As for `coverage_curve`.
    groups : sequence, length n_trials, optional
        What is drawn together; each trial by itself if None.
    coverage : float
        Share of trials that is still decided, in (0, 1].
    seed : int
        Seed of the draws.

    Returns
    -------
    gain : Interval
        Accuracy at that coverage less accuracy of all, with a bootstrap interval; bounds NaN if
        there is one group only.

    Raises
    ------
    ValueError
        As for `coverage_curve`.
    """
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right).astype(bool)

    def gain(rows: Floats) -> float:
        chosen = rows.astype(int)
        curve = coverage_curve(sure[chosen], hit[chosen])
        return curve.accuracy_at(coverage) - float(curve.accuracy[-1])

    names = list(range(len(hit))) if groups is None else list(groups)
    value, n_groups = gain(np.arange(len(hit), dtype=np.float64)), len(set(names))
    low = high = math.nan
    if n_groups > 1:
        low, high = bootstrap_ci(
            np.arange(len(hit)), names, statistic=gain, seed=seed, n_resamples=1000
        )
    return Interval(value=value, low=low, high=high, n=len(hit), n_groups=n_groups)
