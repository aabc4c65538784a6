"""How well a speller spells: right characters, how many a minute, bits, and honest certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .linear import Floats
from .rates import mutual_information
from .reliability import expected_calibration_error
from .scores import information_transfer_rate, wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One selection, and what was wanted.

    Parameters
    ----------
    wanted : str
        The item that was attended.
    chosen : str, optional
        What was selected; None if nothing was.
    probability : float
        Of the likeliest item when it was over, 0 to 1.
    n_flashes : int
        Flashes that were used.
    seconds : float
        From the beginning of the selection to that of the next, pause included, positive.
    """

    wanted: str
    chosen: str | None
    probability: float
    n_flashes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingReport:
    """What selections add up to.

    Parameters
    ----------
    n, n_correct : int
        How many selections there were, how many were right; none made is not right.
    accuracy : float
        Their share.
    interval : tuple of 2 float
        Wilson interval of the accuracy at 95 %.
    no_selection_rate : float
        Share in which nothing was selected.
    error_rate : float
        Share in which a wrong item was selected: what somebody has to take back.
    flashes : float
        Mean number used.
    selections_per_minute, right_per_minute, net_per_minute : float
        All selections, the right ones, and the right less the wrong ones, each of which costs a
        backspace; pauses included.
    wolpaw_bits_per_minute : float
        As if all items were alike and errors spread evenly; what was not selected carries nothing.
    mutual_bits_per_minute : float
        From the counts of what was wanted and what came out, see `mutual_information`.
    stopping_error : float
        Expected calibration error of the probability of the item that was selected; NaN if none
        was.
    """

    n: int
    n_correct: int
    accuracy: float
    interval: tuple[float, float]
    no_selection_rate: float
    error_rate: float
    flashes: float
    selections_per_minute: float
    right_per_minute: float
    net_per_minute: float
    wolpaw_bits_per_minute: float
    mutual_bits_per_minute: float
    stopping_error: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, for a card or a report."""
        return asdict(self)


def spelling_report(selections: Sequence[Selection], items: Sequence[str]) -> SpellingReport:
    """Score a list of selections.

    Parameters
    ----------
    selections : sequence of Selection
        At least one.
    items : sequence of str
        All that could be selected, at least 2.

    Returns
    -------
    report : SpellingReport
        Scores.

    Raises
    ------
    ValueError
        If there is no selection, a time is not positive, or a name is not among the items.
    """
    n, place = len(selections), {item: number for number, item in enumerate(items)}
    named = {each.wanted for each in selections} | {each.chosen for each in selections} - {None}
    if not n or not all(each.seconds > 0 for each in selections):
        raise ValueError(f"At least 1 selection is needed, each with a time, got {n}.")
    if unknown := sorted(str(name) for name in named if name not in place):
        raise ValueError(f"Every name must be one of {list(items)}, got also {unknown}.")
    made = [each for each in selections if each.chosen is not None]
    right = [each.chosen == each.wanted for each in made]
    counts = np.zeros((len(place), len(place) + 1))
    for each in selections:
        column = len(place) if each.chosen is None else place[each.chosen]
        counts[place[each.wanted], column] += 1
    seconds = sum(each.seconds for each in selections)
    per_minute = 60 * n / seconds
    sure = [each.probability for each in made]
    return SpellingReport(
        n=n,
        n_correct=sum(right),
        accuracy=sum(right) / n,
        interval=wilson_interval(sum(right), n),
        no_selection_rate=1 - len(made) / n,
        error_rate=(len(made) - sum(right)) / n,
        flashes=sum(each.n_flashes for each in selections) / n,
        selections_per_minute=per_minute,
        right_per_minute=60 * sum(right) / seconds,
        net_per_minute=60 * (2 * sum(right) - len(made)) / seconds,
        wolpaw_bits_per_minute=(
            information_transfer_rate(sum(right) / len(made), len(place), seconds / len(made))
            if made
            else 0.0
        ),
        mutual_bits_per_minute=per_minute * mutual_information(counts),
        stopping_error=expected_calibration_error(sure, right) if made else math.nan,
    )


def accuracy_by_repetition(
    evidence: Floats, wanted: NDArray[np.integer], log_prior: Floats | None = None
) -> Floats:
    """Share of right items after each number of repetitions, if it were fixed.

    Parameters
    ----------
    evidence : ndarray, shape (n_selections, n_repetitions, n_items)
        Sum of the log-likelihood ratios of each item after each repetition.
    wanted : ndarray of int, shape (n_selections,)
        Number of the item that was attended.
    log_prior : ndarray, shape (n_selections, n_items), optional
        Logarithm of how likely each item was before.

    Returns
    -------
    accuracy : ndarray, shape (n_repetitions,)
        Items that tie for the maximum share it, so that no evidence gives chance.
    """
    total = evidence if log_prior is None else evidence + log_prior[:, None]
    best = total == total.max(axis=2, keepdims=True)
    hit = np.take_along_axis(best, np.asarray(wanted)[:, None, None], axis=2)[..., 0]
    shares: Floats = (hit / best.sum(axis=2)).mean(axis=0)
    return shares
