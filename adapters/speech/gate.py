"""The attempt gate: is somebody trying to speak? Nothing is decoded while nobody is.

A logistic regression on the frames of a hop, opened and closed at different levels and held open
through the pauses between words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError, ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """What can be chosen about `AttemptGate`.

    Parameters
    ----------
    open_at, close_at : float
        Probability of an attempt at which the gate opens, and below which it begins to close;
        0 <= close_at <= open_at <= 1.
    open_hops : int
        Hops in a row that it takes to open, 1 to 20.
    hang_over_hops : int
        Hops in a row below `close_at` that it takes to close, 1 to 200: longer than a pause
        between words.
    lookback_hops : int
        Hops before the one that opened it that belong to the attempt too, 0 to 20.
    """

    open_at: float = 0.8
    close_at: float = 0.4
    open_hops: int = 1
    hang_over_hops: int = 5
    lookback_hops: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.close_at <= self.open_at <= 1:
            raise ConfigError(
                f"gate.close_at and gate.open_at must be 0 <= close_at <= open_at <= 1, got "
                f"{self.close_at} and {self.open_at}."
            )
        for name, low, high in (
            ("open_hops", 1, 20),
            ("hang_over_hops", 1, 200),
            ("lookback_hops", 0, 20),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"gate.{name} must be in {low} to {high}, got {value}.")


class AttemptGate:
    """Open while somebody attempts to speak.

    Parameters
    ----------
    config : GateConfig
        Levels and times.
    weights : ndarray, shape (n_features,)
        Of the features of a hop.
    bias : float
        Added to the weighted sum.
    """

    def __init__(self, config: GateConfig, weights: Floats, bias: float) -> None:
        if weights.ndim != 1:
            raise BundleError(
                f"The gate's weights have one axis, got shape {weights.shape}: fit the model again."
            )
        self.config, self.weights, self.bias = config, weights, bias
        self.restart()

    def restart(self) -> None:
        """Closed, with no memory."""
        self.open = False
        self._hops = 0

    def probability(self, values: Floats) -> float:
        """How probable an attempt is in this hop alone."""
        score = float(values @ self.weights) + self.bias
        return float(0.5 + 0.5 * np.tanh(0.5 * score))

    def advance(self, values: Floats) -> bool:
        """Take in a hop.

        Parameters
        ----------
        values : ndarray, shape (n_features,)
            Its frames, finite.

        Returns
        -------
        open : bool
            Whether the attempt goes on.
        """
        probability, config = self.probability(values), self.config
        against = probability < config.close_at if self.open else probability >= config.open_at
        self._hops = self._hops + 1 if against else 0
        if self._hops >= (config.hang_over_hops if self.open else config.open_hops):
            self.open, self._hops = not self.open, 0
        return self.open
