"""The one Qt application of a process, and what all its windows share."""

from __future__ import annotations

import os
import sys

from PySide6.QtCore import QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from ..runtime.errors import ConfigError
from ..runtime.termination import ended_by_signals
from .look import Look, style_sheet

_NICE = 10


def application() -> QApplication:
    """The process's application, made if there is none.

    Returns
    -------
    made : QApplication
        One per process.

    Raises
    ------
    ConfigError
        On a machine with neither a display nor ``QT_QPA_PLATFORM``: Qt would end the process.
    """
    if not QApplication.instance() and not _has_display():
        raise ConfigError(
            "There is no display to open a window on: run this at a desktop, or set DISPLAY, or "
            "set QT_QPA_PLATFORM=offscreen to draw without showing."
        )
    made = QApplication.instance() or QApplication(["diverloop"])
    assert isinstance(made, QApplication)
    made.setApplicationName("diverloop")
    QGuiApplication.setApplicationDisplayName("diverloop")
    return made


def step_back() -> None:
    """Let everything else on this machine go first: who only looks on must not slow a loop."""
    if hasattr(os, "nice"):
        os.nice(_NICE)


def until_closed(app: QApplication) -> None:
    """Live until the window is closed, or until Ctrl-C or a termination.

    Parameters
    ----------
    app : QApplication
        With a window whose timers let Python hear of signals.
    """
    with ended_by_signals(app.quit):
        app.exec()


def kept_settings(window: str) -> QSettings:
    """What a window remembers from one day to the next, in the user's own settings.

    Parameters
    ----------
    window : str
        Which.

    Returns
    -------
    settings : QSettings
        Of this user, on this machine.
    """
    return QSettings("diverloop", window)


def dress(window: QWidget, look: Look, size_pt: int = 10) -> None:
    """Give a window its colours.

    Parameters
    ----------
    window : QWidget
        With everything in it.
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """
    window.setStyleSheet(style_sheet(look, size_pt))


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
