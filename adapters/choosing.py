"""Several ways to decode, one calibration: which of them serves this person.

Every way is cross-validated on the same trials with the same ones held out: whole recordings
where every class is in enough of them, blocks of time otherwise. The choice itself is judged by
nesting [1]_: for each part that is held out, the way is chosen again by rehearsing on the others
alone, so the accuracy that is reported is that of *choosing and then decoding*, not that of the
luckiest of several ways.

A few dozen trials do not tell good ways apart. Ways are therefore given in order of preference,
and the first that is not clearly worse than the best is taken [2]_.

References
----------
.. [1] Varma, Simon. Bias in error estimation when using cross-validation for model selection. BMC
   Bioinformatics, 2006.
.. [2] Breiman, Friedman, Olshen, Stone. Classification and Regression Trees. Wadsworth, 1984: the
   rule of one standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .calibration import fit_temperature, trial_losses
from .confounding import confounding
from .cross_validation import ALIGNED, CrossValidation, E, FitConfig, FitEncoder
from .folds import Indices, Trials, held_out_folds, recording_folds
from .linear import Floats, LinearAdapter
from .reader import fit_reader

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Generic[E]):
    """What a fit leaves behind.

    Parameters
    ----------
    encoder : E
        Fitted on all windows.
    adapter : LinearAdapter
        Fitted on all windows, calibrated on trials it had not seen.
    report : dict
        Plain numbers for a card: cross-validated scores, and what was chosen.
    trials : Trials
        What it was fitted on.
    held_out : ndarray, shape (n_trials, n_classes)
        Scores of every trial from the others' weights, before temperature and softmax; those of
        other recordings, if there are any.
    """

    encoder: E
    adapter: LinearAdapter
    report: dict[str, Any]
    trials: Trials
    held_out: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to decode, on the trials that all ways share.

    Parameters
    ----------
    name : str
        What people call it.
    windows : ndarray, shape (n_windows, ...)
        As this way conditions and cuts them.
    trials : Trials
        Which windows belong together; the same trials in the same order for every way.
    fit_encoder : callable
        From windows and labels, and recordings if it is aligned, to a fitted encoder.
    config : FitConfig
        How it is read.
    aligned : bool
        Whether the encoder sees each recording by itself; see `CrossValidation`.
    """

    name: str
    windows: Samples
    trials: Trials
    fit_encoder: FitEncoder[Any]
    config: FitConfig
    aligned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one way did on trials it had not seen.

    Parameters
    ----------
    name : str
        The way.
    accuracy : dict
        An `AccuracyReport` as plain numbers.
    loss : float
        Mean negative log-probability of the truth, in nats.
    behind : float
        How much larger that is than the best way's.
    uncertainty : float
        Standard error of that difference, trial by trial; 0 for the best.
    """

    name: str
    accuracy: dict[str, Any]
    loss: float
    behind: float
    uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which way was taken, and why.

    Parameters
    ----------
    name : str
        The way.
    reason : str
        In one sentence.
    fitted : Fitted
        Encoder and adapter; the report holds the comparison, too.
    comparisons : tuple of Comparison
        In order of preference.
    nested : dict
        Accuracy of choosing and then decoding, as plain numbers.
    """

    name: str
    reason: str
    fitted: Fitted[Any]
    comparisons: tuple[Comparison, ...]
    nested: dict[str, Any]


def choose(candidates: Sequence[Candidate], progress: Progress | None = None) -> Choice:
    """Cross-validate every way, take one, and fit it on everything.

    Parameters
    ----------
    candidates : sequence of Candidate
        In order of preference: the first that is not clearly worse than the best is taken.
    progress : callable, optional
        Called with (done, total) after every fold.

    Returns
    -------
    choice : Choice
        What was taken and why.

    Raises
    ------
    ConfigError
        If there is no way, their trials differ, or a class has too few trials for two folds.
    """
    trials = _shared(candidates)
    folds = held_out_folds(trials, candidates[0].config.n_folds)
    by_recording = recording_folds(trials)
    # More recordings than folds: some were held out together.
    again = by_recording if len(by_recording) > len(folds) else []
    step = _counted(progress, len(candidates) * len(folds) + len(again) + 1)
    validations = [
        CrossValidation(
            each.windows, each.trials, each.fit_encoder, each.config, step, aligned=each.aligned
        )
        for each in candidates
    ]
    scores, rehearsed = _outer(validations, trials, folds, step)
    losses = [_losses(each, trials.targets) for each in scores]
    taken = preferred(losses)
    comparisons = tuple(_compare(candidates, trials, scores, losses))
    chosen, validation = candidates[taken], validations[taken]
    report = _describe(
        trials, chosen.config, scores[taken], n_windows=len(chosen.windows), n_folds=len(folds)
    )
    judged = scores[taken]
    if again:
        judged = validation.predict(again)
    if by_recording:
        report["leave_one_recording_out"] = trials.report(judged)
        if chosen.aligned:
            report["alignment"] = ALIGNED
    if confounded := confounding(trials, judged):
        report["confounded"] = confounded
    nested = trials.report(_nested(scores, rehearsed, trials, folds))
    reason = _reason(comparisons, taken)
    encoder, adapter, learnt = fit_reader(chosen, validation, judged)
    step()
    report |= learnt
    if len(candidates) > 1:
        report |= {"nested_choice": nested, "chosen": chosen.name, "chosen_because": reason}
        report |= {"compared": [asdict(each) for each in comparisons]}
    return Choice(
        name=chosen.name,
        reason=reason,
        fitted=Fitted(
            encoder=encoder,
            adapter=adapter,
            report=report,
            trials=trials,
            held_out=judged,
        ),
        comparisons=comparisons,
        nested=nested,
    )


def preferred(losses: Sequence[Floats]) -> int:
    """The first way that is not clearly worse than the best.

    Parameters
    ----------
    losses : sequence of ndarray, shape (n_trials,)
        Of every way, in order of preference, on the same trials.

    Returns
    -------
    place : int
        In `losses`. Clearly is more than one standard error of the difference, trial by trial.
    """
    best = losses[int(np.argmin([each.mean() for each in losses]))]
    gaps = [_gap(each, best) for each in losses]
    return next(place for place, (behind, error) in enumerate(gaps) if behind <= error)


def _gap(losses: Floats, best: Floats) -> tuple[float, float]:
    """How much worse than the best, and the standard error of that."""
    difference = losses - best
    if len(difference) < 2:
        return float(difference.mean()), 0.0
    return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))


def _shared(candidates: Sequence[Candidate]) -> Trials:
    if not candidates:
        raise ConfigError("No way to decode was given to choose from: name at least one.")
    first = candidates[0].trials
    for each in candidates[1:]:
        same = each.trials.recordings == first.recordings
        if not same or not np.array_equal(each.trials.labels, first.labels):
            raise ConfigError(
                f"{each.name} was given {len(each.trials.labels)} trials and {candidates[0].name} "
                f"{len(first.labels)}, or others: compare ways on the same trials."
            )
    return first


def _outer(
    validations: Sequence[CrossValidation[Any]],
    trials: Trials,
    folds: Sequence[Indices],
    step: Callable[[], None],
) -> tuple[list[Floats], list[list[Floats]]]:
    """Scores of every way on held-out trials; and, for each fold, on rehearsals without it."""
    shape = (len(trials.labels), len(trials.classes))
    scores, rehearsed = [], []
    for validation in validations:
        found, inner = np.empty(shape), []
        for fold in folds:
            found[fold], rehearsal = validation.held_out(fold, rehearse=len(validations) > 1)
            inner.append(rehearsal.scores)
            step()
        scores.append(found)
        rehearsed.append(inner)
    return scores, rehearsed


def _nested(
    scores: Sequence[Floats],
    rehearsed: Sequence[Sequence[Floats]],
    trials: Trials,
    folds: Sequence[Indices],
) -> Floats:
    """Scores of each trial by the way that would have been taken without its fold."""
    found = np.empty_like(scores[0])
    for place, fold in enumerate(folds):
        others = np.delete(trials.targets, fold)
        taken = 0
        if len(scores) > 1:
            taken = preferred([_losses(inner[place], others) for inner in rehearsed])
        found[fold] = scores[taken][fold]
    return found


def _losses(scores: Floats, targets: NDArray[np.integer]) -> Floats:
    """Negative log-probability of each trial's truth, after calibration, in nats."""
    return trial_losses(scores, targets, fit_temperature(scores, targets))


def _compare(
    candidates: Sequence[Candidate],
    trials: Trials,
    scores: Sequence[Floats],
    losses: Sequence[Floats],
) -> list[Comparison]:
    best = losses[int(np.argmin([each.mean() for each in losses]))]
    found = []
    for candidate, score, loss in zip(candidates, scores, losses, strict=True):
        behind, error = _gap(loss, best)
        found.append(
            Comparison(
                name=candidate.name,
                accuracy=trials.report(score),
                loss=float(loss.mean()),
                behind=behind,
                uncertainty=error,
            )
        )
    return found


def _reason(comparisons: Sequence[Comparison], taken: int) -> str:
    """Why, in one sentence."""
    chosen = comparisons[taken]
    best = min(comparisons, key=lambda each: each.loss)
    if len(comparisons) == 1:
        return f"{chosen.name} was the only way."
    if chosen is best:
        second = min((each for each in comparisons if each is not best), key=lambda e: e.loss)
        return (
            f"{chosen.name} made the left-out trials most probable: its loss is "
            f"{chosen.loss:.2f}, that of {second.name} {second.loss:.2f}."
        )
    return (
        f"{chosen.name} is preferred: the loss of {best.name} is less by only {chosen.behind:.2f}, "
        f"which is within the uncertainty of {chosen.uncertainty:.2f}."
    )


def _describe(
    trials: Trials, config: FitConfig, held_out: Floats, *, n_windows: int, n_folds: int
) -> dict[str, Any]:
    """What a card says of a fit, as far as held-out trials tell."""
    return {
        "n_windows": n_windows,
        "n_trials": len(trials.labels),
        "classes": list(trials.classes),
        "classifier": config.classifier,
        "adaptive": config.classifier == "prototypes",
        "n_folds": n_folds,
        "cross_validation": trials.report(held_out),
    }


def _counted(progress: Progress | None, n_steps: int) -> Callable[[], None]:
    """A call for every step that is done, counted for whoever watches the fit."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, n_steps)

    return step


def shared_trials(parts: Sequence[tuple[NDArray[Any], ...]]) -> list[NDArray[np.bool_]]:
    """Which windows of every way belong to trials that all ways have.

    Parameters
    ----------
    parts : sequence of tuple of ndarray, shape (n_windows,)
        For each way the arrays that name a window's trial, such as its recording and its cue.

    Returns
    -------
    kept : list of ndarray of bool, shape (n_windows,)
        For each way.
    """
    names = [list(zip(*(array.tolist() for array in part), strict=True)) for part in parts]
    common = set(names[0]).intersection(*names[1:])
    return [np.array([name in common for name in each], dtype=bool) for each in names]
