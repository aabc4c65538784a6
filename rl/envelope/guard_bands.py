"""What nobody may learn from: bad signal, signal from nowhere, and a detector that hesitates."""

from __future__ import annotations

import numpy as np

from ...runtime.prototype_head import PrototypeHead
from ..trial import UNKNOWN, Reward, Trial
from .config import EnvelopeConfig


def teaches_nothing(trial: Trial, head: PrototypeHead, config: EnvelopeConfig) -> str:
    """Why a trial is kept from learners and from the evidence; empty if it is not.

    Parameters
    ----------
    trial : Trial
        As it came.
    head : PrototypeHead
        What serves.
    config : EnvelopeConfig
        Its limits.

    Returns
    -------
    why : str
        A clause for a person.
    """
    features = trial.features
    if features.ndim != 2 or features.shape[1] != len(head.mean):
        return f"its features have the shape {features.shape}"
    if not len(features) or not np.isfinite(features).all():
        return "its features are empty or hold NaN"
    if trial.quality < config.least_quality:
        return f"the signal's quality was {trial.quality:.2f}"
    far = _distance(trial, head)
    if far > config.outlier_factor:
        return f"its windows lie {far:.0f} times further off than noise does"
    return ""


def says_nothing(reward: Reward, config: EnvelopeConfig) -> bool:
    """Whether a reward is too close to a coin's to be counted.

    The confidence of an error detector is what it would give if right and wrong were equally
    probable beforehand, so that the band is one of its log odds.

    Parameters
    ----------
    reward : Reward
        As it came.
    config : EnvelopeConfig
        Its band.

    Returns
    -------
    nothing : bool
        Never of a reward that knows what was meant.
    """
    if reward.meant != UNKNOWN:
        return False
    if not np.isfinite([reward.log_odds, reward.value]).all():
        return True
    error = 1 / (1 + np.exp(np.clip(reward.log_odds, -50, 50)))
    return bool(config.doubtful_from <= error <= config.doubtful_to)


def _distance(trial: Trial, head: PrototypeHead) -> float:
    """Median over windows of the squared distance to the nearest prototype, noise being 1."""
    projected = head.project(trial.features)
    squares = ((projected[:, None] - head.prototypes) ** 2).sum(axis=2).min(axis=1)
    return float(np.median(squares) / projected.shape[1])
