"""A student on disk: one safetensors file that holds its weights and says what it is.

The configuration and a note on where the weights come from (teacher, corpora with licences and
hashes, figures) stand as JSON in the file's own header, so that weights and card cannot part.
Reading runs no code from the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError, ConfigError
from .student import Student
from .student_config import StudentConfig

_FORMAT = "diverloop-student-1"
_CARD = "diverloop"


def save_student(student: Student, path: str | Path, note: Mapping[str, Any]) -> str:
    """Write a student, whole or not at all.

    Parameters
    ----------
    student : Student
        What to write, as float32.
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
        name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
        for name, tensor in student.state_dict().items()
    }
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(
                f"Weight {name!r} holds NaN or infinity and is not written to {path.name}: go "
                f"back to the last good checkpoint."
            )
    card = {"format": _FORMAT, "config": student.config.to_dict(), "note": dict(note)}
    # One entry only: safetensors writes several in any order, and equal students shall be equal
    # to the byte.
    content = safetensors.torch.save(tensors, metadata={_CARD: _as_json(card, path)})
    _write(path, content)
    return hashlib.sha256(content).hexdigest()


def load_student(path: str | Path, *, sha256: str | None = None) -> Student:
    """Read a student, ready to serve: in eval mode, float32, on the CPU.

    Parameters
    ----------
    path : str or Path
        What `save_student` wrote.
    sha256 : str, optional
        Refuse any other file.

    Returns
    -------
    student : Student
        With exactly the weights of the file.

    Raises
    ------
    BundleError
        If the file cannot be read, is not a student, is another one than asked for, or its
        weights do not fit its own configuration in name, shape or type.
    """
    path = Path(path)
    content = _read(path, sha256)
    card, tensors = _parse(content, path)
    student = Student(_config(card, path))
    _check(student, tensors, path)
    student.load_state_dict(tensors, strict=True)
    return student.eval()


def student_note(path: str | Path) -> dict[str, Any]:
    """What a student's file says of itself; raises `BundleError` like `load_student`.

    Parameters
    ----------
    path : str or Path
        What `save_student` wrote.

    Returns
    -------
    note : dict
        The note given on saving.
    """
    path = Path(path)
    card, _ = _parse(_read(path, None), path)
    return _mapping(card, "note", path)


def student_sha256(path: str | Path) -> str:
    """Hash of a student's file, as `save_student` returned it."""
    return hashlib.sha256(_read(Path(path), None)).hexdigest()


def _as_json(card: Mapping[str, Any], path: Path) -> str:
    try:
        return json.dumps(card, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"The note for {path.name} cannot be written as JSON ({error}): use text, finite "
            f"numbers, lists and mappings."
        ) from error


def _write(path: Path, content: bytes) -> None:
    """Fill a file beside the wanted one, then rename it: a reader never sees half a file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BundleError(f"{path} cannot be written ({error}): check disk and rights.") from error


def _read(path: Path, sha256: str | None) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}): check the path to the student."
        ) from error
    if sha256 is not None and (got := hashlib.sha256(content).hexdigest()) != sha256:
        raise BundleError(
            f"{path.name} has SHA-256 {got}, wanted is {sha256}: it is another student or was "
            f"altered, so fetch it again."
        )
    return content


def _parse(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Card and tensors of a file that claims to be a student."""
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise BundleError(
            f"{path.name} is not a whole safetensors file ({error}): copy or fetch it again."
        ) from error
    # The eight bytes in front give the length of the JSON header; safetensors has just checked it.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    try:
        card = json.loads(header.get(_CARD, "{}"))
    except ValueError:
        card = {}
    if not isinstance(card, dict) or card.get("format") != _FORMAT:
        raise BundleError(
            f"{path.name} does not say that it is a {_FORMAT}: name a file that was saved as a "
            f"student, or fetch it again."
        )
    return card, tensors


def _mapping(card: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = card.get(key)
    if not isinstance(found, dict):
        raise BundleError(
            f"The {key} of {path.name} is a {type(found).__name__}, wanted is a mapping: it was "
            f"altered, so fetch it again."
        )
    return found


def _config(card: Mapping[str, Any], path: Path) -> StudentConfig:
    values = _mapping(card, "config", path)
    try:
        return StudentConfig.from_dict(values)
    except (TypeError, ConfigError) as error:
        raise BundleError(
            f"The configuration in {path.name} cannot be used here ({error}): it was made by "
            f"another version."
        ) from error


def _check(student: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Every weight is there, nothing else is, and all fit."""
    wanted = student.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    extra = sorted(tensors.keys() - wanted.keys())
    if missing or extra:
        raise BundleError(
            f"{path.name} lacks {missing[:3]} and has {extra[:3]} that its configuration does "
            f"not know: it was made by another version."
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != torch.float32:
            raise BundleError(
                f"Weight {name!r} in {path.name} is {tuple(tensor.shape)} {tensor.dtype}, its "
                f"configuration asks for {tuple(wanted[name].shape)} torch.float32: fetch it "
                f"again."
            )
        if not torch.isfinite(tensor).all():
            raise BundleError(
                f"Weight {name!r} in {path.name} holds NaN or infinity: fetch the file again."
            )
