"""How far signals lie from where a head expects them, found without anybody's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import Trial


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """Where the windows of one trial lie, seen from the prototypes of a head.

    Parameters
    ----------
    sums : ndarray, shape (n_classes, n_directions)
        Mean over windows of the distance from each prototype, weighted by how much of the window
        belongs to the class.
    weights : ndarray, shape (n_classes,)
        Mean over windows of those weights; sums to 1.
    """

    sums: Floats
    weights: Floats


def residual(head: PrototypeHead, trial: Trial, posterior: Floats) -> Residual:
    """Where a trial's windows lie from a head's prototypes.

    Parameters
    ----------
    head : PrototypeHead
        The one that is looked from.
    trial : Trial
        Its windows.
    posterior : ndarray, shape (n_options,)
        What that head makes of the trial.

    Returns
    -------
    residual : Residual
        Its expectation is zero in every class if the signal is as the head believes: it is the
        gradient of the likelihood with respect to the prototypes.
    """
    shares = trial.shares(posterior, len(head.classes))
    weights = shares.mean(axis=0)
    projected = head.project(trial.features)
    sums = shares.T @ projected / len(projected) - weights[:, None] * head.prototypes
    return Residual(sums, weights)


def drift_index(residuals: Sequence[Residual]) -> float:
    """Mean squared distance of classes from their prototypes, with the noise taken out.

    The mean of the even and of the odd trials are multiplied instead of one being squared, so that
    noise averages out and no drift gives 0 [1]_. The use of a label-free distance from calibration
    as the measure of drift follows [2]_.

    Parameters
    ----------
    residuals : sequence of Residual
        In the order of the trials; each may be of another head, the one that served then.

    Returns
    -------
    index : float
        In squared standard deviations within classes; 0 of fewer than four trials.

    References
    ----------
    .. [1] Walther et al. Reliability of dissimilarity measures for multi-voxel pattern analysis.
       NeuroImage, 2016.
    .. [2] Pun et al. Measuring instability in chronic human intracortical neural recordings.
       Communications Biology, 2024.
    """
    if len(residuals) < 4:
        return 0.0
    sums = np.stack([one.sums for one in residuals])
    weights = np.stack([one.weights for one in residuals])
    halves = []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        # One trial's worth of no drift: a class that was hardly seen has hardly drifted.
        halves.append(sums[half].sum(axis=0) / (weights[half].sum(axis=0) + 1)[:, None])
    products = np.einsum("kd,kd->k", *halves)
    return float(max(0.0, products @ weights.mean(axis=0)))
