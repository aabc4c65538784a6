"""The other end of a serial port without a cable: a pseudo-terminal that notes what is written."""

from __future__ import annotations

import os
import select
import threading

from ..runtime.errors import ConfigError
from .arrivals import Arrivals


class PtyPeer:
    """A device at the end of a serial line, on systems with pseudo-terminals.

    Parameters
    ----------
    echo : bool
        Whether it sends back what it gets, as a wire from output to input does.
    deaf : bool
        Whether it reads nothing: the line fills up and takes no more.

    Attributes
    ----------
    path : str
        What to open as the serial port.
    arrivals : Arrivals
        What has come.

    Raises
    ------
    ConfigError
        On a system without pseudo-terminals.
    """

    def __init__(self, *, echo: bool = False, deaf: bool = False) -> None:
        if not hasattr(os, "openpty"):
            raise ConfigError("This system has no pseudo-terminals: try with a real serial port.")
        import tty

        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)
        self.arrivals = Arrivals()
        self._echo = echo
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._receive, name="pty peer", daemon=True)
        self._plugged = True
        if not deaf:
            self._thread.start()

    def bytes_so_far(self) -> list[int]:
        """All bytes that have come, in order."""
        return [one for arrival in self.arrivals.all() for one in arrival.data]

    def unplug(self) -> None:
        """Pull the cable: whoever has the port open gets an error. Calling it twice is harmless."""
        if not self._plugged:
            return
        self._plugged = False
        os.write(self._wake_write, b"x")
        if self._thread.is_alive():
            self._thread.join()
        for file in (self._ours, self._theirs, self._wake_read, self._wake_write):
            os.close(file)

    def _receive(self) -> None:
        while True:
            ready = select.select([self._ours, self._wake_read], [], [])[0]
            if self._wake_read in ready:
                return
            data = os.read(self._ours, 4096)
            self.arrivals.add(data)
            if self._echo:
                os.write(self._ours, data)
