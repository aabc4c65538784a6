"""Experience replay: stored trials are read again with every head that they led to.

A trial that was taken for the wrong class when it came may be taken for the right one after the
prototypes have moved; what was said of it counts each time. This is expectation maximisation over a
sliding, fading store [1]_ [2]_.

References
----------
.. [1] Dempster, Laird, Rubin. Maximum likelihood from incomplete data via the EM algorithm.
   J. Royal Statistical Society B, 1977.
.. [2] Lin. Self-improving reactive agents based on reinforcement learning, planning and teaching.
   Machine Learning, 1992.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.prototype_head import Floats
from .memory import Layout
from .shrinkage import class_means, shrunk
from .soft_labels import soft_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How stored trials move prototypes.

    Parameters
    ----------
    own, common : float
        Windows that it takes to move a class, or all, half of the way.
    lapse : float
        Share of trials in which the signal has nothing to do with what was meant.
    least_confidence : float
        A trial that is less sure than this moves nothing.
    most_share : float
        A class's windows count for no more than this many times the mean of all classes.
    rounds : int
        How often the trials are read again.
    """

    own: float
    common: float
    lapse: float
    least_confidence: float
    most_share: float
    even: float
    rounds: int


def faded(layout: Layout, half_life: float) -> Floats:
    """What each trial is worth by its age and its signal, shape (n_trials,).

    Windows of one trial overlap or follow each other closely: n of them count as their root.
    """
    age = np.arange(len(layout.n_windows))[::-1]
    worth: Floats = 0.5 ** (age / half_life) * layout.quality / np.sqrt(layout.n_windows)
    return worth


def replay(
    layout: Layout,
    worth: Floats,
    prototypes: Floats,
    anchor: Floats,
    temperature: float,
    rule: Rule,
) -> Floats:
    """Prototypes after the trials were read again.

    Parameters
    ----------
    layout : Layout
        Trials with their rewards.
    worth : ndarray, shape (n_trials,)
        Weight of each window of a trial.
    prototypes : ndarray, shape (n_classes, n_directions)
        To begin with.
    anchor : ndarray, shape (n_classes, n_directions)
        What the prior holds them to.
    temperature : float
        Of the head.
    rule : Rule
        How.

    Returns
    -------
    prototypes : ndarray, shape (n_classes, n_directions)
        Moved.
    """
    # Where one class dominates, its outskirts would otherwise be taken for the others.
    frequent = np.ones(len(prototypes))
    for _ in range(rule.rounds):
        labels = soft_labels(layout, prototypes, temperature, rule.lapse, frequent)
        sure = worth * (labels.confidence >= rule.least_confidence)
        shares = labels.shares * np.repeat(sure, layout.n_windows)[:, None]
        counts, means = class_means(shares, layout.points)
        frequent = (counts + rule.even) / (counts + rule.even).mean()
        counts = np.minimum(counts, rule.most_share * counts.mean())
        prototypes = shrunk(anchor, counts, means, own=rule.own, common=rule.common)
    return prototypes
