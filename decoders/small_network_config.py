"""What can be chosen about a small convolutional network; no torch, so that a card can be read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNetworkConfig:
    """What can be chosen about `SmallNetwork`.

    Parameters
    ----------
    rate_hz : float
        Rate of the conditioned stream.
    kind : str
        ``"power"`` squares and takes the logarithm of the window's mean, for rhythms [1]_;
        ``"wave"`` keeps the course of time, for responses [2]_.
    n_maps : int
        Spatial filters, each with a temporal kernel of its own.
    kernel_s : float
        Length of a temporal kernel.
    top_hz : float
        Kernels start as waves from 2 Hz up to here.
    steps, batch : int
        Steps of the training, and windows of a step.
    limit_s : float
        No step begins after so many seconds.
    learning_rate, weight_decay, dropout : float
        Of the training.
    seed : int
        Decides first weights, order and dropout.

    References
    ----------
    .. [1] Schirrmeister et al. Deep learning with convolutional neural networks for EEG decoding
       and visualization. Human Brain Mapping, 2017.
    .. [2] Lawhern et al. EEGNet: a compact convolutional neural network for EEG-based
       brain-computer interfaces. J. Neural Eng., 2018.
    """

    rate_hz: float
    kind: str = "power"
    n_maps: int = 16
    kernel_s: float = 0.25
    top_hz: float = 30.0
    steps: int = 250
    batch: int = 32
    limit_s: float = 30.0
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz < math.inf:
            raise ConfigError(
                f"rate_hz must be positive, got {self.rate_hz} Hz: give the conditioned stream's."
            )
        if self.kind not in ("power", "wave"):
            raise ConfigError(f'kind must be "power" or "wave", got {self.kind!r}: choose one.')
        for name in ("n_maps", "steps", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, got {getattr(self, name)}: raise it."
                )
        for name in ("kernel_s", "top_hz", "limit_s", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}: raise it.")
        if not 0 <= self.dropout < 1 or not 0 <= self.weight_decay < math.inf:
            raise ConfigError(
                f"dropout must be in [0, 1) and weight_decay at least 0, got {self.dropout} and "
                f"{self.weight_decay}: leave them out for the default."
            )

    @property
    def n_taps(self) -> int:
        """Samples of a temporal kernel."""
        return max(2, round(self.kernel_s * self.rate_hz))
