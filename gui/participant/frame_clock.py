"""What calls for one frame after another, and says when each was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter, QWindow

from ...runtime.clock import VirtualClock
from .frame_count import Flip, FrameCount

Draw = Callable[[QPainter, QRectF, int], None]
"""Draws the frame of a number all over an area, in pixels of the screen's own measure."""

Flipped = Callable[[Flip], None]
"""Told of each flip, in order, once."""


class FrameClock(Protocol):
    """Calls on the thread that started it: draw, hand over, tell; then the next frame.

    Between two frames the thread is free for keys and timers. A frame that cannot be in time any
    more is skipped, never queued.
    """

    name: str
    """For the record: ``"vsync"``, ``"paced"`` or ``"by hand"``."""
    rate_hz: float
    """Frames a second."""

    @property
    def window(self) -> QWindow | None:
        """Where it draws; None if nobody can look at it."""

    def start(self, draw: Draw, flipped: Flipped) -> None:
        """Begin with frame 0."""

    def stop(self) -> None:
        """Call for no frame any more. Twice is harmless."""


class HandClock:
    """The stand-in: draws into memory when it is told to, on a time of its own.

    Parameters
    ----------
    rate_hz : float
        Frames a second.
    size : tuple of (int, int)
        Width and height in pixels.

    Attributes
    ----------
    image : QImage
        The frame drawn last.
    """

    name = "by hand"

    def __init__(self, rate_hz: float = 60.0, size: tuple[int, int] = (1280, 720)) -> None:
        self.rate_hz = rate_hz
        self.image = QImage(*size, QImage.Format.Format_RGB32)
        self._clock = VirtualClock(1_000_000_000)
        self._count = FrameCount(rate_hz, self._clock.now_ns())
        self._draw: Draw | None = None
        self._flipped: Flipped | None = None

    @property
    def window(self) -> QWindow | None:
        """None: it is in memory only."""
        return None

    def start(self, draw: Draw, flipped: Flipped) -> None:
        """Remember whom to call; nothing is drawn before `turn`."""
        self._draw, self._flipped = draw, flipped

    def stop(self) -> None:
        """Draw nothing any more."""
        self._draw = self._flipped = None

    def turn(self, frames: int = 1, late_ns: int = 0) -> None:
        """Show frames.

        Parameters
        ----------
        frames : int
            How many.
        late_ns : int
            By how much each is late.
        """
        for _ in range(frames):
            if self._draw is None or self._flipped is None:
                return
            self._clock.wait_until(self._count.due_ns())
            painter = QPainter(self.image)
            self._draw(painter, QRectF(self.image.rect()), self._count.frame)
            painter.end()
            self._clock.advance(late_ns)
            self._flipped(self._count.flipped(self._clock.now_ns()))
