"""Weights on disk: one safetensors file that also says what it is.

Configuration and a note on where the weights come from (teacher, corpora with licences and hashes,
steps, figures) stand as one JSON text in the file's header, so weights and note cannot part. The
same weights and note give the same bytes: the file's SHA-256 names it. Reading runs no code from
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError
from ..runtime.json_text import parsed_json
from .downloading import file_sha256
from .whole_files import whole_file

_HEADER = "diverloop"
_FIRST = 3

Layout = Mapping[str, tuple[int, ...]]
"""Shape of every tensor by name."""


def save_weights(module: nn.Module, path: Path, about: Mapping[str, Any]) -> str:
    """Write a model's weights, whole or not at all.

    Parameters
    ----------
    module : torch.nn.Module
        What to write, as float32.
    path : Path
        Where; ``NAME.safetensors``. A file of that name is replaced.
    about : mapping
        What JSON can hold: "format", "config" and "note" at least.

    Returns
    -------
    sha256 : str
        Hash of the file.

    Raises
    ------
    BundleError
        If a weight is not finite, `about` is not JSON, or the file cannot be written.
    """
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)
        for name, tensor in module.state_dict().items()
    }
    _check_finite(tensors, path)
    try:
        # One key only: several would come out in another order each time.
        header = {_HEADER: json.dumps(about, sort_keys=True, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"The note for {path.name} cannot be written as JSON ({error}): use text, finite "
            f"numbers, lists and mappings."
        ) from error
    try:
        with whole_file(path) as draft:
            safetensors.torch.save_file(tensors, draft, metadata=header)
            sha256 = file_sha256(draft)
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"{path} cannot be written ({error}): check disk and rights.") from error
    return sha256


def read_about(path: Path, kind: str) -> dict[str, Any]:
    """What a file that `save_weights` wrote says of itself; no tensor is read.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        The "format" that it must have.

    Returns
    -------
    about : dict
        As it was saved, "config" and "note" being mappings.

    Raises
    ------
    BundleError
        If the file cannot be read, is damaged, or of another kind.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except OSError as error:
        raise _unreachable(path, error) from error
    except (safetensors.SafetensorError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        about = parsed_json(header.get(_HEADER, "{}"))
    except ValueError:
        about = {}
    if not isinstance(about, dict) or about.get("format") != kind:
        raise BundleError(
            f"{path.name} does not say that it is a {kind}: name a file that was saved as one, or "
            f"fetch it again."
        )
    for key in ("config", "note"):
        if not isinstance(about.get(key), dict):
            raise BundleError(
                f"The {key} of {path.name} is a {type(about.get(key)).__name__}, wanted is a "
                f"mapping: it was altered, so fetch it again."
            )
    return about


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file by name, on the CPU; `BundleError` if it is none."""
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error


def fill(module: nn.Module, path: Path) -> None:
    """Give a model the weights of a file, strictly.

    Parameters
    ----------
    module : torch.nn.Module
        What is to be filled; afterwards in eval mode.
    path : Path
        What `save_weights` wrote.

    Raises
    ------
    BundleError
        If the file is damaged, or its weights do not fit in name, shape or type.
    """
    tensors = read_safetensors(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    check_layout(tensors, wanted, torch.float32, path)
    module.load_state_dict(tensors, strict=True)
    module.eval()


def check_sha256(path: Path, sha256: str | None) -> str:
    """Hash a file, and refuse it if it is another one than wanted.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str or None
        What it must be; None takes any.

    Returns
    -------
    sha256 : str
        What it is.

    Raises
    ------
    BundleError
        If it cannot be read or is another one.
    """
    try:
        got = file_sha256(path)
    except OSError as error:
        raise _unreachable(path, error) from error
    if sha256 is not None and got != sha256.lower():
        raise BundleError(
            f"{path.name} has SHA-256 {got}, wanted is {sha256}: it is another file or was "
            f"altered, so get the right one."
        )
    return got


def check_layout(
    tensors: Mapping[str, Tensor], wanted: Layout, dtype: torch.dtype, path: Path
) -> None:
    """Every tensor is there, nothing else is, and each has its shape, type and finite numbers.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        What a file holds.
    wanted : mapping of str to tuple of int
        Names and shapes that it must have.
    dtype : torch.dtype
        Type that all must have.
    path : Path
        For the message.

    Raises
    ------
    BundleError
        If anything differs; the message names the first few.
    """
    missing, extra = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or extra:
        raise BundleError(
            f"{path.name} lacks {_some(missing)} and has {_some(extra)} that a model of its "
            f"configuration does not have: it is something else, or was made by another version, "
            f"so get another file."
        )
    wrong = [
        f"{name} is {tuple(tensors[name].shape)} {_type(tensors[name].dtype)} instead of {shape}"
        for name, shape in wanted.items()
        if tuple(tensors[name].shape) != shape or tensors[name].dtype != dtype
    ]
    if wrong:
        raise BundleError(
            f"{path.name} has tensors of another shape or type than its configuration asks for "
            f"({'; '.join(wrong[:_FIRST])}; all {_type(dtype)}): get another file."
        )
    _check_finite(tensors, path)


def weights_sha256(module: nn.Module) -> str:
    """Hash over a model's weights by name, wherever they came from.

    Parameters
    ----------
    module : torch.nn.Module
        A teacher or a student.

    Returns
    -------
    sha256 : str
        The same for the same names and values, as float32.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(
                f"Weight {name!r} of {path.name} holds NaN or infinity, allowed are finite "
                f"numbers: go back to the last good file."
            )


def _unreachable(path: Path, error: OSError) -> BundleError:
    why = error.strerror or error
    return BundleError(f"{path} cannot be read ({why}): check the path to the weights.")


def _unreadable(path: Path, error: Exception) -> BundleError:
    return BundleError(
        f"{path.name} is not a whole safetensors file ({error}): copy or fetch it again."
    )


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _FIRST} more" if len(every) > _FIRST else ""
    return ", ".join(every[:_FIRST]) + more if every else "nothing"


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
