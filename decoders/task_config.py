"""What task distillation is given, what can be chosen about it, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..runtime.errors import ConfigError
from .augment_config import AugmentConfig
from .corpus import Batch
from .student import Heard, Student

Floats = NDArray[np.float64]

_MILD = AugmentConfig(
    gain_recording=1.3,
    gain_channel=1.1,
    drop_probability=0.5,
    drop_most=0.3,
    reference_probability=0.0,
    line_probability=0.0,
    noise_probability=0.2,
    noise_most=0.2,
    forget_positions=0.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """What can be chosen about fine-tuning for a task.

    Parameters
    ----------
    pooling : {"mean", "hops"}
        Features of a window: its hops' embeddings averaged, or all of them one after the other,
        for responses whose time matters (P300).
    epochs : int
        Most passes over the windows; 0 fits the head alone.
    batch : int
        Windows of a step.
    limit_s : float
        No epoch begins after so many seconds.
    head_rate, body_rate : float
        Highest learning rate of the linear head and of the student.
    weight_decay : float
        Decoupled, on matrices.
    temperature : float
        Logits of both are divided by it before they are compared; in [1, 10].
    kl_weight : float
        Weight of the teacher's word against the labels', in [0, 1]; 0 where there is no teacher.
    label_smoothing : float
        In [0, 0.5].
    inner_share : float
        Share of the groups of each class on which training is stopped early; in [0.05, 0.5].
    patience : int
        Epochs without a better inner loss before it stops.
    refit : bool
        Train again on all windows, for as many epochs as were best.
    head_start : {"probe", "zero", "noise"}
        Fit the head on the frozen student first; start from nothing; or let it see noise with
        random labels first, which brings its confidence down to chance [1]_.
    noise_steps : int
        Steps of the last.
    augment : AugmentConfig
        How windows are spoilt in training.
    seed : int
        Decides split, order and augmentation.

    References
    ----------
    .. [1] Cheon, Paik. Pretraining with random noise for uncertainty calibration. 2024.
    """

    pooling: str = "mean"
    epochs: int = 20
    batch: int = 32
    limit_s: float = 300.0
    head_rate: float = 1e-3
    body_rate: float = 1e-4
    weight_decay: float = 0.01
    temperature: float = 3.0
    kl_weight: float = 0.5
    label_smoothing: float = 0.1
    inner_share: float = 0.25
    patience: int = 4
    refit: bool = True
    head_start: str = "probe"
    noise_steps: int = 50
    augment: AugmentConfig = field(default_factory=lambda: _MILD)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("pooling", ("mean", "hops")),
            ("head_start", ("probe", "zero", "noise")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name)!r}: leave it "
                    f"out for the default."
                )

    @classmethod
    def scratch(cls, **chosen: Any) -> Self:
        """For a student that knows nothing yet: higher rate, more epochs, no teacher."""
        usual = {"body_rate": 1e-3, "epochs": 60, "patience": 10, "head_start": "zero"}
        return cls(**{**usual, "kl_weight": 0.0, **chosen})


_RANGES = (
    ("epochs", 0, 10_000),
    ("batch", 1, 100_000),
    ("limit_s", 0.0, 1e6),
    ("head_rate", 0.0, 1.0),
    ("body_rate", 0.0, 1.0),
    ("weight_decay", 0.0, 10.0),
    ("temperature", 1.0, 10.0),
    ("kl_weight", 0.0, 1.0),
    ("label_smoothing", 0.0, 0.5),
    ("inner_share", 0.05, 0.5),
    ("patience", 1, 10_000),
    ("noise_steps", 0, 100_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledWindows:
    """Windows of one montage, with what was intended.

    Parameters
    ----------
    x : ndarray, shape (n, n_channels, n_times)
        Microvolts at 500 Hz, finite. Samples that do not fill a hop are left out at the start.
    y : ndarray, shape (n,)
        Class of each, of any type that sorts.
    groups : ndarray, shape (n,)
        Trial of each: windows of a trial are never on both sides of a split.
    positions_mm : ndarray, shape (n_channels, 3), optional
        NaN where unknown.
    modality : int
        0 EEG, 1 iEEG.

    Raises
    ------
    ConfigError
        If the shapes do not fit or a sample is not finite.
    """

    x: NDArray[np.floating]
    y: NDArray[Any]
    groups: NDArray[Any]
    positions_mm: NDArray[np.floating] | None = None
    modality: int = 0

    def __post_init__(self) -> None:
        n = len(self.x)
        if self.x.ndim != 3 or n == 0 or len(self.y) != n or len(self.groups) != n:
            raise ConfigError(
                f"Windows must be (n, n_channels, n_times) with a class and a group each, got "
                f"{self.x.shape}, {len(self.y)} classes and {len(self.groups)} groups: cut them "
                f"again."
            )
        if not np.isfinite(self.x).all():
            raise ConfigError("Windows hold NaN or infinity: leave those trials out.")
        if self.modality not in (0, 1):
            raise ConfigError(f"modality must be 0 (EEG) or 1 (iEEG), got {self.modality!r}.")
        if self.positions_mm is not None and self.positions_mm.shape != (self.x.shape[1], 3):
            raise ConfigError(
                f"positions_mm must be ({self.x.shape[1]}, 3), got {self.positions_mm.shape}: give "
                f"one row for each channel, NaN where unknown."
            )

    def batch(self, which: NDArray[np.intp], hop: int) -> Batch:
        """Some of the windows as tensors, whole hops of them."""
        n_channels, n_times = self.x.shape[1:]
        if n_times < hop:
            raise ConfigError(f"A window must hold {hop} samples, got {n_times}: cut longer ones.")
        x = torch.from_numpy(self.x[which, :, n_times % hop :].astype(np.float32))
        places = (
            np.full((n_channels, 3), np.nan) if self.positions_mm is None else self.positions_mm
        )
        positions = torch.from_numpy(places.astype(np.float32)).expand(len(which), -1, -1)
        return Batch(
            x=x,
            positions=positions,
            modality=torch.full((len(which),), self.modality),
            subtypes=torch.full((len(which), n_channels), -1),
            usable=torch.ones(len(which), n_channels, dtype=torch.bool),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStudent:
    """A student and the linear head that reads it.

    Parameters
    ----------
    student : Student
        In eval mode.
    weights : ndarray, shape (n_classes, n_features)
        Of the head.
    bias : ndarray, shape (n_classes,)
        Of the head.
    classes : ndarray, shape (n_classes,)
        What the rows stand for.
    pooling : str
        As in `TaskPlan`.
    inner_losses : tuple of float
        Cross-entropy on the inner split before training and after each epoch.
    best_epoch : int
        How many epochs the weights have seen.
    """

    student: Student
    weights: Floats
    bias: Floats
    classes: NDArray[Any]
    pooling: str
    inner_losses: tuple[float, ...]
    best_epoch: int

    def logits(self, windows: LabelledWindows) -> Floats:
        """Logits of windows, shape (n, n_classes); the labels are not looked at."""
        features = encode(self.student, windows, self.pooling).double().numpy()
        found: Floats = features @ self.weights.T + self.bias
        return found


def pool(heard: Heard, pooling: str) -> Tensor:
    """Embeddings of n windows' hops to features, shape (n, n_features)."""
    hops = heard.embedding
    return hops.mean(dim=1) if pooling == "mean" else hops.flatten(1)


def features_of(student: Student, batch: Batch, pooling: str) -> Tensor:
    """Features of a batch, shape (n, n_features), with gradient."""
    return pool(student(batch.x, batch.usable, batch.positions, batch.modality), pooling)


@torch.no_grad()
def encode(student: Student, windows: LabelledWindows, pooling: str, n: int = 32) -> Tensor:
    """Features of windows by a frozen student, shape (n_windows, n_features), float32.

    Parameters
    ----------
    student : Student
        Not changed.
    windows : LabelledWindows
        The labels are not looked at.
    pooling : {"mean", "hops"}
        As in `TaskPlan`.
    n : int
        Windows at a time.
    """
    hop, parts = student.config.hop, []
    for first in range(0, len(windows.x), n):
        which = np.arange(first, min(first + n, len(windows.x)))
        parts.append(features_of(student, windows.batch(which, hop), pooling))
    return torch.cat(parts)
