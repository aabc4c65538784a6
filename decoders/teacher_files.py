"""A teacher of our own on disk: one safetensors file that also says what it is.

Configuration and a note on where the weights come from (corpora with licences and hashes, steps,
figures) stand as one JSON text in the file's header, so weights and note cannot part. The same
teacher and note give the same bytes: the file's SHA-256 names it. Reading runs no code from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError, ConfigError
from .downloading import file_sha256
from .teacher import Teacher, TeacherConfig

_FORMAT = "diverloop-teacher-1"
_HEADER = "diverloop"
_FIRST = 3

Layout = Mapping[str, tuple[int, ...]]
"""Shape of every tensor by name."""


def save_teacher(teacher: Teacher, path: str | Path, note: Mapping[str, Any]) -> str:
    """Write a teacher, whole or not at all.

    Parameters
    ----------
    teacher : Teacher
        What to write, as float32, with its heads if it has them.
    path : str or Path
        Where; ``NAME.safetensors``. A file of that name is replaced.
    note : mapping
        Provenance and figures: whatever JSON can hold.

    Returns
    -------
    sha256 : str
        Hash of the file.

    Raises
    ------
    BundleError
        If a weight is not finite, the note is not JSON, or the file cannot be written.
    """
    path = Path(path)
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)
        for name, tensor in teacher.state_dict().items()
    }
    check_finite(tensors, path)
    about = {
        "format": _FORMAT,
        "config": asdict(teacher.config),
        "with_heads": teacher.heads is not None,
        "note": dict(note),
    }
    try:
        # One key only: several would come out in another order each time.
        header = {_HEADER: json.dumps(about, sort_keys=True, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"The note for {path.name} cannot be written as JSON ({error}): use text, finite "
            f"numbers, lists and mappings."
        ) from error
    return _write(path, tensors, header)


def load_teacher(path: str | Path, *, sha256: str | None = None) -> Teacher:
    """Read a teacher that `save_teacher` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    sha256 : str, optional
        Refuse any other file.

    Returns
    -------
    teacher : Teacher
        In eval mode, float32, on the CPU; with heads if it was saved with them.

    Raises
    ------
    BundleError
        If the file cannot be read, is not a teacher or another one than asked for, or its weights
        do not fit its configuration in name, shape or type.
    """
    path = Path(path)
    check_sha256(path, sha256)
    about = _about(path)
    try:
        config = TeacherConfig(**about["config"])
        with_heads = bool(about["with_heads"])
    except (KeyError, TypeError, ConfigError) as error:
        raise BundleError(
            f"The configuration in {path.name} cannot be used here ({error}): it was made by "
            f"another version, so pretrain again or update diverloop."
        ) from error
    teacher, tensors = _blank(config, with_heads), read_safetensors(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in teacher.state_dict().items()}
    check_layout(tensors, wanted, torch.float32, path)
    teacher.load_state_dict(tensors, strict=True)
    return teacher.eval()


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


def teacher_of(config: TeacherConfig, state: Mapping[str, Tensor], *, with_heads: bool) -> Teacher:
    """Make a teacher of given weights; the global random state is left alone.

    Parameters
    ----------
    config : TeacherConfig
        What it is.
    state : mapping of str to Tensor
        Every weight, by the names of `Teacher.state_dict`. Copied.
    with_heads : bool
        Whether heads are among them.

    Returns
    -------
    teacher : Teacher
        In eval mode, on the CPU.
    """
    teacher = _blank(config, with_heads)
    teacher.load_state_dict(dict(state), strict=True)
    return teacher.eval()


def _blank(config: TeacherConfig, with_heads: bool) -> Teacher:
    # Not on the meta device: drawing there loads a compiler, which takes longer than any teacher.
    with torch.random.fork_rng(devices=[]):
        return Teacher(config, with_heads=with_heads)


def teacher_note(path: str | Path) -> dict[str, Any]:
    """What a teacher's file says of itself; raises `BundleError` like `load_teacher`.

    Parameters
    ----------
    path : str or Path
        What `save_teacher` wrote.

    Returns
    -------
    note : dict
        The note given on saving.
    """
    return dict(_about(Path(path)).get("note", {}))


def teacher_sha256(path: str | Path) -> str:
    """SHA-256 of a teacher's file, as `save_teacher` returned it; any file will do.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    sha256 : str
        64 hexadecimal digits.

    Raises
    ------
    BundleError
        If the file cannot be read.
    """
    return check_sha256(Path(path), None)


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
        raise BundleError(
            f"{path} cannot be read ({error.strerror}): check the path to the teacher."
        ) from error
    if sha256 is not None and got != sha256.lower():
        raise BundleError(
            f"{path.name} has SHA-256 {got}, wanted is {sha256}: it is another file or was "
            f"altered, so get the right one."
        )
    return got


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tensors : dict of str to Tensor
        By name.

    Raises
    ------
    BundleError
        If the file is damaged or something else.
    """
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"{path.name} is not a whole safetensors file ({error}): copy or fetch it again."
        ) from error


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
            f"{path.name} lacks {_some(missing)} and has {_some(extra)} that a teacher of its "
            f"width, depth and patch does not have: it is no such teacher, so get another file."
        )
    wrong = [
        f"{name} is {tuple(tensors[name].shape)} {_type(tensors[name].dtype)} instead of {shape}"
        for name, shape in wanted.items()
        if tuple(tensors[name].shape) != shape or tensors[name].dtype != dtype
    ]
    if wrong:
        raise BundleError(
            f"{path.name} has tensors of another shape or type than its width, depth and patch "
            f"ask for ({'; '.join(wrong[:_FIRST])}; all {_type(dtype)}): get another file."
        )
    check_finite(tensors, path)


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise `BundleError` if a tensor holds NaN or infinity.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        What a file holds, or is to hold.
    path : Path
        For the message.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(
                f"Weight {name!r} of {path.name} holds NaN or infinity, allowed are finite "
                f"numbers: go back to the last good file."
            )


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _FIRST} more" if len(every) > _FIRST else ""
    return ", ".join(every[:_FIRST]) + more if every else "nothing"


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _about(path: Path) -> dict[str, Any]:
    """What stands in the header."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        about = json.loads(header.get(_HEADER, "{}"))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise BundleError(
            f"{path.name} is not a whole teacher file ({error}): copy it again, or name a file "
            f"that save_teacher wrote."
        ) from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise BundleError(
            f"{path.name} does not say that it is {_FORMAT!r}: name a file that save_teacher "
            f"wrote, or read a published one with load_published."
        )
    return about


def _write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Fill a file beside the wanted one, then rename it: a reader never sees half a file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(dict(tensors), draft, metadata=dict(header))
        with draft.open("r+b") as file:
            os.fsync(file.fileno())
        sha256 = file_sha256(draft)
        os.replace(draft, path)
    except (OSError, safetensors.SafetensorError) as error:
        draft.unlink(missing_ok=True)
        raise BundleError(f"{path} cannot be written ({error}): check disk and rights.") from error
    return sha256
