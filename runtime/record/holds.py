"""A lock on an open file that dies with its holder: who writes a log now, and who is gone."""

from __future__ import annotations

import os
from pathlib import Path

from .audit_chain import LOG_NAME


def hold(handle: int) -> bool:
    """Keep other processes from holding an open file, until it is closed; all may read it.

    Parameters
    ----------
    handle : int
        An open file.

    Returns
    -------
    held : bool
        False if another process holds it. Where a system or a disk knows no such locks, True.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network disk without locks
        return True
    return True


def left_behind(folder: Path) -> bool:
    """Whether the session of a folder is gone: it has an audit log that nobody holds any more.

    A session holds its log from before it says how to reach it until its process ends, in whatever
    way; so one that hangs is told from one that was killed.

    Parameters
    ----------
    folder : Path
        The session's.

    Returns
    -------
    gone : bool
        False if it runs, if there is no log, and where a system or a disk knows no such locks.
    """
    try:
        import fcntl

        handle = os.open(folder / LOG_NAME, os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        # Shared, so that two who look do not see each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
