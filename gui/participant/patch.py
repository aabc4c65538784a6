"""The square for a photodiode, drawn."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter

from .lamp import PatchConfig

_BLACK, _WHITE = QColor(0, 0, 0), QColor(255, 255, 255)
_CM_PER_INCH = 2.54


def patch_area(config: PatchConfig, area: QRectF, dots_per_inch: float) -> QRectF:
    """Where the square lies.

    Parameters
    ----------
    config : PatchConfig
        Which corner, and how large.
    area : QRectF
        All of the screen, in pixels.
    dots_per_inch : float
        Of the screen.

    Returns
    -------
    square : QRectF
        In the corner, without a margin: nothing beside it may light the diode.
    """
    side = round(config.size_cm / _CM_PER_INCH * dots_per_inch)
    left = area.left() if "left" in config.corner else area.right() - side
    top = area.top() if "top" in config.corner else area.bottom() - side
    return QRectF(left, top, side, side)


def draw_patch(painter: QPainter, square: QRectF, lit: bool) -> None:
    """Draw the square.

    Parameters
    ----------
    painter : QPainter
        Onto the frame.
    square : QRectF
        Where.
    lit : bool
        White, else black.
    """
    painter.fillRect(square, _WHITE if lit else _BLACK)
