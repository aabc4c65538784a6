"""The one big light: a shape, a word and a colour, each of which is enough by itself."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from ..look import DARK, Look
from .lights import Light
from .words import Words

_COLOURS = {
    Light.READY: "good",
    Light.WAITING: "doubtful",
    Light.WORKING: "accent",
    Light.FEEDBACK: "good",
    Light.PAUSED: "doubtful",
    Light.STOPPED: "bad",
    Light.FAULT: "bad",
}


class LightShape(QWidget):
    """The shape alone: a ring with a tick or a bar, dots, an arrow, bars, octagon or triangle."""

    def __init__(self) -> None:
        super().__init__()
        self.light = Light.READY
        self.look = DARK
        self.side = 84

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(self.side, self.side)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the shape of the light."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = min(self.width(), self.height())
        painter.translate((self.width() - side) / 2, (self.height() - side) / 2)
        painter.scale(side / 100, side / 100)
        colour = QColor(getattr(self.look, _COLOURS[self.light]))
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        _DRAW[self.light](painter, colour, QColor(self.look.ground))
        painter.end()


class StatusLight(QWidget):
    """Shape and word.

    Parameters
    ----------
    words : Words
        A language.
    """

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.shape = LightShape()
        self.word = QLabel()
        self.word.setProperty("words", "status")
        self.word.setProperty("strong", "true")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(18)
        row.addWidget(self.shape)
        row.addWidget(self.word)
        row.addStretch(1)
        self.show_light(Light.READY, words)

    def show_light(self, light: Light, words: Words) -> None:
        """Show a state.

        Parameters
        ----------
        light : Light
            Which.
        words : Words
            In which language.
        """
        self.shape.light = light
        self.word.ensurePolished()
        self.word.setMinimumWidth(_widest(self.word, words))
        self.word.setText(words(f"light_{light}"))
        self.setAccessibleName(self.word.text())
        self.shape.update()

    def wear(self, look: Look, side: int) -> None:
        """Change colours, and how large the shape is, in pixels."""
        self.shape.look, self.shape.side = look, side
        self.shape.setFixedSize(side, side)
        self.shape.update()


def _widest(label: QLabel, words: Words) -> int:
    """So wide is the widest word: the place never changes its size."""
    metrics = label.fontMetrics()
    return max(metrics.horizontalAdvance(words(f"light_{light}")) for light in Light) + 4


def _ready(painter: QPainter, colour: QColor, ground: QColor) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 10))
    painter.drawEllipse(QRectF(9, 9, 82, 82))
    tick = QPolygonF([QPointF(29, 51), QPointF(44, 67), QPointF(72, 35)])
    pen = QPen(colour, 10, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPolyline(tick)


def _waiting(painter: QPainter, colour: QColor, ground: QColor) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 10))
    painter.drawEllipse(QRectF(9, 9, 82, 82))
    painter.drawLine(QPointF(30, 50), QPointF(70, 50))


def _working(painter: QPainter, colour: QColor, ground: QColor) -> None:
    for x in (8, 39, 70):
        painter.drawEllipse(QRectF(x, 39, 22, 22))


def _feedback(painter: QPainter, colour: QColor, ground: QColor) -> None:
    painter.drawEllipse(QRectF(4, 4, 92, 92))
    painter.setBrush(ground)
    painter.drawPolygon(QPolygonF([QPointF(38, 26), QPointF(38, 74), QPointF(78, 50)]))


def _paused(painter: QPainter, colour: QColor, ground: QColor) -> None:
    painter.drawRoundedRect(QRectF(20, 10, 22, 80), 4, 4)
    painter.drawRoundedRect(QRectF(58, 10, 22, 80), 4, 4)


def _stopped(painter: QPainter, colour: QColor, ground: QColor) -> None:
    corners = [math.radians(22.5 + 45 * n) for n in range(8)]
    painter.drawPolygon(
        QPolygonF([QPointF(50 + 48 * math.cos(a), 50 + 48 * math.sin(a)) for a in corners])
    )
    painter.setBrush(ground)
    painter.drawRect(QRectF(34, 34, 32, 32))


def _fault(painter: QPainter, colour: QColor, ground: QColor) -> None:
    painter.drawPolygon(QPolygonF([QPointF(50, 6), QPointF(97, 92), QPointF(3, 92)]))
    painter.setBrush(ground)
    painter.drawRoundedRect(QRectF(45, 34, 10, 32), 4, 4)
    painter.drawEllipse(QRectF(44, 72, 12, 12))


_DRAW = {
    Light.READY: _ready,
    Light.WAITING: _waiting,
    Light.WORKING: _working,
    Light.FEEDBACK: _feedback,
    Light.PAUSED: _paused,
    Light.STOPPED: _stopped,
    Light.FAULT: _fault,
}
