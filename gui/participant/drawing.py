"""Letters and shapes that every picture is made of, sized by the height of the screen.

At a distance of 1 m capitals of 6 mm can be read by nearly everybody, and those of 15 mm without
effort. The letters a participant has to read are a share of the screen's height, `LARGE` or
`MIDDLE`; on a screen 30 cm high `MIDDLE` gives capitals of 10 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from .lettering import pixel_font

LARGE, MIDDLE, SMALL = 0.075, 0.045, 0.028
"""Size of letters, as a share of the height of the screen."""

_SMALLEST = 0.4  # to this share letters shrink before words are cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How words look.

    Parameters
    ----------
    colour : str
        ``"#rrggbb"``.
    height : float
        Size of the letters in pixels.
    bold, slanted : bool
        Of the letters.
    where : Qt.AlignmentFlag
        Place in the area.
    """

    colour: str
    height: float
    bold: bool = False
    slanted: bool = False
    where: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignCenter


def font_of(height: float, *, bold: bool = False, slanted: bool = False) -> QFont:
    """A font for letters of a height.

    Parameters
    ----------
    height : float
        Of the letters, in pixels; 6 at least.
    bold, slanted : bool
        Of the letters.
    """
    return pixel_font(max(6, round(height)), bold=bold, slanted=slanted)


def warm_up(colour: str) -> None:
    """Load the fonts now, into memory: the first letters would cost a frame or more.

    Parameters
    ----------
    colour : str
        ``"#rrggbb"``.
    """
    scratch = QImage(64, 64, QImage.Format.Format_RGB32)
    painter = QPainter(scratch)
    for text in ("Aa1.", "\uac00\ud798"):  # Latin and Hangul may come from different files
        for bold, slanted in ((False, False), (True, False), (False, True)):
            writing = Writing(colour=colour, height=20, bold=bold, slanted=slanted)
            write(painter, QRectF(scratch.rect()), text, writing)
    painter.end()


def write(painter: QPainter, area: QRectF, text: str, writing: Writing) -> None:
    """Write words into an area: over several lines, and smaller if they do not fit.

    Parameters
    ----------
    painter : QPainter
        Onto the frame.
    area : QRectF
        Where.
    text : str
        Any length, any language.
    writing : Writing
        How.
    """
    if not text:
        return
    flags = int(Qt.TextFlag.TextWordWrap) | int(writing.where)
    height = writing.height
    font = font_of(height, bold=writing.bold, slanted=writing.slanted)
    while height > writing.height * _SMALLEST:
        needed = QFontMetricsF(font).boundingRect(area, flags, text)
        if needed.height() <= area.height() + 1 and needed.width() <= area.width() + 1:
            break
        height *= 0.9
        font = font_of(height, bold=writing.bold, slanted=writing.slanted)
    painter.setFont(font)
    painter.setPen(QColor(writing.colour))
    painter.drawText(area, flags, text)


def draw_cross(painter: QPainter, middle: QPointF, size: float, colour: str) -> None:
    """A cross to rest the eyes on.

    Parameters
    ----------
    painter : QPainter
        Onto the frame.
    middle : QPointF
        Its middle.
    size : float
        Its height in pixels.
    colour : str
        ``"#rrggbb"``.
    """
    painter.setPen(QPen(QColor(colour), size * 0.1, c=Qt.PenCapStyle.RoundCap))
    half = size / 2
    painter.drawLine(middle - QPointF(half, 0), middle + QPointF(half, 0))
    painter.drawLine(middle - QPointF(0, half), middle + QPointF(0, half))


def arrow(tail: QPointF, tip: QPointF, width: float) -> QPainterPath:
    """An arrow as a shape that can be filled.

    Parameters
    ----------
    tail, tip : QPointF
        From where to where.
    width : float
        Of the shaft in pixels; the head is 2.6 times as wide.
    """
    along = tip - tail
    length = max((along.x() ** 2 + along.y() ** 2) ** 0.5, 1e-6)
    forward = along / length
    aside = QPointF(-forward.y(), forward.x())
    head = min(width * 1.7, length)
    neck = tip - forward * head
    path = QPainterPath(tail + aside * (width / 2))
    for point in (
        neck + aside * (width / 2),
        neck + aside * (width * 1.3),
        tip,
        neck - aside * (width * 1.3),
        neck - aside * (width / 2),
        tail - aside * (width / 2),
    ):
        path.lineTo(point)
    path.closeSubpath()
    return path


def draw_pause(painter: QPainter, middle: QPointF, size: float, colour: str) -> None:
    """Two bars, as on every player: it goes on later.

    Parameters
    ----------
    painter : QPainter
        Onto the frame.
    middle : QPointF
        Their middle.
    size : float
        Their height in pixels.
    colour : str
        ``"#rrggbb"``.
    """
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    for side in (-1, 1):
        bar = QRectF(0, 0, size * 0.28, size)
        bar.moveCenter(middle + QPointF(side * size * 0.3, 0))
        painter.drawRoundedRect(bar, size * 0.08, size * 0.08)
