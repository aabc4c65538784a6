"""The students that come with the package, and where a student's name leads.

Each is one safetensors file in ``decoders/students``. Its hash stands here, so that a file that
was altered after installation is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..runtime.errors import ConfigError

if TYPE_CHECKING:
    from .student import Student

FOLDER = Path(__file__).parent / "students"

SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "eeg-s": "486a2ec496f0644745ee07dab5047e20d2eb70e1508bb147b63437ef5e985b3b",
        "ieeg-s": "cfca41116a6d9923d71e2a431869514ef9e30379df2efaf0fbba5bb0d334e522",
    }
)
"""Name -> SHA-256 of ``NAME.safetensors``."""

FOR_MODALITY: Mapping[str, str] = MappingProxyType({"EEG": "eeg-s", "iEEG": "ieeg-s"})
"""Which one reads what, if nobody chooses."""


def find_student(name: str) -> tuple[Path, str | None]:
    """Where a student lies.

    Parameters
    ----------
    name : str
        Of a shipped student, for example ``"eeg-s"``, or the path of a file.

    Returns
    -------
    path : Path
        The file.
    sha256 : str or None
        What its hash must be; None for a file of the user's own.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if name in SHIPPED:
        return FOLDER / f"{name}.safetensors", SHIPPED[name]
    path = Path(name).expanduser()
    if path.is_file():
        return path, None
    near = difflib.get_close_matches(name, SHIPPED, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
        f"{name!r} is no student and no file: {hint}give one of {', '.join(sorted(SHIPPED))}, or "
        f"the path of one that `diverloop distill` wrote."
    )


def open_student(name: str) -> tuple[Student, str]:
    """Read a student.

    Parameters
    ----------
    name : str
        As for `find_student`.

    Returns
    -------
    student : Student
        Ready to serve.
    sha256 : str
        Hash of its file.

    Raises
    ------
    ConfigError, BundleError
        If there is none, or it is damaged or altered.
    """
    from .downloading import file_sha256
    from .student_files import load_student

    path, wanted = find_student(name)
    return load_student(path, sha256=wanted), wanted or file_sha256(path)
