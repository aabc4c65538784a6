"""Encoder and weights fitted again and again, without the trials that they are then judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .calibration import fit_temperature, log_loss
from .folds import Indices, Trials, held_out_folds
from .linear import Floats, LinearAdapter, LinearConfig
from .outliers import Outliers


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
        Recordings, or blocks of trials, for cross-validation, at least 2.
    costs : tuple of float
        Inverse strengths of the penalty to choose from; logistic only.
    priors : str
        ``"equal"``: classes weigh the same however many trials each has. ``"observed"``: a class
        is as probable as it was in training, as with flashes, of which few are targets.
    scale : str
        ``"each"`` standardises every feature; ``"common"`` divides all by one number, where their
        sizes mean something, as in a tangent space.
    promised_error : float
        Share of decisions that may be wrong, in [0, 1): what it takes to be sure enough follows
        from held-out trials, if they allow such a promise. 0 promises nothing.
    abstain_below, min_quality : float
        Passed on to `LinearConfig`.
    """

    classifier: Literal["logistic", "lda"] = "logistic"
    priors: Literal["equal", "observed"] = "equal"
    scale: Literal["each", "common"] = "each"
    n_folds: int = 5
    costs: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    promised_error: float = 0.0
    abstain_below: float = 0.0
    min_quality: float = 0.5

    def __post_init__(self) -> None:
        if self.classifier not in ("logistic", "lda"):
            raise ConfigError(
                f'classifier must be "logistic" or "lda", got {self.classifier!r}: choose one.'
            )
        if self.priors not in ("equal", "observed"):
            raise ConfigError(
                f'priors must be "equal" or "observed", got {self.priors!r}: choose one.'
            )
        if self.scale not in ("each", "common"):
            raise ConfigError(f'scale must be "each" or "common", got {self.scale!r}: choose one.')
        if not 0 <= self.promised_error < 1:
            raise ConfigError(
                f"promised_error must be in [0, 1), got {self.promised_error}: 0.1 allows one "
                f"decision in ten to be wrong."
            )
        if self.n_folds < 2:
            raise ConfigError(f"n_folds must be at least 2, got {self.n_folds}: raise it.")
        if not self.costs or min(self.costs) <= 0:
            raise ConfigError(f"costs must be positive, got {self.costs}: give at least one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One linear classifier, before calibration.

    Parameters
    ----------
    mean, scale : ndarray, shape (n_features,)
        Standardisation.
    weights : ndarray, shape (n_classes, n_features) or (1, n_features)
        See `LinearAdapter`.
    bias : ndarray, shape (n_classes,) or (1,)
        Likewise.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def adapter(
        self,
        classes: tuple[str, ...],
        config: FitConfig,
        temperature: float = 1.0,
        outliers: Outliers | None = None,
    ) -> LinearAdapter:
        """The adapter that these weights make.

        Parameters
        ----------
        classes : tuple of str
            In the order of the rows.
        config : FitConfig
            When to abstain.
        temperature : float
            From `fit_temperature`.
        outliers : Outliers, optional
            What calibration looked like.

        Returns
        -------
        adapter : LinearAdapter
            Ready to decide.
        """
        return LinearAdapter(
            LinearConfig(
                classes=classes,
                abstain_below=config.abstain_below,
                promised_error=config.promised_error,
                min_quality=config.min_quality,
            ),
            mean=self.mean,
            scale=self.scale,
            weights=self.weights,
            bias=self.bias,
            temperature=temperature,
            outliers=outliers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a cost did on trials that were held out in turn.

    Parameters
    ----------
    cost : float or None
        The one under which they were most probable; None for a classifier without.
    scores : ndarray, shape (n_trials, n_classes)
        Before temperature and softmax.
    """

    cost: float | None
    scores: Floats


class CrossValidation(Generic[E]):
    """Fits on some trials and judges on others, whatever a fold is.

    A trial's score is the mean over its windows.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, ...)
        What the encoder reads.
    trials : Trials
        Which windows belong together.
    fit_encoder : callable
        From windows and labels to a fitted encoder; called again for every fit.
    config : FitConfig
        What was chosen.
    step : callable
        Called after every fold.
    """

    def __init__(
        self,
        windows: Samples,
        trials: Trials,
        fit_encoder: FitEncoder[E],
        config: FitConfig,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._windows, self._trials, self._fit_encoder = windows, trials, fit_encoder
        self._config, self._step = config, step
        self._costs = (None,) if config.classifier == "lda" else config.costs

    def predict(self, folds: Sequence[Indices]) -> Floats:
        """Scores of every trial from the others' weights.

        Parameters
        ----------
        folds : sequence of ndarray of int
            Trials to hold out together; trials in none stay NaN.

        Returns
        -------
        scores : ndarray, shape (n_trials, n_classes)
            Before temperature and softmax.
        """
        scores = np.full((len(self._trials.labels), len(self._trials.classes)), np.nan)
        for fold in folds:
            scores[fold] = self.held_out(fold)[0]
            self._step()
        return scores

    def held_out(self, fold: Indices, *, rehearse: bool = False) -> tuple[Floats, Rehearsal]:
        """Scores of a fold's trials from the others' weights, and how these were rehearsed.

        Parameters
        ----------
        fold : ndarray of int
            Trials to hold out.
        rehearse : bool
            Also where there is nothing to choose.

        Returns
        -------
        scores : ndarray, shape (n_fold, n_classes)
            Before temperature and softmax.
        rehearsal : Rehearsal
            On the other trials; without scores if there was none.
        """
        others = np.setdiff1d(np.arange(len(self._trials.labels)), fold)
        rehearsal = self.rehearse(others) if rehearse else self._cheapest_rehearsal(others)
        encoder, weights = self.fit(others, rehearsal.cost)
        return self._predict(encoder, [weights], fold)[0], rehearsal

    def rehearse(self, chosen: Indices) -> Rehearsal:
        """Hold the chosen trials out in turn, under every cost.

        Parameters
        ----------
        chosen : ndarray of int
            Trials.

        Returns
        -------
        rehearsal : Rehearsal
            The best cost, judged as it will serve: after calibration.
        """
        folds = held_out_folds(self._trials, self._config.n_folds, chosen)
        scores = np.empty((len(self._costs), len(chosen), len(self._trials.classes)))
        for fold in folds:
            encoder, features, labels = self._encode(np.delete(chosen, fold))
            fits = [self._weights(features, labels, cost) for cost in self._costs]
            scores[:, fold] = self._predict(encoder, fits, chosen[fold])
        targets = self._trials.targets[chosen]
        losses = [log_loss(each, targets, fit_temperature(each, targets)) for each in scores]
        best = int(np.argmin(losses))
        return Rehearsal(cost=self._costs[best], scores=scores[best])

    def fit(self, chosen: Indices, cost: float | None) -> tuple[E, Weights]:
        """Encoder and weights from the chosen trials alone.

        Parameters
        ----------
        chosen : ndarray of int
            Trials.
        cost : float or None
            From `rehearse`.

        Returns
        -------
        encoder : E
            Fitted.
        weights : Weights
            Fitted on its features.
        """
        encoder, features, labels = self._encode(chosen)
        return encoder, self._weights(features, labels, cost)

    def choose_cost(self, chosen: Indices) -> float | None:
        """The cost under which the chosen trials, held out in turn, are most probable."""
        return self._cheapest_rehearsal(chosen).cost

    def _cheapest_rehearsal(self, chosen: Indices) -> Rehearsal:
        if len(self._costs) > 1:
            return self.rehearse(chosen)
        return Rehearsal(cost=self._costs[0], scores=np.empty((0, len(self._trials.classes))))

    def _weights(self, features: Floats, labels: NDArray[np.str_], cost: float | None) -> Weights:
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale == 0] = 1.0
        if self._config.scale == "common":
            scale[:] = np.sqrt(np.mean(scale**2))
        equal = self._config.priors == "equal"
        weights, bias = _fit_linear((features - mean) / scale, labels, cost, equal=equal)
        return Weights(mean=mean, scale=scale, weights=weights, bias=bias)

    def _encode(self, chosen: Indices) -> tuple[E, Floats, NDArray[np.str_]]:
        rows = self._trials.windows_of(chosen)
        labels = self._trials.labels[self._trials.of_window[rows]]
        encoder = self._fit_encoder(self._windows[rows], labels)
        return encoder, encoder.encode_many(self._windows[rows]), labels

    def _predict(self, encoder: E, fits: Sequence[Weights], chosen: Indices) -> Floats:
        """Mean scores over each chosen trial's windows, (n_fits, n_chosen, n_classes).

        Trials come in ascending order. Means of scores and means of log-probabilities differ by
        the same number for all classes.
        """
        rows = self._trials.windows_of(chosen)
        features, trials = encoder.encode_many(self._windows[rows]), self._trials.of_window[rows]
        order = np.argsort(trials, kind="stable")
        starts = np.searchsorted(trials[order], chosen)
        counts = np.bincount(trials, minlength=chosen.max() + 1)[chosen]
        found = []
        for weights in fits:
            scores = weights.adapter(self._trials.classes, self._config).scores(features)
            sums = np.add.reduceat(scores[order], starts, axis=0)
            found.append(sums / counts[:, None])
        return np.array(found)


def _fit_linear(
    features: Floats, labels: NDArray[np.str_], cost: float | None, *, equal: bool
) -> tuple[Floats, Floats]:
    """Weights and bias from standardised features."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression

    n_classes = len(np.unique(labels))
    if cost is None:
        priors = np.full(n_classes, 1 / n_classes) if equal else None
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors)
    else:
        weight = "balanced" if equal else None
        model = LogisticRegression(C=cost, class_weight=weight, max_iter=2000)
    model.fit(features, labels)
    return model.coef_, model.intercept_
