"""Frames at a rate that the computer keeps itself, where no display keeps it.

For Xvfb, for drawing without a display and for machines whose driver does not wait for the display.
Each frame is drawn ahead of its time and handed over at its time, so what it takes to draw does not
move the flip. Deadlines are absolute: they do not drift.

On a real display the frame is seen at the next refresh, up to one frame later: use `VsyncClock`
there.
"""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import QBackingStore, QPainter, QSurface

from ...runtime.clock import MonotonicClock
from .bare_window import BareWindow, in_view
from .frame_clock import Draw, Flipped
from .frame_count import FrameCount

_MS = 1_000_000
_FIRST_NS = 500 * _MS  # from the start to frame 0: the window has come up by then
_FIRST_LEAD_NS = 250 * _MS  # what is done for the first time takes longer
_UNSEEN_MS = 50
_MOST_LEAD = 0.8  # of a frame


class PacedClock(QObject):
    """A frame clock by the computer's own time.

    Parameters
    ----------
    rate_hz : float
        Frames a second, 20 to 1000.
    lead_ms : float
        How long before its time a frame is begun, at most 0.8 of a frame. As long as drawing takes,
        and as late as the system may wake this thread; what is drawn is older by as much.
    spin_ns : int
        How long before the flip to spin instead of sleeping: more punctual, and costs processor
        time. See `diverloop.runtime.clock.MonotonicClock`.
    """

    name = "paced"

    def __init__(self, rate_hz: float = 60.0, *, lead_ms: float = 10.0, spin_ns: int = 0) -> None:
        super().__init__()
        self.rate_hz = rate_hz
        self._count = FrameCount(rate_hz, 0)
        self._lead_ns = round(min(lead_ms, _MOST_LEAD * 1e3 / rate_hz) * _MS)
        self._clock = MonotonicClock(spin_ns)
        self._window = BareWindow(QSurface.SurfaceType.RasterSurface)
        self._store = QBackingStore(self._window)
        self._draw: Draw | None = None
        self._flipped: Flipped | None = None
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)

    @property
    def window(self) -> BareWindow:
        """Where it draws."""
        return self._window

    def start(self, draw: Draw, flipped: Flipped) -> None:
        """Begin with frame 0, in a moment."""
        self._draw, self._flipped = draw, flipped
        self._count = FrameCount(self.rate_hz, time.monotonic_ns() + _FIRST_NS)
        self._wait()

    def stop(self) -> None:
        """Call for no frame any more."""
        self._timer.stop()
        self._draw = self._flipped = None

    def _wait(self) -> None:
        lead_ns = self._lead_ns if self._count.frame else _FIRST_LEAD_NS
        left_ns = self._count.due_ns() - lead_ns - time.monotonic_ns()
        self._timer.start(max(0, left_ns // _MS))  # rounded down: the rest is slept, see _turn

    def _turn(self) -> None:
        if self._draw is None or self._flipped is None:
            return
        if not in_view(self._window):
            self._wait_unseen()
            return
        self._count.skip_to(time.monotonic_ns())
        area = QRect(0, 0, self._window.width(), self._window.height())
        self._paint(self._draw, area)
        self._clock.wait_until(self._count.due_ns())
        self._store.flush(area)
        flip = self._count.flipped(time.monotonic_ns())
        self._flipped(flip)
        if self._draw is not None:  # whoever was told may have stopped it
            self._wait()

    def _wait_unseen(self) -> None:
        """What nobody sees is no flip: once it is in view again, these frames are lost."""
        if not self._count.frame:
            self._count = FrameCount(self.rate_hz, time.monotonic_ns() + _FIRST_NS)
        self._timer.start(_UNSEEN_MS)

    def _paint(self, draw: Draw, area: QRect) -> None:
        if self._store.size() != area.size():
            self._store.resize(area.size())
        self._store.beginPaint(area)
        painter = QPainter(self._store.paintDevice())
        draw(painter, QRectF(area), self._count.frame)
        painter.end()
        self._store.endPaint()
