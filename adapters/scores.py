"""How good is it, and how sure are we: accuracy with its interval, chance, bits per minute."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtrc

from ..runtime.proportions import wilson_interval as wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """Accuracy and what puts it into proportion.

    Parameters
    ----------
    n, n_correct : int
        How many were judged, how many rightly.
    accuracy : float
        Their share.
    interval : tuple of 2 float
        Wilson interval of the accuracy at 95 %.
    balanced_accuracy : float
        Mean over the classes that occur of the share of each that was found.
    kappa : float
        Cohen's kappa: 0 at chance, 1 if all is right [1]_.
    chance : float
        Share of the commonest class: what always saying that class would score.
    p_value : float
        Probability of at least `n_correct` by guessing at `chance`, exact binomial.
    confusion : tuple of tuple of int
        Counts, rows the truth, columns the prediction.

    References
    ----------
    .. [1] Cohen. A coefficient of agreement for nominal scales. Educ. Psychol. Meas., 1960.
    """

    n: int
    n_correct: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    kappa: float
    chance: float
    p_value: float
    confusion: tuple[tuple[int, ...], ...]

    measure: ClassVar[str] = "accuracy"

    @property
    def meaning(self) -> str:
        """What guessing would give."""
        return f"chance {self.chance:.2f}"

    def sentence(self) -> str:
        """Accuracy with its interval, in words."""
        low, high = self.interval
        return (
            f"{self.n_correct} of {self.n} trials right: accuracy {self.accuracy:.2f} "
            f"(95 % interval {low:.2f} to {high:.2f}; chance {self.chance:.2f}, "
            f"p = {self.p_value:.2g})."
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, for a card or a report."""
        return asdict(self)


def accuracy_report(
    labels: Sequence[str], predictions: Sequence[str], classes: Sequence[str]
) -> AccuracyReport:
    """Compare what was predicted with what was true.

    Parameters
    ----------
    labels, predictions : sequence of str, length n
        Truth and prediction, one for each *independent* trial: windows of one trial share their
        noise and would make the interval too narrow.
    classes : sequence of str
        All classes, in the order of the confusion matrix.

    Returns
    -------
    report : AccuracyReport
        Accuracy and what puts it into proportion.

    Raises
    ------
    ValueError
        If nothing was given, the lengths differ or a name is not among the classes.
    """
    counts = _confusion(labels, predictions, classes)
    n, n_correct = int(counts.sum()), int(np.trace(counts))
    per_class = counts.sum(axis=1)
    seen = per_class > 0
    expected = float(per_class @ counts.sum(axis=0)) / n**2
    chance = float(per_class.max()) / n
    return AccuracyReport(
        n=n,
        n_correct=n_correct,
        accuracy=n_correct / n,
        interval=wilson_interval(n_correct, n),
        balanced_accuracy=float(np.mean(np.diag(counts)[seen] / per_class[seen])),
        # One class only, always right: agreement says nothing, and the formula is 0 / 0.
        kappa=(n_correct / n - expected) / (1 - expected) if expected < 1 else 0.0,
        chance=chance,
        p_value=float(bdtrc(n_correct - 1, n, chance)) if n_correct and chance < 1 else 1.0,
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
    )


def _confusion(
    labels: Sequence[str], predictions: Sequence[str], classes: Sequence[str]
) -> NDArray[np.int64]:
    if len(labels) != len(predictions) or len(labels) == 0:
        raise ValueError(
            f"labels and predictions must be equally many and at least 1, got {len(labels)} and "
            f"{len(predictions)}."
        )
    place = {name: row for row, name in enumerate(classes)}
    if unknown := sorted({str(name) for name in (*labels, *predictions)} - set(place)):
        raise ValueError(f"Every name must be one of {list(classes)}, got also {unknown}.")
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    for label, prediction in zip(labels, predictions, strict=True):
        counts[place[label], place[prediction]] += 1
    return counts


def information_transfer_rate(accuracy: float, n_classes: int, selection_s: float) -> float:
    """Bits per minute carried by a sequence of equally likely selections.

    Parameters
    ----------
    accuracy : float
        Share of selections that were right, in [0, 1].
    n_classes : int
        Number of possible selections, at least 2.
    selection_s : float
        Time one selection takes, pauses included, in seconds.

    Returns
    -------
    rate : float
        Bits per minute, in [0, 60 * log2(n_classes) / selection_s].

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Assumes that errors are spread evenly over the wrong classes [1]_.

    References
    ----------
    .. [1] Wolpaw, Ramoser, McFarland, Pfurtscheller. EEG-based communication: improved accuracy
       by response verification. IEEE Trans. Rehabil. Eng., 1998.
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy must be in [0, 1], got {accuracy}.")
    if n_classes < 2:
        raise ValueError(f"n_classes must be at least 2, got {n_classes}.")
    if not selection_s > 0:
        raise ValueError(f"selection_s must be positive, got {selection_s} s.")
    # Below chance the formula climbs again, because always being wrong is informative too;
    # a participant cannot spend those bits, so none are counted.
    if accuracy <= 1 / n_classes:
        return 0.0
    bits = math.log2(n_classes) + accuracy * math.log2(accuracy)
    if accuracy < 1:
        bits += (1 - accuracy) * math.log2((1 - accuracy) / (n_classes - 1))
    return 60 * bits / selection_s


def bootstrap_ci(
    values: ArrayLike,
    groups: Sequence[Hashable],
    *,
    statistic: Callable[[NDArray[np.float64]], float] = lambda pooled: float(np.mean(pooled)),
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap over whole groups: what another set of participants might have given.

    Parameters
    ----------
    values : array-like, shape (n,)
        One number for each observation.
    groups : sequence, length n
        Which participant each comes from; participants are drawn, with all their values.
    statistic : callable
        From the pooled values, shape (n_drawn,), to a number; the mean by default.
    level : float
        Confidence, in (0, 1).
    n_resamples : int
        How many draws, at least 1.
    seed : int
        Seed of the draws: equal seeds give equal intervals.

    Returns
    -------
    low, high : float
        Bounds.

    Raises
    ------
    ValueError
        If values and groups differ in length, or there are fewer than two groups: the spread
        between participants cannot be known from one.

    References
    ----------
    .. [1] Efron, Tibshirani. An Introduction to the Bootstrap. Chapman & Hall, 1993.
    """
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim != 1 or len(flat) != len(groups):
        raise ValueError(f"One group for each value is needed, got {flat.shape}, {len(groups)}.")
    _check_level(level)
    names = list(dict.fromkeys(groups))
    if len(names) < 2 or n_resamples < 1:
        raise ValueError(
            f"At least 2 groups and 1 resample are needed, got {len(names)} and {n_resamples}."
        )
    members = [flat[[group == name for group in groups]] for name in names]
    rng = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))]))
        for _ in range(n_resamples)
    ]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}.")
