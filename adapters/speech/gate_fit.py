"""Fitting the attempt gate: logistic regression with a ridge, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .gate import AttemptGate, GateConfig

Floats = NDArray[np.float64]

_RIDGE = 1.0  # of a standard deviation for each hop's worth of evidence: features are normalised
_STEPS = 25


def fit_gate(
    hops: NDArray[np.floating], attempting: NDArray[np.bool_], config: GateConfig
) -> AttemptGate:
    """Learn to tell attempts from rest.

    Parameters
    ----------
    hops : ndarray, shape (n_hops, n_features)
        Normalised frames.
    attempting : ndarray of bool, shape (n_hops,)
        Whether each hop belongs to an attempt.
    config : GateConfig
        Passed on.

    Returns
    -------
    gate : AttemptGate
        Both kinds count alike, however many there are.

    Raises
    ------
    ConfigError
        If there are no hops of one kind.
    """
    n_speech = int(attempting.sum())
    if not 0 < n_speech < len(attempting):
        raise ConfigError(
            f"The gate needs hops of attempts and of rest, got {n_speech} of {len(attempting)} in "
            f"attempts: record both."
        )
    x = np.column_stack([hops, np.ones(len(hops))]).astype(np.float64)
    share = np.where(attempting, 0.5 / n_speech, 0.5 / (len(hops) - n_speech)) * len(hops)
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[-1] = 1e-6  # the bias is free
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        said = 0.5 + 0.5 * np.tanh(0.5 * (x @ weights))
        slope = x.T @ (share * (said - attempting)) + ridge * weights
        curve = (x * (share * np.maximum(said * (1 - said), 1e-6))[:, None]).T @ x
        step = np.linalg.solve(curve + np.diag(ridge), slope)
        # Newton's step, held back where classes are separable and it would leap.
        weights -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-6:
            break
    return AttemptGate(config, weights[:-1], float(weights[-1]))


def refit_gate(
    gate: AttemptGate, hops: NDArray[np.floating], attempting: NDArray[np.bool_]
) -> AttemptGate:
    """Fit a gate's levels anew on a short block, by Platt's two numbers [1]_.

    Parameters
    ----------
    gate : AttemptGate
        Fitted on more.
    hops : ndarray, shape (n_hops, n_features)
        Normalised frames of the block; a minute with some attempts will do.
    attempting : ndarray of bool, shape (n_hops,)
        Whether each hop belongs to an attempt.

    Returns
    -------
    gate : AttemptGate
        With the same weights up to a factor.

    References
    ----------
    .. [1] Platt. Probabilistic outputs for support vector machines. Advances in large margin
       classifiers, 1999.
    """
    scores = np.asarray(hops, dtype=np.float64) @ gate.weights + gate.bias
    scaled = fit_gate(scores[:, None], attempting, gate.config)
    factor = float(scaled.weights[0])
    return AttemptGate(gate.config, factor * gate.weights, factor * gate.bias + scaled.bias)
