"""Trials, and how to hold some of them out without fooling oneself."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from .linear import Floats
from .scores import accuracy_report

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Which windows belong together, and what each group is labelled.

    Parameters
    ----------
    classes : tuple of str
        All labels, sorted.
    of_window : ndarray of int, shape (n_windows,)
        Trial of each window, counted from 0 in order of appearance.
    labels : ndarray of str, shape (n_trials,)
        Class of each trial.
    recordings : tuple, length n_trials
        Recording of each trial.
    """

    classes: tuple[str, ...]
    of_window: Indices
    labels: NDArray[np.str_]
    recordings: tuple[Hashable, ...]

    @classmethod
    def of(
        cls,
        labels: NDArray[Any],
        trials: NDArray[np.integer],
        recordings: NDArray[Any] | None,
        *,
        n_windows: int,
    ) -> Self:
        """Group windows; trial numbers may repeat from recording to recording.

        Parameters
        ----------
        labels, trials, recordings : ndarray, shape (n_windows,)
            Class, trial and recording of each window; one recording if None.
        n_windows : int
            How many windows there are.

        Returns
        -------
        trials : Trials
            The groups.

        Raises
        ------
        ConfigError
            If lengths differ, there are fewer than two classes, or a trial has two labels.
        """
        names = np.asarray(labels).astype(str)
        places = [0] * n_windows if recordings is None else np.asarray(recordings).tolist()
        if not len(names) == len(trials) == len(places) == n_windows:
            raise ConfigError(
                f"Each window needs a label, a trial and a recording, got {n_windows} windows, "
                f"{len(names)} labels, {len(trials)} trials and {len(places)} recordings."
            )
        keys = list(zip(places, np.asarray(trials).tolist(), strict=True))
        number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        of_window = np.array([number[key] for key in keys], dtype=np.intp)
        label_of = dict(zip(of_window.tolist(), names.tolist(), strict=True))
        per_trial = np.array([label_of[trial] for trial in range(len(number))], dtype=str)
        if n_windows and (wrong := np.flatnonzero(per_trial[of_window] != names)).size:
            raise ConfigError(
                f"Window {wrong[0]} says {names[wrong[0]]!r}, another of its trial says "
                f"{per_trial[of_window[wrong[0]]]!r}: a trial has one label, so check the events."
            )
        classes = tuple(np.unique(per_trial).tolist())
        if len(classes) < 2:
            raise ConfigError(f"Needed are at least 2 classes, got {list(classes)}: add trials.")
        return cls(
            classes=classes,
            of_window=of_window,
            labels=per_trial,
            recordings=tuple(recording for recording, _ in number),
        )

    @property
    def targets(self) -> Indices:
        """Row of each trial's class, shape (n_trials,)."""
        return np.searchsorted(np.array(self.classes), self.labels)

    @property
    def recording_of_window(self) -> Indices:
        """Recording of each window, counted from 0 in order of appearance."""
        number = {name: place for place, name in enumerate(dict.fromkeys(self.recordings))}
        of_trial = np.array([number[name] for name in self.recordings], dtype=np.intp)
        return of_trial[self.of_window]

    def windows_of(self, chosen: Indices) -> Indices:
        """Indices of all windows of the chosen trials."""
        return np.flatnonzero(np.isin(self.of_window, chosen))

    def report(self, scores: Floats) -> dict[str, Any]:
        """Accuracy of trial scores, shape (n_trials, n_classes); NaN rows were not predicted."""
        judged = np.isfinite(scores).all(axis=1)
        guesses = [self.classes[row] for row in scores[judged].argmax(axis=1)]
        return accuracy_report(self.labels[judged].tolist(), guesses, self.classes).as_dict()


def contiguous_folds(labels: NDArray[np.str_], n_folds: int) -> list[Indices]:
    """Cut trials into blocks of time, every class in every block.

    Each class's trials, in order, are cut into `n_folds` pieces; a fold is the n-th piece of
    every class. Where classes alternate, as they should, that is a block of time.

    Parameters
    ----------
    labels : ndarray of str, shape (n_trials,)
        Class of each trial, in the order of time.
    n_folds : int
        How many folds; fewer are made if a class has fewer trials.

    Returns
    -------
    folds : list of ndarray of int
        Trials of each fold; together all, each once.

    Raises
    ------
    ConfigError
        If a class has fewer than two trials.
    """
    members = {name: np.flatnonzero(labels == name) for name in np.unique(labels).tolist()}
    rarest = min(members, key=lambda name: len(members[name]))
    if len(members[rarest]) < 2:
        raise ConfigError(
            f"Class {rarest!r} has {len(members[rarest])} trial, needed are at least 2 to hold one "
            f"out: record more."
        )
    pieces = [np.array_split(rows, min(n_folds, len(members[rarest]))) for rows in members.values()]
    return [np.sort(np.concatenate(fold)) for fold in zip(*pieces, strict=True)]


def held_out_folds(trials: Trials, n_folds: int, chosen: Indices | None = None) -> list[Indices]:
    """Whole recordings if every class can be learnt from the others, blocks of time if not.

    Recordings differ more than blocks of one do, and what is chosen has to hold in the next.

    Parameters
    ----------
    trials : Trials
        The groups.
    n_folds : int
        How many folds at most; of more recordings, neighbours are held out together.
    chosen : ndarray of int, optional
        The trials in question; all if None.

    Returns
    -------
    folds : list of ndarray of int
        Places in `chosen`; together all, each once.

    Raises
    ------
    ConfigError
        If a class has fewer than two trials.
    """
    rows = np.arange(len(trials.labels)) if chosen is None else chosen
    some = replace(
        trials,
        labels=trials.labels[rows],
        recordings=tuple(trials.recordings[row] for row in rows),
    )
    recordings = recording_folds(some)
    if not recordings:
        return contiguous_folds(some.labels, n_folds)
    groups = np.array_split(np.arange(len(recordings)), min(n_folds, len(recordings)))
    folds = [np.sort(np.concatenate([recordings[at] for at in group])) for group in groups]
    enough = all(_learnable(some, fold) for fold in folds)
    return folds if enough else contiguous_folds(some.labels, n_folds)


def recording_folds(trials: Trials) -> list[Indices]:
    """One fold for each recording.

    Parameters
    ----------
    trials : Trials
        The groups.

    Returns
    -------
    folds : list of ndarray of int
        Trials of each recording. Empty if there is one recording only, or if without one of them
        some class would have fewer than two trials left.
    """
    names = list(dict.fromkeys(trials.recordings))
    here = np.array([names.index(recording) for recording in trials.recordings])
    folds = [np.flatnonzero(here == index) for index in range(len(names))]
    enough = all(_learnable(trials, fold) for fold in folds)
    return folds if len(folds) > 1 and enough else []


def _learnable(trials: Trials, fold: Indices) -> bool:
    """Whether every class has two trials at least without a fold."""
    rest = np.delete(trials.labels, fold)
    return all((rest == name).sum() >= 2 for name in trials.classes)
