"""Whether the decoder learns: right decisions over trials, and when its weights changed.

Right is what rewards call right, out of all trials: one in which nothing was decided was not right.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPolygonF

from .adaptation_view import AdaptationView, Standing
from .drawing import MIDDLE, RIGHT, Drawing, pen
from .look import DARK, Look, blend

NOTHING_YET = "No reward has come yet, so nobody knows how many decisions are right."
_FEWEST = 30  # trials across, so that a session's first ones do not fill the width


class LearningCurve(Drawing):
    """The drawing: right decisions as a line, decided trials as an area, changes as strokes.

    Parameters
    ----------
    view : AdaptationView
        What is drawn.
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """

    def __init__(self, view: AdaptationView, look: Look = DARK, size_pt: int = 9) -> None:
        super().__init__(look, size_pt)
        self.view = view
        self.setMinimumSize(200, 88)
        self.setMaximumHeight(190)

    def said(self) -> str:
        """The newest point in words."""
        if not self.view.course:
            return NOTHING_YET
        now = self.view.course[-1]
        return f"Right {now.right:.0%}, decided {now.decided:.0%} of the last trials"

    def renew(self) -> None:
        """Draw what is known now."""
        self.setAccessibleName("learning curve")
        self.setAccessibleDescription(self.said())
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Draw everything."""
        line = self.line_height()
        head = QRectF(8, 2, self.width() - 16, line)
        self.write(painter, head, self.said(), bold=bool(self.view.course))
        room = QRectF(40, line + 6, self.width() - 52, self.height() - 2 * line - 14)
        if not self.view.course or room.height() < 10:
            return
        course = list(self.view.course)
        last = max(_FEWEST, course[-1].n_trials)
        self._paint_axes(painter, room, last)
        self._paint_changes(painter, room, last)
        self._paint_course(painter, room, course, last)

    def _paint_axes(self, painter: QPainter, room: QRectF, last: int) -> None:
        small = self.line_height(0.85)
        for share in (0.0, 0.5, 1.0):
            y = room.bottom() - share * room.height()
            painter.setPen(pen(self.look.line))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            box = QRectF(0, y - small / 2, room.left() - 4, small)
            self.write(
                painter, box, f"{share:.0%}", scale=0.85, colour=self.look.faint, align=RIGHT
            )
        under = QRectF(room.left(), room.bottom() + 2, room.width(), small)
        self.write(painter, under, "trial 0", scale=0.85, colour=self.look.faint)
        told = "strokes: the weights changed"
        self.write(painter, under, told, scale=0.85, colour=self.look.faint, align=MIDDLE)
        self.write(painter, under, str(last), scale=0.85, colour=self.look.faint, align=RIGHT)

    def _paint_changes(self, painter: QPainter, room: QRectF, last: int) -> None:
        painter.setPen(pen(self.look.series[1], 1.0))
        for n_trials in self.view.changed_at:
            # In the middle of a pixel, so that a stroke is sharp.
            x = math.floor(room.left() + n_trials / last * room.width()) + 0.5
            painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))

    def _paint_course(
        self, painter: QPainter, room: QRectF, course: list[Standing], last: int
    ) -> None:
        def at(n_trials: int, share: float) -> QPointF:
            x = room.left() + n_trials / last * room.width()
            return QPointF(x, room.bottom() - share * room.height())

        decided = [at(one.n_trials, one.decided) for one in course]
        foot = [QPointF(decided[-1].x(), room.bottom()), QPointF(decided[0].x(), room.bottom())]
        wash = QColor(blend(self.look.surface, self.look.accent, 0.35))
        wash.setAlphaF(0.35)
        painter.setPen(pen(self.look.surface, 0.0))
        painter.setBrush(wash)
        painter.drawPolygon(QPolygonF([*decided, *foot]))
        right = [at(one.n_trials, one.right) for one in course]
        painter.setPen(pen(self.look.accent, 2.2))
        painter.drawPolyline(QPolygonF(right))
        self.stamp(painter, 0, right[-1], 4.0, self.look.accent, self.look.surface)
