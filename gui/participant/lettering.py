"""Words on a picture: fonts by pixels, colours between two, text that fits."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter

from ..look import FONTS, Look
from .stimulus_words import StimulusWords

CENTRE = Qt.AlignmentFlag.AlignCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

_FAMILIES = [name.strip(" '") for name in FONTS.split(",")]
_FOOT = 0.045  # of the height


def font_of(pixels: float, *, bold: bool = False) -> QFont:
    """The font of all pictures, so many pixels high."""
    font = QFont(_FAMILIES)
    font.setPixelSize(max(1, round(pixels)))
    font.setBold(bold)
    return font


def between(one: str, other: str, share: float) -> str:
    """A colour that is a share of the way from one to another, ``"#rrggbb"``."""
    pairs = [(int(one[n : n + 2], 16), int(other[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def write(
    painter: QPainter,
    area: QRectF,
    text: str,
    colour: str,
    pixels: float,
    *,
    bold: bool = False,
    align: Qt.AlignmentFlag = CENTRE,
) -> None:
    """Write one line, smaller if it would not fit into its area."""
    font = font_of(pixels, bold=bold)
    wide = QFontMetricsF(font).horizontalAdvance(text)
    if wide > area.width() > 0:
        font = font_of(pixels * area.width() / wide, bold=bold)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(area, align, text)


def foot(painter: QPainter, area: QRectF, look: Look, words: StimulusWords, said: str) -> QRectF:
    """Write what stands below every picture, and why nothing runs; what is left of the area."""
    high = _FOOT * area.height()
    left = area.adjusted(0, 0, 0, -1.6 * high)
    # The corners belong to a photodiode.
    strip = QRectF(area.left(), left.bottom(), area.width(), high)
    strip.adjust(0.16 * area.width(), 0, -0.16 * area.width(), 0)
    text = f"{said} · {words.disclaimer}" if said else words.disclaimer
    write(painter, strip, text, look.faint, 0.5 * high)
    return left
