"""The student: a small causal transformer that streams, distilled from DIVER.

Signal comes a *hop* (0.1 s) at a time. Each channel's hop becomes a token; the channels of a hop,
however many there are, are gathered into a few latents; the latents of the last hops attend to
each other, never to later ones. So a new hop costs the new hop alone, and the number of channels
matters only where tokens are made.

    patch ----> tokens ----> latents ----> causal blocks ----> embedding
    (C, hop)    (C, d)       (K, d)        keys and values      (K * d)
                                           of past hops kept

What the teacher does with a whole window in hand is done otherwise here. Its group norm, whose
statistics run over all electrodes and times, is a norm of each token alone, with the size that was
divided out as an input of its own. Its complex FFT is a pair of fixed matrices. Its registers and
its convolution over neighbouring patches are gone. A channel that is absent is left out of the
softmax that gathers the channels: nothing it holds can matter.

`Student.forward` reads a window, `Student.step` one hop and a state of fixed shape; both are
`Student.advance`. A state holds keys *before* the rotation that encodes their age: the age of a
slot never changes as keys move through it, so nothing is re-based after hours.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings. 2025.
.. [2] Jaegle et al. Perceiver: general perception with iterative attention. ICML, 2021.
.. [3] Su et al. RoFormer: enhanced transformer with rotary position embedding. 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.errors import ConfigError
from .student_config import HEAD_DIM, RATE_HZ, StudentConfig
from .student_tokens import N_WAVES, HighGammaTokens, PatchTokens, ending_patches, waves

ABSENT = -1e4
"""Added to a logit: exp underflows to exactly 0, and half precision can still hold it."""


class StudentState(NamedTuple):
    """What a stream has to remember from hop to hop; every shape is fixed.

    Parameters
    ----------
    tail : Tensor, shape (batch, n_channels, tail)
        The last samples, scaled; zero where a channel was absent.
    keys, values : tuple of Tensor, shape (batch, n_heads, (context - 1) * n_latents, 32)
        One for each layer; keys as they were before rotation, the oldest hop first.
    filled : Tensor of int64, shape (batch,)
        How many hops of them are real.
    """

    tail: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    filled: Tensor


class Student(nn.Module):
    """Signal of any set of channels to one embedding a hop, causally.

    Parameters
    ----------
    config : StudentConfig
        What was chosen.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.ModuleList(PatchTokens(samples, width) for samples in config.scales)
        self.high_gamma = HighGammaTokens(config.hop, width) if config.high_gamma else None
        self.position = nn.Linear(N_WAVES, width, bias=False)
        self.modality = nn.Embedding(2, width)
        self.mix = nn.ModuleDict({"norm": nn.RMSNorm(width, 1e-5), "ffn": SwiGlu(width, width)})
        self.gather = Gather(width, config.n_latents)
        self.blocks = nn.ModuleList(
            Block(width, config.heads_of(layer), config.ffn_of(layer))
            for layer in range(config.n_layers)
        )
        self.norm = nn.RMSNorm(width, 1e-5)
        nn.init.normal_(self.modality.weight, std=0.02)

    def forward(
        self,
        x_uv: Tensor,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> Tensor:
        """Latents of every hop of a window, as if nothing had come before it.

        Parameters
        ----------
        x_uv : Tensor, shape (batch, n_channels, n_hops * hop)
            Microvolts at 500 Hz.
        usable : Tensor of bool, shape (batch, n_channels) or (batch, n_channels, n_hops), optional
            False where a channel is absent; what it holds then does not matter.
        positions : Tensor, shape (batch, n_channels, 3), optional
            Electrodes in millimetres, NaN where unknown.
        modality : Tensor of int64, shape (batch,), optional
            0 EEG, 1 iEEG.

        Returns
        -------
        latents : Tensor, shape (batch, n_hops, n_latents, width)
            Each hop's, from itself and the hops before it.
        """
        state = self.initial_state(x_uv.shape[0], x_uv.shape[1], like=x_uv)
        n_hops = x_uv.shape[2] // self.config.hop
        if n_hops <= 2 * self.config.context:
            return self.advance(x_uv, state, usable, positions, modality)[0]
        found = []
        for first in range(0, n_hops, self.config.context):  # a long window, piece by piece
            stop = min(first + self.config.context, n_hops)
            piece = x_uv[:, :, first * self.config.hop : stop * self.config.hop]
            part = usable[:, :, first:stop] if usable is not None and usable.ndim == 3 else usable
            latents, state = self.advance(piece, state, part, positions, modality)
            found.append(latents)
        return torch.cat(found, dim=1)

    def step(
        self,
        patch_uv: Tensor,
        state: StudentState,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> tuple[Tensor, StudentState]:
        """One hop: its embedding, shape (batch, n_latents * width), and the state after it."""
        latents, state = self.advance(patch_uv, state, usable, positions, modality)
        return latents.flatten(1), state

    def advance(
        self,
        x_uv: Tensor,
        state: StudentState,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> tuple[Tensor, StudentState]:
        """Some hops of a stream.

        Parameters
        ----------
        x_uv : Tensor, shape (batch, n_channels, n * hop)
            The next samples in microvolts.
        state : StudentState
            After the samples before them. Not changed.
        usable, positions, modality : Tensor, optional
            As for `forward`.

        Returns
        -------
        latents : Tensor, shape (batch, n, n_latents, width)
            One set a hop.
        state : StudentState
            To go on with.
        """
        _, latents, state = self._advance(x_uv, state, usable, positions, modality)
        return latents, state

    def read(
        self,
        x_uv: Tensor,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Latents as from `forward` and tokens as from `tokens`, in one pass over a window."""
        state = self.initial_state(x_uv.shape[0], x_uv.shape[1], like=x_uv)
        tokens, latents, _ = self._advance(x_uv, state, usable, positions, modality)
        return latents, tokens

    def tokens(
        self,
        x_uv: Tensor,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> Tensor:
        """Tokens before they are gathered, shape (batch, n_channels, n_hops, width)."""
        usable = self._usable_by_hop(x_uv, usable)
        state = self.initial_state(x_uv.shape[0], x_uv.shape[1], like=x_uv)
        return self._tokens(self._joined(x_uv, state.tail, usable)[0], positions, modality)

    def initial_state(
        self, batch: int, n_channels: int, like: Tensor | None = None
    ) -> StudentState:
        """The state of a stream that has not begun."""
        like = self.norm.weight if like is None else like
        config = self.config
        past = (config.context - 1) * config.n_latents
        empty = tuple(
            like.new_zeros(batch, config.heads_of(layer), past, HEAD_DIM)
            for layer in range(config.n_layers)
        )
        filled = torch.zeros(batch, dtype=torch.int64, device=like.device)
        return StudentState(like.new_zeros(batch, n_channels, config.tail), empty, empty, filled)

    def _advance(
        self,
        x_uv: Tensor,
        state: StudentState,
        usable: Tensor | None,
        positions: Tensor | None,
        modality: Tensor | None,
    ) -> tuple[Tensor, Tensor, StudentState]:
        usable = self._usable_by_hop(x_uv, usable)
        signal, tail = self._joined(x_uv, state.tail, usable)
        tokens = self._tokens(signal, positions, modality)
        latents = self.gather(tokens, usable)
        slots = Slots.of(self.config, usable.shape[2], state.filled)
        keys, values = [], []
        for block, past_keys, past_values in zip(
            self.blocks, state.keys, state.values, strict=True
        ):
            latents, new_keys, new_values = block(latents, past_keys, past_values, slots)
            keys.append(new_keys)
            values.append(new_values)
        filled = (state.filled + usable.shape[2]).clamp(max=self.config.context - 1)
        latents = self.norm(latents).unflatten(1, (-1, self.config.n_latents))
        return tokens, latents, StudentState(tail, tuple(keys), tuple(values), filled)

    def _usable_by_hop(self, x_uv: Tensor, usable: Tensor | None) -> Tensor:
        """Which channel is there in which hop, (batch, n_channels, n)."""
        batch, n_channels, n_times = x_uv.shape
        n_hops, rest = divmod(n_times, self.config.hop)
        if rest or not n_hops:
            raise ConfigError(
                f"A student reads whole hops of {self.config.hop} samples at {RATE_HZ} Hz, got "
                f"{n_times} samples: cut the window to a multiple."
            )
        if usable is None:
            return torch.ones(batch, n_channels, n_hops, dtype=torch.bool, device=x_uv.device)
        return usable if usable.ndim == 3 else usable[:, :, None].expand(-1, -1, n_hops)

    def _joined(self, x_uv: Tensor, tail: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled signal behind the tail, and the tail for next time; absent channels are zero."""
        hops = x_uv.unflatten(2, (-1, self.config.hop)) / self.config.scale_uv
        present = torch.where(usable[..., None], hops, torch.zeros_like(hops)).flatten(2)
        signal = torch.cat([tail, present], dim=2)
        return signal, signal[:, :, signal.shape[2] - self.config.tail :]

    def _tokens(self, signal: Tensor, positions: Tensor | None, modality: Tensor | None) -> Tensor:
        hop = self.config.hop
        n_hops = (signal.shape[2] - self.config.tail) // hop
        tokens = torch.zeros((), dtype=signal.dtype, device=signal.device)
        for samples, embed in zip(self.config.scales, self.patches, strict=True):
            tokens = tokens + embed(ending_patches(signal, samples, hop, n_hops))
        if self.high_gamma is not None:
            tokens = tokens + self.high_gamma(ending_patches(signal, hop, hop, n_hops))
        if positions is not None:
            tokens = tokens + self.position(waves(positions))[:, :, None]
        if modality is not None:
            tokens = tokens + self.modality(modality)[:, None, None]
        mixed: Tensor = tokens + self.mix["ffn"](self.mix["norm"](tokens))
        return mixed


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
