"""A student on disk; see `weight_files` for what such a file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..runtime.errors import BundleError, ConfigError
from .student import Student
from .student_config import StudentConfig
from .weight_files import check_sha256, fill, read_about, save_weights

_FORMAT = "diverloop-student-1"


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
    about = {"format": _FORMAT, "config": student.config.to_dict(), "note": dict(note)}
    return save_weights(student, Path(path), about)


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
    if sha256 is not None:
        check_sha256(path, sha256)
    try:
        config = StudentConfig.from_dict(read_about(path, _FORMAT)["config"])
    except (TypeError, ConfigError) as error:
        raise BundleError(
            f"The configuration in {path.name} cannot be used here ({error}): it was made by "
            f"another version."
        ) from error
    _check_size(config, path)
    with torch.random.fork_rng(devices=[]):  # reading a file leaves all draws as they were
        student = Student(config)
    fill(student, path)
    return student


def _check_size(config: StudentConfig, path: Path) -> None:
    """Refuse a configuration that asks for more weights than its file can hold."""
    held = path.stat().st_size // torch.float32.itemsize
    if config.least_weights > held:
        raise BundleError(
            f"{path.name} has room for {held} weights, and its configuration asks for "
            f"{config.least_weights} or more: it was altered, so fetch it again."
        )


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
    return dict(read_about(Path(path), _FORMAT)["note"])
