"""Linear bandit: each action's gain is linear in the context, and doubt counts in its favour.

References
----------
- Li, Chu, Langford, Schapire. A contextual-bandit approach to personalized news article
  recommendation. WWW, 2010.
- Russac, Vernade, Cappe. Weighted linear bandits for non-stationary environments. NeurIPS,
  2019.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...runtime.prototype_head import Floats


class Policy(Protocol):
    """Learns what actions gain, and says how sure it is."""

    def bounds(self, context: Floats) -> tuple[Floats, Floats]:
        """Expected gain of each action, and how far the truth may be from it."""

    def learn(self, context: Floats, action: int, gain: float) -> None:
        """An action was taken there, and this came of it."""


class LinUCB:
    """Ridge regression for each action, apart from the others.

    Parameters
    ----------
    n_actions, n_features : int
        Of the choice and of its context.
    ridge : float
        Pulls coefficients to zero.
    width : float
        Standard errors by which an action may be better than expected, in units of the noise.
    forgetting : float
        What a step leaves of all that was learnt before; 1 forgets nothing.
    """

    def __init__(
        self, n_actions: int, n_features: int, ridge: float, width: float, forgetting: float = 1.0
    ) -> None:
        self._ridge, self._width, self._forgetting = ridge, width, forgetting
        self._covariances = np.zeros((n_actions, n_features, n_features))
        self._sums = np.zeros((n_actions, n_features))
        self._identity = ridge * np.eye(n_features)

    def bounds(self, context: Floats) -> tuple[Floats, Floats]:
        """Expected gain of each action, and how far the truth may be from it.

        Parameters
        ----------
        context : ndarray, shape (n_features,)
            What is known before the choice.

        Returns
        -------
        means, widths : ndarray, shape (n_actions,)
            Add them for the upper bound, subtract for the lower.
        """
        solved = np.linalg.solve(
            self._covariances + self._identity,
            np.broadcast_to(context[:, None], (len(self._sums), len(context), 1)),
        )[:, :, 0]
        means: Floats = (solved * self._sums).sum(axis=1)
        return means, self._width * np.sqrt(np.maximum(solved @ context, 0.0))

    def learn(self, context: Floats, action: int, gain: float) -> None:
        """An action was taken there, and this came of it."""
        self._covariances[action] *= self._forgetting
        self._sums[action] *= self._forgetting
        self._covariances[action] += np.outer(context, context)
        self._sums[action] += gain * context
