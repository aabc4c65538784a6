"""Statistics of a real person's features, from trials that their decoder was not fitted on.

Only numbers that a simulated person is made of are kept: how far classes lie apart, how noise is
shared and spread, and how far classes moved between runs. Few trials of one person give rough
numbers; what is said of many people by drawing them at random is better founded than any of these.

References
----------
- Fisher. Statistical Methods for Research Workers, 1925 (the intraclass correlation).
- Lange, Little, Taylor. Robust statistical modeling using the t distribution. J. American
  Statistical Association, 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import RecordingError
from ...runtime.prototype_head import Floats, PrototypeHead
from .people import Traits

TAILS = (4.5, 100.0)
"""Least and most degrees of freedom: the fourth moment of fewer does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Windows of one run.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
        As the head takes them.
    labels : ndarray of int, shape (n_windows,)
        Class of each.
    trials : ndarray of int, shape (n_windows,)
        Which trial or selection each belongs to.
    """

    features: Floats
    labels: NDArray[np.int64]
    trials: NDArray[np.int64]

    @classmethod
    def of(cls, features: Sequence[Floats], labels: Sequence[NDArray[np.int64]]) -> Self:
        """From one array of features and of labels for each trial."""
        sizes = [len(one) for one in features]
        return cls(
            features=np.concatenate(features),
            labels=np.concatenate(labels),
            trials=np.repeat(np.arange(len(sizes)), sizes),
        )


def fit_person(
    name: str,
    head: PrototypeHead,
    runs: Sequence[Run],
    *,
    task: str,
    data_set: str,
    licence: str,
) -> Traits:
    """Traits of one person.

    Parameters
    ----------
    name : str
        Pseudonym.
    head : PrototypeHead
        Fitted on other trials.
    runs : sequence of Run
        In order; what the head does not know.
    task, data_set, licence : str
        Where it comes from.

    Returns
    -------
    traits : Traits
        Distances are along the lines on which the head tells classes apart, since no others could
        be found in so few trials; they include what was lost since calibration.

    Raises
    ------
    RecordingError
        If no run holds every class at least twice.
    """
    usable = [run for run in runs if _counts(run, head).min() >= 2]
    if not usable:
        raise RecordingError(
            f"{name} has no run with two windows of every class beside calibration: record more."
        )
    noise = [_noise(head, run) for run in usable]
    common, own = _moved(head, usable)
    return Traits(
        name=name,
        distances=_distances(head, usable),
        correlation=float(np.clip(np.mean([_shared(*one) for one in noise]), 0.0, 0.95).round(3)),
        tail=_tail(np.concatenate([one[0] for one in noise])),
        common=common,
        own=own,
        task=task,
        data_set=data_set,
        licence=licence,
    )


def _counts(run: Run, head: PrototypeHead) -> NDArray[np.int64]:
    return np.bincount(run.labels, minlength=len(head.classes))


def _means(points: Floats, labels: NDArray[np.int64], n_classes: int) -> Floats:
    return np.stack([points[labels == k].mean(axis=0) for k in range(n_classes)])


def _distances(head: PrototypeHead, runs: Sequence[Run]) -> tuple[tuple[float, ...], ...]:
    """Between classes along the lines between prototypes, over the spread within, mean of runs."""
    n_classes = len(head.classes)
    apart = np.zeros((len(runs), n_classes, n_classes))
    for place, run in enumerate(runs):
        points = head.project(run.features)
        for a in range(n_classes):
            for b in range(a):
                line = head.prototypes[a] - head.prototypes[b]
                first, second = (points[run.labels == k] @ line for k in (a, b))
                spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
                apart[place, a, b] = (first.mean() - second.mean()) / max(spread, 1e-9)
    weights = [len(run.labels) for run in runs]
    mean = np.maximum(np.average(apart, axis=0, weights=weights), 0.0).round(3)
    return tuple(map(tuple, (mean + mean.T).tolist()))


def _noise(head: PrototypeHead, run: Run) -> tuple[Floats, NDArray[np.int64]]:
    """Standardised residuals of a run, and the trial of each."""
    points = head.project(run.features)
    residuals = points - _means(points, run.labels, len(head.classes))[run.labels]
    return residuals / np.maximum(residuals.std(axis=0), 1e-9), run.trials


def _shared(noise: Floats, trials: NDArray[np.int64]) -> float:
    """Intraclass correlation of windows within trials, mean of all directions."""
    groups = [noise[trials == trial] for trial in np.unique(trials)]
    size = len(noise) / len(groups)
    if size <= 1 or len(groups) < 3:
        return 0.0
    between = size * np.mean([group.mean(axis=0) ** 2 for group in groups], axis=0)
    scatter = np.sum([((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups], axis=0)
    within = scatter / max(len(noise) - len(groups), 1)
    return float(np.mean((between - within) / (between + (size - 1) * within)))


def _tail(noise: Floats) -> float:
    """Degrees of freedom of a t distribution with the kurtosis of the noise."""
    excess = float(np.mean(noise**4) / np.mean(noise**2) ** 2 - 3)
    degrees = 4 + 6 / excess if excess > 0 else TAILS[1]
    return round(float(np.clip(degrees, *TAILS)), 2)


def _moved(head: PrototypeHead, runs: Sequence[Run]) -> tuple[float, float]:
    """How far classes moved since the first run, together and each alone, less what chance moves.

    The first run that the head does not know, not calibration: a head of few trials puts its own
    prototypes far further apart than any other trials lie. Zero where there is one run only.
    """
    if len(runs) < 2:
        return 0.0, 0.0
    n_classes = len(head.classes)
    first = head.project(runs[0].features)
    inside = first - _means(first, runs[0].labels, n_classes)[runs[0].labels]
    scale = np.maximum(inside.std(axis=0), 1e-9)
    start = _means(first / scale, runs[0].labels, n_classes)
    together, alone = [], []
    for run in runs[1:]:
        moved = _means(head.project(run.features) / scale, run.labels, n_classes) - start
        middle = moved.mean(axis=0)
        expected = _chance(head, runs[0], scale) + _chance(head, run, scale)
        together.append(float(middle @ middle) - expected / n_classes)
        own = float(((moved - middle) ** 2).sum(axis=1).mean())
        alone.append(own - expected * (1 - 1 / n_classes))
    return _length(together), _length(alone)


def _length(squares: Sequence[float]) -> float:
    """Root of the mean, where chance left anything of it."""
    return round(float(np.sqrt(max(float(np.mean(squares)), 0.0))), 3)


def _chance(head: PrototypeHead, run: Run, scale: Floats) -> float:
    """Squared length by which the mean of a class is off by chance, mean of classes."""
    points = head.project(run.features) / scale
    variances = []
    for k in range(len(head.classes)):
        mine = run.labels == k
        trials = np.unique(run.trials[mine])
        means = np.stack([points[mine & (run.trials == trial)].mean(axis=0) for trial in trials])
        if len(trials) > 1:
            variances.append(float(means.var(axis=0, ddof=1).sum()) / len(trials))
    return float(np.mean(variances)) if variances else 0.0
