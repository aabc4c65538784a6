"""Linear heads on features, everything chosen inside the training data, and the scores of it.

A *source* of features is fitted on some training windows and gives *views*: alternative feature
sets of the same windows, each a list of blocks. A head standardises every block, gives each the
same total variance, keeps at most 200 principal components and fits a logistic regression with
equal class weights. Which view, how many components and how strong a penalty: that is chosen by
folds over groups of training windows, in which the source is fitted again; folds are blocks of
time. The temperature of the probabilities comes from the same held-out scores.

Where trials count, the loss is the log-loss of trials (after the temperature), windows of one trial
being averaged; where the area under the curve (AUC) counts, it is that, over all held-out windows.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from decoding_tasks import Task
from numpy.typing import NDArray

from diverloop.adapters.calibration import fit_temperature, log_loss
from diverloop.adapters.folds import contiguous_folds
from diverloop.runtime.prototype_head import softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
Blocks = list[Floats]
Views = dict[str, Blocks]

N_COMPONENTS = (25, 200)
COSTS = (0.03, 0.3, 3.0, 30.0, 300.0)
N_FOLDS = 4


class Fitted(Protocol):
    """A source after its fit."""

    def train(self, rows: Ints) -> Views:
        """Features of some windows to fit on."""

    def test(self, usable: Bools | None = None) -> Views:
        """Features of all windows to judge on; of the channels `usable` alone, if given."""


class Source(Protocol):
    """Where features come from."""

    def fitted(self, rows: Ints) -> Fitted:
        """Fit on some windows of the training part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the folds chose."""

    view: str
    n_components: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Scores before the softmax, (n_windows, n_classes): held out in training, and on the test."""

    held_out: Floats
    test: Floats
    temperature: float
    loss: float
    choice: Choice | None = None
    head: Head | None = None
    fitted: Fitted | None = None

    def lost(self, usable: Bools) -> Floats:
        """Scores of the test windows with fewer channels."""
        if self.head is None or self.fitted is None or self.choice is None:
            raise ValueError("Only a linear head on a source can be asked without some channels.")
        return self.head.scores(self.fitted.test(usable)[self.choice.view])


class Head:
    """Standardise, project, classify.

    Parameters
    ----------
    blocks : list of ndarray, each (n, n_features)
        Training features; a NaN counts as the mean.
    y : ndarray of int, shape (n,)
        Classes counted from 0.
    """

    def __init__(self, blocks: Blocks, y: Ints, most: int = max(N_COMPONENTS)) -> None:
        self._y, self._n_classes = y, int(y.max()) + 1
        self._means = [np.nanmean(block, axis=0) for block in blocks]
        self._scales = [_spread(block) for block in blocks]
        x = self._standard(blocks)
        self._axes = _principal_axes(x, most)
        self._x = x @ self._axes
        self._fits: dict[tuple[int, float], tuple[Floats, Floats]] = {}
        self.n_components, self.cost = most, 1.0

    def _standard(self, blocks: Blocks) -> Floats:
        parts = [
            np.nan_to_num((block - mean) / scale) / np.sqrt(block.shape[1] * len(blocks))
            for block, mean, scale in zip(blocks, self._means, self._scales, strict=True)
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def projected(self, blocks: Blocks) -> Floats:
        """Principal components, (n, n_components)."""
        return self._standard(blocks) @ self._axes

    def scores_of(self, projected: Floats, n_components: int, cost: float) -> Floats:
        """Scores before the softmax, (n, n_classes), of one choice."""
        weights, bias = self._fit(n_components, cost)
        found = projected[:, : weights.shape[1]] @ weights.T + bias
        return np.concatenate([-found / 2, found / 2], axis=1) if found.shape[1] == 1 else found

    def scores(self, blocks: Blocks) -> Floats:
        """Scores of the choice in `n_components` and `cost`."""
        return self.scores_of(self.projected(blocks), self.n_components, self.cost)

    def _fit(self, n_components: int, cost: float) -> tuple[Floats, Floats]:
        from sklearn.linear_model import LogisticRegression

        if (n_components, cost) not in self._fits:
            model = LogisticRegression(C=cost, class_weight="balanced", max_iter=2000, tol=1e-3)
            model.fit(self._x[:, :n_components].astype(np.float64), self._y)
            self._fits[n_components, cost] = (model.coef_, model.intercept_)
        return self._fits[n_components, cost]


def _spread(block: Floats) -> Floats:
    spread: Floats = np.nanstd(block, axis=0)
    return np.where(spread > 1e-6 * max(float(spread.max()), 1e-30), spread, np.inf)


def _principal_axes(x: Floats, most: int) -> Floats:
    """Orthonormal columns, largest variance first; from the smaller of both products."""
    wide = x.shape[1] > x.shape[0]
    powers, axes = np.linalg.eigh((x @ x.T if wide else x.T @ x).astype(np.float64))
    keep = np.argsort(powers)[::-1][:most]
    keep = keep[powers[keep] > 1e-8 * powers.max()]
    found = x.T @ (axes[:, keep] / np.sqrt(powers[keep])) if wide else axes[:, keep]
    return np.asarray(found, dtype=np.float32)


def folds_of(task: Task, n_folds: int = N_FOLDS) -> list[tuple[Ints, Ints]]:
    """Training and held-out windows of each fold: blocks of time, no group on both sides."""
    groups = np.unique(task.groups_train)
    label = np.array([task.y_train[task.groups_train == group].max() for group in groups])
    if task.score == "auc" and (label == 0).sum() < n_folds:
        label[:] = 1  # a stretch or two without any target need not be in every fold
    found = []
    for fold in contiguous_folds(label.astype(str), n_folds):
        held_out = np.isin(task.groups_train, groups[fold])
        found.append((np.flatnonzero(~held_out), np.flatnonzero(held_out)))
    return found


def fit_source(
    task: Task,
    source: Source,
    *,
    n_components: Sequence[int] = N_COMPONENTS,
    costs: Sequence[float] = COSTS,
) -> Outcome:
    """Choose by folds inside the training windows, fit on all of them, score the test windows."""
    held_out: dict[Choice, Floats] = {}
    n_classes = len(task.classes)
    for learn, judge in folds_of(task):
        fitted = source.fitted(learn)
        theirs = fitted.train(judge)
        for view, blocks in fitted.train(learn).items():
            head = Head(blocks, task.y_train[learn])
            projected = head.projected(theirs[view])
            for k, cost in product(n_components, costs):
                choice = Choice(view=view, n_components=k, cost=cost)
                table = held_out.setdefault(choice, np.zeros((len(task.y_train), n_classes)))
                table[judge] = head.scores_of(projected, k, cost)
    losses = {choice: loss_of(task, scores) for choice, scores in held_out.items()}
    best = min(losses, key=lambda choice: losses[choice])
    everything = np.arange(len(task.y_train))
    fitted = source.fitted(everything)
    head = Head(fitted.train(everything)[best.view], task.y_train)
    head.n_components, head.cost = best.n_components, best.cost
    return Outcome(
        held_out=held_out[best],
        test=head.scores(fitted.test()[best.view]),
        temperature=temperature_of(task, held_out[best]),
        loss=losses[best],
        choice=best,
        head=head,
        fitted=fitted,
    )


def loss_of(task: Task, held_out: Floats) -> float:
    """How bad held-out scores are: the log-loss of trials, or what the AUC lacks to 1."""
    if task.score == "auc":
        return 1 - auc(held_out[:, 1] - held_out[:, 0], task.y_train)
    scores, y = by_trial(held_out, task.groups_train, task.y_train)
    return log_loss(scores, y, fit_temperature(scores, y))


def share_better(task: Task, one: Floats, other: Floats, n_draws: int = 200) -> float:
    """In which share of bootstrap draws of training groups the first held-out scores lose less."""
    names, of = np.unique(task.groups_train, return_inverse=True)
    rows_of = [np.flatnonzero(of == place) for place in range(len(names))]
    rng, wins = np.random.default_rng(11), 0
    for _ in range(n_draws):
        drawn = [rows_of[place] for place in rng.integers(len(names), size=len(names))]
        rows = np.concatenate(drawn)
        again = replace(
            task,
            y_train=task.y_train[rows],
            groups_train=np.repeat(np.arange(len(drawn)), [len(part) for part in drawn]),
        )
        wins += loss_of(again, one[rows]) < loss_of(again, other[rows])
    return wins / n_draws


def temperature_of(task: Task, held_out: Floats) -> float:
    """Temperature under which held-out trials are most probable."""
    if task.score == "auc":
        return fit_temperature(held_out, task.y_train)
    return fit_temperature(*by_trial(held_out, task.groups_train, task.y_train))


def by_trial(scores: Floats, groups: Ints, y: Ints) -> tuple[Floats, Ints]:
    """Mean scores of each trial, and its class."""
    names = np.unique(groups)
    means = np.array([scores[groups == name].mean(axis=0) for name in names])
    return means, np.array([y[groups == name][0] for name in names])


def probabilities(scores: Floats, temperature: float) -> Floats:
    """Softmax of scores after the temperature."""
    return softmax(scores / temperature)


# --- scores ------------------------------------------------------------------------------------


def auc(scores: Floats, y: Ints, weights: Floats | None = None) -> float:
    """Area under the curve; ties count half, `weights` says how often a window is there."""
    weights = np.ones(len(y)) if weights is None else weights
    _, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights * (y == 1))
    negative = np.bincount(place, weights * (y != 1))
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    if not pairs:
        return float("nan")
    return float((positive * (below + negative / 2)).sum() / pairs)


class Judge:
    """Scores of test windows, with the same bootstrap draws of groups for every method.

    Parameters
    ----------
    task : Task
        What is judged.
    n_draws : int
        Bootstrap draws.
    """

    def __init__(self, task: Task, n_draws: int = 1000) -> None:
        self._task = task
        self._names, self._of = np.unique(task.groups_test, return_inverse=True)
        n_groups = len(self._names)
        # The same for every method, but not for every task: those are independent.
        rng = np.random.default_rng(zlib.crc32(task.name.encode()))
        drawn = rng.integers(n_groups, size=(n_draws, n_groups))
        self._counts = np.array([np.bincount(row, minlength=n_groups) for row in drawn])

    def __call__(self, outcome: Outcome, scores: Floats | None = None) -> tuple[float, Floats]:
        """Score in points of per cent, and that of every draw."""
        task, scores = self._task, outcome.test if scores is None else scores
        if task.score == "auc":
            margin = scores[:, 1] - scores[:, 0]
            whole = auc(margin, task.y_test)
            draws = [auc(margin, task.y_test, row[self._of]) for row in self._counts]
            return 100 * whole, 100 * np.array(draws)
        right = self.right(scores, outcome.temperature)
        return 100 * float(right.mean()), 100 * (self._counts @ right) / len(right)

    def right(self, scores: Floats, temperature: float) -> Floats:
        """Which trials are right, by their windows' mean probability."""
        shares, y = by_trial(
            probabilities(scores, temperature), self._task.groups_test, self._task.y_test
        )
        return (shares.argmax(axis=1) == y).astype(float)


def interval(draws: Floats) -> list[float]:
    """Where 95 % of the draws lie."""
    return [round(float(value), 2) for value in np.nanpercentile(draws, (2.5, 97.5))]
