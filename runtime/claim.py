"""A name that only one process of this user may work under: a lock that dies with its holder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .errors import ConfigError


class Claim:
    """Holds a name until it is released, or its process ends in whatever way.

    Parameters
    ----------
    name : str
        What is claimed, for example of an output stream.
    folder : Path
        Where locks lie; made if missing.
    refusal : str
        What to say if it is taken; empty for what suits an output stream.

    Raises
    ------
    ConfigError
        If another process holds it.
    """

    def __init__(self, name: str, folder: Path, refusal: str = "") -> None:
        self._file = -1
        if os.name != "posix":
            return  # without locks that die with their process there is no claim
        import fcntl

        path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # a folder that cannot be written is no reason to refuse a session
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ConfigError(
                refusal
                or f"Another session on this machine sends under the name {name!r} already, and "
                f"who listens could take one for the other: end it, or choose another name."
            ) from error
        except OSError:
            self.release()  # nor is a disk without locks, as some shared over a network

    def release(self) -> None:
        """Let others have it. Calling it twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
