"""Temperature, and slope with offset: make a probability of 0.8 right eight times in ten.

The temperature divides the scores before the softmax [1]_. It is fitted on trials that were held
out, against targets softened by one imagined trial of another class [2]_: a few trials without
a single error must not make an adapter certain.

References
----------
.. [1] Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML, 2017.
.. [2] Platt. Probabilistic outputs for support vector machines. Advances in Large Margin
   Classifiers, 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..runtime.prototype_head import softmax as plain_softmax
from .linear import Floats

# A discriminant of hundreds of features on a few dozen trials is too sure by factors beyond 50.
_LOWEST, _HIGHEST = 0.05, 5000.0


def fit_temperature(scores: Floats, targets: NDArray[np.integer]) -> float:
    """Temperature under which held-out trials are most probable.

    Parameters
    ----------
    scores : ndarray, shape (n_trials, n_classes)
        Scores of trials that were not fitted on, before the softmax.
    targets : ndarray of int, shape (n_trials,)
        Row of each trial's true class.

    Returns
    -------
    temperature : float
        In [0.05, 5000]. Above 1 where the scores were too sure of themselves.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: log_loss(scores, targets, float(np.exp(log_t))),
        bounds=(np.log(_LOWEST), np.log(_HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def platt(margins: Floats, real: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset that make calibrated log odds of margins, targets softened as Platt did.

    A temperature alone would pull doubtful windows towards one half; with an offset they end at
    the share of the class.

    Parameters
    ----------
    margins : ndarray, shape (n_trials,)
        Scores for a class less scores against it, by weights that had not seen the trial.
    real : ndarray of bool, shape (n_trials,)
        Whether it was that class.

    Returns
    -------
    slope, offset : float
        Log odds are ``slope * margin + offset``. The slope is positive, and next to nothing where
        margins say nothing, or the opposite: that may be chance, and must not be acted on.
    """
    from scipy.optimize import minimize

    scale = float(margins.std()) or 1.0
    standard, soft = margins / scale, soften(real.astype(np.intp), 2)[:, 1]

    def loss(free: Floats) -> tuple[float, Floats]:
        odds = free[0] * standard + free[1]
        wrong = 1 / (1 + np.exp(-odds)) - soft
        value = np.logaddexp(0, odds).mean() - (soft * odds).mean()
        return float(value), np.array([(wrong * standard).mean(), wrong.mean()])

    start = np.array([1.0, np.log((real.sum() + 1) / ((~real).sum() + 1))])
    found = minimize(loss, start, jac=True, bounds=[(1e-3, None), (None, None)]).x
    return float(found[0]) / scale, float(found[1])


def log_loss(scores: Floats, targets: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Mean negative log-probability of softened targets.

    Parameters
    ----------
    scores : ndarray, shape (n_trials, n_classes)
        Scores before the softmax.
    targets : ndarray of int, shape (n_trials,)
        Row of each trial's true class.
    temperature : float
        Scores are divided by it, positive.

    Returns
    -------
    loss : float
        In nats, at least 0.
    """
    return float(trial_losses(scores, targets, temperature).mean())


def trial_losses(scores: Floats, targets: NDArray[np.integer], temperature: float = 1.0) -> Floats:
    """Negative log-probability of each trial's softened target.

    Parameters
    ----------
    scores, targets, temperature
        As for `log_loss`.

    Returns
    -------
    losses : ndarray, shape (n_trials,)
        In nats, at least 0.
    """
    cold = scores / temperature
    cold -= cold.max(axis=1, keepdims=True)
    log_probabilities = cold - np.log(np.exp(cold).sum(axis=1, keepdims=True))
    losses: Floats = -(soften(targets, scores.shape[1]) * log_probabilities).sum(axis=1)
    return losses


def soften(targets: NDArray[np.integer], n_classes: int) -> Floats:
    """Targets with one imagined trial of some other class among each class's own.

    Parameters
    ----------
    targets : ndarray of int, shape (n_trials,)
        Row of each trial's true class.
    n_classes : int
        How many classes there are.

    Returns
    -------
    soft : ndarray, shape (n_trials, n_classes)
        Rows sum to 1: a class with n trials has (n + 1) / (n + 2) in its own column, the others
        share the rest. One of *every* other class would keep a calibration of eight trials from
        four classes below 0.75, however well it went.
    """
    count = np.bincount(targets, minlength=n_classes)[targets]
    shares = 1 / ((count + 2) * max(1, n_classes - 1))
    soft: Floats = np.repeat(shares, n_classes).reshape(-1, n_classes)
    soft[np.arange(len(targets)), targets] = (count + 1) / (count + 2)
    return soft


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities along the last axis, sharper below a temperature of 1, flatter above.

    Parameters
    ----------
    scores : ndarray, shape (..., n_classes)
        Finite.
    temperature : float
        Scores are divided by it, positive.

    Returns
    -------
    probabilities : ndarray, shape (..., n_classes)
        Sum to 1 along the last axis.
    """
    return plain_softmax(np.asarray(scores, dtype=np.float64) / temperature)
