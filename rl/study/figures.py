"""From courses to the table: accuracy, drift loss recovered, harm, and time to recover.

Intervals are percentile bootstraps over *persons*: whatever is of one person is drawn together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arms import FROZEN, ORACLE
from .living import Course

Floats = NDArray[np.float64]

WORTH = 0.05
"""How far the oracle must lie above the frozen decoder before there is a loss to recover."""
HARM, GRAVE_HARM = 0.02, 0.05
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one arm fared in one session of one person.

    Parameters
    ----------
    person, group, name : str
        Whose, and where.
    session : int
        Which.
    arm : str
        Which.
    held : bool
        Whether by an envelope.
    accuracy : float
        Over the part that is scored.
    n : int
        Trials in it.
    promotions, rollbacks : int
        In the whole course.
    """

    person: str
    group: str
    name: str
    session: int
    arm: str
    held: bool
    accuracy: float
    n: int
    promotions: int
    rollbacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its interval at 95 %.

    Parameters
    ----------
    value, low, high : float
        NaN where there is nothing to estimate from.
    n : int
        Persons.
    """

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Rounded, ready for JSON."""
        parts = {"value": self.value, "low": self.low, "high": self.high}
        rounded = {name: None if np.isnan(part) else round(part, 3) for name, part in parts.items()}
        return {**rounded, "n": self.n}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Sessions side by side, arm by arm.

    Parameters
    ----------
    accuracy : ndarray, shape (n_sessions, 3)
        Of the frozen decoder, of the arm, and of the oracle.
    persons : ndarray of str, shape (n_sessions,)
        Whose session it is.
    """

    accuracy: Floats
    persons: NDArray[np.str_]


def paired(rows: Sequence[Row], arm: str, held: bool) -> Table:
    """Every session in which the frozen decoder, an arm and the oracle were all tried.

    Parameters
    ----------
    rows : sequence of Row
        Of any arms.
    arm : str
        Which.
    held : bool
        With the envelope or without.

    Returns
    -------
    table : Table
        In order of person, place and session.
    """
    sets = [_by_session(rows, name, held) for name in (FROZEN, arm, ORACLE)]
    keys = sorted(set(sets[0]) & set(sets[1]) & set(sets[2]))
    lines = [[one[key] for one in sets] for key in keys]
    return Table(
        accuracy=np.array(lines).reshape(-1, 3), persons=np.array([key[0] for key in keys], str)
    )


def by_person(table: Table, figure: Callable[[Floats], float], *, seed: int = 0) -> Estimate:
    """A figure of all sessions, with an interval over persons.

    Parameters
    ----------
    table : Table
        From `paired`.
    figure : callable
        From accuracies, shape (n_sessions, 3), to a number; NaN where they say nothing.
    seed : int
        Of the resampling.

    Returns
    -------
    estimate : Estimate
        Of one person alone there is no interval.
    """
    nothing = float("nan")
    names = np.unique(table.persons)
    value = figure(table.accuracy) if len(names) else nothing
    if len(names) < 2:
        return Estimate(value=value, low=nothing, high=nothing, n=len(names))
    of = [table.accuracy[table.persons == name] for name in names]
    draws = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    found = np.array([figure(np.concatenate([of[k] for k in draw])) for draw in draws])
    if np.isnan(found).all():
        return Estimate(value=value, low=nothing, high=nothing, n=len(names))
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high), n=len(names))


def mean_accuracy(accuracy: Floats) -> float:
    """Mean of the arm over sessions."""
    return float(accuracy[:, 1].mean())


def gained(accuracy: Floats) -> float:
    """Mean of what the arm has more than the frozen decoder."""
    return float((accuracy[:, 1] - accuracy[:, 0]).mean())


def recovered(accuracy: Floats) -> float:
    """Share of the loss that the arm recovers, over sessions in which there is one.

    The loss is what the oracle gains on the frozen decoder, summed over all sessions where that is
    at least `WORTH`; a mean of ratios would be ruled by the sessions with the smallest loss.
    """
    loss = accuracy[:, 2] - accuracy[:, 0]
    worth = loss >= WORTH
    if not worth.any():
        return float("nan")
    return float((accuracy[worth, 1] - accuracy[worth, 0]).sum() / loss[worth].sum())


def harmed(accuracy: Floats) -> float:
    """Share of sessions in which the arm lies more than `HARM` below the frozen decoder."""
    return float((accuracy[:, 0] - accuracy[:, 1] > HARM + 1e-9).mean())


def gravely_harmed(accuracy: Floats) -> float:
    """Share of sessions in which the arm lies more than `GRAVE_HARM` below the frozen decoder."""
    return float((accuracy[:, 0] - accuracy[:, 1] > GRAVE_HARM + 1e-9).mean())


def worst_loss(accuracy: Floats) -> float:
    """Largest loss against the frozen decoder in one session; 0 if there is none."""
    return float(max(0.0, (accuracy[:, 0] - accuracy[:, 1]).max(initial=0.0)))


def trials_to(
    courses: Mapping[str, Sequence[Course]], arm: str, onset: int, *, share: float = 0.9,
    width: int = 20, seed: int = 0,
) -> Estimate:  # fmt: skip
    """How many trials after an abrupt change an arm decides as well as `share` of the oracle.

    Parameters
    ----------
    courses : mapping of str to sequence of Course
        By arm; the same persons in the same order in each.
    arm : str
        Which.
    onset : int
        Trial of the change.
    share : float
        Of the oracle's accuracy in the last third.
    width : int
        Accuracy is the mean over persons and over so many trials up to each.
    seed : int
        Of the resampling of persons.

    Returns
    -------
    trials : Estimate
        From the change to the last trial of the first stretch that is good enough, and is followed
        by trials that are on the whole; NaN if none is.
    """
    mine = np.array([course.right for course in courses[arm]], dtype=np.float64)
    best = np.array([course.right for course in courses[ORACLE]], dtype=np.float64)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(mine), size=(RESAMPLES // 4, len(mine)))

    def figure(rows: NDArray[np.int64]) -> float:
        goal = share * best[rows][:, -best.shape[1] // 3 :].mean()
        curve = mine[rows].mean(axis=0)[onset:]
        smooth = np.convolve(curve, np.ones(width) / width, "valid")
        # A lucky stretch is no recovery: what follows has to be as good.
        after = np.cumsum(smooth[::-1])[::-1] / np.arange(len(smooth), 0, -1)
        good = np.flatnonzero((smooth >= goal) & (after >= goal))
        return float(good[0] + width) if len(good) else float("nan")

    found = np.array([figure(draw) for draw in draws])
    value = figure(np.arange(len(mine)))
    # What never comes is later than anything seen.
    late = np.where(np.isnan(found), np.inf, found)
    low, high = np.percentile(late, [2.5, 97.5], method="nearest")
    return Estimate(value=value, low=float(low), high=float(high), n=len(mine))


def _by_session(rows: Sequence[Row], arm: str, held: bool) -> dict[tuple[str, ...], float]:
    # The two ends of the scale are the same with and without an envelope.
    ends = arm in (FROZEN, ORACLE)
    return {
        (row.person, row.group, row.name, str(row.session)): row.accuracy
        for row in rows
        if row.arm == arm and (ends or row.held == held)
    }
