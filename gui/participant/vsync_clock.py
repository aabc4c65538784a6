"""Frames as the display asks for them: each is handed over with a swap that waits for it."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from PySide6.QtCore import QObject, QRectF, QSize, QTimer
from PySide6.QtGui import QOpenGLContext, QPainter, QSurface, QSurfaceFormat
from PySide6.QtOpenGL import QOpenGLPaintDevice

from ...runtime.errors import ConfigError
from .bare_window import BareWindow, in_view
from .frame_clock import Draw, Flipped
from .frame_count import FrameCount

_N_PROBED = 40
_STEADY = 0.1  # of a frame: how far the middle half of the intervals may be apart
_UNSEEN_MS = 50


class VsyncClock(QObject):
    """A frame clock by the display's own refresh, through OpenGL.

    The time of a flip is read when the swap has returned and the driver says that all is done. On
    drivers that wait for the display, which `measure` finds out, that is the beginning of the
    refresh.

    Parameters
    ----------
    rate_hz : float, optional
        Refresh rate; None for what the system says, until `measure`.

    Raises
    ------
    ConfigError
        If there is no OpenGL here.
    """

    name = "vsync"

    def __init__(self, rate_hz: float | None = None) -> None:
        super().__init__()
        wanted = QSurfaceFormat()
        wanted.setSwapInterval(1)
        wanted.setSwapBehavior(QSurfaceFormat.SwapBehavior.DoubleBuffer)
        self._window = BareWindow(QSurface.SurfaceType.OpenGLSurface)
        self._window.setFormat(wanted)
        self._context = QOpenGLContext(self)
        self._context.setFormat(wanted)
        if not self._context.create():
            raise ConfigError(
                "This machine gives no OpenGL context, so no frame can wait for the display: "
                'install a graphics driver, or choose the clock "paced".'
            )
        self.rate_hz = rate_hz or self._window.screen().refreshRate()
        self._device: QOpenGLPaintDevice | None = None
        self._count: FrameCount | None = None
        self._draw: Draw | None = None
        self._flipped: Flipped | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)

    @property
    def window(self) -> BareWindow:
        """Where it draws."""
        return self._window

    def measure(self) -> str:
        """Find out, on the window as it is shown now, whether swaps wait for the display.

        Returns
        -------
        objection : str
            Why this clock is no good here, one sentence; empty if it is, and then `rate_hz` is as
            it was measured.
        """
        if not in_view(self._window):
            return "The window cannot be seen, so nothing waits for a display."
        moments = [self._swapped(None) for _ in range(_N_PROBED)][10:]
        gaps_s = [(later - sooner) / 1e9 for sooner, later in pairwise(moments)]
        nominal_s = 1 / self.rate_hz
        middle_s = statistics.median(gaps_s)
        low_s, _, high_s = statistics.quantiles(gaps_s, n=4)
        if abs(middle_s - nominal_s) > 0.1 * nominal_s or high_s - low_s > _STEADY * nominal_s:
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
        if not in_view(self._window):
            self._timer.start(_UNSEEN_MS)
            return
        at_ns = self._swapped(self._draw)
        if self._count is None:
            self._count = FrameCount(self.rate_hz, at_ns)
        flip = self._count.flipped(at_ns)
        self._count.anchor(at_ns)
        self._flipped(flip)
        if self._draw is not None:
            self._timer.start(0)

    def _swapped(self, draw: Draw | None) -> int:
        """Draw a frame, or nothing, and swap; when that was done."""
        self._context.makeCurrent(self._window)
        ratio = self._window.devicePixelRatio()
        size = QSize(round(self._window.width() * ratio), round(self._window.height() * ratio))
        if self._device is None:
            self._device = QOpenGLPaintDevice(size)
        self._device.setSize(size)
        self._device.setDevicePixelRatio(ratio)
        painter = QPainter(self._device)
        area = QRectF(0, 0, self._window.width(), self._window.height())
        if draw is not None:
            draw(painter, area, self._count.frame if self._count else 0)
        painter.end()
        self._context.swapBuffers(self._window)
        self._context.functions().glFinish()
        return time.monotonic_ns()
