"""What can fill the participant's screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from ...runtime.telemetry import Telegram
from ..look import Look


@dataclass(frozen=True, slots=True)
class Shown:
    """What became visible with one frame.

    Parameters
    ----------
    labels : tuple of str
        Markers for what began with this frame, sent with the time of its flip; empty for a frame
        in which nothing begins.
    lit : bool
        Whether the patch for a photodiode is white.
    """

    labels: tuple[str, ...] = ()
    lit: bool = False


NOTHING = Shown()
"""A frame in which nothing begins."""


class Picture(Protocol):
    """Draws frame after frame. All on the window's thread; time is counted in frames, never read.

    The stage calls `begin` once, with the display's rate; then, for each frame, `take` for every
    message that came, and `paint`. A picture that is late is not asked for the frames it missed:
    ``frame`` then grows by more than one.
    """

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw the frame of this number, from 0, over all of an area that is cleared."""


@runtime_checkable
class Waits(Protocol):
    """A picture that begins, and goes on after a stop, only once a person says so."""

    def start(self) -> None:
        """Go on."""
