"""Words on a picture: fonts by pixels, and text that fits."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from ..look import FONTS, Look

CENTRE = Qt.AlignmentFlag.AlignCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

_FAMILIES = [name.strip(" '") for name in FONTS.split(",")]
_STAGE = 0.055  # of the height, where the stage writes
_FOOT = 0.03


@lru_cache(maxsize=64)
def pixel_font(pixels: int, *, bold: bool = False, slanted: bool = False) -> QFont:
    """The font of all pictures, so many pixels high; it has Hangul, where one is installed."""
    font = QFont(_FAMILIES)
    font.setPixelSize(max(1, pixels))
    font.setBold(bold)
    font.setItalic(slanted)
    return font


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
    """Write one line, `LEFT`, `RIGHT` or `CENTRE`; smaller if it would not fit into its area."""
    if not text:
        return
    device = painter.device()
    ratio = device.devicePixelRatioF() if device is not None else 1.0
    image = _written(text, colour, round(pixels), bold, ratio)
    wide = image.width() / ratio
    if wide > area.width() > 0:
        image = _written(text, colour, int(pixels * area.width() / wide), bold, ratio)
    place = QRectF(0, 0, image.width() / ratio, image.height() / ratio)
    place.moveCenter(area.center())
    if align is LEFT:
        place.moveLeft(area.left())
    elif align is RIGHT:
        place.moveRight(area.right())
    # On whole pixels, or every letter would be blurred.
    painter.drawImage(place.topLeft().toPoint(), image)


@lru_cache(maxsize=512)
def _written(text: str, colour: str, pixels: int, bold: bool, ratio: float) -> QImage:
    """A line as an image: laying out text takes longer than a frame has, and it rarely changes."""
    font = pixel_font(pixels, bold=bold)
    metrics = QFontMetricsF(font)
    size = QSizeF(metrics.horizontalAdvance(text) + 2, metrics.height())
    image = QImage((size * ratio).toSize(), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(QRectF(0, 0, size.width(), size.height()), CENTRE, text)
    painter.end()
    return image


def foot(painter: QPainter, area: QRectF, look: Look, said: str) -> QRectF:
    """Write why nothing runs, for whoever watches over the session; what is left of the area.

    The strip below it is the stage's, and the corners belong to a photodiode.
    """
    high = area.height()
    left = area.adjusted(0, 0, 0, -(_STAGE + _FOOT) * high)
    strip = QRectF(area.left(), left.bottom(), area.width(), _FOOT * high)
    strip.adjust(0.16 * area.width(), 0, -0.16 * area.width(), 0)
    write(painter, strip, said, look.faint, 0.022 * high)
    return left
