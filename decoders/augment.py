"""What a student must shrug off: lost channels, other references, gains, mains hum, noise.

Only the student's input is spoilt; the teacher sees the clean signal, so the student learns to
say the same about a worse recording. There are two steps. `move` changes what the signal *is*
(a shift in time, a gain): what is predicted about the signal follows it. `corrupt` hides the
signal (channels, reference, hum, noise, positions): what is predicted stays.

Every row of a batch is treated on its own and by one generator, so the same seed spoils the same
batch in the same way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .augment_config import AugmentConfig
from .corpus import Batch

_RATE_HZ = 500.0


def augment(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """Move, then corrupt.

    Parameters
    ----------
    batch : Batch
        Windows ``x`` of shape (B, C, T) in microvolts at 500 Hz; not changed.
    config : AugmentConfig
        How often and how far.
    generator : torch.Generator
        Where chance comes from.

    Returns
    -------
    batch : Batch
        The spoilt copy: same shapes, lost channels are zero and no longer ``usable``.
    """
    return corrupt(move(batch, config, generator), config, generator)


def move(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """Shift each row in time and change its gains; arguments as in `augment`.

    The samples that a shift lacks at an edge are taken from the window itself, mirrored.
    """
    n_rows, n_channels, n_times = batch.x.shape
    shift = _signed(generator, n_rows, 1) * config.jitter_s * _RATE_HZ
    wanted = torch.arange(n_times) + shift.round().long()
    last = n_times - 1
    inside = last - (last - wanted.abs()).abs()
    index = inside[:, None, :].expand(-1, n_channels, -1).to(batch.x.device)
    log_gain = _signed(generator, n_rows, 1, 1) * math.log(config.gain_recording)
    log_gain = log_gain + _signed(generator, n_rows, n_channels, 1) * math.log(config.gain_channel)
    return batch._replace(x=batch.x.gather(2, index) * log_gain.exp().to(batch.x))


def corrupt(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """Change the reference, add hum and noise, lose channels; arguments as in `augment`."""
    x, usable = _change_reference(batch.x, batch.usable, config, generator)
    x = x + _hum(batch, config, generator) + _noise(batch, config, generator)
    usable = _drop(usable, config, generator)
    forgotten = _chance(generator, config.forget_positions, len(x)).to(x.device)
    positions = batch.positions.masked_fill(forgotten[:, None, None], float("nan"))
    x = x.masked_fill(~usable[:, :, None], 0.0)
    return batch._replace(x=x, usable=usable, positions=positions)


class Drawn(NamedTuple):
    """A segment three times.

    Parameters
    ----------
    clean : Batch
        What the teacher reads.
    moved : Batch
        Shifted and scaled: what the spectrum is predicted of.
    seen : Batch
        What the student reads.
    """

    clean: Batch
    moved: Batch
    seen: Batch

    @classmethod
    def of(cls, clean: Batch, config: AugmentConfig, generator: torch.Generator) -> Drawn:
        """Spoil a batch; the clean one is not touched."""
        moved = move(clean, config, generator)
        return cls(clean, moved, corrupt(moved, config, generator))


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers in [0, 1), drawn where the generator lives and handed over on the CPU."""
    return torch.rand(*shape, generator=generator, device=generator.device).cpu()


def _signed(generator: torch.Generator, *shape: int) -> Tensor:
    return 2 * _uniform(generator, *shape) - 1


def _chance(generator: torch.Generator, probability: float, n_rows: int) -> Tensor:
    """True for the rows that are hit, shape (B,)."""
    return _uniform(generator, n_rows) < probability


def _rms(batch: Batch) -> Tensor:
    """Root mean square of each channel in microvolts, shape (B, C, 1)."""
    return batch.x.square().mean(dim=2, keepdim=True).sqrt()


def _change_reference(
    x: Tensor, usable: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Subtract one channel or the mean of some; the lone reference is no longer usable."""
    n_rows, n_channels, _ = x.shape
    scores = _uniform(generator, n_rows, n_channels).to(x.device)
    scores = scores.masked_fill(~usable, -1.0)
    single = _chance(generator, 0.5, n_rows).to(x.device)
    members = usable & (scores > 0.5)
    first = scores == scores.amax(dim=1, keepdim=True)
    # Whoever scores highest is always a member, so that no subset is empty.
    members = torch.where(single[:, None], first, members | first) & usable
    # One of one channel, or one of two, would leave nothing or a copy of it.
    hit = _chance(generator, config.reference_probability, n_rows).to(x.device)
    hit = hit & (usable.sum(dim=1) > 2)
    weights = members / members.sum(dim=1, keepdim=True).clamp(min=1) * hit[:, None]
    reference = torch.einsum("bc,bct->bt", weights.to(x), x)
    return x - reference[:, None, :], usable & (weights < 1)


def _hum(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Mains hum, shape (B, C, T): one phase for all channels, a strength for each."""
    n_rows, n_channels, n_times = batch.x.shape
    tones = torch.arange(1, config.line_harmonics + 1)
    mains_hz = torch.where(_chance(generator, 0.5, n_rows), 50.0, 60.0)
    phase = 2 * math.pi * _uniform(generator, n_rows, config.line_harmonics)
    size = config.line_most * _uniform(generator, n_rows, n_channels, 1)
    size = size * _chance(generator, config.line_probability, n_rows)[:, None, None]
    angle_per_sample = 2 * math.pi / _RATE_HZ * mains_hz[:, None] * tones
    angles = angle_per_sample[:, :, None] * torch.arange(n_times) + phase[:, :, None]
    wave = (angles.sin() / tones[:, None]).sum(dim=1)
    wave = wave / wave.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
    level = (_rms(batch) * batch.usable[:, :, None]).sum(dim=1, keepdim=True)
    level = level / batch.usable.sum(dim=1).clamp(min=1)[:, None, None]
    return size.to(batch.x) * level * wave[:, None, :].to(batch.x)


def _noise(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """White noise, shape (B, C, T)."""
    n_rows, n_channels, _ = batch.x.shape
    size = config.noise_most * _uniform(generator, n_rows, n_channels, 1)
    size = size * _chance(generator, config.noise_probability, n_rows)[:, None, None]
    white = torch.randn(batch.x.shape, generator=generator, device=generator.device)
    return size.to(batch.x) * _rms(batch) * white.to(batch.x)


def _drop(usable: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Lose up to the largest share of the usable channels, never all; shape (B, C)."""
    n_rows, n_channels = usable.shape
    share = config.drop_most * _uniform(generator, n_rows)
    share = share * _chance(generator, config.drop_probability, n_rows)
    n_lost = (share.to(usable.device) * usable.sum(dim=1)).floor()
    scores = _uniform(generator, n_rows, n_channels).to(usable.device)
    rank = scores.masked_fill(~usable, 2.0).argsort(dim=1).argsort(dim=1)
    return usable & (rank >= n_lost[:, None])
