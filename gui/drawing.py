"""A surface that draws itself: what every drawn map and chart stands on."""

from __future__ import annotations

import math
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from .look import DARK, Look, contrast

_OVER = Qt.TextFlag.TextDontClip
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | _OVER)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | _OVER)
MIDDLE = int(Qt.AlignmentFlag.AlignCenter | _OVER)
"""Where text stands in its box."""


class Drawing(QWidget):
    """A widget that paints itself on the surface of its look.

    Parameters
    ----------
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """

    def __init__(self, look: Look = DARK, size_pt: int = 10) -> None:
        super().__init__()
        self.look, self.size_pt = look, size_pt
        self._family, self._ratio = self.font().family(), self.devicePixelRatioF()
        self._fonts: dict[tuple[float, bool, int, str], tuple[QFont, QFontMetricsF]] = {}
        self._widths: dict[tuple[str, float, bool, int], float] = {}
        self._stamps: dict[tuple[int, float, str, str], tuple[QPointF, QPixmap]] = {}
        self.painted = 0
        """How often it was painted, for tests and measurements."""
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def wear(self, look: Look) -> None:
        """Change colours."""
        self.look = look
        self.update()

    def renew(self) -> None:
        """Draw what is known now."""
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Draw everything; the surface is filled already."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Fill the surface and draw."""
        if self.font().family() != self._family:  # a style sheet came
            self._family = self.font().family()
            self._widths.clear()
        if self.devicePixelRatioF() != self._ratio:  # another screen
            self._ratio = self.devicePixelRatioF()
            self._stamps.clear()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.look.surface))
        self.paint(painter)
        painter.end()
        self.painted += 1

    def type_of(self, scale: float = 1.0, *, bold: bool = False) -> QFont:
        """The window's font at a share of the plain size."""
        return self._type(scale, bold)[0]

    def _type(self, scale: float, bold: bool) -> tuple[QFont, QFontMetricsF]:
        """A font and its measures; made once, because making them costs more than writing."""
        key = (scale, bold, self.size_pt, self._family)
        found = self._fonts.get(key)
        if found is None:
            if len(self._fonts) > 200:
                self._fonts.clear()
            font = QFont(self.font())
            font.setPointSizeF(max(5.5, self.size_pt * scale))
            font.setBold(bold)
            found = self._fonts[key] = (font, QFontMetricsF(font))
        return found

    def stamp(
        self, painter: QPainter, shape: int, at: QPointF, radius: float, fill: str, edge: str
    ) -> None:
        """Draw a `sign` that is drawn often, from a picture of it.

        Parameters
        ----------
        painter : QPainter
            Of this widget.
        shape, at, radius, fill, edge
            Of the sign.
        """
        key = (shape, radius, fill, edge)
        found = self._stamps.get(key)
        if found is None:
            if len(self._stamps) > 200:
                self._stamps.clear()
            found = self._stamps[key] = self._stamped(shape, radius, fill, edge)
        painter.drawPixmap(at - found[0], found[1])

    def _stamped(self, shape: int, radius: float, fill: str, edge: str) -> tuple[QPointF, QPixmap]:
        """A picture of a sign, and where its middle is."""
        room = math.ceil(1.3 * radius) + 2
        ratio = self.devicePixelRatioF()
        picture = QPixmap(round(2 * room * ratio), round(2 * room * ratio))
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        sign(painter, shape, QPointF(room, room), radius, fill, edge)
        painter.end()
        return QPointF(room, room), picture

    def write(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        *,
        colour: str = "",
        scale: float = 1.0,
        bold: bool = False,
        align: int = LEFT,
    ) -> None:
        """Write one line, cut with dots where the box ends.

        Parameters
        ----------
        painter : QPainter
            Of this widget.
        box : QRectF
            Where.
        text : str
            What.
        colour : str
            The look's text by default.
        scale : float
            Share of the plain size.
        bold : bool
            Heavier.
        align : int
            `LEFT`, `RIGHT` or `MIDDLE` of the box.
        """
        font, metrics = self._type(scale, bold)
        painter.setFont(font)
        painter.setPen(pen(colour or self.look.text))
        if self.width_of(text, scale, bold=bold) > box.width():
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, align, text)

    def paragraph(
        self, painter: QPainter, box: QRectF, text: str, *, colour: str = "", scale: float = 1.0
    ) -> None:
        """Write a sentence over as many lines as the box has.

        Parameters
        ----------
        painter : QPainter
            Of this widget.
        box : QRectF
            Where.
        text : str
            What.
        colour : str
            The look's text by default.
        scale : float
            Share of the plain size.
        """
        painter.setFont(self.type_of(scale))
        painter.setPen(pen(colour or self.look.text))
        painter.drawText(box, LEFT | int(Qt.TextFlag.TextWordWrap), text)

    def line_height(self, scale: float = 1.0) -> float:
        """Of a line of text, pixels."""
        return self._type(scale, False)[1].height()

    def width_of(self, text: str, scale: float = 1.0, *, bold: bool = False) -> float:
        """Of a text, pixels."""
        key = (text, scale, bold, self.size_pt)
        found = self._widths.get(key)
        if found is None:
            if len(self._widths) > 2000:
                self._widths.clear()
            found = self._widths[key] = self._type(scale, bold)[1].horizontalAdvance(text)
        return found


@lru_cache(maxsize=256)
def pen(colour: str, width: float = 1.0, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen.

    Parameters
    ----------
    colour : str
        ``"#rrggbb"``.
    width : float
        Pixels.
    style : Qt.PenStyle
        Solid, dashed, ...
    """
    return QPen(QColor(colour), width, style, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def sign(painter: QPainter, shape: int, at: QPointF, radius: float, fill: str, edge: str) -> None:
    """One of five shapes that are told apart without colour.

    Parameters
    ----------
    painter : QPainter
        Where to draw.
    shape : int
        Disc, triangle, square, diamond, triangle upside down; counted modulo 5.
    at : QPointF
        Its middle.
    radius : float
        Half its size, pixels.
    fill, edge : str
        Colours; an empty fill leaves it hollow.
    """
    painter.setPen(pen(edge, 1.4))
    painter.setBrush(QBrush(QColor(fill)) if fill else QBrush(Qt.BrushStyle.NoBrush))
    x, y, r = at.x(), at.y(), radius
    if shape % 5 == 0:
        painter.drawEllipse(at, r, r)
    elif shape % 5 == 2:
        painter.drawRect(QRectF(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r))
    else:
        painter.drawPolygon(_polygon(shape % 5, x, y, r))


def _polygon(shape: int, x: float, y: float, r: float) -> QPolygonF:
    corners = {
        1: ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
        3: ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
        4: ((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),
    }[shape]
    return QPolygonF([QPointF(x + r * dx, y + r * dy) for dx, dy in corners])


@lru_cache(maxsize=512)
def ink_on(colour: str) -> str:
    """Black or white, whichever is read best on a colour: the contrast is 4.58 or more.

    Parameters
    ----------
    colour : str
        ``"#rrggbb"``.

    Returns
    -------
    ink : str
        ``"#000000"`` or ``"#ffffff"``.
    """
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, colour))


def ground(widget: QWidget, look: Look) -> None:
    """Give a widget that holds others the surface of a look.

    Parameters
    ----------
    widget : QWidget
        A panel.
    look : Look
        Colours.
    """
    # Not by its palette: a window that is dressed anew takes that back.
    widget.setObjectName(widget.objectName() or "ground")
    widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    widget.setStyleSheet(f"QWidget#{widget.objectName()} {{ background: {look.surface}; }}")
