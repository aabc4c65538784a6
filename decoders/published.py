"""The published DIVER-1 weights, read strictly into our `Teacher`.

Two kinds of file are read: the authors' own, a DeepSpeed container whose tensors stand under the
key ``module`` in bfloat16 [1]_, and braindecode's conversion of it, a safetensors file in float32
without heads. `published_layout` says what the authors' file must hold, name by name; the tables
`TEACHER_NAMES` and `BRAINDECODE_NAMES` say what each name is called elsewhere.

The hash of the file is checked before anything in it is parsed, and nothing in it can run code:
`torch.load` is called with ``weights_only=True``.

References
----------
.. [1] Han, Gwon, Lee et al. DIVER-1: deep integration of vast electrophysiological recordings at
   scale. arXiv:2512.19097, 2025. Weights: MIT, Copyright (c) 2026 DIVER Project.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runtime.errors import BundleError, ConfigError
from .fetching import PUBLISHED
from .spectral_targets import FFT_BINS, STFT_BINS
from .teacher import Teacher, TeacherConfig
from .teacher_embedding import LAYOUTS, N_MODALITIES, N_SUBTYPES
from .teacher_files import teacher_of
from .weight_files import check_layout, check_sha256, read_safetensors

Names = tuple[tuple[str, str], ...]
"""Patterns of published names, each with what it becomes; all are applied, in order."""

TEACHER_NAMES: Names = (
    (r"^embedding\.0\.proj_in\.0\.", "patch_cnn.convs.0."),
    (r"^embedding\.0\.proj_in\.1\.", "patch_cnn.norms.0."),
    (r"^embedding\.0\.proj_in\.3\.", "patch_cnn.convs.1."),
    (r"^embedding\.0\.proj_in\.4\.", "patch_cnn.norms.1."),
    (r"^embedding\.0\.proj_in\.6\.", "patch_cnn.convs.2."),
    (r"^embedding\.0\.proj_in\.7\.", "patch_cnn.norms.2."),
    (r"^embedding\.1\.embedding\.spectral_proj\.0\.", "spectral_emb.proj."),
    (
        r"^embedding\.2\.embedding\.embedding2\.models\.0\.embedding\.weight$",
        "place_emb.type_table",
    ),
    (
        r"^embedding\.2\.embedding\.embedding2\.models\.1\.embedding\.weight$",
        "place_emb.subtype_table",
    ),
    (r"^embedding\.3\.embedding\.0\.module\.", "stcpe.down."),
    (r"^embedding\.3\.embedding\.1\.model\.encoder\.", "stcpe.block."),
    (r"^embedding\.3\.embedding\.2\.module\.", "stcpe.up."),
    (r"^token_manager\.special_tokens\.N_token\.param$", "patch_register"),
    (r"^token_manager\.special_tokens\.C_token\.param$", "chan_register"),
    (r"^token_manager\.special_tokens\.NC_token\.param$", "global_register"),
    (r"^encoder\.encoder\.", "encoder."),
    (r"\.var_attn_bias\.emb\.weight$", ".channel_bias"),
    (r"^heads\.org\.heads\.time_head\.module\.", "heads.time."),
    (r"^heads\.org\.heads\.fft_amplitude_head\.module\.", "heads.fft."),
    (r"^heads\.org\.heads\.multiscale_stft_amplitude_head\.module\.", "heads.stft."),
)
"""From published names to those of `Teacher`."""

BRAINDECODE_NAMES: Names = (
    (r"^embedding\.0\.proj_in\.", "patch_cnn.proj_in."),
    (r"^embedding\.1\.embedding\.spectral_proj\.", "spectral_emb.spectral_proj."),
    (r"^embedding\.2\.embedding\.embedding2\.models\.0\.embedding\.", "chan_emb.type_emb."),
    (r"^embedding\.2\.embedding\.embedding2\.models\.1\.embedding\.", "chan_emb.subtype_emb."),
    (r"^embedding\.3\.embedding\.0\.module\.", "stcpe.down."),
    (r"^embedding\.3\.embedding\.1\.model\.encoder\.", "stcpe.encoder."),
    (r"^embedding\.3\.embedding\.2\.module\.", "stcpe.up."),
    (r"^token_manager\.special_tokens\.N_token\.param$", "patch_register"),
    (r"^token_manager\.special_tokens\.C_token\.param$", "chan_register"),
    (r"^token_manager\.special_tokens\.NC_token\.param$", "global_register"),
    (r"^encoder\.encoder\.", "encoder."),
    (r"\.var_attn_bias\.emb\.weight$", ".channel_bias.weight"),
)
"""From published names to those of braindecode's conversion."""

_NOT_CONVERTED = ("mask_encoding", "heads.")
_ZIP = b"PK\x03\x04"
_LFS_POINTER = b"version https://git-lfs"
# The exception only: this package never imports what it belongs to.
_UnpicklingError: type[Exception] = sys.modules["pickle"].UnpicklingError


def load_published(path: str | Path, *, sha256: str | None = None) -> Teacher:
    """Read a published checkpoint.

    Parameters
    ----------
    path : str or Path
        The authors' file or braindecode's conversion of it.
    sha256 : str, optional
        What the file must be. Without it, only the two files that the authors published are
        accepted, by their hash. braindecode's conversions have no hash that we know: give the one
        of your copy, which `fetch_published` returns, and with it vouch for where it comes from.

    Returns
    -------
    teacher : Teacher
        In eval mode, float32, on the CPU. Without heads if the file has none.

    Raises
    ------
    BundleError
        If the file cannot be read, is a Git-LFS pointer, has an unknown or another hash, or does
        not hold exactly the tensors of a published teacher.
    """
    path = Path(path)
    begins = _beginning(path)
    if begins.startswith(_LFS_POINTER):
        raise BundleError(
            f"{path.name} is a Git-LFS pointer and not the weights: fetch the real file with "
            f"`diverloop fetch-teacher`, or run `git lfs pull` where it came from."
        )
    got = check_sha256(path, sha256)
    if sha256 is None and got not in {entry.sha256 for entry in PUBLISHED.values()}:
        raise BundleError(
            f"{path.name} has SHA-256 {got}, which is none of the published files: if you trust "
            f"where it comes from, give this hash as sha256."
        )
    if begins.startswith(_ZIP):
        return _teacher(_container(path), (), torch.bfloat16, path)
    return _teacher(read_safetensors(path), BRAINDECODE_NAMES, torch.float32, path)


def published_layout(config: TeacherConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the authors' file for a configuration.

    Parameters
    ----------
    config : TeacherConfig
        186 tensors for Tiny with patches of 50 samples, 188 for Small with patches of 500.

    Returns
    -------
    layout : dict of str to tuple of int
        Shape by published name; all are bfloat16.
    """
    width, narrow, patch = config.width, config.width // 8, config.patch
    hidden = width // LAYOUTS[patch].positions
    kinds = "embedding.2.embedding.embedding2.models"
    layout: dict[str, tuple[int, ...]] = {"mask_encoding": (patch,)}
    for conv, shape in (
        (0, (hidden, 1, 1, 63)),
        (3, (hidden, hidden, 1, 3)),
        (6, (hidden, hidden, 1, 3)),
    ):
        layout |= _affine(f"embedding.0.proj_in.{conv}", shape)
        layout |= _affine(f"embedding.0.proj_in.{conv + 1}", (hidden,))
    layout |= _affine("embedding.1.embedding.spectral_proj.0", (width, width // 2 + 1))
    layout[f"{kinds}.0.embedding.weight"] = (N_MODALITIES, width // 4)
    layout[f"{kinds}.1.embedding.weight"] = (N_SUBTYPES, width // 4)
    layout |= _affine("embedding.3.embedding.0.module", (narrow, width))
    layout |= _blocks("embedding.3.embedding.1.model.encoder", 1, narrow, config.n_neighbour_heads)
    layout |= _affine("embedding.3.embedding.2.module", (width, narrow))
    layout |= _blocks("encoder.encoder", config.n_layers, width, config.n_heads)
    for token in ("N", "C", "NC"):
        layout[f"token_manager.special_tokens.{token}_token.param"] = (1, 1, width)
    heads = {"time": patch, "fft_amplitude": FFT_BINS}
    if patch == 500:
        heads["multiscale_stft_amplitude"] = STFT_BINS
    for head, size in heads.items():
        layout |= _affine(f"heads.org.heads.{head}_head.module", (size, width))
    return layout


def _affine(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _blocks(name: str, n_layers: int, width: int, n_heads: int) -> dict[str, tuple[int, ...]]:
    """Any-variate blocks and the norm behind them."""
    block: dict[str, tuple[int, ...]] = {
        **{f"self_attn.{part}_proj.weight": (width, width) for part in ("q", "k", "v", "out")},
        **{f"self_attn.{part}_norm.weight": (width // n_heads,) for part in ("q", "k")},
        "self_attn.var_attn_bias.emb.weight": (2, n_heads),
        "ffn.fc1.weight": (4 * width, width),
        "ffn.fc_gate.weight": (4 * width, width),
        "ffn.fc2.weight": (width, 4 * width),
        "norm1.weight": (width,),
        "norm2.weight": (width,),
    }
    layers = {
        f"{name}.layers.{layer}.{part}": shape
        for layer in range(n_layers)
        for part, shape in block.items()
    }
    return {**layers, f"{name}.norm.weight": (width,)}


def _renamed(name: str, names: Names) -> str:
    for pattern, replacement in names:
        name = re.sub(pattern, replacement, name)
    return name


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_POINTER))
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}): check the path, or fetch the file with "
            f"`diverloop fetch-teacher`."
        ) from error


def _container(path: Path) -> dict[str, Tensor]:
    """Tensors of a DeepSpeed container, mapped from the disk and not copied."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except _UnpicklingError as error:
        raise BundleError(
            f"{path.name} holds more than tensors, or is damaged, and nothing of it was run: fetch "
            f"the published file."
        ) from error
    except (RuntimeError, ValueError, LookupError, TypeError, EOFError, OSError) as error:
        raise BundleError(
            f"{path.name} is damaged ({str(error).partition('. ')[0]}): fetch it again."
        ) from error
    module = content.get("module") if isinstance(content, Mapping) else None
    if not isinstance(module, Mapping):
        raise BundleError(
            f"{path.name} has no tensors under 'module': it is no DeepSpeed container of model "
            f"states, so get the published file."
        )
    return {str(name): item for name, item in module.items() if isinstance(item, Tensor)}


def _teacher(
    tensors: Mapping[str, Tensor], names: Names, dtype: torch.dtype, path: Path
) -> Teacher:
    """Find out the configuration, compare strictly, and copy."""
    config = _config(tensors, names, path)
    converted = bool(names)
    layout = {
        published: shape
        for published, shape in published_layout(config).items()
        if not (converted and published.startswith(_NOT_CONVERTED))
    }
    wanted = {_renamed(published, names): shape for published, shape in layout.items()}
    check_layout(tensors, wanted, dtype, path)
    state = {
        _renamed(published, TEACHER_NAMES): tensors[_renamed(published, names)].float()
        for published in layout
    }
    if converted:
        state["mask_encoding"] = torch.zeros(config.patch)
    return teacher_of(config, state, with_heads=not converted)


def _config(tensors: Mapping[str, Tensor], names: Names, path: Path) -> TeacherConfig:
    """Width, depth and patch, told by the shapes of two tensors and the names of a third kind."""
    norm = _renamed("encoder.encoder.norm.weight", names)
    conv = _renamed("embedding.0.proj_in.0.weight", names)
    for name, n_dims in ((norm, 1), (conv, 4)):
        if name not in tensors or tensors[name].ndim != n_dims or 0 in tensors[name].shape:
            raise BundleError(
                f"{path.name} has no tensor {name} with {n_dims} dimensions, by which a published "
                f"teacher is known: get the published file."
            )
    width, positions = len(tensors[norm]), len(tensors[norm]) // len(tensors[conv])
    patch = {layout.positions: patch for patch, layout in LAYOUTS.items()}.get(positions, 0)
    layer = _renamed("encoder.encoder.layers.{}.norm1.weight", names)
    n_layers = sum(layer.format(number) in tensors for number in range(len(tensors)))
    try:
        return TeacherConfig(width=width, n_layers=n_layers, patch=patch)
    except ConfigError as error:
        raise BundleError(
            f"{path.name} is no published teacher ({str(error).rstrip('.')}): get another file."
        ) from error
