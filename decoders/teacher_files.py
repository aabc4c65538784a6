"""A teacher of our own on disk; see `weight_files` for what such a file is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runtime.errors import BundleError, ConfigError
from .teacher import Teacher, TeacherConfig
from .weight_files import check_sha256, fill, read_about, save_weights

_FORMAT = "diverloop-teacher-1"


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
    about = {
        "format": _FORMAT,
        "config": asdict(teacher.config),
        "with_heads": teacher.heads is not None,
        "note": dict(note),
    }
    return save_weights(teacher, Path(path), about)


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
    if sha256 is not None:
        check_sha256(path, sha256)
    about = read_about(path, _FORMAT)
    try:
        config, with_heads = TeacherConfig(**about["config"]), bool(about["with_heads"])
    except (KeyError, TypeError, ConfigError) as error:
        raise BundleError(
            f"The configuration in {path.name} cannot be used here ({error}): it was made by "
            f"another version, so pretrain again or update diverloop."
        ) from error
    teacher = _blank(config, with_heads)
    fill(teacher, path)
    return teacher


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
