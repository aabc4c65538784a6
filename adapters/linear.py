"""The linear reader: standardise, weigh, turn into probabilities, abstain when unsure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import BundleError, ConfigError
from ..runtime.messages import Decision, Embedding, Window
from ..runtime.prototype_head import PREFIX, PrototypeHead

if TYPE_CHECKING:
    from .outliers import Outliers

Floats = NDArray[np.float64]

OUTLIERS = "outliers."
"""What the names of arrays begin with that say what calibration looked like."""

SAME = 1e-6
"""Scores of a head and of the weights that serve it may differ by this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearConfig:
    """What can be chosen about `LinearAdapter`.

    Parameters
    ----------
    classes : tuple of str
        Names, at least two and all different, in the order of the probabilities.
    abstain_below : float
        Probability that the best class must reach, in [0, 1]; 0 always decides.
    promised_error : float
        Share of decisions that may be wrong, which `abstain_below` was chosen for, in [0, 1); 0
        where nothing was promised.
    refuse_outliers : bool
        Whether embeddings far from all of calibration are refused, where that was learnt.
    min_quality : float
        Quality that the embedding must reach, in [0, 1].
    """

    classes: tuple[str, ...]
    abstain_below: float = 0.0
    promised_error: float = 0.0
    refuse_outliers: bool = True
    min_quality: float = 0.5

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(
                f"classes must be at least 2 different names, got {list(self.classes)}: name each."
            )
        for name in ("abstain_below", "promised_error", "min_quality"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} must be in [0, 1], got {getattr(self, name)}: it is compared with a "
                    f"probability or a quality."
                )


class LinearAdapter:
    """Adapter: probabilities from a weighted sum of standardised features.

    Parameters
    ----------
    config : LinearConfig
        What was chosen.
    mean, scale : ndarray, shape (n_features,)
        Standardisation: ``z = (values - mean) / scale``, scale positive.
    weights : ndarray, shape (n_classes, n_features) or (1, n_features)
        One row for each class; one row alone speaks for the second of two classes.
    bias : ndarray, shape (n_classes,) or (1,)
        Added to the weighted sums.
    temperature : float
        Scores are divided by it; above 1 makes the probabilities more modest [1]_.
    outliers : Outliers, optional
        What calibration looked like.
    head : PrototypeHead, optional
        What the weights were made from, for whoever adapts them. It must say the same as the
        weights; nothing is decided with it.
    epoch : int
        Which set of weights this is.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML, 2017.
    """

    Config = LinearConfig

    def __init__(
        self,
        config: LinearConfig,
        *,
        mean: Floats,
        scale: Floats,
        weights: Floats,
        bias: Floats,
        temperature: float = 1.0,
        outliers: Outliers | None = None,
        head: PrototypeHead | None = None,
        epoch: int = 0,
    ) -> None:
        if outliers is not None and outliers.n_features != mean.size:
            raise BundleError(
                f"What calibration looked like has {outliers.n_features} features, the weights "
                f"have {mean.size}: fit the model again."
            )
        if len(weights) == len(bias) == 1:
            # sigmoid(s) is softmax(0, s): one formula serves any number of classes.
            weights, bias = np.vstack([np.zeros_like(weights), weights]), np.append(0.0, bias)
        shape = (len(config.classes), mean.size)
        if weights.shape != shape or bias.shape != shape[:1] or scale.shape != mean.shape:
            raise BundleError(
                f"Weights {weights.shape}, bias {bias.shape}, mean {mean.shape} and scale "
                f"{scale.shape} do not fit {len(config.classes)} classes: fit the model again."
            )
        if not (scale > 0).all() or not temperature > 0:
            raise BundleError(
                f"Scale and temperature must be positive, got down to {scale.min()} and "
                f"{temperature}: fit the model again."
            )
        self.config = config
        self._mean, self._scale, self._weights, self._bias = mean, scale, weights, bias
        self._temperature, self._epoch = temperature, epoch
        self._outliers, self._head = outliers, head
        if head is not None:
            self._compare(head)

    @classmethod
    def from_arrays(
        cls, config: LinearConfig, arrays: Mapping[str, NDArray[Any]], *, epoch: int = 0
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        names = ("mean", "scale", "weights", "bias", "temperature")
        if missing := [name for name in names if name not in arrays]:
            raise BundleError(
                f"The adapter needs the arrays {', '.join(names)}, missing is "
                f"{', '.join(missing)}: fit the model again."
            )
        mean, scale, weights, bias, temperature = (
            np.array(arrays[name], dtype=np.float64) for name in names
        )
        return cls(
            config,
            mean=mean,
            scale=scale,
            weights=weights,
            bias=bias,
            temperature=float(temperature.item()),
            outliers=_outliers(arrays),
            head=_head(config.classes, arrays),
            epoch=epoch,
        )

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {
            "mean": self._mean,
            "scale": self._scale,
            "weights": self._weights,
            "bias": self._bias,
            "temperature": np.array([self._temperature]),
            **{
                OUTLIERS + name: array
                for name, array in (self._outliers.to_arrays() if self._outliers else {}).items()
            },
            **(self._head.to_arrays() if self._head else {}),
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """What the probabilities speak of, in order."""
        return self.config.classes

    @property
    def epoch(self) -> int:
        """Which set of weights is active."""
        return self._epoch

    @property
    def head(self) -> PrototypeHead | None:
        """What the weights were made from, if they can be adapted."""
        return self._head

    def probabilities(self, features: Floats) -> Floats:
        """Calibrated probabilities.

        Parameters
        ----------
        features : ndarray, shape (..., n_features)
            Finite features of one window or of many.

        Returns
        -------
        probabilities : ndarray, shape (..., n_classes)
            Sum to 1 along the last axis.
        """
        scores = self.scores(features)
        scores /= self._temperature
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return scores

    def scores(self, features: Floats) -> Floats:
        """Weighted sums before temperature and softmax, shape (..., n_classes)."""
        sums: Floats = ((features - self._mean) / self._scale) @ self._weights.T + self._bias
        return sums

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Read an embedding.

        Parameters
        ----------
        embedding : Embedding
            From the encoder that these weights were fitted with.
        window : Window
            What it was made from; gives the decision its provenance.

        Returns
        -------
        decision : Decision
            Neutral, with a reason, if the embedding is not finite, too poor or unlike all of
            calibration (probabilities NaN), or no class is probable enough (probabilities as they
            are).
        """
        values = np.asarray(embedding.values, dtype=np.float64)
        probabilities, label, reason = np.full(len(self.classes), math.nan), None, ""
        if not np.isfinite(values).all():
            reason = "the window could not be encoded: features are not finite"
        # Written so that a quality of NaN counts as poor.
        elif not embedding.quality >= self.config.min_quality:
            reason = (
                f"signal too poor: quality {embedding.quality:.2f} of "
                f"{self.config.min_quality:.2f} needed"
            )
        elif not (reason := self._unlike(values)):
            probabilities = self.probabilities(values)
            label, reason = self._choose(probabilities)
        return Decision(
            classes=self.classes,
            probabilities=probabilities,
            label=label,
            reason=reason,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self._epoch,
            marker=window.marker,
            lsl_raw_s=window.lsl_raw_s,
            lsl_corrected_s=window.lsl_corrected_s,
        )

    def _compare(self, head: PrototypeHead) -> None:
        """Refuse a head that would decide otherwise than the weights do."""
        if head.classes != self.classes or head.mean.size != self._mean.size:
            raise BundleError(
                f"A head of {len(head.classes)} classes and {head.mean.size} features does not "
                f"fit weights of {len(self.classes)} and {self._mean.size}: fit the model again."
            )
        served = head.linear()
        theirs = served["weights"] / head.temperature
        ours = self._weights / self._scale * head.scale / self._temperature
        at_mean = self.scores(head.mean) / self._temperature
        offset = at_mean - served["bias"] / head.temperature
        # A number that all classes share changes no probability.
        apart = np.column_stack([ours - theirs, offset])
        apart -= apart.mean(axis=0)
        largest = max(1.0, float(np.abs(theirs).max()), float(np.abs(at_mean).max()))
        # Written so that NaN counts as different.
        if not np.abs(apart).max() <= SAME * largest:
            raise BundleError(
                f"A head and the weights that serve it differ by {np.abs(apart).max():.2g}, "
                f"allowed is {SAME * largest:.2g}: take both from one head, or fit the model again."
            )

    def _unlike(self, values: Floats) -> str:
        """Why an embedding is not to be judged; empty if it is like those of calibration."""
        if self._outliers is None or not self.config.refuse_outliers:
            return ""
        distance = self._outliers.distance(values)
        return self._outliers.reason(distance) if distance > self._outliers.limit else ""

    def _choose(self, probabilities: Floats) -> tuple[str | None, str]:
        best = int(probabilities.argmax())
        needed = self.config.abstain_below
        if probabilities[best] < needed:
            promise = self.config.promised_error
            why = f" for at most {promise:.0%} errors" if promise else ""
            return None, f"not sure enough: {probabilities[best]:.2f} of {needed:.2f} needed{why}"
        return self.classes[best], ""


def _outliers(arrays: Mapping[str, NDArray[Any]]) -> Outliers | None:
    from .outliers import Outliers

    learnt = {
        name.removeprefix(OUTLIERS): array
        for name, array in arrays.items()
        if name.startswith(OUTLIERS)
    }
    return Outliers.from_arrays(learnt) if learnt else None


def _head(classes: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> PrototypeHead | None:
    if not any(name.startswith(PREFIX) for name in arrays):
        return None
    return PrototypeHead.from_arrays(classes, arrays)


def recalibrated(
    arrays: Mapping[str, Floats], classes: tuple[str, ...], slope: float, offsets: Floats
) -> dict[str, Floats]:
    """The same weights with other odds, and the head that goes with them, if there is one.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        `LinearAdapter.to_arrays`; its temperature does not count.
    classes : tuple of str
        In the order of the rows.
    slope : float
        Logarithms of odds are ``slope * scores + offsets``; positive.
    offsets : ndarray, shape (n_classes,)
        Likewise. In a head they move what is expected, not the prototypes.

    Returns
    -------
    arrays : dict of str to ndarray
        For `LinearAdapter.from_arrays`.
    """
    new = {
        **arrays,
        "bias": arrays["bias"] + offsets / slope,
        "temperature": np.array([1 / slope]),
    }
    if (head := _head(classes, arrays)) is not None:
        log_priors = head.log_priors + offsets / slope
        new |= replace(head, log_priors=log_priors, temperature=1 / slope).to_arrays()
    return new
