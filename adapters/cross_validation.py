"""Encoder and weights fitted again and again, without the trials that they are then judged on.

Where an encoder joins others, each part of its features is read by itself, as if it were alone, and
the log-odds are averaged, each at the temperature that held-out trials asked for: readers that err
differently correct each other [1]_, and no second reader is needed, which could only learn from
what the first ones said of trials that they knew. All readers are linear, so their mean is one.

References
----------
.. [1] Kittler, Hatef, Duin, Matas. On combining classifiers. IEEE Trans. Pattern Anal. Mach.
   Intell., 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from ..runtime.prototype_head import PrototypeHead
from .calibration import fit_temperature, log_loss
from .folds import Indices, Trials, held_out_folds
from .linear import Floats
from .weights import Reading, Weights, fit_classifier, mean_of


class WindowEncoder(Protocol):
    """What fitting needs of an encoder: features of many windows at once."""

    def encode_many(self, windows: Samples) -> Floats:
        """Features, shape (n_windows, n_features)."""


E = TypeVar("E", bound=WindowEncoder)

Classifier = Literal["logistic", "lda", "prototypes"]
"""How features are read, see `FitConfig`."""

FitEncoder = Callable[..., E]
"""From training windows and their labels, and their recordings if it is aligned, to an encoder."""


class AlignedEncoder(Protocol):
    """What fitting needs of an encoder that sees each recording from a reference of its own."""

    @property
    def recordings(self) -> frozenset[Hashable]:
        """Those that it was fitted on."""

    def encode_many(self, windows: Samples, recordings: NDArray[Any] | None = None) -> Floats:
        """Features; a recording that it does not know is seen as one that is served would be."""

    def recentred(self, windows: Samples) -> AlignedEncoder:
        """The same, with what serves taken anew from unlabelled windows of a new recording."""


REFERENCE_TRIALS = 8
"""How many trials of a recording that is held out whole give it its reference: about a minute."""

ALIGNED = (
    f"Each recording was seen from a reference of its own. One that was held out whole was first "
    f"seen from that of the last recording fitted on; its first {REFERENCE_TRIALS} trials, without "
    f"labels, gave the reference for the later ones, as `diverloop recentre` does."
)
"""What was done for a score, in words for a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What can be chosen about a fit.

    Parameters
    ----------
    classifier : str
        ``"logistic"``: logistic regression, its cost chosen by inner folds; for many features.
        ``"lda"``: linear discriminant with Ledoit-Wolf shrinkage; for few, such as CSP's.
        ``"prototypes"``: the same as points in a whitened space, which can be adapted later; see
        `PrototypeHead`.
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
    parts : tuple of FitConfig
        How each part of a joined encoder is read: classifier, priors, scale and costs of these
        count. Empty reads all features as one.
    """

    classifier: Classifier = "logistic"
    priors: Literal["equal", "observed"] = "equal"
    scale: Literal["each", "common"] = "each"
    n_folds: int = 5
    costs: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    promised_error: float = 0.0
    abstain_below: float = 0.0
    min_quality: float = 0.5
    parts: tuple[FitConfig, ...] = ()

    def __post_init__(self) -> None:
        if self.classifier not in (allowed := get_args(Classifier)):
            raise ConfigError(
                f"classifier must be one of {list(allowed)}, got {self.classifier!r}: choose one."
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
        if len(self.parts) == 1 or any(part.parts for part in self.parts):
            raise ConfigError(
                f"parts must be none or at least 2, and none with parts of its own, got "
                f"{len(self.parts)}: name each reading once."
            )
        if not self.costs or min(self.costs) <= 0:
            raise ConfigError(f"costs must be positive, got {self.costs}: give at least one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the best readings did on trials that were held out in turn.

    Parameters
    ----------
    readings : tuple of Reading
        Of every part, those under which the trials were most probable.
    scores : ndarray, shape (n_trials, n_classes)
        Before temperature and softmax.
    """

    readings: tuple[Reading, ...]
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
    aligned : bool
        Whether the encoder is an `AlignedEncoder`. It is then told which recording each window is
        of, and references never come from a held-out trial, but for those of a recording that is
        held out whole: its first `REFERENCE_TRIALS` give, without labels, the reference for what
        comes after them, as when serving.
    """

    def __init__(
        self,
        windows: Samples,
        trials: Trials,
        fit_encoder: FitEncoder[E],
        config: FitConfig,
        step: Callable[[], None] = lambda: None,
        *,
        aligned: bool = False,
    ) -> None:
        self._windows, self._trials, self._fit_encoder = windows, trials, fit_encoder
        self._config, self._step = config, step
        self._places = trials.recording_of_window if aligned else None
        self._parts = config.parts or (config,)
        self._costs = [p.costs if p.classifier == "logistic" else (None,) for p in self._parts]

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
        encoder, weights = self.fit(others, rehearsal.readings)
        return self._means(weights, self._encode(encoder, fold), fold), rehearsal

    def rehearse(self, chosen: Indices) -> Rehearsal:
        """Hold the chosen trials out in turn, each part under every cost of its own.

        Parameters
        ----------
        chosen : ndarray of int
            Trials.

        Returns
        -------
        rehearsal : Rehearsal
            The best costs, judged as they will serve: after calibration.
        """
        folds = held_out_folds(self._trials, self._config.n_folds, chosen)
        shape = (len(chosen), len(self._trials.classes))
        scores = [np.empty((len(costs), *shape)) for costs in self._costs]
        for fold in folds:
            encoder, learnt, rows = self._learn(np.delete(chosen, fold))
            held_out = self._split(encoder, self._encode(encoder, chosen[fold]))
            for place, part in enumerate(self._parts):
                for which, cost in enumerate(self._costs[place]):
                    weights = self._weights(learnt[place], rows, cost, part)
                    means = self._means(weights, held_out[place], chosen[fold])
                    scores[place][which, fold] = means
        targets = self._trials.targets[chosen]
        taken = [self._best(each, targets, place) for place, each in enumerate(scores)]
        if len(taken) == 1:
            ((reading, only),) = taken
            return Rehearsal(readings=(Reading(cost=reading.cost),), scores=only)
        return Rehearsal(
            readings=tuple(reading for reading, _ in taken),
            scores=np.mean([each / reading.temperature for reading, each in taken], axis=0),
        )

    def _best(
        self, scores: Floats, targets: NDArray[np.integer], part: int
    ) -> tuple[Reading, Floats]:
        """The cost of a part under which targets are most probable; scores are (n_costs, ...)."""
        temperatures = [fit_temperature(each, targets) for each in scores]
        losses = [
            log_loss(each, targets, temperature)
            for each, temperature in zip(scores, temperatures, strict=True)
        ]
        best = int(np.argmin(losses))
        reading = Reading(cost=self._costs[part][best], temperature=temperatures[best])
        return reading, scores[best]

    def fit(self, chosen: Indices, readings: Sequence[Reading]) -> tuple[E, Weights]:
        """Encoder and weights from the chosen trials alone.

        Parameters
        ----------
        chosen : ndarray of int
            Trials.
        readings : sequence of Reading
            From `rehearse`, one for each part.

        Returns
        -------
        encoder : E
            Fitted.
        weights : Weights
            Fitted on its features.
        """
        encoder, learnt, rows = self._learn(chosen)
        fits = [
            self._weights(features, rows, reading.cost, part)
            for features, reading, part in zip(learnt, readings, self._parts, strict=True)
        ]
        return encoder, fits[0] if len(fits) == 1 else mean_of(fits, readings)

    def choose_readings(self, chosen: Indices) -> tuple[Reading, ...]:
        """Those under which the chosen trials, held out in turn, are most probable."""
        return self._cheapest_rehearsal(chosen).readings

    def _cheapest_rehearsal(self, chosen: Indices) -> Rehearsal:
        if len(self._parts) > 1 or len(self._costs[0]) > 1:
            return self.rehearse(chosen)
        nothing = np.empty((0, len(self._trials.classes)))
        return Rehearsal(readings=(Reading(cost=self._costs[0][0]),), scores=nothing)

    def _weights(
        self, features: Floats, rows: Indices, cost: float | None, config: FitConfig
    ) -> Weights:
        equal, trials = config.priors == "equal", self._trials.of_window[rows]
        labels = self._trials.labels[trials]
        if config.classifier == "prototypes":
            classes = self._trials.classes
            return Weights.of(
                PrototypeHead.fit(features, labels, classes, equal_priors=equal, trials=trials)
            )
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale == 0] = 1.0
        if config.scale == "common":
            scale[:] = np.sqrt(np.mean(scale**2))
        weights, bias = fit_classifier((features - mean) / scale, labels, cost, equal=equal)
        return Weights(mean=mean, scale=scale, weights=weights, bias=bias)

    def _learn(self, chosen: Indices) -> tuple[E, list[Floats], Indices]:
        """An encoder, and features and rows of the windows that it was fitted on."""
        rows = self._trials.windows_of(chosen)
        labels = self._trials.labels[self._trials.of_window[rows]]
        if self._places is None:
            encoder = self._fit_encoder(self._windows[rows], labels)
            return encoder, self._split(encoder, encoder.encode_many(self._windows[rows])), rows
        encoder = self._fit_encoder(self._windows[rows], labels, self._places[rows])
        seen = cast(AlignedEncoder, encoder).encode_many(self._windows[rows], self._places[rows])
        return encoder, self._split(encoder, seen), rows

    def _encode(self, encoder: E, chosen: Indices) -> Floats:
        return self._unseen(encoder, self._trials.windows_of(chosen))

    def _unseen(self, encoder: E, rows: Indices) -> Floats:
        """Features of windows that were not fitted on."""
        if self._places is None:
            return encoder.encode_many(self._windows[rows])
        aligned, windows, places = cast(AlignedEncoder, encoder), self._windows, self._places[rows]
        features = aligned.encode_many(windows[rows], places)
        for place in set(places.tolist()) - aligned.recordings:
            here = places == place
            trials = self._trials.of_window[rows]
            early = here & np.isin(trials, np.unique(trials[here])[:REFERENCE_TRIALS])
            if (late := here & ~early).any():
                features[late] = aligned.recentred(windows[rows[early]]).encode_many(
                    windows[rows[late]]
                )
        return features

    def _split(self, encoder: Any, features: Floats) -> list[Floats]:
        """Features of each part, if the parts are read one by one."""
        if len(self._parts) == 1:
            return [features]
        return np.split(features, np.cumsum(encoder.sizes)[:-1], axis=1)

    def _means(self, weights: Weights, features: Floats, chosen: Indices) -> Floats:
        """Mean scores over each chosen trial's windows, (n_chosen, n_classes).

        Trials come in ascending order. Means of scores and means of log-probabilities differ by
        the same number for all classes.
        """
        trials = self._trials.of_window[self._trials.windows_of(chosen)]
        order = np.argsort(trials, kind="stable")
        starts = np.searchsorted(trials[order], chosen)
        counts = np.bincount(trials, minlength=chosen.max() + 1)[chosen]
        scores = weights.adapter(self._trials.classes, self._config).scores(features)
        means: Floats = np.add.reduceat(scores[order], starts, axis=0) / counts[:, None]
        return means
