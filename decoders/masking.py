"""Which patches a teacher must guess while it is pretrained.

Plain masking hides each patch by the toss of a coin [1]_. Neighbouring electrodes see much the
same, so a hidden patch can often be copied from the one beside it. Correlated masking hides a
channel together with those that follow it, patch by patch, and leaves the share of hidden
patches as it was.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale. 2025.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .corpus import Batch

_BISECTIONS = 40  # halvings of the interval [0, 1]: far below what a coin can tell


class MaskedBatch(NamedTuple):
    """A batch and what is hidden in it.

    Parameters
    ----------
    batch : Batch
        Signal as drawn, nothing hidden.
    mask : Tensor of bool, shape (B, C, n_patches)
        True where the teacher has to guess.
    """

    batch: Batch
    mask: torch.Tensor


def draw_mask(
    rng: np.random.Generator, batch: Batch, patch: int, share: float, correlated: float | None
) -> torch.Tensor:
    """Toss a coin for every channel and patch.

    Parameters
    ----------
    rng : Generator
        Everything random comes from it.
    batch : Batch
        What is to be hidden in.
    patch : int
        Samples of a patch.
    share : float
        Expected share of hidden patches, in (0, 1).
    correlated : float, optional
        Channels whose correlation over the segment is at least this large, either way, are hidden
        together with a channel that is chosen; None hides each by itself.

    Returns
    -------
    mask : Tensor of bool, shape (B, C, n_patches)
        True in at least one usable channel of every segment, so that there is something to guess.
    """
    n_segments, n_channels, n_times = batch.x.shape
    shape = (n_segments, n_channels, n_times // patch)
    if correlated is None:
        mask = rng.random(shape) < share
    else:
        near = _near(batch.x.numpy(), batch.usable.numpy(), correlated)  # (B, C, C)
        chance = _seed_chance(near.sum(axis=2), share)  # (B, 1)
        chosen = rng.random(shape) < chance[:, :, None]
        mask = np.einsum("bij,bjn->bin", near, chosen) > 0
    for segment in range(n_segments):
        usable = np.flatnonzero(batch.usable[segment].numpy())
        if len(usable) and not mask[segment, usable].any():
            mask[segment, rng.choice(usable), rng.integers(shape[2])] = True
    return torch.from_numpy(mask)


def _near(
    x: NDArray[np.float32], usable: NDArray[np.bool_], at_least: float
) -> NDArray[np.float32]:
    """Which channels go together, (B, C, C), 1 or 0; each goes with itself."""
    centred = x - x.mean(axis=2, keepdims=True)
    size = np.linalg.norm(centred, axis=2, keepdims=True)
    unit = centred / np.maximum(size, np.finfo(np.float32).tiny)
    near = np.abs(unit @ unit.transpose(0, 2, 1)) >= at_least
    near &= usable[:, :, None] & usable[:, None, :]
    return np.asarray(near | np.eye(x.shape[1], dtype=bool), dtype=np.float32)


def _seed_chance(n_near: NDArray[np.float32], share: float) -> NDArray[np.float64]:
    """Chance of choosing a channel by which `share` are hidden in the end, (B, 1).

    A channel with k others and itself is hidden unless none of them is chosen, so its chance is
    ``1 - (1 - chance) ** k``; the mean over the channels rises with the chance.
    """
    low, high = np.zeros((len(n_near), 1)), np.ones((len(n_near), 1))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        hidden = (1 - (1 - middle) ** n_near).mean(axis=1, keepdims=True)
        low, high = np.where(hidden < share, middle, low), np.where(hidden < share, high, middle)
    return high
