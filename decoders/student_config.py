"""What can be chosen about a student; no torch, so that a card can be read without it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ..runtime.errors import ConfigError

RATE_HZ = 500
HEAD_DIM = 32
# Far above any student, and low enough that a file cannot ask for a machine that nobody has.
_MOST = {
    "width": 8192, "n_layers": 256, "n_latents": 4096, "hop": 2500, "context": 4096,
    "n_readings": 4096, "scales": 2500, "n_heads": 256, "ffn": 65_536,
}  # fmt: skip
_LONGEST = {"scales": 16, "n_heads": 256, "ffn": 256}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentConfig:
    """What can be chosen about a `Student`.

    Parameters
    ----------
    width : int
        Size of tokens and latents, a multiple of 32.
    n_layers : int
        Causal blocks.
    n_latents : int
        Latents of a hop.
    hop : int
        Samples of a hop at 500 Hz.
    scales : tuple of int
        Lengths in samples of the patches that end with a hop, each at least a hop and even-sized
        or not; the longest decides how much signal a state keeps.
    context : int
        Hops that a hop attends to, itself included.
    scale_uv : float
        Microvolts that become 1 inside: 100 for EEG, 200 for iEEG, as for the teacher.
    high_gamma : bool
        A branch of its own for 70 to 250 Hz, which a norm over all frequencies would drown.
    n_readings : int
        Numbers of each channel in a hop's embedding.
    n_heads, ffn : tuple of int
        Heads and hidden units of each block where pruning took some; empty for ``width / 32``
        and ``4 * width``.
    """

    width: int = 128
    n_layers: int = 4
    n_latents: int = 8
    hop: int = 50
    scales: tuple[int, ...] = (50, 125)
    context: int = 30
    scale_uv: float = 100.0
    high_gamma: bool = False
    n_readings: int = 24
    n_heads: tuple[int, ...] = ()
    ffn: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("scales", "n_heads", "ffn"):  # a file brings lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_types()
        if self.width < HEAD_DIM or self.width % HEAD_DIM:
            raise ConfigError(f"width must be a multiple of {HEAD_DIM}, got {self.width}.")
        for name in ("n_layers", "n_latents", "hop", "context", "n_readings"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not self.scales or min(self.scales) < self.hop:
            raise ConfigError(
                f"scales must hold lengths of at least a hop ({self.hop} samples), got "
                f"{list(self.scales)}: a shorter patch would not look at all of the hop."
            )
        if not self.scale_uv > 0:
            raise ConfigError(f"scale_uv must be positive, got {self.scale_uv:g} uV.")
        for name in ("n_heads", "ffn"):
            given = getattr(self, name)
            if given and (len(given) != self.n_layers or min(given) < 1):
                raise ConfigError(
                    f"{name} must name at least 1 for each of {self.n_layers} layers, got "
                    f"{list(given)}."
                )

    def _check_types(self) -> None:
        """Whole numbers, none larger than any student needs: a file may say anything."""
        for name, most in _MOST.items():
            given = getattr(self, name)
            values = given if isinstance(given, tuple) else (given,)
            whole = all(type(one) is int and one <= most for one in values)
            if len(values) > _LONGEST.get(name, 1) or not whole:
                raise ConfigError(
                    f"{name} must be a whole number of at most {most}, or up to "
                    f"{_LONGEST.get(name, 1)} of them where it is a list, got {given!r}."
                )
        if not isinstance(self.high_gamma, bool):
            raise ConfigError(f"high_gamma must be true or false, got {self.high_gamma!r}.")
        if type(self.scale_uv) not in (int, float) or not math.isfinite(self.scale_uv):
            raise ConfigError(f"scale_uv must be a finite number, got {self.scale_uv!r}.")

    @classmethod
    def named(cls, size: str, modality: str = "EEG") -> Self:
        """Size ``"S"`` (1.2 million weights) or ``"M"`` (4.7 million), for EEG or iEEG."""
        if size not in ("S", "M") or modality not in ("EEG", "iEEG"):
            raise ConfigError(f"A student is S or M, for EEG or iEEG; got {size!r}, {modality!r}.")
        intracranial = modality == "iEEG"
        return cls(
            width=128 if size == "S" else 256,
            scale_uv=200.0 if intracranial else 100.0,
            high_gamma=intracranial,
        )

    @property
    def tail(self) -> int:
        """Samples before a hop that its tokens look at."""
        return max(self.scales) - self.hop

    @property
    def least_weights(self) -> int:
        """Weights that a student of this configuration has at least: its large matrices."""
        heads = [self.heads_of(layer) for layer in range(self.n_layers)]
        hidden = sum(self.ffn_of(layer) for layer in range(self.n_layers))
        attention = sum(heads) * (4 * HEAD_DIM * self.width + self.context)
        patches = self.width * sum(samples + samples // 2 for samples in self.scales)
        latents = 2 * self.n_latents * self.width + 3 * self.width**2
        return attention + 3 * self.width * hidden + patches + latents

    def n_features(self, n_channels: int) -> int:
        """Length of a hop's embedding."""
        return self.n_latents * self.width + n_channels * self.n_readings

    def heads_of(self, layer: int) -> int:
        """Attention heads of a block."""
        return self.n_heads[layer] if self.n_heads else self.width // HEAD_DIM

    def ffn_of(self, layer: int) -> int:
        """Hidden units of a block."""
        return self.ffn[layer] if self.ffn else 4 * self.width

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """From `to_dict`; raises `ConfigError` for a setting that is not known."""
        unknown = set(settings) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(
                f"A student has no setting {sorted(unknown)[0]!r}: is it of a newer version?"
            )
        return cls(**settings)
