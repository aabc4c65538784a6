"""The slow course of each hop as a target: what a spectrum with 10 Hz bins cannot tell.

Evoked potentials live below 10 Hz. A student that can say the mean of every fifth of a hop, in
microvolts and not only in shape, has kept them; a target below the fast rhythms is also what made
a compressed encoder better elsewhere [1]_.

References
----------
.. [1] FEMBA on the edge. arXiv:2603.26716, 2026.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..runtime.errors import ConfigError
from .distill_losses import RunningScale, masked_mean

N_LEVELS = 5
"""Parts of a hop: 20 ms each of 0.1 s."""

_KNEE = 0.1  # of the model's scale: 10 uV for EEG; beyond it a level counts by its logarithm


class HopLevel(nn.Module):
    """Means of the parts of a hop, compressed, at unit variance.

    Parameters
    ----------
    hop : int
        Samples of a hop, a multiple of `N_LEVELS`.
    scale_uv : float
        The student's scale.
    """

    def __init__(self, hop: int, scale_uv: float) -> None:
        super().__init__()
        if hop % N_LEVELS:
            raise ConfigError(f"A hop must be a multiple of {N_LEVELS} samples, got {hop}.")
        self.part, self.knee_uv = hop // N_LEVELS, _KNEE * scale_uv
        self.scale = RunningScale(N_LEVELS)

    def loss(self, said: Tensor, x_uv: Tensor, present: Tensor) -> Tensor:
        """Mean square error; saying nothing costs about 1.

        Parameters
        ----------
        said : Tensor, shape (B, C, n_hops, N_LEVELS)
            What the student says.
        x_uv : Tensor, shape (B, C, n_hops * hop)
            Microvolts.
        present : Tensor of bool, shape (B, C)
            Which channels count.
        """
        means = x_uv.unflatten(2, (-1, N_LEVELS, self.part)).mean(-1)
        heard = present[:, :, None].expand(said.shape[:3])
        wanted = self.scale(torch.asinh(means / self.knee_uv), heard)
        return masked_mean((said - wanted).square().mean(-1), heard)
