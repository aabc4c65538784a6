"""What a student is built from: gathering channels, looking back in time, reading channels again.

Layers keep their state outside themselves and have fixed shapes for a fixed number of channels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .student_config import HEAD_DIM, StudentConfig

ABSENT = -1e4
"""Added to a logit: exp underflows to exactly 0, and half precision can still hold it."""


class Gather(nn.Module):
    """All channels of a hop, read by a few latents: cross-attention with the absent left out."""

    def __init__(self, width: int, n_latents: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(n_latents, width) / math.sqrt(width))
        self.norm = nn.RMSNorm(width, 1e-5)
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(HEAD_DIM, 1e-5), nn.RMSNorm(HEAD_DIM, 1e-5)
        # Sharper than the usual start of 1: a latent that averages the whole head sees little.
        nn.init.constant_(self.q_norm.weight, 2.0)
        nn.init.normal_(self.q.weight, std=1.0)

    def forward(self, tokens: Tensor, usable: Tensor) -> Tensor:
        """Tokens (batch, n_channels, n, width) to latents (batch, n * n_latents, width)."""
        batch, _, n_hops, width = tokens.shape
        flat = self.norm(tokens).transpose(1, 2).flatten(0, 1)  # (batch * n, n_channels, width)
        keys = self.k_norm(_split_heads(self.k(flat)))
        values = _split_heads(self.v(flat))
        queries = self.q_norm(_split_heads(self.q(self.latents)[None]))
        there = usable.transpose(1, 2).flatten(0, 1)[:, None, None]  # (batch * n, 1, 1, n_channels)
        bias = torch.where(there, 0.0, ABSENT).to(tokens.dtype)
        read = F.scaled_dot_product_attention(
            queries.expand(len(flat), -1, -1, -1), keys, values, attn_mask=bias
        )
        # With every channel absent the softmax has nothing to choose from.
        read = read * there.any(-1, keepdim=True)
        latents: Tensor = self.latents + self.out(_join_heads(read))
        return latents.reshape(batch, n_hops * len(self.latents), width)


class ReadBack(nn.Module):
    """Each channel's token, and what it finds in the hop's latents, as a few readings.

    Parameters
    ----------
    width : int
        Of tokens and latents.
    n_readings : int
        Numbers of a channel and hop.
    """

    def __init__(self, width: int, n_readings: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, 1e-5)
        self.q = nn.Linear(width, HEAD_DIM, bias=False)
        self.k = nn.Linear(width, HEAD_DIM, bias=False)
        self.v = nn.Linear(width, HEAD_DIM, bias=False)
        self.readings = nn.Linear(width + HEAD_DIM, n_readings, bias=False)

    def forward(self, tokens: Tensor, latents: Tensor, usable: Tensor) -> Tensor:
        """Readings (batch, n_channels, n, n_readings), zero where a channel is absent.

        Parameters
        ----------
        tokens : Tensor, shape (batch, n_channels, n, width)
            Before they were gathered.
        latents : Tensor, shape (batch, n, n_latents, width)
            Of the same hops, behind the last block.
        usable : Tensor of bool, shape (batch, n_channels, n)
            Which channels are there.
        """
        asked = self.norm(tokens).transpose(1, 2)  # (batch, n, n_channels, width)
        found = F.scaled_dot_product_attention(self.q(asked), self.k(latents), self.v(latents))
        readings: Tensor = self.readings(torch.cat([asked, found], dim=-1)).transpose(1, 2)
        return readings * usable[..., None]


class Slots(NamedTuple):
    """Where the keys of past and new hops stand, and who may look at whom.

    Parameters
    ----------
    cos, sin : Tensor, shape (n_slots * n_latents, 16)
        Rotation of each key; the last rows are the queries' as well.
    bias : Tensor, shape (batch, 1, n * n_latents, n_slots * n_latents)
        0 where a query may look, `ABSENT` elsewhere.
    """

    cos: Tensor
    sin: Tensor
    bias: Tensor

    @classmethod
    def of(cls, config: StudentConfig, n_new: int, filled: Tensor) -> Slots:
        """For `n_new` hops behind a full set of past slots of which `filled` are real."""
        past, each = config.context - 1, config.n_latents
        slot = torch.arange(past + n_new, device=filled.device).repeat_interleave(each)
        turn = torch.arange(HEAD_DIM // 2, device=filled.device) * (-2 * math.log(1e4) / HEAD_DIM)
        angle = slot[:, None] * turn.exp()
        age = slot[None, past * each :].T - slot[None]
        real = slot[None] >= past - filled[:, None]
        allowed = ((age >= 0) & (age < config.context))[None] & real[:, None]
        bias = torch.where(allowed, 0.0, ABSENT)[:, None]
        return cls(angle.cos(), angle.sin(), bias)


class Block(nn.Module):
    """Causal attention over the hops' latents, then a gated feed-forward layer; both pre-norm."""

    def __init__(self, width: int, n_heads: int, ffn: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)
        inner = n_heads * HEAD_DIM
        self.q = nn.Linear(width, inner, bias=False)
        self.k = nn.Linear(width, inner, bias=False)
        self.v = nn.Linear(width, inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(HEAD_DIM, 1e-5), nn.RMSNorm(HEAD_DIM, 1e-5)
        self.ffn = SwiGlu(width, ffn)

    def forward(
        self, latents: Tensor, past_keys: Tensor, past_values: Tensor, slots: Slots
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New latents (batch, n * n_latents, width), and the keys and values to remember."""
        normed = self.norm1(latents)
        queries = self.q_norm(_split_heads(self.q(normed)))
        keys = torch.cat([past_keys, self.k_norm(_split_heads(self.k(normed)))], dim=2)
        values = torch.cat([past_values, _split_heads(self.v(normed))], dim=2)
        n_new, n_past = latents.shape[1], past_keys.shape[2]
        read = F.scaled_dot_product_attention(
            _rotated(queries, slots.cos[n_past:], slots.sin[n_past:]),
            _rotated(keys, slots.cos, slots.sin),
            values,
            attn_mask=slots.bias.to(latents.dtype),
        )
        latents = latents + self.out(_join_heads(read))
        latents = latents + self.ffn(self.norm2(latents))
        return latents, keys[:, :, n_new:], values[:, :, n_new:]


class SwiGlu(nn.Module):
    """Feed-forward layer with a gate, without biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any (..., width) to the same shape."""
        y: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return y


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs of neighbouring features turned by their slot's angle."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


def _split_heads(x: Tensor) -> Tensor:
    """(batch, n, heads * 32) to (batch, heads, n, 32)."""
    split: Tensor = x.unflatten(-1, (-1, HEAD_DIM))
    return split.transpose(1, 2)


def _join_heads(x: Tensor) -> Tensor:
    """(batch, heads, n, 32) to (batch, n, heads * 32)."""
    return x.transpose(1, 2).flatten(2)
