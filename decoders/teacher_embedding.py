"""From patches of signal to tokens: what DIVER-1 does before its transformer.

Four parts, each adding to what came before it [1]_::

    X0 = PatchCNN(patches)                    three convolutions
    X1 = X0 + SpectralEmbedding(X0)           the spectrum of the token, not of the patch
    X2 = X1 + PlaceEmbedding(channel)         where the electrode is and of what kind
    X3 = X2 + NeighbourEmbedding(X2)          attention among all channels of seven patches

Tokens are ``(batch, n_channels, n_patches, width)`` everywhere.

References
----------
.. [1] Han, Gwon, Lee et al. DIVER-1: deep integration of vast electrophysiological recordings at
   scale. arXiv:2512.19097, 2025.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .any_variate import AnyVariateEncoder, token_grid

N_MODALITIES = 2
N_SUBTYPES = 3
WINDOW = 7
"""Patches that the positional embedding looks at together."""
LONGEST_WAVE = 2000.0
"""Ratio of the longest to the shortest wave of the position bank."""
SHORTEST_WAVE_MM = 256.0


class PatchLayout(NamedTuple):
    """How a patch length is cut up by the convolutions.

    Parameters
    ----------
    pad : int
        Zeros on either side of the patch, in samples.
    stride : int
        Step of the first convolution, in samples.
    positions : int
        Places that are left of a patch; `width` over `positions` is the number of hidden channels.
    groups : int
        Groups of the group norm in the published sizes.
    """

    pad: int
    stride: int
    positions: int
    groups: int


LAYOUTS = {500: PatchLayout(6, 64, 8, 8), 50: PatchLayout(7, 4, 16, 16)}
"""By samples of a patch: 1 s and 0.1 s at 500 Hz."""


class WindowGroupNorm(nn.GroupNorm):
    """Group norm whose statistics run over every channel and patch of the window.

    As published, with one addition of ours: channels that are absent are left out of the
    statistics, so that what stands in their rows does not matter.
    """

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Normalise.

        Parameters
        ----------
        x : Tensor, shape (batch, hidden, n_rows, positions)
            Rows are the patches of all channels.
        present : Tensor, shape (batch, 1, n_rows, 1), or None
            1 for the rows that count, 0 for the others; None if all do.

        Returns
        -------
        normalised : Tensor, shape (batch, hidden, n_rows, positions)
            All rows in float32, the absent ones by the statistics of the others.
        """
        x, gain, shift = x.float(), self.weight.float(), self.bias.float()
        if present is None:
            return F.group_norm(x, self.num_groups, gain, shift, self.eps)
        grouped = torch.unflatten(x, 1, (self.num_groups, -1))
        weight = present[:, None]
        count = weight.sum(dim=(2, 3, 4), keepdim=True) * grouped.shape[2] * grouped.shape[4]
        mean = (grouped * weight).sum(dim=(2, 3, 4), keepdim=True) / count
        variance = ((grouped - mean).square() * weight).sum(dim=(2, 3, 4), keepdim=True) / count
        whitened = ((grouped - mean) * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        return whitened * gain[:, None, None] + shift[:, None, None]


class PatchCNN(nn.Module):
    """Three convolutions along time, each followed by a group norm and GELU.

    Parameters
    ----------
    width : int
        Features of a token.
    patch : int
        Samples of a patch, a key of `LAYOUTS`.

    Notes
    -----
    The norm couples all tokens of a window: a change in the last patch moves the first token.
    Where each hidden channel is a group of its own the gain of the whole window is lost: up to
    width 256 with 50-sample patches, up to width 64 with 500-sample patches.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.layout = LAYOUTS[patch]
        hidden = width // self.layout.positions
        first = nn.Conv2d(1, hidden, (1, 63), stride=(1, self.layout.stride), padding=(0, 31))
        further = [nn.Conv2d(hidden, hidden, (1, 3), padding=(0, 1)) for _ in range(2)]
        self.convs = nn.ModuleList([first, *further])
        groups = math.gcd(self.layout.groups, hidden)
        self.norms = nn.ModuleList(WindowGroupNorm(groups, hidden) for _ in range(3))

    def forward(self, patches: Tensor, usable: Tensor | None) -> Tensor:
        """Encode patches.

        Parameters
        ----------
        patches : Tensor, shape (batch, n_channels, n_patches, patch)
            Scaled signal.
        usable : Tensor, shape (batch, n_channels), bool, or None
            Channels that are there; None if all are.

        Returns
        -------
        tokens : Tensor, shape (batch, n_channels, n_patches, width)
            Hidden channel slow, position fast.
        """
        dtype = next(self.parameters()).dtype
        n_channels, n_patches = patches.shape[1:3]
        x = F.pad(patches, (self.layout.pad, self.layout.pad)).flatten(1, 2)[:, None]
        present = None
        if usable is not None:
            present = usable.float().repeat_interleave(n_patches, dim=1)[:, None, :, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.gelu(norm(conv(x.to(dtype)), present))
        tokens = torch.unflatten(x.transpose(1, 2).flatten(2), 1, (n_channels, n_patches))
        return tokens.to(dtype)


class SpectralEmbedding(nn.Module):
    """A linear map of the amplitude spectrum of the token itself; the spectrum is float32.

    Parameters
    ----------
    width : int
        Features of a token.
    dropout : float
        Share dropped in training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.proj = nn.Linear(width // 2 + 1, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """What is to be added to the tokens, in their shape."""
        amplitude = torch.fft.rfft(tokens.float(), norm="forward").abs()
        out: Tensor = self.dropout(self.proj(amplitude.to(self.proj.weight.dtype)))
        return out


class PlaceEmbedding(nn.Module):
    """Where an electrode is, in three quarters of the width, and what kind it is, in the last.

    Parameters
    ----------
    width : int
        Features of a token, a multiple of 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_waves = width // 8
        self.type_table = nn.Parameter(torch.zeros(N_MODALITIES, width // 4))
        self.subtype_table = nn.Parameter(torch.zeros(N_SUBTYPES, width // 4))

    def forward(self, positions_mm: Tensor, modality: Tensor, subtypes: Tensor) -> Tensor:
        """Describe channels.

        Parameters
        ----------
        positions_mm : Tensor, shape (batch, n_channels, 3)
            Of the electrodes in millimetres; a channel with a NaN has a zero position part.
        modality : Tensor, shape (batch,)
            0 for EEG, 1 for iEEG.
        subtypes : Tensor, shape (batch, n_channels)
            0 grid, 1 strip, 2 depth, -1 unknown: that adds nothing.

        Returns
        -------
        places : Tensor, shape (batch, n_channels, width)
            To be added to every token of the channel.
        """
        kind = self.subtype_table[subtypes.clamp(min=0)] * (subtypes >= 0)[..., None]
        kind = kind + self.type_table[modality][:, None]
        return torch.cat([self._waves(positions_mm).to(kind.dtype), kind], dim=-1)

    def _waves(self, positions_mm: Tensor) -> Tensor:
        """Sines and cosines of the three coordinates, (batch, n_channels, 6 * n_waves)."""
        known = positions_mm.isfinite().all(dim=-1, keepdim=True)
        at = torch.where(known, positions_mm.float(), 0.0)
        steps = torch.arange(self.n_waves, device=at.device) / self.n_waves
        waves = 2 * math.pi / SHORTEST_WAVE_MM * LONGEST_WAVE**-steps
        angles = at[..., None] * waves
        # Interleaved: sine and cosine of one wave side by side, then the next wave.
        bank = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-3)
        return bank * known


class NeighbourEmbedding(nn.Module):
    """Position told by the neighbours: narrow attention in windows of seven patches (STCPE).

    Parameters
    ----------
    width : int
        Features of a token.
    n_heads : int
        Heads of the narrow block.
    scale : float
        Factor of its attention products.

    Notes
    -----
    Time is padded with six zero tokens on either side, which attention may look at, so every patch
    lies in exactly seven windows; their outputs are averaged (the paper's formula says summed).
    """

    def __init__(self, width: int, n_heads: int, scale: float) -> None:
        super().__init__()
        narrow = width // 8
        self.down = nn.Linear(width, narrow)
        self.block = AnyVariateEncoder(1, narrow, n_heads, scale, dropout=0.0)
        self.up = nn.Linear(narrow, width)
        self._head_width = narrow // n_heads

    def forward(self, tokens: Tensor, usable: Tensor | None) -> Tensor:
        """What is to be added to the tokens.

        Parameters
        ----------
        tokens : Tensor, shape (batch, n_channels, n_patches, width)
            So far.
        usable : Tensor, shape (batch, n_channels), bool, or None
            Channels that are there; None if all are.

        Returns
        -------
        embedding : Tensor, shape (batch, n_channels, n_patches, width)
            Depends on six patches before and six after.
        """
        n_channels, n_patches = tokens.shape[1:3]
        reach = WINDOW - 1
        padded = F.pad(self.down(tokens), (0, 0, reach, reach))
        # (batch, channels, windows, narrow, 7) to (batch * windows, channels * 7, narrow)
        windows = padded.unfold(2, WINDOW, 1).permute(0, 2, 1, 4, 3)
        absent = None
        if usable is not None:
            absent = ~(
                usable if len(usable) == 1 else usable.repeat_interleave(n_patches + reach, 0)
            )
        times = torch.arange(WINDOW, device=tokens.device)
        grid = token_grid(n_channels, times, self._head_width, absent)
        seen, _ = self.block(windows.flatten(0, 1).flatten(1, 2), grid)
        seen = seen.unflatten(1, (n_channels, WINDOW)).unflatten(0, (-1, n_patches + reach))
        # Patch n is column k of window n + 6 - k.
        columns = [seen[:, reach - k : reach - k + n_patches, :, k] for k in range(WINDOW)]
        out: Tensor = self.up(torch.stack(columns).mean(dim=0).transpose(1, 2))
        return out
