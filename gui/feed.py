"""From the wire into a window: what came is taken in, then a frame is drawn, 60 times a second.

The window's thread polls, so nothing in a window needs a lock. A flood cannot freeze it: what a
frame has no time for waits on the wire, where ZeroMQ drops what is too much, and `lost` says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QObject, Qt, QTimer

from ..runtime.telemetry import Telegram

FRAME_HZ = 60
"""How often a window may draw; one that is slower skips, and is never behind."""

_TAKE_S = 0.006  # of a frame's 16.7 ms, for taking in


class Teller(Protocol):
    """Where messages come from: a subscriber, or a recording. For one thread."""

    lost: int
    unreadable: int

    def poll(self, timeout_ms: int) -> Telegram | None:
        """The next message, if there is one."""

    def close(self) -> None:
        """Ask for no more."""


class Feed(QObject):
    """Polls a teller and calls two functions, on the window's thread.

    Parameters
    ----------
    teller : Teller
        Where messages come from. The feed closes it.
    take : callable
        Told each message.
    frame : callable
        Called after what came was told, `FRAME_HZ` times a second at most.
    """

    def __init__(
        self, teller: Teller, take: Callable[[Telegram], None], frame: Callable[[], None]
    ) -> None:
        super().__init__()
        self.teller = teller
        self.taken = 0
        """Messages so far."""
        self.frames = 0
        """Frames so far."""
        self._take, self._frame = take, frame
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.turn)

    def start(self) -> None:
        """Begin."""
        self._timer.start(1000 // FRAME_HZ)

    def stop(self) -> None:
        """End, and close the teller. Twice is harmless."""
        self._timer.stop()
        self.teller.close()

    def turn(self) -> None:
        """Take in what came, for a part of a frame's time, and have a frame drawn."""
        until_s = time.perf_counter() + _TAKE_S
        unreadable = self.teller.unreadable
        while time.perf_counter() < until_s:
            message = self.teller.poll(0)
            if message is not None:
                self._take(message)
                self.taken += 1
            elif self.teller.unreadable == unreadable:  # None also stands for what is unreadable
                break
            unreadable = self.teller.unreadable
        self._frame()
        self.frames += 1
