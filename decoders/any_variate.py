"""Any-variate attention: every token of a channel-by-time grid looks at every other.

Time enters as a rotation of queries and keys [2]_, channels only as "the same one or another", so
the block is blind to the order of the channels and takes any number of them [1]_. DIVER-1 uses it
twelve times at full width and once, narrow, inside its positional embedding [3]_.

References
----------
.. [1] Woo, Liu, Kumar, Xiong, Savarese, Sahoo. Unified training of universal time series
   forecasting transformers. ICML, 2024.
.. [2] Su, Lu, Pan, Murtadha, Wen, Liu. RoFormer: enhanced transformer with rotary position
   embedding. Neurocomputing, 2024.
.. [3] Han, Gwon, Lee et al. DIVER-1: deep integration of vast electrophysiological recordings at
   scale. arXiv:2512.19097, 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
ROTARY_BASE = 10_000.0


class TokenGrid(NamedTuple):
    """What attention has to know about a sequence of tokens besides their contents.

    Parameters
    ----------
    same_channel : Tensor, shape (n_tokens, n_tokens), bool
        Whether two tokens belong to one channel.
    cos, sin : Tensor, shape (n_tokens, head_width / 2)
        Rotation of each token by its time.
    absent : Tensor, shape (1 or batch, 1, 1, n_tokens), or None
        Added to the logits: minus infinity where a token must not be looked at, else 0. One row
        serves a batch whose absent channels are the same.
    """

    same_channel: Tensor
    cos: Tensor
    sin: Tensor
    absent: Tensor | None


def token_grid(n_channels: int, times: Tensor, head_width: int, absent: Tensor | None) -> TokenGrid:
    """Describe a grid laid out channel by channel, the times of one channel side by side.

    Parameters
    ----------
    n_channels : int
        Channels, registers included.
    times : Tensor, shape (n_times,)
        Integer time of each column.
    head_width : int
        Width of one attention head, even.
    absent : Tensor, shape (1 or batch, n_channels), bool, or None
        Channels that no token may look at; None if there are none.

    Returns
    -------
    grid : TokenGrid
        For sequences of ``n_channels * n_times`` tokens.
    """
    n_times = len(times)
    channels = torch.arange(n_channels, device=times.device).repeat_interleave(n_times)
    powers = torch.arange(0, head_width, 2, device=times.device, dtype=torch.float32) / head_width
    angles = times.repeat(n_channels).float()[:, None] * ROTARY_BASE**-powers
    bias = None
    if absent is not None:
        columns = absent.repeat_interleave(n_times, dim=1)[:, None, None, :]
        bias = torch.zeros(columns.shape, device=times.device).masked_fill(columns, -torch.inf)
    return TokenGrid(channels[:, None] == channels, angles.cos(), angles.sin(), bias)


def rotate(x: Tensor, grid: TokenGrid) -> Tensor:
    """Turn each pair of neighbouring features by the angle of the token's time.

    Parameters
    ----------
    x : Tensor, shape (batch, n_heads, n_tokens, head_width)
        Queries or keys.
    grid : TokenGrid
        Of these tokens.

    Returns
    -------
    rotated : Tensor, shape (batch, n_heads, n_tokens, head_width)
        Products of two of them depend on times by their difference only.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = (even * grid.cos - odd * grid.sin, odd * grid.cos + even * grid.sin)
    return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)


class RMSNorm(nn.Module):
    """Features divided by their root mean square, times a learned gain; computed in float32.

    Parameters
    ----------
    width : int
        Features of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        gain = self.weight.float()
        return F.rms_norm(x.float(), gain.shape, gain, EPSILON).to(x.dtype)


class AnyVariateAttention(nn.Module):
    """Attention over all tokens, with a learned preference for the token's own channel.

    Parameters
    ----------
    width : int
        Features of a token.
    n_heads : int
        Heads; `width` over `n_heads` is even.
    scale : float
        Factor of the products, before the bias is added.
    dropout : float
        Share of attention weights dropped in training; none are dropped in eval.

    Notes
    -----
    Queries and keys are normalised head by head, then rotated. `channel_bias` has row 0 for
    tokens of different channels and row 1 for tokens of one channel.
    """

    def __init__(self, width: int, n_heads: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.scale, self.dropout = n_heads, scale, dropout
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width, bias=False)
        self.q_norm = RMSNorm(width // n_heads)
        self.k_norm = RMSNorm(width // n_heads)
        self.channel_bias = nn.Parameter(torch.zeros(2, n_heads))

    def forward(self, x: Tensor, grid: TokenGrid) -> Tensor:
        """Mix tokens, (batch, n_tokens, width) to the same shape."""
        q = rotate(self.q_norm(self._split(self.q_proj(x))), grid)
        k = rotate(self.k_norm(self._split(self.k_proj(x))), grid)
        v = self._split(self.v_proj(x))
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=self._bias(grid).to(q.dtype),
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
        )
        joined: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        """(batch, n_tokens, width) to (batch, n_heads, n_tokens, head_width)."""
        return torch.unflatten(x, -1, (self.n_heads, -1)).transpose(1, 2)

    def _bias(self, grid: TokenGrid) -> Tensor:
        """What is added to the logits: (1, n_heads, n_tokens, n_tokens).

        Only a batch whose samples lack different channels needs one such block per sample.
        """
        other, same = self.channel_bias[:, None, :, None, None]
        bias = torch.where(grid.same_channel, same, other)
        return bias if grid.absent is None else bias + grid.absent


class GatedFeedForward(nn.Module):
    """SwiGLU of four times the width, without bias.

    Parameters
    ----------
    width : int
        Features of a token.
    dropout : float
        Share dropped after the gate and at the end, in training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width, bias=False)
        self.fc_gate = nn.Linear(width, 4 * width, bias=False)
        self.fc2 = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Each token by itself, (..., width) to the same shape."""
        hidden = self.dropout(F.silu(self.fc_gate(x)) * self.fc1(x))
        out: Tensor = self.dropout(self.fc2(hidden))
        return out


class AnyVariateBlock(nn.Module):
    """Attention, then feed-forward, each behind its norm and added to what came in.

    Parameters
    ----------
    width, n_heads, scale, dropout
        As `AnyVariateAttention` takes them.
    """

    def __init__(self, width: int, n_heads: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.self_attn = AnyVariateAttention(width, n_heads, scale, dropout)
        self.ffn = GatedFeedForward(width, dropout)
        self.norm1 = RMSNorm(width)
        self.norm2 = RMSNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, grid: TokenGrid) -> Tensor:
        """Tokens (batch, n_tokens, width) to the same shape."""
        x = x + self.dropout(self.self_attn(self.norm1(x), grid))
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class AnyVariateEncoder(nn.Module):
    """Blocks in a row and a final norm.

    Parameters
    ----------
    n_layers : int
        Blocks.
    width, n_heads, scale, dropout
        As `AnyVariateAttention` takes them.
    """

    def __init__(
        self, n_layers: int, width: int, n_heads: int, scale: float, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            AnyVariateBlock(width, n_heads, scale, dropout) for _ in range(n_layers)
        )
        self.norm = RMSNorm(width)

    def forward(
        self, x: Tensor, grid: TokenGrid, layers: Sequence[int] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the blocks.

        Parameters
        ----------
        x : Tensor, shape (batch, n_tokens, width)
            Tokens.
        grid : TokenGrid
            Of these tokens.
        layers : sequence of int
            Blocks, counted from 1, behind which to keep the tokens.

        Returns
        -------
        features : Tensor, shape (batch, n_tokens, width)
            Behind the final norm.
        hidden : tuple of Tensor
            Tokens behind the blocks asked for, before the final norm, in the order asked for.
        """
        kept: dict[int, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, grid)
            if number in layers:
                kept[number] = x
        return self.norm(x), tuple(kept[number] for number in layers)
