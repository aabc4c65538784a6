"""The student: a small causal transformer that streams, distilled from DIVER [1]_.

Signal comes a *hop* (0.1 s) at a time. Each channel's hop becomes a token; the channels of a hop,
however many there are, are gathered into a few latents [2]_; the latents of the last hops attend to
each other, never to later ones; at the end each channel reads the latents and says its own word.
So a new hop costs the new hop alone, and the number of channels matters only where tokens are
made and read. ::

    patch --> tokens --> latents --> causal blocks ------> latents   what is going on
    (C, hop)  (C, d)     (K, d)      keys and values       (K, d)
                 |                   of past hops kept        |
                 +-------------------------------------> channels    where
                                                           (C, r)

Latents alone would not do: a mean over electrodes without a place, however it is weighted, cannot
tell them apart, and with it goes what a spatial filter lives on.

What the teacher does with a whole window in hand is done otherwise here. Its group norm, whose
statistics run over all electrodes and times, is a norm of each token alone, with the size that was
divided out as an input of its own. Its complex FFT is a pair of fixed matrices. Its registers and
its convolution over neighbouring patches are gone. A channel that is absent is left out of the
softmax that gathers the channels: nothing it holds can matter.

`Student.forward` reads a window, `Student.step` one hop and a state of fixed shape; both are
`Student.advance`. Attention knows how many hops ago something was and nothing else about time: the
age of a slot never changes as keys move through it, so nothing is re-based after hours.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings. 2025.
.. [2] Jaegle et al. Perceiver: general perception with iterative attention. ICML, 2021.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ..runtime.errors import ConfigError
from .student_config import HEAD_DIM, RATE_HZ, StudentConfig
from .student_layers import Block, Gather, Reach, ReadBack, SwiGlu, norm
from .student_tokens import N_WAVES, HighGammaTokens, PatchTokens, Waves, ending_patches

_AT_ONCE = 100  # hops of a window


class StudentState(NamedTuple):
    """What a stream has to remember from hop to hop; every shape is fixed.

    Parameters
    ----------
    tail : Tensor, shape (batch, n_channels, tail)
        The last samples, scaled; zero where a channel was absent.
    keys, values : tuple of Tensor, shape (batch, n_heads, context, n_latents, 32)
        One for each layer; a ring, see `Reach`.
    heard : Tensor of int64, shape (1,)
        Hops so far, of all streams of the batch alike.
    """

    tail: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    heard: Tensor


class Heard(NamedTuple):
    """What a student makes of some hops.

    Parameters
    ----------
    latents : Tensor, shape (batch, n, n_latents, width)
        Of each hop, from itself and the hops before it; indifferent to the order of channels.
    channels : Tensor, shape (batch, n_channels, n, n_readings)
        Each channel's own; zero where it is absent.
    """

    latents: Tensor
    channels: Tensor

    @property
    def embedding(self) -> Tensor:
        """Both, hop by hop, shape (batch, n, n_latents * width + n_channels * n_readings)."""
        by_hop = self.channels.transpose(1, 2).flatten(2)
        return torch.cat([self.latents.flatten(2), by_hop], dim=-1)


class Student(nn.Module):
    """Signal of any set of channels to one embedding a hop, causally.

    Parameters
    ----------
    config : StudentConfig
        What was chosen.
    """

    sharded_as_one = True  # the blocks' tables of ages are read together, before any block runs

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.ModuleList(PatchTokens(samples, width) for samples in config.scales)
        self.high_gamma = HighGammaTokens(config.hop, width) if config.high_gamma else None
        self.waves = Waves()
        self.position = nn.Linear(N_WAVES, width, bias=False)
        self.modality = nn.Embedding(2, width)
        self.mix = nn.ModuleDict({"norm": norm(width), "ffn": SwiGlu(width, width)})
        self.gather = Gather(width, config.n_latents)
        self.blocks = nn.ModuleList(
            Block(width, config.heads_of(layer), config.ffn_of(layer), config.context)
            for layer in range(config.n_layers)
        )
        self.norm = norm(width)
        self.read_back = ReadBack(width, config.n_readings)
        nn.init.normal_(self.modality.weight, std=0.02)

    def forward(
        self,
        x_uv: Tensor,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> Heard:
        """What is in every hop of a window, as if nothing had come before it.

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
        heard : Heard
            Of all hops.
        """
        state = self.initial_state(x_uv.shape[0], x_uv.shape[1], like=x_uv)
        n_hops = x_uv.shape[2] // self.config.hop
        at_once = max(_AT_ONCE, self.config.context)
        if n_hops <= at_once:
            return self.advance(x_uv, state, usable, positions, modality)[0]
        found = []
        for first in range(0, n_hops, at_once):  # a long window, piece by piece
            stop = min(first + at_once, n_hops)
            piece = x_uv[:, :, first * self.config.hop : stop * self.config.hop]
            part = usable[:, :, first:stop] if usable is not None and usable.ndim == 3 else usable
            heard, state = self.advance(piece, state, part, positions, modality)
            found.append(heard)
        latents, channels = zip(*found, strict=True)
        return Heard(torch.cat(latents, dim=1), torch.cat(channels, dim=2))

    def step(
        self,
        patch_uv: Tensor,
        state: StudentState,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> tuple[Tensor, StudentState]:
        """One hop: its `Heard.embedding`, shape (batch, n_features), and the state after it."""
        heard, state = self.advance(patch_uv, state, usable, positions, modality)
        return heard.embedding[:, 0], state

    def advance(
        self,
        x_uv: Tensor,
        state: StudentState,
        usable: Tensor | None = None,
        positions: Tensor | None = None,
        modality: Tensor | None = None,
    ) -> tuple[Heard, StudentState]:
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
        heard : Heard
            Of these hops.
        state : StudentState
            To go on with.
        """
        usable = self._usable_by_hop(x_uv, usable)
        signal, tail = self._joined(x_uv, state.tail, usable)
        tokens = self._tokens(signal, positions, modality)
        latents = self.gather(tokens, usable)
        reach = Reach(self.config.context, usable.shape[2], state.heard)
        ages = [cast(Block, block).age_bias for block in self.blocks]
        biases = reach.biases(ages, self.config.n_latents)
        keys, values = [], []
        for block, ring_keys, ring_values, bias in zip(
            self.blocks, state.keys, state.values, biases, strict=True
        ):
            latents, ring_keys, ring_values = block(latents, ring_keys, ring_values, reach, bias)
            keys.append(ring_keys)
            values.append(ring_values)
        latents = self.norm(latents).unflatten(1, (-1, self.config.n_latents))
        heard = Heard(latents, self.read_back(tokens, latents, usable))
        n_heard = state.heard + usable.shape[2]
        return heard, StudentState(tail, tuple(keys), tuple(values), n_heard)

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
        each = (config.context, config.n_latents, HEAD_DIM)
        empty = tuple(
            like.new_zeros(batch, config.heads_of(layer), *each) for layer in range(config.n_layers)
        )
        heard = torch.zeros(1, dtype=torch.int64, device=like.device)
        return StudentState(like.new_zeros(batch, n_channels, config.tail), empty, empty, heard)

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
            tokens = tokens + self.position(self.waves(positions))[:, :, None]
        if modality is not None:
            tokens = tokens + self.modality(modality)[:, None, None]
        mixed: Tensor = tokens + self.mix["ffn"](self.mix["norm"](tokens))
        return mixed
