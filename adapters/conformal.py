"""Decide only where the error stays below what was allowed, and say so if nothing can be promised.

Two instruments, both from probabilities of trials that were held out, and their truth:

- `selective_threshold`: the probability that the best class must reach, so that among the trials
  that *are* decided no more than a share `alpha` is wrong. Lower thresholds are tried one after the
  other, and the last one that passes is kept; what passes is either a bound that holds for a given
  share of calibrations (``"sure"``, learn then test [1]_ with the exact binomial tail), or the
  error with one more imagined mistake (``"mean"``, as in conformal risk control [2]_ and
  selective sequential tests [3]_).
- `ConformalSets`: for each trial the set of classes that cannot be excluded, by the probability
  of the true class [4]_ or by accumulated probability [5]_. The set holds the true class in all but
  a share `alpha` of trials; a decision is a set with one class.

Both hold for trials that are exchangeable with the held-out ones. Another day is not: there
`diverloop.adapters.adaptive_threshold` moves the threshold as outcomes become known.

References
----------
.. [1] Angelopoulos, Bates, Candès, Jordan, Lei. Learn then test: calibrating predictive algorithms
   to achieve risk control. arXiv 2110.01052, 2021.
.. [2] Angelopoulos, Bates, Fisch, Lei, Schuster. Conformal risk control. ICLR, 2024.
.. [3] Barber, Candès. Controlling the false discovery rate via knockoffs. Ann. Stat., 2015.
.. [4] Sadinle, Lei, Wasserman. Least ambiguous set-valued classifiers with bounded error levels.
   J. Am. Stat. Assoc., 2019.
.. [5] Romano, Sesia, Candès. Classification with valid and adaptive coverage. NeurIPS, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from ..runtime.errors import ConfigError
from .linear import Floats

_STARTS = 3  # of the sequence of tests, each with its share of the doubt
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformalConfig:
    """What can be chosen about a promise.

    Parameters
    ----------
    alpha : float
        Share of decided trials that may be wrong, in (0, 0.5].
    promise : str
        ``"sure"``: the bound holds in all but a share `delta` of calibrations. ``"mean"``: it
        holds on average over calibrations (by up to 2 points worse where a threshold is barely
        found at all); asks for far fewer trials.
    delta : float
        In (0, 0.5]; ``"sure"`` only.
    """

    alpha: float = 0.1
    promise: Literal["sure", "mean"] = "mean"
    delta: float = 0.1

    def __post_init__(self) -> None:
        for name in ("alpha", "delta"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ConfigError(
                    f"{name} must be in (0, 0.5], got {getattr(self, name)}: it is the share of "
                    f"errors that is allowed."
                )
        if self.promise not in ("sure", "mean"):
            raise ConfigError(
                f'promise must be "sure" or "mean", got {self.promise!r}: choose one.'
            )

    @property
    def fewest(self) -> int:
        """Decided trials without a single error that the promise takes at least."""
        if self.promise == "mean":
            return math.ceil(1 / self.alpha - _ROUNDING) - 1
        return math.ceil(math.log(self.delta / _STARTS) / math.log1p(-self.alpha) - _ROUNDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectiveThreshold:
    """A threshold, or that there is none.

    Parameters
    ----------
    threshold : float or None
        A trial is decided if the best class has at least this probability; None if nothing can
        be promised.
    config : ConformalConfig
        What was to be promised.
    n : int
        Independent held-out trials (groups, if there were any).
    coverage : float
        Share of them that the threshold decides; 0 if there is none.
    error : float
        Share of those that were wrong; NaN if there is none.
    """

    threshold: float | None
    config: ConformalConfig
    n: int
    coverage: float
    error: float

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        alpha, fewest = self.config.alpha, self.config.fewest
        if self.threshold is not None:
            how = "on average" if self.config.promise == "mean" else "very probably"
            return (
                f"From a probability of {self.threshold:.2f} on, {how} at most {alpha:.0%} of "
                f"decisions are wrong; that decides {self.coverage:.0%} of trials like those of "
                f"the calibration."
            )
        if self.n < fewest:
            return (
                f"An error of at most {alpha:.0%} cannot be promised with {self.n} trials: at "
                f"least {fewest} are needed, all of them right; record more."
            )
        return (
            f"An error of at most {alpha:.0%} cannot be promised: not even the surest of {self.n} "
            f"held-out trials were right often enough; allow more errors, or record more."
        )


def selective_threshold(
    probabilities: ArrayLike,
    targets: ArrayLike,
    config: ConformalConfig | None = None,
    groups: Sequence[Hashable] | None = None,
) -> SelectiveThreshold:
    """Lowest probability from which on decisions are wrong no more often than allowed.

    Parameters
    ----------
    probabilities : array-like, shape (n_trials, n_classes)
        Of trials that were held out, after the temperature.
    targets : array-like of int, shape (n_trials,)
        Row of each trial's true class.
    config : ConformalConfig, optional
        What is to be promised.
    groups : sequence, length n_trials, optional
        What is not independent, such as the windows of one trial: a group weighs as one.

    Returns
    -------
    found : SelectiveThreshold
        Its threshold is None if nothing can be promised.

    Raises
    ------
    ValueError
        If there is nothing to learn from, or shapes or values do not fit.
    """
    config = config or ConformalConfig()
    given, truth = _checked(probabilities, targets)
    weights = _weights(groups, len(truth))
    surest = np.argsort(-given.max(axis=1), kind="stable")
    confidence = given.max(axis=1)[surest]
    wrong = (given.argmax(axis=1) != truth)[surest]
    # A threshold decides all trials that are equally sure, or none of them.
    last = np.append(np.flatnonzero(np.diff(confidence) < 0), len(confidence) - 1)
    decided = np.cumsum(weights[surest])[last]
    errors = np.cumsum(weights[surest] * wrong)[last]
    n, chosen = round(float(weights.sum())), _loosest(decided, errors, config)
    if chosen is None:
        return SelectiveThreshold(threshold=None, config=config, n=n, coverage=0.0, error=math.nan)
    return SelectiveThreshold(
        threshold=float(confidence[last][chosen]),
        config=config,
        n=n,
        coverage=min(1.0, float(decided[chosen] / weights.sum())),
        error=float(errors[chosen] / decided[chosen]),
    )


def _loosest(decided: Floats, errors: Floats, config: ConformalConfig) -> int | None:
    """Last threshold, from strict to loose, that passes."""
    if config.promise == "mean":
        passed = (errors + 1) / (decided + 1) <= config.alpha + _ROUNDING
        return int(np.flatnonzero(passed)[-1]) if passed.any() else None
    # P(at most so many errors among so many trials), if alpha of them were wrong.
    doubt = np.ones(len(decided))
    real = decided > errors
    doubt[real] = betainc(decided[real] - errors[real], errors[real] + 1, 1 - config.alpha)
    passed = doubt <= config.delta / _STARTS + _ROUNDING
    # Where the tests begin is set by the numbers of trials alone, and each goes on until it
    # fails: only then may each of the starts be tested at its full share of the doubt.
    found = []
    for start in np.geomspace(config.fewest, max(config.fewest, decided[-1]), _STARTS):
        place = int(np.searchsorted(decided, start - _ROUNDING))
        run = passed[place:]
        length = len(run) if run.all() else int(np.argmin(run))
        found += [place + length - 1] if length else []
    return max(found, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformalSets:
    """Which classes cannot be excluded.

    Parameters
    ----------
    kind : str
        ``"lac"``: classes that are probable enough by themselves. ``"aps"``: the most probable
        ones, until they are enough together; larger sets where trials are hard.
    alpha : float
        Share of trials whose set may miss the true class, in (0, 0.5].
    limit : float
        Largest score of a class that stays in the set; infinite if the trials were too few to
        exclude anything.
    n : int
        Trials it was learnt from.
    """

    kind: Literal["lac", "aps"]
    alpha: float
    limit: float
    n: int

    @classmethod
    def fit(
        cls,
        probabilities: ArrayLike,
        targets: ArrayLike,
        *,
        alpha: float = 0.1,
        kind: Literal["lac", "aps"] = "lac",
    ) -> Self:
        """Learn the limit.

        Parameters
        ----------
        probabilities, targets
            As for `selective_threshold`, one row for each independent trial.
        alpha, kind
            See the class.

        Returns
        -------
        sets : ConformalSets
            Ready for new trials.

        Raises
        ------
        ConfigError
            If `alpha` or `kind` is not allowed.
        ValueError
            If shapes or values do not fit.
        """
        ConformalConfig(alpha=alpha)
        if kind not in ("lac", "aps"):
            raise ConfigError(f'kind must be "lac" or "aps", got {kind!r}: choose one.')
        given, truth = _checked(probabilities, targets)
        own = np.sort(_set_scores(given, kind)[np.arange(len(truth)), truth])
        rank = math.ceil((len(own) + 1) * (1 - alpha) - _ROUNDING)
        limit = float(own[rank - 1]) if rank <= len(own) else math.inf
        return cls(kind=kind, alpha=alpha, limit=limit, n=len(own))

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """True where a class cannot be excluded.

        Parameters
        ----------
        probabilities : array-like, shape (..., n_classes)
            Of new trials.

        Returns
        -------
        kept : ndarray of bool, shape (..., n_classes)
            Empty sets are possible with ``"lac"``: no class is probable enough.
        """
        kept: NDArray[np.bool_] = (
            _set_scores(np.asarray(probabilities, np.float64), self.kind) <= self.limit + _ROUNDING
        )
        return kept

    def decide(self, probabilities: ArrayLike) -> int | None:
        """The class of one trial, if all others are excluded; None otherwise."""
        left = np.flatnonzero(self.sets(probabilities))
        return int(left[0]) if len(left) == 1 else None

    @property
    def sentence(self) -> str:
        """What is promised, in plain words."""
        if math.isinf(self.limit):
            return (
                f"No class can be excluded with {self.n} trials if at most {self.alpha:.0%} of "
                f"sets may be wrong: record at least {math.ceil(1 / self.alpha) - 1}."
            )
        return f"On average {1 - self.alpha:.0%} of the sets hold the true class."


def _set_scores(probabilities: Floats, kind: str) -> Floats:
    """How much speaks against each class, same shape."""
    if kind == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    total = np.cumsum(np.take_along_axis(probabilities, order, axis=-1), axis=-1)
    scores = np.empty_like(probabilities)
    np.put_along_axis(scores, order, total, axis=-1)
    return scores


def _checked(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    given, truth = np.asarray(probabilities, np.float64), np.asarray(targets)
    if given.ndim != 2 or not given.size or truth.shape != given.shape[:1]:
        raise ValueError(
            f"Needed is one target for each trial and at least 1, got probabilities of shape "
            f"{given.shape} and targets of shape {truth.shape}."
        )
    if not (given.min() >= 0 and given.max() <= 1 + _ROUNDING):
        raise ValueError(
            f"Probabilities must be in [0, 1], got {given.min():g} to {given.max():g}: give them "
            f"after the softmax."
        )
    if truth.min() < 0 or truth.max() >= given.shape[1]:
        raise ValueError(
            f"Targets must be rows of {given.shape[1]} classes, got {truth.min()} to {truth.max()}."
        )
    return given, truth.astype(np.intp)


def _weights(groups: Sequence[Hashable] | None, n: int) -> Floats:
    """What each trial counts: a group as one."""
    if groups is None:
        return np.ones(n)
    if len(groups) != n:
        raise ValueError(f"Needed is one group for each of {n} trials, got {len(groups)}.")
    place = {name: row for row, name in enumerate(dict.fromkeys(groups))}
    rows = np.array([place[name] for name in groups])
    weights: Floats = 1 / np.bincount(rows)[rows]
    return weights
