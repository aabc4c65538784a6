"""What a student is built from: gathering channels, looking back in time, reading channels again.

Layers keep their state outside themselves and have fixed shapes for a fixed number of channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .student_config import HEAD_DIM

ABSENT = -1e4
"""Added to a logit: exp underflows to exactly 0, and half precision can still hold it."""


def norm(width: int) -> nn.LayerNorm:
    """Of the last axis, with a gain and without an offset; one fused operation everywhere."""
    return nn.LayerNorm(width, 1e-5, bias=False)


class Gather(nn.Module):
    """All channels of a hop, read by a few latents: cross-attention with the absent left out."""

    def __init__(self, width: int, n_latents: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(n_latents, width) / math.sqrt(width))
        self.norm = norm(width)
        self.queries = nn.Parameter(torch.randn(n_latents, width))
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.k_norm = norm(HEAD_DIM)
        # Sharper than the usual start of 1: a latent that averages the whole head sees little.
        nn.init.constant_(self.k_norm.weight, 2.0)

    def forward(self, tokens: Tensor, usable: Tensor) -> Tensor:
        """Tokens (batch, n_channels, n, width) to latents (batch, n * n_latents, width)."""
        batch, _, n_hops, width = tokens.shape
        flat = self.norm(tokens).transpose(1, 2).flatten(0, 1)  # (batch * n, n_channels, width)
        keys, values = _split_heads(self.kv(flat)).chunk(2, dim=1)
        queries = _split_heads(self.queries[None]) * HEAD_DIM**-0.5
        there = usable.transpose(1, 2).flatten(0, 1)[:, None, None]  # (batch * n, 1, 1, n_channels)
        bias = torch.where(there, 0.0, ABSENT).to(tokens.dtype)
        read = F.scaled_dot_product_attention(
            queries.expand(len(flat), -1, -1, -1),
            self.k_norm(keys),
            values,
            attn_mask=bias,
            scale=1.0,
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
        self.norm = norm(width)
        self.q = nn.Linear(width, HEAD_DIM, bias=False)
        self.kv = nn.Linear(width, 2 * HEAD_DIM, bias=False)
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
        keys, values = self.kv(latents).chunk(2, dim=-1)
        # Scaled here, as in the blocks, on the side that has fewer.
        found = F.scaled_dot_product_attention(
            self.q(asked), keys * HEAD_DIM**-0.5, values, scale=1.0
        )
        readings: Tensor = self.readings(torch.cat([asked, found], dim=-1)).transpose(1, 2)
        return readings * usable[..., None]


class Reach:
    """Where new hops lie among those remembered, which of them each may look at, and how old.

    Keys and values of the last hops lie in a ring of as many slots as the context has: hop t in
    slot t modulo context. A single new hop overwrites the slot of the oldest, and nothing else
    moves. Several are put behind the ring laid straight, and the last of all are put back.

    Parameters
    ----------
    context : int
        Hops that a hop looks at, itself included.
    n_new : int
        New hops.
    heard : Tensor of int64, shape (1,)
        Hops of the stream before them.

    Attributes
    ----------
    age : Tensor of int64, shape (n_new, n_slots)
        Hops between each new hop and each slot, kept in [0, context).
    allowed : Tensor of bool, shape (n_new, n_slots)
        Whether the hop in the slot is real, not later, and within the context.
    """

    def __init__(self, context: int, n_new: int, heard: Tensor) -> None:
        self._one = n_new == 1
        slots = torch.arange(context, device=heard.device)
        if self._one:
            self._newest = heard % context
            self.age = ((heard - slots) % context)[None]
            self.allowed = self.age <= heard
            return
        past = context - 1
        self._straight = (heard + 1 + slots[:past]) % context
        self._back = past + n_new - context + (slots - heard - n_new) % context
        place = torch.arange(past + n_new, device=heard.device)
        age = place[past:, None] - place
        self.age = age.clamp(0, past)
        self.allowed = (age >= 0) & (age < context) & (place >= past - heard)

    def joined(self, ring: Tensor, new: Tensor) -> Tensor:
        """What was remembered and what is new, (batch, n_heads, n_slots, n_latents, 32).

        Parameters
        ----------
        ring : Tensor, shape (batch, n_heads, context, n_latents, 32)
            Not changed.
        new : Tensor, shape (batch, n_heads, n_new * n_latents, 32)
            In order.
        """
        if self._one:
            # Every head by its number: an index along an inner axis alone is exported with the
            # whole ring turned around it and back.
            stream = torch.arange(ring.shape[0], device=ring.device)[:, None]
            head = torch.arange(ring.shape[1], device=ring.device)
            return ring.index_put((stream, head, self._newest), new)
        by_hop = new.unflatten(2, (-1, ring.shape[3]))
        return torch.cat([ring.index_select(2, self._straight), by_hop], dim=2)

    def kept(self, joined: Tensor) -> Tensor:
        """The ring after the new hops."""
        return joined if self._one else joined.index_select(2, self._back)

    def biases(self, by_layer: Sequence[Tensor], each: int) -> Sequence[Tensor]:
        """What is added to the logits of each layer, all made at once.

        Parameters
        ----------
        by_layer : sequence of Tensor, each (n_heads, context)
            A number for each head and age.
        each : int
            Latents of a hop.

        Returns
        -------
        biases : sequence of Tensor, each (1, n_heads, n_new * each, n_slots * each)
            `ABSENT` where nobody may look; of a single hop one row, which all its latents share.
        """
        bias = torch.where(self.allowed, torch.cat(list(by_layer))[:, self.age], ABSENT)
        rows = 1 if self._one else each
        bias = bias[:, :, None, :, None].expand(-1, -1, rows, -1, each)
        grid = bias.flatten(3, 4).flatten(1, 2)[None]
        return torch.split(grid, [len(one) for one in by_layer], dim=1)


class Block(nn.Module):
    """Causal attention over the hops' latents, then a gated feed-forward layer; both pre-norm.

    Time enters as a number for each head and age that is added to the logits [1]_. It starts as a
    slope [2]_: the first head sees little but the newest hop, the last the whole context alike.

    References
    ----------
    .. [1] Raffel et al. Exploring the limits of transfer learning with a unified text-to-text
       transformer. JMLR, 2020.
    .. [2] Press, Smith, Lewis. Train short, test long: attention with linear biases enables input
       length extrapolation. ICLR, 2022.
    """

    def __init__(self, width: int, n_heads: int, ffn: int, context: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(width), norm(width)
        inner = n_heads * HEAD_DIM
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.qk_norm = norm(HEAD_DIM)
        self.ffn = SwiGlu(width, ffn)
        slopes = 2.0 ** -torch.arange(1, n_heads + 1) - 2.0**-n_heads
        self.age_bias = nn.Parameter(-slopes[:, None] * torch.arange(context))

    def forward(
        self, latents: Tensor, keys: Tensor, values: Tensor, reach: Reach, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New latents (batch, n * n_latents, width), and the rings of keys and values after them.

        Parameters
        ----------
        latents : Tensor, shape (batch, n * n_latents, width)
            Of the new hops.
        keys, values : Tensor, shape (batch, n_heads, context, n_latents, 32)
            Rings of the hops before.
        reach : Reach
            Where the new hops lie among them.
        bias : Tensor
            This layer's of `Reach.biases`.
        """
        n_heads = self.out.in_features // HEAD_DIM
        asking, new_values = _split_heads(self.qkv(self.norm1(latents))).split(
            [2 * n_heads, n_heads], dim=1
        )
        queries, new_keys = self.qk_norm(asking).chunk(2, dim=1)
        keys = reach.joined(keys, new_keys)
        values = reach.joined(values, new_values)
        # Scaled here, where queries are few: the remembered keys are not touched.
        read = F.scaled_dot_product_attention(
            queries * HEAD_DIM**-0.5,
            keys.flatten(2, 3),
            values.flatten(2, 3),
            attn_mask=bias,
            scale=1.0,
        )
        latents = latents + self.out(_join_heads(read))
        latents = latents + self.ffn(self.norm2(latents))
        return latents, reach.kept(keys), reach.kept(values)


class SwiGlu(nn.Module):
    """Feed-forward layer with a gate, without biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any (..., width) to the same shape."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        y: Tensor = self.down(F.silu(gate) * up)
        return y


def _split_heads(x: Tensor) -> Tensor:
    """(batch, n, heads * 32) to (batch, heads, n, 32)."""
    split: Tensor = x.unflatten(-1, (-1, HEAD_DIM))
    return split.transpose(1, 2)


def _join_heads(x: Tensor) -> Tensor:
    """(batch, heads, n, 32) to (batch, n, heads * 32)."""
    return x.transpose(1, 2).flatten(2)
