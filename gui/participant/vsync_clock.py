"""Frames as the display asks for them: each is handed over with a swap that waits for it."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Protocol

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QWindow

from .frame_clock import Draw, Flipped
from .frame_count import FrameCount

_N_PROBED, _N_SETTLING = 40, 10  # swaps; the first only fill the driver's queue
_TOLERANCE = 0.1  # of a frame, for the middle interval and for the spread of the middle half
_UNSEEN_MS = 50


class Swaps(Protocol):
    """Hands frames to a display; `diverloop.gui.participant.gl_swaps.GlSwaps` is one."""

    @property
    def window(self) -> QWindow | None:
        """Where it draws."""

    @property
    def nominal_hz(self) -> float:
        """Refresh rate that the system tells."""

    @property
    def in_view(self) -> bool:
        """Whether the window can be seen now."""

    def swap(self, draw: Draw | None, frame: int) -> int:
        """Draw, hand over, wait for the display; when that was done, monotonic nanoseconds."""


class VsyncClock(QObject):
    """A frame clock by the display's own refresh.

    The time of a flip is read when the swap has returned and the driver says that all is done. On
    drivers that wait for the display, which `measure` finds out, that is the beginning of the
    refresh.

    Parameters
    ----------
    swaps : Swaps
        The display.
    """

    name = "vsync"

    def __init__(self, swaps: Swaps) -> None:
        super().__init__()
        self._swaps = swaps
        self.rate_hz = swaps.nominal_hz
        self._count: FrameCount | None = None
        self._draw: Draw | None = None
        self._flipped: Flipped | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)

    @property
    def window(self) -> QWindow | None:
        """Where it draws."""
        return self._swaps.window

    def measure(self) -> str:
        """Find out, on the window as it is shown now, whether swaps wait for the display.

        Returns
        -------
        objection : str
            Why this clock is no good here, one sentence; empty if it is, and then `rate_hz` is as
            it was measured.
        """
        if not self._swaps.in_view:
            return "The window cannot be seen, so nothing waits for a display."
        moments = [self._swaps.swap(None, 0) for _ in range(_N_PROBED)][_N_SETTLING:]
        gaps_s = [(later - sooner) / 1e9 for sooner, later in pairwise(moments)]
        nominal_s = 1 / self._swaps.nominal_hz
        middle_s = statistics.median(gaps_s)
        low_s, _, high_s = statistics.quantiles(gaps_s, n=4)
        if max(abs(middle_s - nominal_s), high_s - low_s) > _TOLERANCE * nominal_s:
            return (
                f"The driver does not wait for the display: frames came every "
                f"{1e3 * middle_s:.2f} ms instead of every {1e3 * nominal_s:.2f} ms."
            )
        self.rate_hz = 1 / middle_s
        return ""

    def start(self, draw: Draw, flipped: Flipped) -> None:
        """Begin with frame 0."""
        self._draw, self._flipped, self._count = draw, flipped, None
        self._timer.start(0)

    def stop(self) -> None:
        """Call for no frame any more."""
        self._timer.stop()
        self._draw = self._flipped = None

    def _turn(self) -> None:
        if self._draw is None or self._flipped is None:
            return
        if not self._swaps.in_view:
            self._timer.start(_UNSEEN_MS)
            return
        at_ns = self._swaps.swap(self._draw, self._count.frame if self._count else 0)
        if self._count is None:
            self._count = FrameCount(self.rate_hz, at_ns)
        flip = self._count.flipped(at_ns)
        self._count.anchor(at_ns)
        self._flipped(flip)
        if self._draw is not None:  # whoever was told may have stopped it
            self._timer.start(0)
