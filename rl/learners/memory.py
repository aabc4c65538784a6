"""The last trials and what was said of them, bounded, laid out so that all are read at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...runtime.prototype_head import Floats, PrototypeHead
from ..reward.fusing import fuse
from ..trial import ABSTAINED, UNKNOWN, Reward, Trial

Whole = NDArray[np.int64]

CERTAIN = 50.0
"""Log-odds of what is known: far beyond any signal, and finite."""


@dataclass(slots=True, eq=False)
class Remembered:
    """A trial, where its windows lie in the head's space, and what was said of it.

    Parameters
    ----------
    trial : Trial
        As it was seen.
    points : ndarray, shape (n_windows, n_directions)
        Its features in the head's space.
    bonus : ndarray, shape (n_options,)
        What the rewards add to the log of each option's probability.
    rewards : list of Reward
        In the order in which they came.
    """

    trial: Trial
    points: Floats
    bonus: Floats
    rewards: list[Reward] = field(default_factory=list)

    def hear(self, reward: Reward) -> None:
        """Add a reward to what was said of the trial."""
        self.rewards.append(reward)
        said = fuse(self.rewards)
        self.bonus = np.zeros(self.trial.n_options)
        if 0 <= said.meant < self.trial.n_options:
            self.bonus[said.meant] = CERTAIN
        elif self.trial.decided != ABSTAINED:
            self.bonus[self.trial.decided] = said.log_odds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """All remembered trials as flat arrays.

    Each *row* is one option of one trial; each *entry* is one window under one option.

    Parameters
    ----------
    points : ndarray, shape (n_windows, n_directions)
        Windows of all trials, one behind the other.
    window, place, row : ndarray of int, shape (n_entries,)
        Of each entry: its window, the class it has there, and its row.
    row_starts : ndarray of int, shape (n_rows,)
        First entry of each row.
    prior, bonus : ndarray, shape (n_rows,)
        Probability of the option beforehand, and what rewards add to its logarithm.
    trial : ndarray of int, shape (n_rows,)
        Place of the row's trial.
    trial_starts : ndarray of int, shape (n_trials,)
        First row of each trial.
    n_windows : ndarray of int, shape (n_trials,)
        How many each trial has.
    quality : ndarray, shape (n_trials,)
        Of the signal.
    """

    points: Floats
    window: Whole
    place: Whole
    row: Whole
    row_starts: Whole
    prior: Floats
    bonus: Floats
    trial: Whole
    trial_starts: Whole
    n_windows: Whole
    quality: Floats


class Memory:
    """The last so many trials.

    Parameters
    ----------
    most : int
        More than these are not kept: the oldest goes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[int, Remembered] = OrderedDict()
        self._layout: Layout | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, trial: Trial, head: PrototypeHead) -> bool:
        """Keep a trial; one with NaN or without windows, or seen already, is not kept."""
        usable = trial.features.size > 0 and bool(np.isfinite(trial.features).all())
        if not usable or trial.number in self._kept:
            return False
        self._kept[trial.number] = Remembered(
            trial, head.project(trial.features), np.zeros(trial.n_options)
        )
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        self._layout = None
        return True

    def tell(self, reward: Reward) -> bool:
        """Put a reward to its trial; one of a trial that is not kept is passed over."""
        kept = self._kept.get(reward.trial)
        if kept is None or not (np.isfinite(reward.log_odds) and reward.meant >= UNKNOWN):
            return False
        kept.hear(reward)
        self._layout = None
        return True

    def project(self, head: PrototypeHead) -> None:
        """Move all into the space of another head."""
        for kept in self._kept.values():
            kept.points = head.project(kept.trial.features)
        self._layout = None

    def trials(self) -> list[Remembered]:
        """The oldest first."""
        return list(self._kept.values())

    def layout(self) -> Layout:
        """All of them as flat arrays; there must be at least one."""
        if self._layout is None:
            self._layout = _lay_out(self.trials())
        return self._layout


def _lay_out(kept: list[Remembered]) -> Layout:
    trials = [one.trial for one in kept]
    n_windows = np.array([len(trial.features) for trial in trials])
    n_options = np.array([trial.n_options for trial in trials])
    first_window = np.cumsum(n_windows) - n_windows
    windows_of_row = np.repeat(n_windows, n_options)
    starts = np.cumsum(windows_of_row) - windows_of_row
    row = np.repeat(np.arange(len(windows_of_row)), windows_of_row)
    within = np.arange(len(row)) - starts[row]
    return Layout(
        points=np.concatenate([one.points for one in kept]),
        window=np.repeat(first_window, n_options)[row] + within,
        place=np.concatenate([trial.under.ravel() for trial in trials]),
        row=row,
        row_starts=starts,
        prior=np.maximum(np.concatenate([trial.prior for trial in trials]), 1e-12),
        bonus=np.concatenate([one.bonus for one in kept]),
        trial=np.repeat(np.arange(len(trials)), n_options),
        trial_starts=np.cumsum(n_options) - n_options,
        n_windows=n_windows,
        quality=np.clip([trial.quality for trial in trials], 0.0, 1.0),
    )
