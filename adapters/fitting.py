"""From labelled windows to a linear adapter, with scores that nobody has to be ashamed of.

Everything that learns is fitted again inside every fold: encoder, standardisation, cost, weights.
Windows of one trial never sit on both sides of a fold, and neither do neighbouring trials but
for the edges: folds are blocks of time, because slow drifts make neighbours alike and a shuffled
split would report the drift as skill [1]_.

References
----------
.. [1] Lemm, Blankertz, Dickhaus, Müller. Introduction to machine learning for brain imaging.
   NeuroImage, 2011.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .calibration import fit_temperature, log_loss
from .folds import Indices, Trials, contiguous_folds, recording_folds
from .linear import Floats, LinearAdapter, LinearConfig

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


class WindowEncoder(Protocol):
    """What fitting needs of an encoder: features of many windows at once."""

    def encode_many(self, windows: Samples) -> Floats:
        """Features, shape (n_windows, n_features)."""


E = TypeVar("E", bound=WindowEncoder)

FitEncoder = Callable[[Samples, NDArray[np.str_]], E]
"""From training windows and their labels to a fitted encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What can be chosen about a fit.

    Parameters
    ----------
    classifier : str
        ``"logistic"``: logistic regression, its cost chosen by inner folds; for many features.
        ``"lda"``: linear discriminant with Ledoit-Wolf shrinkage; for few, such as CSP's.
    n_folds : int
        Blocks of trials for cross-validation, at least 2.
    costs : tuple of float
        Inverse strengths of the penalty to choose from; logistic only.
    abstain_below, min_quality : float
        Passed on to `LinearConfig`.
    """

    classifier: Literal["logistic", "lda"] = "logistic"
    n_folds: int = 5
    costs: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    abstain_below: float = 0.0
    min_quality: float = 0.5

    def __post_init__(self) -> None:
        if self.classifier not in ("logistic", "lda"):
            raise ConfigError(
                f'classifier must be "logistic" or "lda", got {self.classifier!r}: choose one.'
            )
        if self.n_folds < 2:
            raise ConfigError(f"n_folds must be at least 2, got {self.n_folds}: raise it.")
        if not self.costs or min(self.costs) <= 0:
            raise ConfigError(f"costs must be positive, got {self.costs}: give at least one.")


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
    """

    encoder: E
    adapter: LinearAdapter
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """One linear classifier, before calibration."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def adapter(
        self, classes: tuple[str, ...], config: FitConfig, temperature: float = 1.0
    ) -> LinearAdapter:
        return LinearAdapter(
            LinearConfig(
                classes=classes,
                abstain_below=config.abstain_below,
                min_quality=config.min_quality,
            ),
            mean=self.mean,
            scale=self.scale,
            weights=self.weights,
            bias=self.bias,
            temperature=temperature,
        )


def fit_motor_imagery(
    windows: Samples,
    labels: NDArray[Any],
    trials: NDArray[np.integer],
    recordings: NDArray[Any] | None = None,
    *,
    fit_encoder: FitEncoder[E],
    config: FitConfig | None = None,
    progress: Progress | None = None,
) -> Fitted[E]:
    """Fit encoder and adapter on labelled windows, and say how well that will do.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_rows, n_times)
        Conditioned windows in microvolts, in the order they were recorded.
    labels : ndarray, shape (n_windows,)
        Class of each window; turned into text.
    trials : ndarray of int, shape (n_windows,)
        Trial of each window; several windows may share one.
    recordings : ndarray, shape (n_windows,), optional
        Recording of each window; with two or more, each is also predicted from the others.
    fit_encoder : callable
        From windows and labels to a fitted encoder; called again in every fold.
    config : FitConfig, optional
        What was chosen.
    progress : callable, optional
        Called with (done, total) after every fold and once at the end.

    Returns
    -------
    fitted : Fitted
        Encoder, adapter and report.

    Raises
    ------
    ConfigError
        If lengths differ, a trial has two labels, or a class has too few trials for two folds.

    Notes
    -----
    A trial's score is the mean over its windows of the log-probabilities. The temperature is the
    one under which left-out trials are most probable, see `fit_temperature`.
    """
    config = config or FitConfig()
    known = Trials.of(labels, trials, recordings, n_windows=len(windows))
    outer = contiguous_folds(known.labels, config.n_folds)
    by_recording = recording_folds(known)
    n_steps = len(outer) + len(by_recording) + 1
    run = _Run(windows, known, fit_encoder, config, progress, n_steps)
    held_out = run.predict_folds(outer)
    report: dict[str, Any] = {
        "n_windows": len(windows),
        "n_trials": len(known.labels),
        "classes": list(known.classes),
        "classifier": config.classifier,
        "n_folds": len(outer),
        "cross_validation": known.report(held_out),
    }
    if by_recording:
        report["leave_one_recording_out"] = known.report(run.predict_folds(by_recording))
    temperature = fit_temperature(held_out, known.targets)
    encoder, weights, cost = run.fit(np.arange(len(known.labels)))
    run.step()
    report |= {"temperature": temperature, "cost": cost}
    adapter = weights.adapter(known.classes, config, temperature)
    return Fitted(encoder=encoder, adapter=adapter, report=report)


class _Run(Generic[E]):
    """One call of `fit_motor_imagery`: what all its folds share."""

    def __init__(
        self,
        windows: Samples,
        trials: Trials,
        fit_encoder: FitEncoder[E],
        config: FitConfig,
        progress: Progress | None,
        n_steps: int,
    ) -> None:
        self._windows, self._trials, self._fit_encoder = windows, trials, fit_encoder
        self._config, self._progress = config, progress
        self._done, self._n_steps = 0, n_steps

    def step(self) -> None:
        """Tell the watcher of the fit that another step is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._n_steps)

    def predict_folds(self, folds: list[Indices]) -> Floats:
        """Scores of every trial from the others' weights, shape (n_trials, n_classes)."""
        n_trials = len(self._trials.labels)
        scores = np.full((n_trials, len(self._trials.classes)), np.nan)
        for fold in folds:
            encoder, weights, _ = self.fit(np.setdiff1d(np.arange(n_trials), fold))
            scores[fold] = self._predict(encoder, [weights], fold)[0]
            self.step()
        return scores

    def fit(self, chosen: Indices) -> tuple[E, _Weights, float | None]:
        """Encoder, weights and cost from the chosen trials alone."""
        cost = None if self._config.classifier == "lda" else self._choose_cost(chosen)
        encoder, features, labels = self._encode(chosen)
        return encoder, _fit_linear(features, labels, cost), cost

    def _choose_cost(self, chosen: Indices) -> float:
        """The cost under which the chosen trials, held out in turn, are most probable."""
        costs = self._config.costs
        if len(costs) == 1:
            return costs[0]
        folds = contiguous_folds(self._trials.labels[chosen], self._config.n_folds)
        scores = np.empty((len(costs), len(chosen), len(self._trials.classes)))
        for fold in folds:
            encoder, features, labels = self._encode(np.delete(chosen, fold))
            fits = [_fit_linear(features, labels, cost) for cost in costs]
            scores[:, fold] = self._predict(encoder, fits, chosen[fold])
        targets = self._trials.targets[chosen]
        # Judged as they will serve: after calibration.
        losses = [log_loss(each, targets, fit_temperature(each, targets)) for each in scores]
        return costs[int(np.argmin(losses))]

    def _encode(self, chosen: Indices) -> tuple[E, Floats, NDArray[np.str_]]:
        rows = self._trials.windows_of(chosen)
        labels = self._trials.labels[self._trials.of_window[rows]]
        encoder = self._fit_encoder(self._windows[rows], labels)
        return encoder, encoder.encode_many(self._windows[rows]), labels

    def _predict(self, encoder: E, fits: list[_Weights], chosen: Indices) -> Floats:
        """Mean scores over each chosen trial's windows, (n_fits, n_chosen, n_classes).

        Means of scores and means of log-probabilities differ by the same number for all classes.
        """
        rows = self._trials.windows_of(chosen)
        features, trials = encoder.encode_many(self._windows[rows]), self._trials.of_window[rows]
        found = []
        for weights in fits:
            scores = weights.adapter(self._trials.classes, self._config).scores(features)
            found.append([scores[trials == trial].mean(axis=0) for trial in chosen])
        return np.array(found)


def _fit_linear(features: Floats, labels: NDArray[np.str_], cost: float | None) -> _Weights:
    """Standardise and classify; classes weigh the same however many trials each has."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    n_classes = len(np.unique(labels))
    if cost is None:
        equal = np.full(n_classes, 1 / n_classes)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=equal)
    else:
        model = LogisticRegression(C=cost, class_weight="balanced", max_iter=2000)
    model.fit((features - mean) / scale, labels)
    return _Weights(mean=mean, scale=scale, weights=model.coef_, bias=model.intercept_)
