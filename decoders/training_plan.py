"""What can be chosen about a training run, and what a run says when it is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..runtime.errors import ConfigError

# What a run may change when it goes on: none of it changes the weights that come out.
_WITHOUT_EFFECT = (
    "out", "save_every_s", "log_every", "validate_every", "read_ahead", "tensorboard", "device",
    "sharding", "accumulate", "shard_bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """Settings of one training run.

    Parameters
    ----------
    out : Path
        Folder of the run: checkpoints and logs. The same folder again goes on where it stopped.
    steps : int
        Updates of the weights in all.
    batch : int
        Samples that one process works on at a time.
    accumulate : int
        Batches of one process whose gradients are added up before an update; an update has seen
        ``batch * accumulate * processes`` samples.
    learning_rate : float
        Highest learning rate; a parameter group multiplies it with its own factor.
    weight_decay : float
        Decoupled weight decay; a parameter group multiplies it with its own factor.
    betas : tuple of float
        Decay of AdamW's two running means.
    warmup : float
        Share of the steps over which the learning rate rises from nothing, in [0, 1).
    floor : float
        Learning rate at the end, as a share of the highest; in between it follows a cosine.
    clip_norm : float
        Longest gradient, over all parameters; a longer one is shortened.
    seed : int
        Decides every draw.
    precision : {"fp32", "bf16"}
        ``"bf16"`` computes in bfloat16 where that is safe (autocast) and keeps the weights in
        float32.
    sharding : {"ddp", "fsdp"}
        With several processes: each holds the whole model, or each holds a part (FSDP2).
    device : {"auto", "cpu", "cuda"}
        ``"auto"`` takes a GPU if there is one.
    save_every_s : float
        Seconds between two checkpoints; 0 saves after every step.
    log_every, validate_every : int
        Steps between two rows of the log, and between two validations.
    read_ahead : int
        Threads that draw the next batches meanwhile; 0 draws when a batch is needed.
    tensorboard : bool
        Write TensorBoard files too, where it is installed; the CSV log is always written.
    shard_bytes : int
        Largest file of a checkpoint.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    out: Path
    steps: int
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: float = 0.05
    floor: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    precision: str = "fp32"
    sharding: str = "ddp"
    device: str = "auto"
    save_every_s: float = 300.0
    log_every: int = 10
    validate_every: int = 200
    read_ahead: int = 0
    tensorboard: bool = True
    shard_bytes: int = 1 << 32

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "log_every", "validate_every", "shard_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be a positive number, got {value}.")
        for name in ("weight_decay", "save_every_s", "seed", "read_ahead"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be 0 or more, got {value}.")
        if not 0 <= self.warmup < 1 or not 0 <= self.floor <= 1:
            raise ConfigError(
                f"warmup must be in [0, 1) and floor in [0, 1], got {self.warmup} and {self.floor}."
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be two numbers in [0, 1), got {self.betas}.")
        for name, allowed in (
            ("precision", ("fp32", "bf16")),
            ("sharding", ("ddp", "fsdp")),
            ("device", ("auto", "cpu", "cuda")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, as a share of the highest.

        Parameters
        ----------
        step : int
            Step number, from 0.

        Returns
        -------
        share : float
            In (0, 1]: a straight rise, then a cosine down to ``floor``.
        """
        n_warm = round(self.warmup * self.steps)
        if step < n_warm:
            return (step + 1) / (n_warm + 1)
        done = (step - n_warm) / max(1, self.steps - 1 - n_warm)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def shaping(self, n_processes: int) -> dict[str, Any]:
        """Get the settings that decide which weights come out.

        Parameters
        ----------
        n_processes : int
            Processes that share the work.

        Returns
        -------
        settings : dict
            A run can go on only under the same ones. The number of processes may change as long
            as ``processes * accumulate`` does not.
        """
        settings = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _WITHOUT_EFFECT
        }
        settings["betas"] = list(self.betas)
        settings["batches_per_step"] = n_processes * self.accumulate
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a finished run has to say.

    Parameters
    ----------
    steps : int
        Updates made, over all parts of the run.
    resumed_from : int
        Step at which this part of the run began; 0 for a run in one piece.
    seconds : float
        Time spent, over all parts of the run.
    loss : float
        Mean loss over the last rows of the log; NaN if this part made no step.
    validation : mapping of str to float
        What the last validation returned; empty without one.
    checkpoint : Path
        Folder with weights and optimiser after the last step.
    """

    steps: int
    resumed_from: int
    seconds: float
    loss: float
    validation: Mapping[str, float]
    checkpoint: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay.

    Parameters
    ----------
    names : tuple of str
        Names as `torch.nn.Module.named_parameters` gives them.
    learning_rate : float
        Factor on the plan's learning rate.
    weight_decay : float
        Factor on the plan's weight decay.
    """

    names: tuple[str, ...]
    learning_rate: float = 1.0
    weight_decay: float = 1.0
