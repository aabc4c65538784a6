"""Go or no-go after calibration: whether shuffled labels would have done as well.

The held-out predictions stay as they are, and the truth is shuffled, within each recording block
only: blocks differ in how often a class occurs and in how the decoder leans, and shuffling across
them would take that for chance [1]_. The share of shufflings that do as well is the p value, the
real order counted in, so that it is never 0 [2]_. Labels that are exchangeable within a block are
all it needs: no distribution, no independence of folds.

References
----------
.. [1] Winkler, Webster, Vidaurre, Nichols, Smith. Multi-level block permutation. NeuroImage, 2015.
.. [2] Phipson, Smyth. Permutation p-values should never be zero. Stat. Appl. Genet. Mol. Biol.,
   2010.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.errors import ConfigError
from .linear import Floats
from .rates import mid_ranks
from .scores import wilson_interval

Advice = Literal["go", "more trials", "another strategy", "not usable"]
"""What to do after a calibration."""

_WORTHWHILE = 2  # times as many trials again
_MOST_AT_ONCE = 1 << 22  # labels shuffled at a time: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationReport:
    """What was reached, and what shuffled labels reach.

    Parameters
    ----------
    statistic : str
        ``"accuracy"`` or ``"auc"``.
    n : int
        Trials judged.
    reached : float
        Accuracy or area under the curve.
    chance : float
        Mean over shufflings.
    must_beat : float
        95th percentile of shufflings.
    must_reach : float
        Smallest value that would have been significant; for an accuracy, a whole number of trials
        over `n`. Above 1 if no result could have been.
    p_value : float
        Share of shufflings at least as good, the real order counted in.
    alpha : float
        Largest p value that counts as significant.
    n_permutations : int
        How many shufflings.
    """

    statistic: Literal["accuracy", "auc"]
    n: int
    reached: float
    chance: float
    must_beat: float
    must_reach: float
    p_value: float
    alpha: float
    n_permutations: int

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, for a card or a report."""
        return asdict(self)


def permute_accuracy(
    truth: ArrayLike,
    predictions: ArrayLike,
    blocks: Sequence[Hashable] | None = None,
    *,
    n_permutations: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> PermutationReport:
    """Test the accuracy of held-out predictions.

    Parameters
    ----------
    truth, predictions : array-like, shape (n_trials,)
        Class of each independent trial, and what was predicted without having seen it.
    blocks : sequence, length n_trials, optional
        Recording block of each trial; one block if None.
    n_permutations : int
        How many shufflings, at least 1000.
    alpha : float
        Largest p value that is to count as significant, in (0, 0.5].
    seed : int
        Seed of the shufflings.

    Returns
    -------
    report : PermutationReport
        With ``p_value <= alpha`` exactly where ``reached >= must_reach``.

    Raises
    ------
    ValueError
        If there is nothing to judge, lengths differ or a number is outside its range.
    """
    names, rows = np.unique(np.concatenate([truth, predictions]), return_inverse=True)
    n = len(rows) // 2
    if len(names) == 0 or np.shape(truth) != np.shape(predictions):
        raise ValueError(
            f"truth and predictions must be equally many and at least 1, got {np.shape(truth)} "
            f"and {np.shape(predictions)}."
        )
    real, guesses = rows[:n], rows[n:]
    right = _shuffled(
        real, blocks, n_permutations, seed, lambda labels: (labels == guesses).sum(axis=1)
    )
    return _report("accuracy", n, float((real == guesses).sum()), right, alpha, per=n)


def permute_auc(
    truth: ArrayLike,
    scores: ArrayLike,
    blocks: Sequence[Hashable] | None = None,
    *,
    n_permutations: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> PermutationReport:
    """Test the area under the curve of held-out scores; for rare targets, such as flashes.

    Parameters
    ----------
    truth : array-like of bool, shape (n_trials,)
        Whether each was a target.
    scores : array-like, shape (n_trials,)
        What was said of it; larger is more of a target.
    blocks, n_permutations, alpha, seed
        As for `permute_accuracy`.

    Returns
    -------
    report : PermutationReport
        Likewise.

    Raises
    ------
    ValueError
        As for `permute_accuracy`, or if there are only targets, or none.
    """
    real, said = np.asarray(truth).astype(bool), np.asarray(scores, dtype=np.float64)
    n, n_targets = len(real), int(real.sum())
    if real.shape != said.shape or not 0 < n_targets < n:
        raise ValueError(
            f"Needed are targets and others with a score each, got {n_targets} targets among {n} "
            f"and scores of shape {said.shape}."
        )
    ranks = mid_ranks(said)
    least = n_targets * (n_targets + 1) / 2
    sums = _shuffled(real, blocks, n_permutations, seed, lambda labels: labels @ ranks)
    pairs = n_targets * (n - n_targets)
    return _report("auc", n, float(real @ ranks) - least, sums - least, alpha, per=pairs)


def _shuffled(
    truth: NDArray[Any],
    blocks: Sequence[Hashable] | None,
    n_permutations: int,
    seed: int,
    judge: Callable[[NDArray[Any]], NDArray[Any]],
) -> Floats:
    """What every shuffling reaches, shape (n_permutations,)."""
    n, rng = len(truth), np.random.default_rng(seed)
    if n_permutations < 1000:
        raise ValueError(f"n_permutations must be at least 1000, got {n_permutations}.")
    if blocks is not None and len(blocks) != n:
        raise ValueError(f"Needed is one block for each of {n} trials, got {len(blocks)}.")
    members: dict[Hashable, list[int]] = {}
    for row, name in enumerate([0] * n if blocks is None else blocks):
        members.setdefault(name, []).append(row)
    found = np.empty(n_permutations)
    step = max(1, _MOST_AT_ONCE // n)
    for first in range(0, n_permutations, step):
        labels = np.repeat(truth[None], min(step, n_permutations - first), axis=0)
        for rows in members.values():
            labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
        found[first : first + step] = judge(labels)
    return found


def _report(
    statistic: Literal["accuracy", "auc"],
    n: int,
    reached: float,
    drawn: Floats,
    alpha: float,
    per: float,
) -> PermutationReport:
    """In shares of `per`."""
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha must be in (0, 0.5], got {alpha}.")
    if alpha * (len(drawn) + 1) < 1:
        raise ValueError(
            f"{len(drawn)} permutations cannot tell a chance of {alpha:g}: take at least "
            f"{math.ceil(1 / alpha) - 1}."
        )
    # Rounding must not make equal results differ.
    drawn, reached = np.sort(np.round(drawn, 6)), round(reached, 6)
    least_doubtful = int(alpha * (len(drawn) + 1) + 1e-9) - 1  # so many may be as good
    step = 1.0 if statistic == "accuracy" else 0.5
    must_reach = float(drawn[len(drawn) - least_doubtful - 1]) + step
    as_good = int((drawn >= reached).sum())
    return PermutationReport(
        statistic=statistic,
        n=n,
        reached=reached / per,
        chance=float(drawn.mean()) / per,
        must_beat=float(np.quantile(drawn, 0.95, method="inverted_cdf")) / per,
        must_reach=must_reach / per,
        p_value=(1 + as_good) / (1 + len(drawn)),
        alpha=alpha,
        n_permutations=len(drawn),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoNoGoConfig:
    """When a calibration is good enough.

    Parameters
    ----------
    least : float
        Smallest share of the way from chance to perfect that is of use, in [0, 1): 0.3 is 65 % of
        two classes, or an area under the curve of 0.65.
    """

    least: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.least < 1:
            raise ConfigError(f"least must be in [0, 1), got {self.least}: change it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoNoGo:
    """The verdict on a calibration. A person may overrule it; that is theirs to log.

    Parameters
    ----------
    go : bool
        Whether feedback may begin.
    advice : str
        ``"go"``, or what to try: ``"more trials"``, ``"another strategy"``, ``"not usable"``.
    sentence : str
        Verdict, result, and what chance would have done, in plain words.
    more_trials : int
        About how many more would tell; 0 if they would not help.
    report : PermutationReport
        What it rests on.
    """

    go: bool
    advice: Advice
    sentence: str
    more_trials: int
    report: PermutationReport


def go_no_go(report: PermutationReport, config: GoNoGoConfig | None = None) -> GoNoGo:
    """Judge a calibration.

    Parameters
    ----------
    report : PermutationReport
        Of its held-out predictions.
    config : GoNoGoConfig, optional
        What is good enough.

    Returns
    -------
    verdict : GoNoGo
        With its sentence.
    """
    config = config or GoNoGoConfig()
    needed = report.chance + config.least * (1 - report.chance)
    beyond_chance, useful = report.p_value <= report.alpha, report.reached >= needed
    more = 0 if beyond_chance else _more_trials(report)
    if beyond_chance and useful:
        return GoNoGo(
            go=True, advice="go", sentence=f"Go: {_told(report)}.", more_trials=0, report=report
        )
    if not 0 < more <= (math.inf if useful else _WORTHWHILE * report.n):
        more = 0
    advice, why = _advice(report, needed, more)
    sentence = f"No go: {_told(report)}; {why}."
    return GoNoGo(go=False, advice=advice, sentence=sentence, more_trials=more, report=report)


def _told(report: PermutationReport) -> str:
    share = 1 - report.alpha
    if report.statistic == "auc":
        return (
            f"an area under the curve of {report.reached:.2f} from {report.n} trials; by chance "
            f"{share:.0%} of such calibrations stay below {report.must_reach:.2f}"
        )
    right, needed = round(report.reached * report.n), round(report.must_reach * report.n)
    told = f"{right} of {report.n} trials right"
    if needed > report.n:
        return f"{told}; by chance all of them can be right too often to tell"
    return f"{told}; by chance {share:.0%} of such calibrations stay below {needed}"


def _advice(report: PermutationReport, needed: float, more: int) -> tuple[Advice, str]:
    """What to try, and why."""
    if more:
        return "more trials", f"that may be chance, and about {more} trials more would tell"
    high = report.reached
    if report.statistic == "accuracy":
        high = wilson_interval(round(report.reached * report.n), report.n)[1]
    of_use = f"{needed:.0%}" if report.statistic == "accuracy" else f"{needed:.2f}"
    if high >= needed:
        return "another strategy", (
            f"{of_use} would be of use, so try another strategy, and check the electrodes"
        )
    return "not usable", (
        f"{of_use} would be of use, which is out of reach: this way is not usable as it is"
    )


def _more_trials(report: PermutationReport) -> int:
    """How many trials more would make the same result significant four times in five."""
    gain = report.reached - report.chance
    if gain <= 0:
        return 0
    z = NormalDist().inv_cdf(1 - report.alpha) + NormalDist().inv_cdf(0.8)
    # The spread of shufflings falls with the root of the number of trials.
    spread = (report.must_beat - report.chance) / NormalDist().inv_cdf(0.95)
    return max(1, math.ceil(report.n * (max(spread, 1e-9) * z / gain) ** 2) - report.n)
