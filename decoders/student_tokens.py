"""From a patch of one channel to a token: what the student sees of its signal.

Every token is normalised by itself, so that no electrode and no time touches another; the size
that was divided out goes in beside it. Spectra come from fixed matrices: nothing is complex.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .student_config import RATE_HZ

_WAVELENGTHS_MM = (512.0, 256.0, 128.0, 64.0, 32.0, 16.0)
_HIGH_GAMMA_HZ = ((70.0, 110.0), (110.0, 150.0), (150.0, 200.0), (200.0, 250.0))
_HIGH_GAMMA_GAIN = 100.0  # cortical high gamma is about a hundredth of what the scale makes 1
_FLOOR = 1e-6  # of mean square: 0.1 uV for EEG, below any amplifier's noise

N_WAVES = 6 * len(_WAVELENGTHS_MM)
"""Length of what `Waves` makes of a place."""


class PatchTokens(nn.Module):
    """A patch of one channel as a token: shape, spectrum, size and level.

    Parameters
    ----------
    samples : int
        Length of the patch.
    width : int
        Length of the token.

    Notes
    -----
    Shape is the patch without its mean, at unit size; the spectrum is the logarithm of its power,
    from two fixed matrices; size is the logarithm of what was divided by; level are the means of
    both halves, which slow potentials need.
    """

    def __init__(self, samples: int, width: int) -> None:
        super().__init__()
        half = samples // 2
        means = torch.zeros(samples, 2)
        means[:half, 0], means[half:, 1] = 1 / half, 1 / (samples - half)
        self.register_buffer("means", means, persistent=False)
        self.register_buffer("fourier", _fourier(samples, range(half + 1)), persistent=False)
        self.means: Tensor
        self.fourier: Tensor
        self.embed = nn.Linear(samples + samples // 2 + 1 + 3, width)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (..., samples), scaled, to tokens (..., width)."""
        level = torch.asinh((patches @ self.means) * 10)
        shape, size = _unit(patches)
        parts = (shape @ self.fourier).unflatten(-1, (2, -1))
        spectrum = (parts.square().sum(-2) + 1e-4).log()
        token: Tensor = self.embed(torch.cat([shape, 0.3 * spectrum, size, level], dim=-1))
        return token


class HighGammaTokens(nn.Module):
    """What a hop holds from 70 to 250 Hz, at its own unit size, and how strong each band is."""

    def __init__(self, samples: int, width: int) -> None:
        super().__init__()
        step_hz = RATE_HZ / samples
        low, high = _HIGH_GAMMA_HZ[0][0], _HIGH_GAMMA_HZ[-1][1]
        bins = [k for k in range(samples // 2 + 1) if low <= k * step_hz <= high]
        bands = torch.tensor(
            [[float(a <= k * step_hz <= b) for a, b in _HIGH_GAMMA_HZ] for k in bins]
        )
        self.register_buffer("fourier", _fourier(samples, bins), persistent=False)
        self.register_buffer("bands", bands / bands.sum(0), persistent=False)
        self.fourier: Tensor
        self.bands: Tensor
        self.embed = nn.Linear(2 * len(bins) + len(_HIGH_GAMMA_HZ), width)

    def forward(self, patches: Tensor) -> Tensor:
        """Hops (..., samples), scaled, to tokens (..., width)."""
        parts = _HIGH_GAMMA_GAIN * (patches - patches.mean(-1, keepdim=True)) @ self.fourier
        power = parts.unflatten(-1, (2, -1)).square().sum(-2)
        strength = (power @ self.bands + _FLOOR).log()
        shape, _ = _unit(parts)
        token: Tensor = self.embed(torch.cat([shape, 0.3 * strength], dim=-1))
        return token


def ending_patches(signal: Tensor, samples: int, hop: int, n_hops: int) -> Tensor:
    """The patch of so many samples that ends with each hop, (batch, n_channels, n, samples)."""
    first = signal.shape[2] - n_hops * hop + hop - samples
    if n_hops == 1:
        return signal[:, :, None, first:]
    return signal[:, :, first:].unfold(2, samples, hop)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Without its mean, at unit root mean square; and the logarithm of what was divided by."""
    centred = x - x.mean(-1, keepdim=True)
    power = centred.square().mean(-1, keepdim=True) + _FLOOR
    return centred * power.rsqrt(), 0.5 * power.log() + 2


def _fourier(samples: int, bins: range | list[int]) -> Tensor:
    """Cosines, then sines, under a Hann window; unit noise has unit power, (samples, 2 * bins)."""
    time = torch.arange(samples, dtype=torch.float64)
    angle = 2 * math.pi / samples * time[:, None] * torch.tensor(list(bins), dtype=torch.float64)
    window = torch.hann_window(samples, periodic=True, dtype=torch.float64)
    window = window / window.square().sum().sqrt()
    return (torch.cat([angle.cos(), angle.sin()], dim=1) * window[:, None]).float()


class Waves(nn.Module):
    """Sines and cosines of a place in millimetres; zero where it is not known."""

    def __init__(self) -> None:
        super().__init__()
        turns = 2 * math.pi / torch.tensor(_WAVELENGTHS_MM)
        by_axis = torch.kron(torch.eye(3), turns[None])  # (3, 18)
        quarter = torch.full((by_axis.shape[1],), math.pi / 2)
        self.register_buffer("turns", torch.cat([by_axis, by_axis], dim=1), persistent=False)
        self.register_buffer("phase", torch.cat([0 * quarter, quarter]), persistent=False)
        self.turns: Tensor
        self.phase: Tensor

    def forward(self, positions: Tensor) -> Tensor:
        """Places (..., 3) to (..., `N_WAVES`)."""
        known = positions.isfinite().all(-1, keepdim=True)
        angle = positions.nan_to_num(0.0, 0.0, 0.0) @ self.turns + self.phase
        return angle.sin() * known
