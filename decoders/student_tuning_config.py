"""What can be chosen about tuning a student to a person; no torch, so that a plan can hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..runtime.errors import ConfigError
from .student_encoder import POOLINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentTuningConfig:
    """What can be chosen about tuning.

    Parameters
    ----------
    rank : int
        Of the updates of weights [1]_; 0 leaves the weights as they are.
    pooling : str
        ``"mean"`` over a window's hops, or ``"attention"`` with a learnt query.
    steps, batch : int
        Steps of the training, and windows of a step.
    n_hops : int
        Hops of a window that a step hears, drawn anew each time.
    limit_s : float
        No step begins after so many seconds.
    learning_rate : float
        Highest, of all that is learnt.
    penalty : float
        Half of it times the square of the head's weights is added to the loss of a window.
    dropout : float
        Share of the features that a step does without.
    seed : int
        Decides first updates, order, hops and dropout.

    References
    ----------
    .. [1] Hu et al. LoRA: low-rank adaptation of large language models. ICLR, 2022.
    """

    rank: int = 4
    pooling: str = "mean"
    steps: int = 60
    batch: int = 32
    n_hops: int = 8
    limit_s: float = 30.0
    learning_rate: float = 2e-3
    penalty: float = 0.1
    dropout: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling must be mean or attention, got {self.pooling!r}.")
        if self.rank < 0 or (self.rank == 0 and self.pooling == "mean"):
            raise ConfigError(
                f"rank must be at least 1 where hops are averaged, and 0 or more with attention, "
                f"got {self.rank}: nothing would be learnt."
            )
        for name in ("steps", "batch", "n_hops"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, got {getattr(self, name)}: raise it."
                )
        for name in ("limit_s", "learning_rate", "penalty"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}: raise it.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout}: lower it.")
