"""The teacher: the encoder of DIVER-1, a foundation model of EEG and intracranial recordings.

Written from the paper [1]_ and from what is known of the released code; where the two disagree the
code is followed, because the published weights were trained with it. It sees the whole window,
future included, so it never serves in the loop: a causal student is distilled from it.

::

    microvolts -> patches -> tokens (teacher_embedding) + registers -> 12 blocks (any_variate)
               -> registers removed -> features (batch, n_channels, n_patches, width)

Attention scale, readouts and initial weights follow muP [2]_ with base width 256. Weights that
multiply a width start at a standard deviation of ``fan_in ** -0.5``; tables and registers at 0.02,
whatever the width; biases at 0, those of convolutions spread up to ``fan_in ** -0.5``; readouts at
0, so that the first prediction is the trivial one, and their input is multiplied by
``256 / width``. Learning rates belong to the optimiser.

One thing about the start is ours, and published weights overwrite it. Normalised queries and keys
of 32 features times 1/32 give logits within one of each other: attention starts as a plain mean
over every token, and a short pretraining never leaves it. So the gains of queries and keys start at
2, and half of the heads of a block start with a preference for their own channel.

References
----------
.. [1] Han, Gwon, Lee et al. DIVER-1: deep integration of vast electrophysiological recordings at
   scale. arXiv:2512.19097, 2025.
.. [2] Yang, Hu, Babuschkin et al. Tensor programs V: tuning large neural networks via zero-shot
   hyperparameter transfer. arXiv:2203.03466, 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from ..runtime.errors import ConfigError, UnknownName
from .any_variate import AnyVariateBlock, AnyVariateEncoder, token_grid
from .spectral_targets import FFT_BINS, STFT_BINS
from .teacher_embedding import (
    LAYOUTS,
    WINDOW,
    NeighbourEmbedding,
    PatchCNN,
    PlaceEmbedding,
    SpectralEmbedding,
)
from .teacher_inputs import TeacherInputs, prepare

RATE_HZ = 500
WIDTHS = {"tiny": 256, "small": 512, "base": 768, "large": 1024, "xl": 2048, "xxl": 3072}
"""Width of each published size; all have twelve layers and heads of 32."""
HEAD_WIDTH = 32
BASE_WIDTH = 256
STARTING_GAIN, OWN_CHANNEL = 2.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """What can be chosen about a `Teacher`.

    Parameters
    ----------
    width : int
        Features of a token: 32, 64, ... 256, then multiples of 256. Below 256 is for tests and
        experiments, published are the widths of `WIDTHS`.
    n_layers : int
        Blocks, at least 1.
    patch : int
        Samples of a patch at 500 Hz: 500 or 50.
    mup : bool
        Scale attention by 1/32 and the input of readouts by 256 / width, as the published weights
        need it; without, 1/sqrt(32) and 1.
    dropout : float
        Share dropped in training, in [0, 1).
    """

    width: int
    n_layers: int = 12
    patch: int = 500
    mup: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        step = HEAD_WIDTH if self.width <= BASE_WIDTH else BASE_WIDTH
        if self.width < HEAD_WIDTH or self.width % step:
            raise ConfigError(
                f"width must be a multiple of 32 up to 256 and a multiple of 256 above, got "
                f"{self.width}: take 256 for the smallest published size."
            )
        if self.n_layers < 1:
            raise ConfigError(f"n_layers must be at least 1, got {self.n_layers}: raise it.")
        if self.patch not in LAYOUTS:
            raise ConfigError(
                f"patch must be 500 samples (1 s) or 50 (0.1 s), got {self.patch}: choose one."
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                f"dropout must be in [0, 1), got {self.dropout}: 0.1 is what was published."
            )

    @classmethod
    def named(cls, size: str, patch: int) -> Self:
        """Configuration of a published size.

        Parameters
        ----------
        size : str
            A key of `WIDTHS`.
        patch : int
            Samples of a patch: 500 or 50.

        Returns
        -------
        config : TeacherConfig
            With the published settings.

        Raises
        ------
        UnknownName
            If no size has that name.
        """
        if size not in WIDTHS:
            raise UnknownName(
                f"No teacher is called {size!r}, known are {', '.join(WIDTHS)}: choose one."
            )
        return cls(width=WIDTHS[size], patch=patch)

    @property
    def n_heads(self) -> int:
        """Attention heads of a block."""
        return self.width // HEAD_WIDTH

    @property
    def n_neighbour_heads(self) -> int:
        """Attention heads of the positional embedding."""
        return max(1, self.width // BASE_WIDTH)

    def attention_scale(self, head_width: int) -> float:
        """Factor of the attention products for heads of a width."""
        return 1 / head_width if self.mup else head_width**-0.5

    @property
    def readout_factor(self) -> float:
        """What features are multiplied by before a readout."""
        return BASE_WIDTH / self.width if self.mup else 1.0


class Teacher(nn.Module):
    """The encoder, with the readouts of pretraining if wanted.

    Parameters
    ----------
    config : TeacherConfig
        What was chosen.
    with_heads : bool
        Whether `reconstruct` is to work.

    Notes
    -----
    `usable` is our addition: absent channels are left out of the norm's statistics and nobody
    attends to them, so the features of the others are those of a window without these rows.
    The mask encoding is a vector of zeros that is kept with the weights and never learnt.
    """

    mask_encoding: Tensor

    def __init__(self, config: TeacherConfig, with_heads: bool = True) -> None:
        super().__init__()
        self.config = config
        width = config.width
        scale = config.attention_scale(width // 8 // config.n_neighbour_heads)
        self.register_buffer("mask_encoding", torch.zeros(config.patch))
        self.patch_cnn = PatchCNN(width, config.patch)
        self.spectral_emb = SpectralEmbedding(width, config.dropout)
        self.place_emb = PlaceEmbedding(width)
        self.stcpe = NeighbourEmbedding(width, config.n_neighbour_heads, scale)
        self.patch_register = nn.Parameter(torch.zeros(1, 1, width))
        self.chan_register = nn.Parameter(torch.zeros(1, 1, width))
        self.global_register = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = AnyVariateEncoder(
            config.n_layers,
            width,
            config.n_heads,
            config.attention_scale(HEAD_WIDTH),
            config.dropout,
        )
        self.heads = _readouts(config) if with_heads else None
        _initialise(self)

    def forward(
        self,
        x_uv: Tensor,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
        subtypes: Tensor | None = None,
        usable: Tensor | None = None,
        layers: Sequence[int] = (),
        mask: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, ...]]:
        """Features of windows.

        Parameters
        ----------
        x_uv : Tensor, shape (batch, n_channels, n_times)
            Microvolts at 500 Hz, not clipped here; `n_times` is a multiple of the patch.
        positions : Tensor, shape (batch, n_channels, 3), or None
            Electrodes in millimetres (iEEG: MNI); NaN or None where unknown.
        modality : Tensor, shape (batch,), or None
            0 for EEG, which None stands for, 1 for iEEG.
        subtypes : Tensor, shape (batch, n_channels), or None
            0 grid, 1 strip, 2 depth, -1 unknown, which None stands for.
        usable : Tensor, shape (batch, n_channels), bool, or None
            Channels that are there; None if all are. Others may hold anything, NaN included.
        layers : sequence of int
            Blocks, counted from 1, whose output is wanted too.
        mask : Tensor, shape (batch, n_channels, n_patches), bool, or None
            Patches that the encoder is to see as the mask encoding.

        Returns
        -------
        features : Tensor, shape (batch, n_channels, n_patches, width)
            Behind the final norm; zero in absent channels.
        hidden : tuple of Tensor, each shaped like features
            Only if `layers` is not empty: before the final norm, registers removed.

        Raises
        ------
        ConfigError
            If a shape does not fit, a usable sample is not finite, no channel is usable, or a
            modality, a sub-type or a layer does not exist.
        """
        if layers and not all(1 <= layer <= self.config.n_layers for layer in layers):
            raise ConfigError(
                f"Layers {tuple(layers)} were asked for, allowed are 1 to "
                f"{self.config.n_layers}: ask for those."
            )
        inputs = prepare(x_uv, positions, modality, subtypes, usable, mask, self.mask_encoding)
        features, hidden = self._encode(self._embed(inputs), inputs.usable, layers)
        return (features, hidden) if layers else features

    def reconstruct(self, features: Tensor) -> dict[str, Tensor]:
        """What pretraining compares with the signal.

        Parameters
        ----------
        features : Tensor, shape (..., width)
            As `forward` returns them.

        Returns
        -------
        domains : dict of str to Tensor
            "time" (..., patch): scaled samples; "fft" (..., 200): log amplitudes; with patches of
            500 samples "stft" (..., 700): log amplitudes.

        Raises
        ------
        ConfigError
            If the teacher was made without heads.
        """
        if self.heads is None:
            raise ConfigError("This teacher has no heads: make it with with_heads=True.")
        scaled = features * self.config.readout_factor
        return {name: head(scaled) for name, head in self.heads.items()}

    def _embed(self, inputs: TeacherInputs) -> Tensor:
        """Tokens before the registers, (batch, n_channels, n_patches, width)."""
        tokens = self.patch_cnn(inputs.patches, inputs.usable)
        tokens = tokens + self.spectral_emb(tokens)
        places = self.place_emb(inputs.positions, inputs.modality, inputs.subtypes)
        tokens = tokens + places[:, :, None]
        embedded: Tensor = tokens + self.stcpe(tokens, inputs.usable)
        return embedded

    def _encode(
        self, tokens: Tensor, usable: Tensor | None, layers: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Registers as row 0 and column 0 of the grid, the blocks, registers off again."""
        batch, n_channels, n_patches, width = tokens.shape
        column = self.patch_register.expand(batch, n_channels, 1, width)
        row = self.chan_register.expand(batch, 1, n_patches, width)
        corner = self.global_register.expand(batch, 1, 1, width)
        body = torch.cat([column.to(tokens.dtype), tokens], dim=2)
        x = torch.cat([torch.cat([corner, row], dim=2).to(tokens.dtype), body], dim=1)
        absent = None if usable is None else nn.functional.pad(~usable, (1, 0))
        times = torch.arange(n_patches + 1, device=x.device)
        grid = token_grid(n_channels + 1, times, HEAD_WIDTH, absent)
        features, hidden = self.encoder(x.flatten(1, 2), grid, layers)

        def strip(y: Tensor) -> Tensor:
            y = torch.unflatten(y, 1, (n_channels + 1, n_patches + 1))[:, 1:, 1:]
            return y if usable is None else y * usable[..., None, None]

        return strip(features), tuple(strip(y) for y in hidden)


def flop_parts(config: TeacherConfig, n_channels: int, n_patches: int) -> dict[str, int]:
    """Cost of one window, part by part.

    Parameters
    ----------
    config : TeacherConfig
        Of the teacher.
    n_channels, n_patches : int
        Size of the window.

    Returns
    -------
    parts : dict of str to int
        Floating-point operations of a forward pass, two to a multiplication with addition:
        "embedding" (convolutions and spectrum), "stcpe", "blocks" (their linear maps), "attention".
        Norms, activations, the transform itself and readouts are left out.
    """
    d, narrow = config.width, config.width // 8
    n_tokens, seen = n_channels * n_patches, WINDOW * n_channels
    n_sequence = (n_channels + 1) * (n_patches + 1)
    positions = LAYOUTS[config.patch].positions
    hidden = d // positions
    windows = n_patches + WINDOW - 1
    convolutions = positions * (63 * hidden + 6 * hidden**2)
    return {
        "embedding": 2 * n_tokens * (convolutions + d * (d // 2 + 1)),
        "stcpe": 4 * n_tokens * d * narrow
        + windows * (32 * seen * narrow**2 + 4 * seen**2 * narrow),
        "blocks": config.n_layers * 32 * n_sequence * d**2,
        "attention": config.n_layers * 4 * n_sequence**2 * d,
    }


def flops(config: TeacherConfig, n_channels: int, n_patches: int) -> int:
    """Cost of one window: the sum of `flop_parts`."""
    return sum(flop_parts(config, n_channels, n_patches).values())


def _readouts(config: TeacherConfig) -> nn.ModuleDict:
    """One linear readout per domain; the long patch has a third domain."""
    sizes = {"time": config.patch, "fft": FFT_BINS}
    if config.patch == 500:
        sizes["stft"] = STFT_BINS
    return nn.ModuleDict({name: nn.Linear(config.width, size) for name, size in sizes.items()})


def _initialise(teacher: Teacher) -> None:
    """Initial weights as the module's docstring tells."""
    if teacher.chan_register.is_meta:  # shapes alone, nothing to fill
        return
    for module in teacher.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            spread = module.weight[0].numel() ** -0.5
            nn.init.normal_(module.weight, std=spread)
            if module.bias is not None:
                # Zero behind the first convolution would hide the gain from the group norm.
                bound = spread if isinstance(module, nn.Conv2d) else 0.0
                nn.init.uniform_(module.bias, -bound, bound)
    for layer in teacher.encoder.layers:
        attention = cast(AnyVariateBlock, layer).self_attn
        nn.init.constant_(attention.q_norm.weight, STARTING_GAIN)
        nn.init.constant_(attention.k_norm.weight, STARTING_GAIN)
        nn.init.constant_(attention.channel_bias[1, : attention.n_heads // 2], OWN_CHANNEL)
    place = teacher.place_emb
    registers = (teacher.patch_register, teacher.chan_register, teacher.global_register)
    for table in (place.type_table, place.subtype_table, *registers):
        nn.init.normal_(table, std=0.02)
    for name, weight in teacher.named_parameters():
        if name.startswith("heads."):
            nn.init.zeros_(weight)
