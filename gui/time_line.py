"""The time line of a recording: what happened when, and where the view is."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap, QPolygonF
from PySide6.QtWidgets import QToolTip, QWidget

from .look import DARK, Look
from .recorded import Recorded
from .time_marks import (
    FAULT,
    GUARD,
    MARKER,
    NOTE,
    clock_text,
    decided_share,
    nearest,
    sign_of,
    tick_s,
)

_HEIGHT, _BAND, _SIGNS, _EDGE = 62, 16, 20, 12  # pixels
_NEAR = 6  # pixels from a mark that still speak of it


class TimeLine(QWidget):
    """Drawn once for a size; only the place where the view is moves.

    Parameters
    ----------
    recorded : Recorded
        What is played.
    """

    wanted = Signal(float)
    """Somebody wants to go there: seconds after the beginning."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__()
        self.setMinimumHeight(_HEIGHT)
        self.setMaximumHeight(_HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName("Time line of the recording")
        self.setMouseTracking(True)
        self._recorded = recorded
        self._look = DARK
        self._drawn: QPixmap | None = None
        self._at = -1.0

    def wear(self, look: Look) -> None:
        """Change colours."""
        self._look, self._drawn = look, None
        self.update()

    def draw(self) -> None:
        """Show where the view is now, if that is another pixel."""
        at = self._x(self._recorded.position_s)
        if abs(at - self._at) >= 0.5:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what stays, and the place over it."""
        if self._drawn is None or self._drawn.size() != self.size() * self.devicePixelRatioF():
            self._drawn = self._background()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._drawn)
        self._at = self._x(self._recorded.position_s)
        painter.setPen(QColor(self._look.accent))
        painter.setBrush(QColor(self._look.accent))
        painter.drawRect(QRectF(self._at - 1, 0, 2, _BAND + _SIGNS + 4))
        corners = (QPointF(self._at - 6, 0), QPointF(self._at + 6, 0), QPointF(self._at, 8))
        painter.drawPolygon(QPolygonF(corners))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go where somebody points."""
        self.wanted.emit(self._seconds(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse while it is held."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.wanted.emit(self._seconds(event.position().x()))

    def event(self, event: QEvent) -> bool:
        """Say what stands under the mouse."""
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.text_at(event.pos().x()), self)
            return True
        return super().event(event)

    def text_at(self, x: float) -> str:
        """What there is to say about a pixel: the time, and the mark there."""
        at_s = self._seconds(x)
        near_s = _NEAR * self._recorded.length_s / max(self._width(), 1)
        mark = nearest(self._recorded.tape.marks, at_s, near_s)
        return f"{clock_text(mark.at_s)}  {mark.kind}: {mark.text}" if mark else clock_text(at_s)

    def _width(self) -> float:
        return max(self.width() - 2 * _EDGE, 1)

    def _x(self, at_s: float) -> float:
        return _EDGE + at_s / max(self._recorded.length_s, 1e-9) * self._width()

    def _seconds(self, x: float) -> float:
        share = min(max((x - _EDGE) / self._width(), 0.0), 1.0)
        return share * self._recorded.length_s

    def _background(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(self.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(self._look.surface))
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_decisions(painter)
        self._paint_marks(painter)
        self._paint_times(painter)
        painter.end()
        return pixmap

    def _paint_decisions(self, painter: QPainter) -> None:
        """How many windows were decided, as a height: where it is low, the decoder abstained."""
        painter.fillRect(QRectF(_EDGE, 2, self._width(), _BAND), QColor(self._look.raised))
        tape = self._recorded.tape
        n_columns = max(min(int(self._width() / 2), len(tape.turns_s) // 4), 1)
        share = decided_share(tape.turns_s, tape.abstained, self._recorded.length_s, n_columns)
        width = self._width() / n_columns
        colour = QColor(self._look.series[0])
        for column in np.flatnonzero(~np.isnan(share)):
            height = max(1.0, float(share[column]) * _BAND)
            left = _EDGE + float(column) * width
            painter.fillRect(QRectF(left, 2 + _BAND - height, math.ceil(width), height), colour)

    def _paint_marks(self, painter: QPainter) -> None:
        seen: set[tuple[int, str]] = set()
        middle = 4 + _BAND + _SIGNS / 2
        for mark in self._recorded.tape.marks:
            sign, x = sign_of(mark), self._x(mark.at_s)
            if (place := (round(x / 2), sign)) in seen:
                continue  # thousands of marks are no more than the pixels they stand on
            seen.add(place)
            self._paint_sign(painter, sign, x, middle)

    def _paint_sign(self, painter: QPainter, sign: str, x: float, y: float) -> None:
        colours = {MARKER: self._look.faint, NOTE: self._look.series[3], FAULT: self._look.doubtful}
        colour = QColor(colours.get(sign, self._look.bad))
        painter.setPen(colour)
        painter.setBrush(colour)
        if sign == MARKER:
            painter.drawLine(QPointF(x, y - 7), QPointF(x, y + 7))
        elif sign == NOTE:
            painter.drawRect(QRectF(x - 4, y - 4, 8, 8))
        elif sign == FAULT:
            triangle = (QPointF(x, y - 5), QPointF(x - 5, y + 5), QPointF(x + 5, y + 5))
            painter.drawPolygon(QPolygonF(triangle))
        elif sign == GUARD:
            corners = (QPointF(x, y - 6), QPointF(x + 5, y), QPointF(x, y + 6), QPointF(x - 5, y))
            painter.drawPolygon(QPolygonF(corners))

    def _paint_times(self, painter: QPainter) -> None:
        painter.setPen(QColor(self._look.faint))
        font = painter.font()
        font.setPointSize(8)
        painter.setFont(font)
        step_s = tick_s(self._recorded.length_s, int(self._width() // 80))
        for number in range(int(self._recorded.length_s / step_s) + 1):
            x = self._x(number * step_s)
            text = clock_text(number * step_s)
            wide = painter.fontMetrics().horizontalAdvance(text)
            left = min(max(x - wide / 2, 0), self.width() - wide)
            painter.drawText(QPointF(left, _HEIGHT - 5), text)
