"""What a teacher is given, checked, completed and cut into patches."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..runtime.errors import ConfigError
from .teacher_embedding import N_MODALITIES, N_SUBTYPES

SCALES_UV = (100.0, 200.0)
"""What the signal is divided by: EEG, iEEG."""


class TeacherInputs(NamedTuple):
    """Windows as the network takes them.

    Parameters
    ----------
    patches : Tensor, shape (batch, n_channels, n_patches, patch)
        Scaled; absent channels are zero, masked patches are the mask encoding.
    positions : Tensor, shape (batch, n_channels, 3)
        Millimetres, NaN where unknown.
    modality : Tensor, shape (batch,)
        0 for EEG, 1 for iEEG.
    subtypes : Tensor, shape (batch, n_channels)
        0 grid, 1 strip, 2 depth, -1 unknown.
    usable : Tensor, shape (1 or batch, n_channels), bool, or None
        None if all channels of all samples are there; one row if all samples lack the same ones.
    """

    patches: Tensor
    positions: Tensor
    modality: Tensor
    subtypes: Tensor
    usable: Tensor | None


def prepare(
    x_uv: Tensor,
    positions: Tensor | None,
    modality: Tensor | None,
    subtypes: Tensor | None,
    usable: Tensor | None,
    mask: Tensor | None,
    mask_encoding: Tensor,
) -> TeacherInputs:
    """Check windows, fill in what was not given, scale, cut and mask.

    Parameters
    ----------
    x_uv, positions, modality, subtypes, usable, mask
        As `Teacher.forward` takes them.
    mask_encoding : Tensor, shape (patch,)
        What a masked patch is seen as; its length is that of a patch.

    Returns
    -------
    inputs : TeacherInputs
        For the embedding.

    Raises
    ------
    ConfigError
        If a shape, a code or a sample cannot be used.
    """
    patch = len(mask_encoding)
    n_patches = _check_signal(x_uv, patch)
    batch, n_channels = x_uv.shape[:2]
    _check_shape("positions", positions, (batch, n_channels, 3))
    _check_shape("modality", modality, (batch,))
    _check_shape("subtypes", subtypes, (batch, n_channels))
    _check_shape("usable", usable, (batch, n_channels))
    _check_shape("mask", mask, (batch, n_channels, n_patches))
    if positions is None:
        positions = x_uv.new_full((batch, n_channels, 3), torch.nan)
    if modality is None:
        modality = torch.zeros(batch, dtype=torch.long, device=x_uv.device)
    if subtypes is None:
        subtypes = torch.full((batch, n_channels), -1, device=x_uv.device)
    _check_codes("modality", modality, 0, N_MODALITIES - 1, "0 is EEG, 1 iEEG")
    _check_codes("subtypes", subtypes, -1, N_SUBTYPES - 1, "-1 is unknown")
    usable = _shared(usable)
    patches = x_uv / x_uv.new_tensor(SCALES_UV)[modality][:, None, None]
    patches = torch.unflatten(patches, 2, (n_patches, patch))
    if usable is not None:
        patches = torch.where(usable[..., None, None], patches, 0.0)
    if mask is not None:
        patches = torch.where(mask[..., None], mask_encoding.to(patches.dtype), patches)
    _check_finite(patches)
    return TeacherInputs(patches, positions, modality, subtypes, usable)


def _check_signal(x_uv: Tensor, patch: int) -> int:
    """Number of patches in a window."""
    if x_uv.ndim != 3 or 0 in x_uv.shape:
        raise ConfigError(
            f"Windows have the shape {tuple(x_uv.shape)}, needed is (batch, n_channels, n_times) "
            f"with none of them 0: add the missing axis."
        )
    if x_uv.shape[2] % patch:
        raise ConfigError(
            f"Windows hold {x_uv.shape[2]} samples, needed is a multiple of the patch of {patch}: "
            f"cut or lengthen them at 500 Hz."
        )
    return x_uv.shape[2] // patch


def _check_shape(name: str, given: Tensor | None, needed: tuple[int, ...]) -> None:
    if given is not None and tuple(given.shape) != needed:
        raise ConfigError(
            f"{name} has the shape {tuple(given.shape)}, needed is {needed} for these windows: "
            f"give one row per sample and channel."
        )


def _check_codes(name: str, codes: Tensor, lowest: int, highest: int, meaning: str) -> None:
    if codes.is_meta:
        return
    if int(codes.min()) < lowest or int(codes.max()) > highest:
        raise ConfigError(
            f"{name} goes from {int(codes.min())} to {int(codes.max())}, allowed is {lowest} to "
            f"{highest}: {meaning}."
        )


def _shared(usable: Tensor | None) -> Tensor | None:
    """None if nothing is absent, one row if all samples lack the same channels."""
    if usable is None or usable.is_meta:
        return usable
    if not bool(usable.any(dim=1).all()):
        raise ConfigError(
            f"Sample {int(usable.any(dim=1).int().argmin())} has no usable channel, needed is at "
            f"least 1: leave it out of the batch."
        )
    if bool(usable.all()):
        return None
    return usable[:1] if bool((usable == usable[:1]).all()) else usable


def _check_finite(patches: Tensor) -> None:
    if patches.is_meta or bool(patches.isfinite().all()):
        return
    sample, channel = (~patches.isfinite()).flatten(2).any(dim=2).nonzero()[0].tolist()
    raise ConfigError(
        f"Channel {channel} of sample {sample} holds NaN or infinity, allowed is finite signal: "
        f"mark the channel as not usable or leave the window out."
    )
