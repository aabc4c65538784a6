"""How much of each window belongs to each class, if somebody may also not have been attending.

With probability `lapse` a window has nothing to do with what was meant. What is said of such a
trial is still true of the decision, and so it is the windows that lose their weight: a window that
looks like the decided class in a trial that was called wrong is more often a lapse than a change
of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.prototype_head import Floats
from .memory import Layout


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftLabels:
    """What the trials are taken for.

    Parameters
    ----------
    shares : ndarray, shape (n_windows, n_classes)
        How much of each window belongs to each class; a row sums to how sure it is that the person
        attended.
    confidence : ndarray, shape (n_trials,)
        Probability of the likeliest option of each trial.
    log_likelihood : ndarray, shape (n_trials,)
        Of windows and rewards together, up to a term that no prototypes change.
    """

    shares: Floats
    confidence: Floats
    log_likelihood: Floats


def soft_labels(
    layout: Layout,
    prototypes: Floats,
    temperature: float,
    lapse: float = 0.0,
    frequent: Floats | None = None,
) -> SoftLabels:
    """Probabilities of options from windows, priors and rewards, for all trials [1]_.

    Parameters
    ----------
    layout : Layout
        Trials.
    prototypes : ndarray, shape (n_classes, n_directions)
        Where the classes are thought to lie.
    temperature : float
        Scores are divided by it.
    lapse : float
        Share of trials in which the signal has nothing to do with what was meant, below 1.
    frequent : ndarray, shape (n_classes,), optional
        How frequent each class is now, above 0. It counts once a trial, as the mean of what its
        windows would be: between letters of a speller it tells nothing apart.

    Returns
    -------
    labels : SoftLabels
        The expectation step.

    References
    ----------
    .. [1] Dempster, Laird, Rubin. Maximum likelihood from incomplete data via the EM algorithm.
       J. Royal Statistical Society B, 1977.
    """
    trial, starts = layout.trial, layout.trial_starts
    squares = np.einsum("kd,kd->k", prototypes, prototypes)
    scores = (layout.points @ prototypes.T - 0.5 * squares) / temperature
    evidence = np.add.reduceat(scores[layout.window, layout.place], layout.row_starts)
    top = np.maximum.reduceat(evidence, starts)
    signal = np.exp(evidence - top[trial])
    total = np.add.reduceat(signal, starts)
    signal /= total[trial]
    n_options = np.bincount(trial)
    prior = layout.prior if frequent is None else layout.prior * _usual(layout, frequent)
    seen = (1 - lapse) * signal + lapse / n_options[trial]
    most = np.maximum.reduceat(layout.bonus, starts)
    joint = seen * prior * np.exp(layout.bonus - most[trial])
    sums = np.maximum(np.add.reduceat(joint, starts), 1e-300)
    options = joint / sums[trial]
    attended = options * (1 - lapse) * signal / np.maximum(seen, 1e-300)
    n_classes = len(prototypes)
    shares: Floats = (
        np.bincount(
            layout.window * n_classes + layout.place,
            weights=attended[layout.row],
            minlength=len(layout.points) * n_classes,
        )
        .astype(np.float64)
        .reshape(-1, n_classes)
    )
    return SoftLabels(
        shares=shares,
        confidence=np.maximum.reduceat(options, starts),
        log_likelihood=np.log(sums) + most + np.log(total) + top,
    )


def _usual(layout: Layout, frequent: Floats) -> Floats:
    """How frequent what each option would make of its windows is, shape (n_rows,)."""
    sums = np.add.reduceat(np.log(frequent)[layout.place], layout.row_starts)
    usual: Floats = np.exp(sums / layout.n_windows[layout.trial])
    return usual
