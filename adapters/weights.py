"""Linear classifiers before calibration, and the mean of several as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.prototype_head import PrototypeHead
from .linear import Floats, LinearAdapter, LinearConfig
from .outliers import Outliers

if TYPE_CHECKING:
    from .cross_validation import FitConfig


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
    head : PrototypeHead, optional
        What they were made from, if they can be adapted; its temperature is 1.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    head: PrototypeHead | None = None

    @classmethod
    def of(cls, head: PrototypeHead) -> Self:
        """Those that serve a head of temperature 1."""
        linear = head.linear()
        linear.pop("temperature")
        return cls(head=head, **linear)

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
            head=replace(self.head, temperature=temperature) if self.head else None,
        )


def mean_of(fits: Sequence[Weights], readings: Sequence[Reading]) -> Weights:
    """One classifier on the features of all parts, one part after the other.

    Parameters
    ----------
    fits : sequence of Weights
        Of every part, on features of its own.
    readings : sequence of Reading
        Of every part, with its temperature.

    Returns
    -------
    weights : Weights
        Whose scores are the mean of the parts', each divided by its temperature. If all parts have
        heads, so has it.
    """
    shares = [1 / (len(fits) * reading.temperature) for reading in readings]
    heads = [each.head for each in fits if each.head is not None]
    if len(heads) == len(fits):
        return Weights.of(_mean_head(heads, shares))
    pairs = list(zip(fits, shares, strict=True))
    return Weights(
        mean=np.concatenate([each.mean for each in fits]),
        scale=np.concatenate([each.scale for each in fits]),
        weights=np.concatenate([share * each.weights for each, share in pairs], axis=1),
        bias=np.sum([share * each.bias for each, share in pairs], axis=0),
    )


def _mean_head(heads: Sequence[PrototypeHead], shares: Sequence[float]) -> PrototypeHead:
    """Spaces side by side: a share of a score is the root of it in each factor of the product."""
    roots = [math.sqrt(share) for share in shares]
    pairs = list(zip(heads, roots, strict=True))
    stops = np.cumsum([each.basis.shape for each in heads], axis=0)
    basis = np.zeros(stops[-1])
    for (head, root), (row, column) in zip(pairs, stops, strict=True):
        n_features, n_directions = head.basis.shape
        basis[row - n_features : row, column - n_directions : column] = root * head.basis
    return PrototypeHead(
        classes=heads[0].classes,
        mean=np.concatenate([each.mean for each in heads]),
        scale=np.concatenate([each.scale for each in heads]),
        basis=basis,
        centre=np.concatenate([root * each.centre for each, root in pairs]),
        prototypes=np.concatenate([root * each.prototypes for each, root in pairs], axis=1),
        log_priors=np.sum([root**2 * each.log_priors for each, root in pairs], axis=0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the features of one part are read.

    Parameters
    ----------
    cost : float or None
        Inverse strength of the penalty; None for a classifier without.
    temperature : float
        What its scores are divided by before the parts are averaged; 1 where there is one part.
    """

    cost: float | None = None
    temperature: float = 1.0


def fit_classifier(
    features: Floats, labels: NDArray[np.str_], cost: float | None, *, equal: bool
) -> tuple[Floats, Floats]:
    """Weights and bias from standardised features.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
        Standardised.
    labels : ndarray of str, shape (n_windows,)
        Class of each window.
    cost : float or None
        Of logistic regression; None for a linear discriminant with shrinkage.
    equal : bool
        Whether classes weigh the same however many windows each has.

    Returns
    -------
    weights : ndarray, shape (n_classes, n_features) or (1, n_features)
        See `LinearAdapter`.
    bias : ndarray, shape (n_classes,) or (1,)
        Likewise.
    """
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
