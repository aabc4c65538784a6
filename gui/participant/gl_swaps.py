"""Frames handed to a display through OpenGL, with a swap that waits for it."""

from __future__ import annotations

import time

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QOpenGLContext, QPainter, QSurface, QSurfaceFormat
from PySide6.QtOpenGL import QOpenGLPaintDevice

from ...runtime.errors import ConfigError
from .bare_window import BareWindow, in_view
from .frame_clock import Draw


class GlSwaps:
    """A window with two buffers. For the thread of the windows.

    Raises
    ------
    ConfigError
        If there is no OpenGL here.
    """

    def __init__(self) -> None:
        wanted = QSurfaceFormat()
        wanted.setSwapInterval(1)
        wanted.setSwapBehavior(QSurfaceFormat.SwapBehavior.DoubleBuffer)
        wanted.setSamples(4)  # else edges are steps
        wanted.setStencilBufferSize(8)  # QPainter needs one to clip
        self._context = QOpenGLContext()
        self._context.setFormat(wanted)
        if not self._context.create():
            raise ConfigError(
                "This machine gives no OpenGL context, so no frame can wait for the display: "
                'install a graphics driver, or choose the clock "paced".'
            )
        self._window = BareWindow(QSurface.SurfaceType.OpenGLSurface)
        self._window.setFormat(wanted)
        self._device: QOpenGLPaintDevice | None = None

    @property
    def window(self) -> BareWindow:
        """Where it draws."""
        return self._window

    @property
    def nominal_hz(self) -> float:
        """Refresh rate of the window's screen, as the system tells it."""
        return self._window.screen().refreshRate()

    @property
    def in_view(self) -> bool:
        """Whether the window can be seen now."""
        return in_view(self._window)

    def swap(self, draw: Draw | None, frame: int) -> int:
        """Draw a frame, or nothing, hand it over and wait until that is done.

        Parameters
        ----------
        draw : callable, optional
            What draws.
        frame : int
            Number of the frame.

        Returns
        -------
        at_ns : int
            When it was done; monotonic.
        """
        self._context.makeCurrent(self._window)
        ratio = self._window.devicePixelRatio()
        size = QSize(round(self._window.width() * ratio), round(self._window.height() * ratio))
        if self._device is None:
            self._device = QOpenGLPaintDevice(size)
        self._device.setSize(size)
        self._device.setDevicePixelRatio(ratio)
        painter = QPainter(self._device)
        if draw is not None:
            draw(painter, QRectF(0, 0, self._window.width(), self._window.height()), frame)
        painter.end()
        self._context.swapBuffers(self._window)
        # Drivers queue swaps; this one returns when the queue is empty.
        self._context.functions().glFinish()
        return time.monotonic_ns()
