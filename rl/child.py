"""A process beside a session, and the pipe to it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from .pipe import Pipe

_LEAVE_LIMIT_S = 2.0
"""For how long an end is waited for; the lock of adaptation is held meanwhile."""


class Process(Protocol):
    """A process beside, as ``subprocess.Popen`` is one."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def kill(self) -> None:
        """Make an end of it."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


Starts = Callable[[socket.socket], Process]
"""What starts a process at the other end of a socket, which the caller closes."""


def module_starter(module: str) -> Starts:
    """What starts a module of this package as a process of its own.

    Parameters
    ----------
    module : str
        Its name; it is given the descriptor of its socket.

    Returns
    -------
    start : callable
        Raises `OSError` if it cannot be started.
    """

    def start(theirs: socket.socket) -> Process:
        number = str(theirs.fileno())
        # A session of its own: Ctrl-C in the terminal is for the loop, which says goodbye then.
        return subprocess.Popen(
            [sys.executable, "-m", module, number],
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    return start


class Child:
    """A process that was started, ready or not.

    Parameters
    ----------
    start : callable
        What starts it.
    types : mapping of bytes to type
        What can be said.
    longest : int
        Bytes of the longest message that is taken from it.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, start: Starts, types: Mapping[bytes, type], longest: int) -> None:
        ours, theirs = socket.socketpair()
        self.began_s = time.monotonic()
        self.ready = False
        """Whether it has said that it has begun; for its owner to set."""
        try:
            self.process = start(theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pipe = Pipe(ours, types, longest=longest)

    @property
    def pid(self) -> int:
        """Process number; -1 for a stand-in that has none."""
        return int(getattr(self.process, "pid", -1))

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self.pipe.gone or self.process.poll() is not None

    def heard(self) -> tuple[list[Any], bool]:
        """Send what waits, and take what it has said since the last call.

        Returns
        -------
        said : list
            Messages, the oldest first.
        over : bool
            Whether it is gone and no more will come; what it said before its end is in the list.

        Raises
        ------
        Rubbish
            If it said what is no message.
        """
        over = self.ended  # asked first, or its last words would come after what is read here
        self.pipe.push()
        return self.pipe.take(), over

    def finish(self, bye: Any) -> None:
        """Say goodbye, and wait for the end, but not for long."""
        self.pipe.post(bye)
        self.pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LEAVE_LIMIT_S)
        self.kill()

    def kill(self) -> None:
        """Make an end of it; one that the system cannot end at once is not waited for."""
        self.pipe.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LEAVE_LIMIT_S)
