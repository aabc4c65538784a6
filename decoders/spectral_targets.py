"""What pretraining asks for: the samples of a patch and its spectra, as DIVER-1 defines them [1]_.

Three views of one patch: its samples, scaled and clipped; the log amplitude of its spectrum below
200 Hz; and, where a patch is long enough, log amplitudes of two short-time spectra, one fine in
frequency and one fine in time. Used in training only, so nothing here has to be exported.

The released code turns complex numbers into real ones before it takes the amplitude, which leaves
the size of the real part. Here the amplitude is meant; ``"real"`` gives the other.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale. 2025.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime.errors import ConfigError

RATE_HZ = 500.0
FFT_POINTS = 500
"""Length of the transform: a shorter patch is filled up with zeros, so bins are always 1 Hz."""
FFT_BINS = 200
STFT_FRAMES = ((200, 100, 80, 4), (50, 25, 20, 19))
"""Samples of a frame, samples between frames, bins below 200 Hz, frames in a patch of 500."""
STFT_BINS = sum(n_bins * n_frames for _, _, n_bins, n_frames in STFT_FRAMES)
STFT_PATCH = 500

AMPLITUDES = ("abs", "real")


def spectral_targets(patches: Tensor, *, amplitude: str = "abs") -> dict[str, Tensor]:
    """Compute every target of patches.

    Parameters
    ----------
    patches : Tensor of float32, shape (..., patch)
        Scaled and clipped to [-1, 1], 500 Hz.
    amplitude : {"abs", "real"}
        Amplitude, or size of the real part as in the released code.

    Returns
    -------
    targets : dict of str to Tensor
        ``"time"`` (..., patch), ``"fft"`` (..., 200) and, for patches of 500 samples, ``"stft"``
        (..., 700). The names are those of the teacher's readouts.
    """
    targets = {"time": patches, "fft": fft_target(patches, amplitude=amplitude)}
    if patches.shape[-1] == STFT_PATCH:
        targets["stft"] = stft_target(patches, amplitude=amplitude)
    return targets


def fft_target(patches: Tensor, *, amplitude: str = "abs") -> Tensor:
    """Compute log amplitudes of whole patches, ``log(1 + |X|)``.

    Parameters
    ----------
    patches : Tensor, shape (..., patch)
        At most 500 samples each.
    amplitude : {"abs", "real"}
        See `spectral_targets`.

    Returns
    -------
    target : Tensor, shape (..., 200)
        At 0, 1, ..., 199 Hz.

    Raises
    ------
    ConfigError
        If a patch is longer than the transform.
    """
    if patches.shape[-1] > FFT_POINTS:
        raise ConfigError(
            f"A patch has {patches.shape[-1]} samples, allowed are at most {FFT_POINTS}: cut "
            f"shorter patches."
        )
    spectrum = torch.fft.rfft(patches.float(), n=FFT_POINTS)[..., :FFT_BINS]
    return _log_amplitude(spectrum, amplitude)


def stft_target(patches: Tensor, *, amplitude: str = "abs") -> Tensor:
    """Compute log amplitudes of short-time spectra with two lengths of frame.

    Hann frames that overlap by half, none reaching beyond the patch, each spectrum divided by the
    square root of its frame's length.

    Parameters
    ----------
    patches : Tensor, shape (..., 500)
        One second each.
    amplitude : {"abs", "real"}
        See `spectral_targets`.

    Returns
    -------
    target : Tensor, shape (..., 700)
        80 bins x 4 frames of 0.4 s, then 20 bins x 19 frames of 0.1 s; frames vary fastest.

    Raises
    ------
    ConfigError
        If the patches have another length.
    """
    if patches.shape[-1] != STFT_PATCH:
        raise ConfigError(
            f"A patch has {patches.shape[-1]} samples, the short-time target needs {STFT_PATCH}: "
            f"leave it out for other patches."
        )
    parts = []
    for n_samples, hop, n_bins, _ in STFT_FRAMES:
        window = torch.hann_window(n_samples, device=patches.device)
        frames = patches.float().unfold(-1, n_samples, hop) * window  # (..., n_frames, n_samples)
        spectrum = torch.fft.rfft(frames)[..., :n_bins] / n_samples**0.5
        parts.append(_log_amplitude(spectrum, amplitude).transpose(-1, -2).flatten(-2))
    return torch.cat(parts, dim=-1)


def bin_frequencies_hz(domain: str) -> Tensor:
    """Get the frequency of every value of a spectral target.

    Parameters
    ----------
    domain : {"fft", "stft"}
        Which target.

    Returns
    -------
    frequencies : Tensor, shape (200,) or (700,)
        Hertz, in the order of the target.
    """
    if domain == "fft":
        return torch.arange(FFT_BINS) * (RATE_HZ / FFT_POINTS)
    return torch.cat(
        [
            (torch.arange(n_bins) * (RATE_HZ / n_samples)).repeat_interleave(n_frames)
            for n_samples, _, n_bins, n_frames in STFT_FRAMES
        ]
    )


def _log_amplitude(spectrum: Tensor, amplitude: str) -> Tensor:
    if amplitude not in AMPLITUDES:
        raise ConfigError(f"amplitude must be 'abs' or 'real', got {amplitude!r}.")
    size = spectrum.abs() if amplitude == "abs" else spectrum.real.abs()
    return torch.log1p(size)
