"""Many heads of one space asked about one trial at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead, softmax
from ..trial import Trial


class HeadStack:
    """The same answers as `Trial.posterior` of each head, for the price of about one.

    Parameters
    ----------
    heads : sequence of PrototypeHead
        Same classes, mean, scale and basis; centre, prototypes and temperature may differ.
    """

    def __init__(self, heads: Sequence[PrototypeHead]) -> None:
        self._space = heads[0]
        self._prototypes = np.stack([head.prototypes for head in heads])
        self._temperatures = np.array([head.temperature for head in heads])
        centres = np.stack([head.centre - self._space.centre for head in heads])
        squares = 0.5 * (self._prototypes**2).sum(axis=2)
        self._offsets = squares + np.einsum("hkd,hd->hk", self._prototypes, centres)

    def posteriors(self, trial: Trial) -> Floats:
        """How probable each option is to each head, shape (n_heads, n_options)."""
        points = self._space.project(trial.features)
        scores = np.matmul(self._prototypes, points.T) - self._offsets[:, :, None]
        picked = scores[:, trial.under, np.arange(len(points))].sum(axis=2)
        prior = np.log(np.maximum(trial.prior, 1e-12))
        return softmax(picked / self._temperatures[:, None] + prior)
