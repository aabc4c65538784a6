"""Files that are small by nature, read whole: nothing else that bears their name is taken in."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

SETTINGS_BYTES = 1 << 20
"""More than any file of settings that a person writes."""

CARD_BYTES = 1 << 26
"""More than any description that a program writes: 64 MiB."""


def read_small(path: Path, most_bytes: int = SETTINGS_BYTES) -> bytes:
    """Read a file, unless it is too long to be what it should be.

    Parameters
    ----------
    path : Path
        Where it is.
    most_bytes : int
        How long it may be.

    Returns
    -------
    content : bytes
        All of it.

    Raises
    ------
    OSError
        As the system gives it; EFBIG for a longer file, and EINVAL for a pipe or a device, which
        would never end.
    """
    try:
        about = path.stat()
    except ValueError as error:  # a name with a zero byte, or with half a surrogate pair
        raise OSError(errno.EINVAL, f"{error}", os.fspath(path)) from error
    if not stat.S_ISREG(about.st_mode):
        kind = "It is a folder" if stat.S_ISDIR(about.st_mode) else "It is no regular file"
        raise OSError(errno.EINVAL, kind, os.fspath(path))
    if about.st_size > most_bytes:
        why = f"It has {about.st_size} bytes, allowed are {most_bytes}"
        raise OSError(errno.EFBIG, why, os.fspath(path))
    return path.read_bytes()
