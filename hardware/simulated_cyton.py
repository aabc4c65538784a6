"""An OpenBCI Cyton that is not there: its serial protocol on a pseudo-terminal.

BrainFlow opens it like the dongle of a real one, by the name of its port. It can be unplugged and
plugged in again, and it can lose packages, hold them back or send half of one.

References
----------
OpenBCI. Cyton data format. docs.openbci.com, firmware 3.
"""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.stages import Clock

N_CHANNELS = 8
RATE_HZ = 250.0
STEP_UV = 4.5e6 / 24 / (2**23 - 1)
"""Microvolts of one count: 4.5 V at a gain of 24 in 24 bits."""

_START, _STOP = b"\xa0", b"\xc0"
_BANNER = b"OpenBCI V3 8-16 channel, simulated\n$$$"


class SimulatedCyton:
    """Serves packages until it is closed; use it in a ``with`` block.

    Parameters
    ----------
    port : Path
        Where its port is to be found: a link to the pseudo-terminal, which `unplug` takes away.
    clock : Clock
        The machine's monotonic clock.
    signal : ndarray, shape (8, n_times), optional
        Microvolts to send, again from the beginning when they end; without them, a rhythm of 10 Hz.

    Raises
    ------
    ConfigError
        If the signal has not eight rows, or the system has no pseudo-terminals.
    """

    def __init__(
        self, port: Path, clock: Clock, signal: NDArray[np.floating] | None = None
    ) -> None:
        turns = 10 * np.arange(25) / RATE_HZ + np.arange(N_CHANNELS)[:, None] / N_CHANNELS
        signal = 20 * np.sin(2 * np.pi * turns) if signal is None else signal
        if signal.ndim != 2 or len(signal) != N_CHANNELS or not signal.shape[1]:
            raise ConfigError(f"A Cyton has {N_CHANNELS} channels, got shape {signal.shape}.")
        self._packed = _packed(signal)
        self._port = port
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self._streaming = False
        self._began_ns = 0
        self._sent = 0  # packages that left, or should have
        self._lose = 0
        self._halve = False
        self._held_until_ns = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="cyton", daemon=True)

    def __enter__(self) -> SimulatedCyton:
        self.plug()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=5.0)
        self.unplug()

    def plug(self) -> None:
        """Make the port appear, with a board that waits for its first command."""
        try:
            import pty
            import tty
        except ImportError as error:
            raise ConfigError(
                "This system has no pseudo-terminals, on which the simulated Cyton is served: use "
                "Linux or macOS, or BrainFlow's SYNTHETIC_BOARD."
            ) from error
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        with self._lock:
            self._ends, self._streaming = (ours, theirs), False
            self._port.unlink(missing_ok=True)
            self._port.symlink_to(os.ttyname(theirs))

    def unplug(self) -> None:
        """Take the port away in the middle of whatever goes on. Calling it twice is harmless."""
        with self._lock:
            ends, self._ends = self._ends, None
            self._port.unlink(missing_ok=True)
            for end in ends or ():
                os.close(end)

    def lose(self, n_packages: int) -> None:
        """Count the next packages without sending them."""
        with self._lock:
            self._lose += n_packages

    def halve(self) -> None:
        """Send only the first half of the next package."""
        with self._lock:
            self._halve = True

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, then all that has come together."""
        with self._lock:
            self._held_until_ns = self._clock.now_ns() + round(seconds * 1e9)

    def _serve(self) -> None:
        while not self._stopped.wait(0.001):
            with self._lock, suppress(OSError):  # whoever held the other end let go
                if self._ends is not None:
                    self._obey(self._ends[0])
                    self._send_due(self._ends[0])

    def _obey(self, end: int) -> None:
        if not select.select([end], [], [], 0)[0]:
            return
        for command in os.read(end, 1024).decode("latin-1"):
            if command in "bs":
                self._streaming = command == "b"
                self._began_ns, self._sent = self._clock.now_ns(), 0
            elif not self._streaming:
                os.write(end, _BANNER if command == "v" else b"Success$$$")

    def _send_due(self, end: int) -> None:
        now_ns = self._clock.now_ns()
        if not self._streaming or now_ns < self._held_until_ns:
            return
        due = int((now_ns - self._began_ns) * RATE_HZ / 1e9)
        while self._sent < due:
            package = self._package(self._sent)
            self._sent += 1
            if self._lose:
                self._lose -= 1
            else:
                os.write(end, package[: len(package) // 2] if self._halve else package)
                self._halve = False

    def _package(self, place: int) -> bytes:
        signal = self._packed[place % len(self._packed)]
        return _START + bytes([place % 256]) + signal + bytes(6) + _STOP


def _packed(signal: NDArray[np.floating]) -> list[bytes]:
    """The eight numbers of each sample in 24 bits, the highest first."""
    counts = np.clip(np.round(signal / STEP_UV), -(2**23), 2**23 - 1).astype(">i4")
    return [column.tobytes() for column in counts.T.copy().view("u1").reshape(-1, 8, 4)[:, :, 1:]]
