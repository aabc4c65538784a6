"""Scores of asynchronous use: what happens when nobody asks for anything counts as well.

A decoder that runs all the time is judged by events. An *activation* is a moment at which it would
act. Inside a cued stretch the first activation decides the trial: a hit, or a wrong class; without
one the trial is a miss. Outside all stretches the person idles, and every activation is false.
Accuracy cannot tell such a decoder's worth, because most of the time is idle; besides events the
Matthews correlation of all windows is given, idle as a class of the score, normalised to 0.5 at
chance [1]_ [2]_. Idle is what "no decision" is compared with here; the decoder itself never has it
as a class.

References
----------
.. [1] Carrara, Papadopoulo. Pseudo-online framework for BCI evaluation: a MOABB perspective using
   various MI and SSVEP datasets. J. Neural Eng., 2024 (arXiv 2308.11656, 2023).
.. [2] Gorodkin. Comparing two K-category assignments by a K-category correlation coefficient.
   Comput. Biol. Chem., 2004.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.errors import ConfigError
from ..runtime.json_text import finite
from ..runtime.messages import Turn
from .agreement import Agreement, AgreementConfig
from .linear import Floats
from .scores import bootstrap_ci


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """When a class was asked for.

    Parameters
    ----------
    label : str
        The class.
    start_s, stop_s : float
        From the cue to when an activation no longer counts for it.
    """

    label: str
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A moment at which the decoder would act.

    Parameters
    ----------
    label : str
        The class it acts for.
    at_s : float
        When.
    """

    label: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRun:
    """One recording to judge.

    Parameters
    ----------
    stretches : tuple of Stretch
        In order, not overlapping.
    activations : tuple of Activation
        In order.
    start_s, stop_s : float
        The time that is judged; what is not in a stretch is idle.

    Raises
    ------
    ConfigError
        If stretches overlap, are empty, or lie outside of the time that is judged.
    """

    stretches: tuple[Stretch, ...]
    activations: tuple[Activation, ...]
    start_s: float
    stop_s: float

    def __post_init__(self) -> None:
        at_s = self.start_s
        for one in self.stretches:
            if not at_s <= one.start_s < one.stop_s <= self.stop_s:
                raise ConfigError(
                    f"Stretches must follow each other between {self.start_s:g} and "
                    f"{self.stop_s:g} s, got one from {one.start_s:g} to {one.stop_s:g} s: leave "
                    f"it out or shorten it."
                )
            at_s = one.stop_s

    @property
    def idle(self) -> tuple[tuple[float, float], ...]:
        """Start and end of every stretch of idle time, in seconds."""
        starts = [self.start_s, *(one.stop_s for one in self.stretches)]
        stops = [*(one.start_s for one in self.stretches), self.stop_s]
        return tuple((a, b) for a, b in zip(starts, stops, strict=True) if b > a)

    def between(self, start_s: float, stop_s: float) -> list[Activation]:
        """Activations in a part of the run, its end not included."""
        return [one for one in self.activations if start_s <= one.at_s < stop_s]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventScores:
    """How well a decoder answers, and how seldom it acts unasked.

    Parameters
    ----------
    n_trials, n_hits, n_wrong, n_misses : int
        Stretches, and how many were answered rightly, wrongly, not at all.
    n_false : int
        Activations in idle time.
    idle_s : float
        Idle time.
    hit_rate, wrong_rate : float
        Shares of the trials; NaN without any.
    false_per_min : float
        False activations in a minute of idle; NaN without idle time.
    delay_median_s, delay_p90_s : float
        From cue to activation, over hits; NaN without any.
    hit_interval, false_interval : tuple of 2 float
        At 95 %, from a bootstrap over runs; over trials and idle stretches if there is one run
        only; NaN if there is one of these only.
    """

    n_trials: int
    n_hits: int
    n_wrong: int
    n_misses: int
    n_false: int
    idle_s: float
    hit_rate: float
    wrong_rate: float
    false_per_min: float
    delay_median_s: float
    delay_p90_s: float
    hit_interval: tuple[float, float]
    false_interval: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers for a card or a report; what is not known is None.

        JSON has no NaN, and a card takes none.
        """
        plain: dict[str, Any] = finite(asdict(self))
        return plain


def event_scores(runs: Sequence[EventRun], *, intervals: bool = True, seed: int = 0) -> EventScores:
    """Judge activations.

    Parameters
    ----------
    runs : sequence of EventRun
        One for each recording.
    intervals : bool
        False leaves them NaN, which is faster.
    seed : int
        Seed of the draws.

    Returns
    -------
    scores : EventScores
        Over all runs.

    Raises
    ------
    ValueError
        If there is no run.
    """
    if not runs:
        raise ValueError("At least 1 run is needed, got none.")
    firsts = [
        (place, one, next(iter(run.between(one.start_s, one.stop_s)), None))
        for place, run in enumerate(runs)
        for one in run.stretches
    ]
    hits = np.array([float(got is not None and got.label == one.label) for _, one, got in firsts])
    answered = sum(got is not None for _, _, got in firsts)
    delays_s = [got.at_s - one.start_s for _, one, got in firsts if got and got.label == one.label]
    quiet = [(place, a, b) for place, run in enumerate(runs) for a, b in run.idle]
    false = np.array([float(len(runs[place].between(a, b))) for place, a, b in quiet])
    idle_s = np.array([b - a for _, a, b in quiet])
    n_hits, n_trials = int(hits.sum()), len(firsts)

    def interval(places: list[int], rate: Callable[[Floats], float]) -> tuple[float, float]:
        """Over runs, or over what is in the only one; values are rows."""
        groups = places if len(set(places)) > 1 else list(range(len(places)))
        if not intervals or len(groups) < 2:
            return math.nan, math.nan
        rows = np.arange(len(places))
        return bootstrap_ci(rows, groups, statistic=rate, seed=seed, n_resamples=1000)

    return EventScores(
        n_trials=n_trials,
        n_hits=n_hits,
        n_wrong=answered - n_hits,
        n_misses=n_trials - answered,
        n_false=int(false.sum()),
        idle_s=float(idle_s.sum()),
        hit_rate=n_hits / n_trials if n_trials else math.nan,
        wrong_rate=(answered - n_hits) / n_trials if n_trials else math.nan,
        false_per_min=_per_min(false, idle_s),
        delay_median_s=float(np.median(delays_s)) if delays_s else math.nan,
        delay_p90_s=float(np.quantile(delays_s, 0.9)) if delays_s else math.nan,
        hit_interval=interval(
            [place for place, *_ in firsts], lambda rows: float(hits[rows.astype(int)].mean())
        ),
        false_interval=interval(
            [place for place, *_ in quiet],
            lambda rows: _per_min(false[rows.astype(int)], idle_s[rows.astype(int)]),
        ),
    )


def _per_min(counts: Floats, durations_s: Floats) -> float:
    total_s = float(durations_s.sum())
    return 60 * float(counts.sum()) / total_s if total_s > 0 else math.nan


# --- from decisions to activations ---------------------------------------------------------------


def activations_of(
    labels: Sequence[str | None],
    ends_s: ArrayLike,
    *,
    agreement: AgreementConfig | None = None,
    refractory_s: float = 1.0,
) -> tuple[Activation, ...]:
    """What a sequence of decisions would have set off.

    Parameters
    ----------
    labels : sequence of str or None, length n
        What was decided on each window; None for nothing.
    ends_s : array-like, shape (n,)
        When each window ended: no decision can come earlier.
    agreement : AgreementConfig, optional
        How many decisions must agree; each acts by itself if None.
    refractory_s : float
        How long after an activation there is no other, at least 0.

    Returns
    -------
    activations : tuple of Activation
        In order. A class that goes on acts again after the refractory time: an idle decoder that
        never lets go is not excused.

    Raises
    ------
    ValueError
        If lengths differ or times do not rise.
    """
    times_s = np.asarray(ends_s, dtype=np.float64)
    if times_s.shape != (len(labels),) or (np.diff(times_s) < 0).any():
        raise ValueError(
            f"One rising time for each of {len(labels)} decisions is needed, got shape "
            f"{times_s.shape}."
        )
    names: list[str] = sorted({label for label in labels if label is not None})
    votes, found, free_s = Agreement(agreement or AgreementConfig(k=1, n=1)), [], -math.inf
    for label, at_s in zip(labels, times_s.tolist(), strict=True):
        agreed = votes.vote(None if label is None else names.index(label))
        if agreed is not None and at_s >= free_s:
            found.append(Activation(label=names[agreed], at_s=at_s))
            free_s = at_s + refractory_s
            votes.clear()
    return tuple(found)


def selections_of(turns: Sequence[Turn], rate_hz: float) -> tuple[Activation, ...]:
    """Selections that a recorded session really made, at the end of the window they rest on.

    Parameters
    ----------
    turns : sequence of Turn
        In order.
    rate_hz : float
        Rate of the stream.

    Returns
    -------
    activations : tuple of Activation
        In order, in seconds of the stream.
    """
    return tuple(
        Activation(label=turn.command.label, at_s=turn.decision.stop_sample / rate_hz)
        for turn in turns
        if turn.command.selected and turn.command.label is not None
    )


# --- as a threshold moves, and window by window --------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCurve:
    """Hit rate against false activations as a threshold moves.

    Parameters
    ----------
    thresholds : ndarray, shape (n,)
        Rising.
    hit_rate, false_per_min : ndarray, shape (n,)
        At each.
    """

    thresholds: Floats
    hit_rate: Floats
    false_per_min: Floats

    def best_within(self, most_per_min: float) -> tuple[float, float]:
        """Threshold and hit rate of the best point with so few false activations; NaN if none."""
        allowed = np.flatnonzero(self.false_per_min <= most_per_min)
        if not len(allowed):
            return math.nan, math.nan
        best = allowed[np.argmax(self.hit_rate[allowed])]
        return float(self.thresholds[best]), float(self.hit_rate[best])


def event_curve(
    runs_at: Callable[[float], Sequence[EventRun]], thresholds: ArrayLike
) -> EventCurve:
    """Judge a decoder at many thresholds.

    Parameters
    ----------
    runs_at : callable
        From a threshold to the runs, with the activations that it leaves.
    thresholds : array-like, shape (n,)
        In any order.

    Returns
    -------
    curve : EventCurve
        A threshold picked from it is picked on these runs: report another run's scores.
    """
    levels = np.sort(np.asarray(thresholds, dtype=np.float64))
    found = [event_scores(runs_at(float(level)), intervals=False) for level in levels]
    return EventCurve(
        thresholds=levels,
        hit_rate=np.array([one.hit_rate for one in found]),
        false_per_min=np.array([one.false_per_min for one in found]),
    )


def nmcc(truth: Sequence[str | None], decided: Sequence[str | None]) -> float:
    """Normalised Matthews correlation of windows, None being idle or no decision.

    Parameters
    ----------
    truth, decided : sequence of str or None, length n
        What was asked for in each window, and what was decided.

    Returns
    -------
    nmcc : float
        1 if all is right, 0.5 at chance and for a decoder that always says the same.

    Raises
    ------
    ValueError
        If lengths differ or there is no window.
    """
    if len(truth) != len(decided) or not len(truth):
        raise ValueError(
            f"truth and decided must be equally many and at least 1, got {len(truth)} and "
            f"{len(decided)}."
        )
    place = {name: row for row, name in enumerate(dict.fromkeys([*truth, *decided]))}
    counts = np.zeros((len(place), len(place)))
    np.add.at(counts, ([place[name] for name in truth], [place[name] for name in decided]), 1)
    real, said, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    size = math.sqrt(float((n**2 - real @ real) * (n**2 - said @ said)))
    correlation = float(n * np.trace(counts) - real @ said) / size if size > 0 else 0.0
    return (1 + correlation) / 2
