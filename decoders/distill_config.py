"""What can be chosen about a distillation."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..runtime.errors import ConfigError
from .augment_config import AugmentConfig
from .corpus import RATE_HZ, DrawPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillConfig:
    """What can be chosen about a distillation.

    Parameters
    ----------
    layers : tuple of int
        Teacher blocks, counted from 1, that are mixed by the router; empty for a third, two
        thirds and all of them (4, 8, 12 of 12).
    routed, pooled, within, token, relation, magnitude, phase, level : float
        Weights of the losses, 0 or more; a loss of weight 0 is not computed. ``within`` is the
        pooled output again, about what sets the patches of one recording apart.
    balance : float
        Weight of what keeps the router from using one layer only.
    augment : AugmentConfig
        How the student's input is spoilt.
    max_channels, min_channels : int
        Channels of a segment.
    max_seconds, min_seconds : float
        Length of a segment; whole patches of the teacher are taken.
    average_share : float
        Share of the segments that are re-referenced to the mean of all electrodes, which is how
        a student is usually served, in [0, 1].
    aside : float
        Share of the recordings kept out of training for validation, in [0, 0.5]; 0 validates on
        the training recordings and says so.
    validation_batches : int
        Batches of a validation.
    body_rate : float
        Learning rate of the student as a factor on the plan's.

    Raises
    ------
    ConfigError
        If a value is outside its range.
    """

    layers: tuple[int, ...] = ()
    routed: float = 1.0
    pooled: float = 1.0
    within: float = 1.0
    token: float = 1.0
    relation: float = 0.5
    magnitude: float = 0.3
    phase: float = 0.1
    level: float = 0.5
    balance: float = 0.05
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    max_channels: int = 32
    min_channels: int = 1
    max_seconds: float = 8.0
    min_seconds: float = 2.0
    average_share: float = 0.5
    aside: float = 0.1
    validation_batches: int = 8
    body_rate: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        weights = {name: getattr(self, name) for name in (*_LOSSES, "balance")}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"{name} must be 0 or more, got {weight!r}: 0 turns it off.")
        if not any(weights[name] for name in _LOSSES):
            raise ConfigError("All losses have weight 0, needed is at least one: name one.")
        if not 0 < self.min_seconds <= self.max_seconds:
            raise ConfigError(
                f"min_seconds and max_seconds must rise from above 0, got {self.min_seconds:g} "
                f"and {self.max_seconds:g}: 2 and 8 are the default."
            )
        if not 1 <= self.min_channels <= self.max_channels:
            raise ConfigError(
                f"min_channels and max_channels must rise from 1, got {self.min_channels} and "
                f"{self.max_channels}: 1 and 32 are the default."
            )
        if not 0 <= self.aside <= 0.5 or self.validation_batches < 1 or not self.body_rate > 0:
            raise ConfigError(
                f"aside must be in [0, 0.5], validation_batches at least 1 and body_rate above "
                f"0, got {self.aside:g}, {self.validation_batches} and {self.body_rate:g}."
            )

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """The layers to mix for a teacher of so many; raises `ConfigError` if one is missing."""
        thirds = {max(1, round(n_layers * part / 3)) for part in (1, 2, 3)}
        layers = self.layers or tuple(sorted(thirds))
        if min(layers) < 1 or max(layers) > n_layers:
            raise ConfigError(
                f"layers must be in 1 to {n_layers} for this teacher, got {list(layers)}: leave "
                f"it out for thirds."
            )
        return layers

    def draws(self, patch: int) -> DrawPlan:
        """How segments are drawn for a teacher with patches of so many samples."""
        return DrawPlan(
            patch=patch,
            max_channels=self.max_channels,
            min_channels=self.min_channels,
            max_patches=max(1, int(self.max_seconds * RATE_HZ) // patch),
            min_patches=max(1, int(self.min_seconds * RATE_HZ) // patch),
            average_share=self.average_share,
        )


_LOSSES = ("routed", "pooled", "within", "token", "relation", "magnitude", "phase", "level")
