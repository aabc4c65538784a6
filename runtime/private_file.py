"""Files of this user alone: read with their rights checked, replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ConfigError
from .record.signing import sync_folder, write_through

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write carriage returns
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY


def read_private(path: Path, what: str, most_bytes: int = 1 << 20) -> bytes:
    """Read a file to which nobody else has rights.

    Parameters
    ----------
    path : Path
        Where it is.
    what : str
        What it is called in an error, such as ``"list of people"``.
    most_bytes : int
        A longer file is none of ours.

    Returns
    -------
    data : bytes
        All of it.

    Raises
    ------
    ConfigError
        If it cannot be read, is too long, or others have rights to it.
    FileNotFoundError
        If there is none.
    """
    try:
        with path.open("rb") as file:
            _check_rights(path, os.fstat(file.fileno()).st_mode, what)
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"The {what} {path} cannot be read ({error.strerror}): correct its rights."
        ) from error
    if len(data) > most_bytes:
        raise ConfigError(
            f"The {what} {path} has more than {most_bytes} bytes, so it is none: put it back from "
            f"a copy."
        )
    return data


def write_private(
    path: Path, data: bytes, what: str, *, durable: bool = True, first: bool = False
) -> bool:
    """Put a file in its place, for this user alone; readers see the old one or the new one.

    Parameters
    ----------
    path : Path
        Where; the folder is made if missing, for this user only.
    data : bytes
        All of it.
    what : str
        What it is called in an error.
    durable : bool
        Whether to wait until it is on the disk.
    first : bool
        Whether a file that another process has put there meanwhile stays.

    Returns
    -------
    placed : bool
        False if another's stayed.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, _DRAFT, 0o600)
        try:
            if durable:
                write_through(handle, data)
            elif os.write(handle, data) < len(data):  # a full disk takes part of it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)
        placed = _name(draft, path, first)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ConfigError(
            f"The {what} {path} cannot be written ({error.strerror}): correct the folder's rights "
            f"or free space."
        ) from error
    return placed


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let other processes and threads wait that come to the same place of a folder.

    Where a system or a disk knows no such locks nobody waits.

    Parameters
    ----------
    folder : Path
        Made if missing, for this user only.
    """
    handle = -1
    with suppress(ImportError, OSError):  # a folder that cannot be made is told by what writes
        import fcntl

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def _name(draft: Path, path: Path, first: bool) -> bool:
    """Give a draft its name; False if it had to be the first and was not."""
    if not first:
        os.replace(draft, path)
        return True
    try:
        if sys.platform == "win32":
            draft.rename(path)  # never replaces a file there, as it would on POSIX
        else:
            os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _check_rights(path: Path, mode: int, what: str) -> None:
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"The {what} {path} has rights {stat.S_IMODE(mode):04o}, so that others could use it, "
            f"allowed is 0600: if nobody did, run chmod 600 on it, else make a new one."
        )
