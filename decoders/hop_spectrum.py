"""Magnitude and phase of each channel's hop: what a student is to keep of the signal itself.

The log-magnitude and the phase of every frequency are predicted out of the latents [1]_; which
frequencies matter differs between scalp and cortex. Used in training only: here a complex FFT is
allowed.

References
----------
.. [1] DLink: distilling layer-wise and dominant knowledge from EEG foundation models. 2026.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .distill_losses import RunningScale, masked_mean

RATE_HZ = 500.0

Bands = tuple[tuple[float, float, float], ...]
"""From, to (Hz, both included) and weight of each band; where bands overlap the weights add."""

EEG_BANDS: Bands = ((0.0, 45.0, 1.0), (45.0, 100.0, 0.25))
"""Above 100 Hz the scalp gives muscle and amplifier noise."""

IEEG_BANDS: Bands = ((0.0, 70.0, 1.0), (70.0, 150.0, 1.0), (80.0, 250.0, 1.0))
"""High gamma counts twice where both of its usual definitions agree."""


class HopSpectrum(nn.Module):
    """Log-magnitude and phase of each channel's hop, and how much each frequency counts.

    Parameters
    ----------
    hop : int
        Samples of a hop at 500 Hz; frequencies are ``500 / hop`` Hz apart.
    eeg, ieeg : Bands
        Weights by frequency for each modality; they are scaled to a mean of 1.
    """

    window: Tensor
    weights: Tensor

    def __init__(self, hop: int, eeg: Bands = EEG_BANDS, ieeg: Bands = IEEG_BANDS) -> None:
        super().__init__()
        self.hop = hop
        self.n_bins = hop // 2 + 1
        window = torch.hann_window(hop, periodic=True)
        self.register_buffer("window", 2 * window / window.sum(), persistent=False)
        table = torch.stack([_by_frequency(bands, hop) for bands in (eeg, ieeg)])
        self.register_buffer("weights", table, persistent=False)
        self.scale = RunningScale(self.n_bins)

    def targets(self, x_uv: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is to be predicted about a signal.

        Parameters
        ----------
        x_uv : Tensor, shape (B, C, n_hops * hop)
            Microvolts.
        present : Tensor of bool, shape (B, C)
            Which channels count for the statistics.

        Returns
        -------
        magnitude : Tensor, shape (B, C, n_hops, n_bins)
            Normalised logarithm of the amplitude.
        phasor : Tensor, shape (B, C, n_hops, n_bins, 2)
            Cosine and sine of the phase.
        amplitude : Tensor, shape (B, C, n_hops, n_bins)
            Microvolts.
        """
        spectrum = torch.fft.rfft(x_uv.unflatten(2, (-1, self.hop)) * self.window, dim=-1)
        amplitude = spectrum.abs()
        phasor = torch.view_as_real(spectrum / amplitude.clamp(min=1e-9))
        heard = present[:, :, None].expand(amplitude.shape[:3])
        return self.scale((amplitude + 0.05).log(), heard), phasor, amplitude

    def losses(
        self,
        said: Tensor,
        targets: tuple[Tensor, Tensor, Tensor],
        present: Tensor,
        modality: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Magnitude and phase loss; predicting nothing costs about 1 each.

        Parameters
        ----------
        said : Tensor, shape (B, C, n_hops, 3 * n_bins)
            Log-magnitude, cosine, sine.
        targets : tuple of Tensor
            From `targets`.
        present : Tensor of bool, shape (B, C)
            Which channels count.
        modality : Tensor of int64, shape (B,)
            0 EEG, 1 iEEG.
        """
        magnitude, phasor, amplitude = targets
        level, cosine, sine = said.chunk(3, dim=-1)
        by_bin = self.weights[modality][:, None, None]  # (B, 1, 1, n_bins)
        heard = present[:, :, None].expand(said.shape[:3])
        off = ((level - magnitude).square() * by_bin).mean(-1)
        # The phase of what is hardly there is chance: a bin counts by how strong it is there,
        # against the same frequency elsewhere, as all power falls with frequency.
        there = heard[..., None].to(amplitude.dtype)
        usual = (amplitude * there).sum((0, 1, 2)) / there.sum().clamp(min=1.0)
        strong = amplitude / (amplitude + usual.clamp(min=1e-9)) * by_bin
        turned = (torch.stack([cosine, sine], dim=-1) - phasor).square().sum(-1)
        turned = (turned * strong).sum(-1) / strong.sum(-1).clamp(min=1e-9)
        return masked_mean(off, heard), masked_mean(turned, heard)


def _by_frequency(bands: Bands, hop: int) -> Tensor:
    """Weight of each bin, mean 1, shape (n_bins,)."""
    frequencies = torch.arange(hop // 2 + 1) * (RATE_HZ / hop)
    weights = torch.zeros(len(frequencies))
    for low, high, weight in bands:
        weights += weight * ((frequencies >= low) & (frequencies <= high))
    return weights / weights.mean().clamp(min=1e-9)
