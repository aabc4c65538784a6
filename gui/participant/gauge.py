"""Neurofeedback: a calm gauge that rises and falls with what is rewarded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from ...runtime.paradigms.neurofeedback import NeurofeedbackPlan
from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from .drawing import MIDDLE, SMALL, Writing, draw_cross, draw_pause, write
from .following import Mood
from .lamp import Lamp
from .picture import Shown
from .reward_course import RewardCourse
from .words import words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeConfig:
    """What neurofeedback looks like. Nothing here may depend on the arm.

    Parameters
    ----------
    plan : NeurofeedbackPlan, optional
        The session's: with it the time left is shown.
    starts_at_sample : int
        Stream index at which the plan begins.
    smooth_s : float
        Time constant of the gauge, 0 to 2 s; it belongs to the age of the feedback.
    language : str
        ``"en"`` or ``"ko"``.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    plan: NeurofeedbackPlan | None = None
    starts_at_sample: int = 0
    smooth_s: float = 0.25
    language: str = "en"

    def __post_init__(self) -> None:
        words_of(self.language)


class Gauge:
    """A picture: instruction, gauge, time left.

    Parameters
    ----------
    config : GaugeConfig, optional
        How it looks.

    Notes
    -----
    Its labels are the markers of the parts of the session, see
    `diverloop.runtime.paradigms.neurofeedback.KINDS`.
    """

    Config = GaugeConfig

    def __init__(self, config: GaugeConfig | None = None) -> None:
        self.config = config or GaugeConfig()
        self.course = RewardCourse(
            self.config.plan, self.config.starts_at_sample, self.config.smooth_s
        )
        self.look: Look = DARK
        self._words = words_of(self.config.language)
        self._lamp = Lamp()
        self._marker = ""

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.look = look
        self.course.begin(rate_hz)
        self._lamp.begin(rate_hz)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.course.take(message)

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame."""
        self.course.advance(frame)
        labels = self._begun()
        top = QRectF(area.left() + area.width() * 0.1, area.top() + area.height() * 0.04,
                     area.width() * 0.8, area.height() * 0.16)  # fmt: skip
        write(painter, top, self._instruction(),
              Writing(colour=self.look.text, height=MIDDLE * area.height()))  # fmt: skip
        if self.course.kind == "block":
            self._draw_gauge(painter, self._column(area))
        elif self.course.kind in ("pause", "end", "wait"):
            if self.course.kind == "pause":
                draw_pause(painter, area.center(), area.height() * 0.1, self.look.faint)
        elif "eyes_closed" not in self.course.marker:
            draw_cross(painter, area.center(), area.height() * 0.1, self.look.text)
        self._draw_time(painter, area)
        return Shown(labels=labels, lit=self._lamp.lit(frame, labels))

    def _begun(self) -> tuple[str, ...]:
        marker = "" if self.course.mood is Mood.WAITING else self.course.marker
        began = marker not in ("", self._marker)
        self._marker = marker or self._marker
        return (marker,) if began else ()

    def _instruction(self) -> str:
        kind, marker = self.course.kind, self.course.marker
        if kind == "block" and self.course.mood is Mood.RESTING:
            return self._words["still"]
        if kind == "block" and self.course.mood is Mood.PAUSED:
            return self._words["pause"]
        if kind == "pause":
            return self._words["break"]
        return self._words.get(":".join(marker.split(":")[:2])) or self._words[kind]

    def _column(self, area: QRectF) -> QRectF:
        column = QRectF(0, 0, area.height() * 0.16, area.height() * 0.56)
        column.moveCenter(area.center() + QPointF(0, area.height() * 0.04))
        return column

    def _draw_gauge(self, painter: QPainter, column: QRectF) -> None:
        """A tube that fills; a line where reward begins; a sign beside it while it lasts."""
        radius, moving = column.width() / 2, self.course.mood is Mood.MOVING
        tube = QPainterPath()
        tube.addRoundedRect(column, radius, radius)
        painter.fillPath(tube, QColor(self.look.surface))
        if moving:
            filled = QPainterPath()
            risen = column.height() * self.course.height
            filled.addRect(column.adjusted(0, column.height() - risen, 0, 0))
            painter.fillPath(tube.intersected(filled), QColor(self.look.accent))
        style = Qt.PenStyle.SolidLine if moving else Qt.PenStyle.DashLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self.look.faint), column.width() * 0.03, style))
        painter.drawPath(tube)
        self._draw_line(painter, column)
        if self.course.mood is Mood.PAUSED:
            draw_pause(painter, column.center() - QPointF(0, column.height() * 0.25),
                       radius * 0.7, self.look.faint)  # fmt: skip
        elif moving:
            self._draw_reward(painter, column)

    def _draw_line(self, painter: QPainter, column: QRectF) -> None:
        over, y = column.width() * 0.35, column.center().y()
        pen = QPen(QColor(self.look.text), column.width() * 0.035, c=Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for start, stop in ((column.left() - over, column.left() - over * 0.25),
                            (column.right() + over * 0.25, column.right() + over)):  # fmt: skip
            painter.drawLine(QPointF(start, y), QPointF(stop, y))

    def _draw_reward(self, painter: QPainter, column: QRectF) -> None:
        """A ring that fills to a disc: it differs in shape, and comes and goes slowly."""
        size = column.width() * 0.3
        place = QPointF(column.right() + column.width() * 1.0, column.center().y() - size * 2.6)
        painter.setPen(QPen(QColor(self.look.faint), size * 0.1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(place, size, size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.look.text))
        within = size * 0.78 * self.course.reward
        painter.drawEllipse(place, within, within)

    def _draw_time(self, painter: QPainter, area: QRectF) -> None:
        left_s = self.course.left_s
        if math.isnan(left_s) or "eyes_closed" in self.course.marker:
            return
        whole = math.ceil(left_s)
        words = self._words["left over"].format(minutes=whole // 60, seconds=whole % 60)
        line = QRectF(area.left(), area.bottom() - area.height() * 0.12, area.width(),
                      area.height() * 0.06)  # fmt: skip
        write(painter, line, words,
              Writing(colour=self.look.faint, height=SMALL * area.height()))  # fmt: skip
