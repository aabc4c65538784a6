"""A window with nothing in it: no frame, no cursor; it passes on keys and that it was closed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QScreen, QSurface, QWindow

from ..view_state import DISCLAIMER

_WINDOW_SIZE = (1280, 800)


class BareWindow(QWindow):
    """What a frame clock draws into.

    Parameters
    ----------
    kind : QSurface.SurfaceType
        Raster or OpenGL.
    """

    pressed = Signal(int)
    """A key, as ``Qt.Key`` numbers it."""
    closed = Signal()
    """It is going away."""

    def __init__(self, kind: QSurface.SurfaceType) -> None:
        super().__init__()
        self.setSurfaceType(kind)
        self.setTitle(f"diverloop, screen of the participant: {DISCLAIMER}")
        self.resize(*_WINDOW_SIZE)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Pass a key on, once however long it is held."""
        if not event.isAutoRepeat():
            self.pressed.emit(event.key())

    def event(self, event: QEvent) -> bool:
        """Say that somebody closes it."""
        if event.type() == QEvent.Type.Close:
            self.closed.emit()
        return super().event(event)


def place(window: QWindow, full_screen: bool | None = None) -> bool:
    """Show a window where the participant looks: on the second screen, if there is one.

    Parameters
    ----------
    window : QWindow
        Which.
    full_screen : bool, optional
        Whether it fills the screen; None for only where that screen is not the operator's, too.

    Returns
    -------
    filled : bool
        Whether it fills a screen.
    """
    others = [each for each in QGuiApplication.screens() if each != QGuiApplication.primaryScreen()]
    screen: QScreen = others[0] if others else QGuiApplication.primaryScreen()
    window.setScreen(screen)
    fill = bool(others) if full_screen is None else full_screen
    if fill:
        window.setGeometry(screen.geometry())
    fills(window, fill)
    return fill


def fills(window: QWindow, full_screen: bool) -> None:
    """Let a window fill its screen, or not.

    Parameters
    ----------
    window : QWindow
        Which.
    full_screen : bool
        The cursor is hidden while it does.
    """
    if full_screen:
        window.showFullScreen()
        window.setCursor(Qt.CursorShape.BlankCursor)
    else:
        window.showNormal()
        window.unsetCursor()


def in_view(window: QObject | None) -> bool:
    """Whether a window can be drawn into now."""
    return isinstance(window, QWindow) and window.isExposed()
