"""Whether today's signal is still like the one that the decoder was calibrated on."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPolygonF

from ...runtime.messages import StreamSpec, Turn
from ...runtime.telemetry import Telegram
from ..drawing import MIDDLE, RIGHT, Drawing, pen
from ..drift import LIKE, MOVED, Drift, Verdict
from ..drift_reference import Reference
from ..look import DARK, Look, blend
from .chart_panel import ChartPanel

_EVERY_S = 0.25
_HALF, _MOST = 1.177, 2.448  # radii that hold 50 and 95 % of a Gaussian in the plane
_AGES = 6  # steps in which points fade
_SPAN_S = 900.0


class DriftPanel(ChartPanel):
    """Embeddings seen from the calibration, and how far they have moved.

    Parameters
    ----------
    look : Look
        Colours.
    reference : Reference, optional
        What embeddings were like at calibration; without it the first minute stands for it, and
        the panel says so.
    """

    name = "drift"
    title = "Drift"

    def __init__(self, look: Look = DARK, *, reference: Reference | None = None) -> None:
        self.drift = Drift(reference)
        self.chart = DriftChart(self.drift, look)
        self._rate_hz = 1.0
        super().__init__(look, self.chart, _EVERY_S)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case StreamSpec():
                self._rate_hz = message.rate_hz
            case Turn(embedding=embedding, decision=decision) if embedding is not None:
                at_s = decision.stop_sample / self._rate_hz
                self.drift.take(embedding.values, decision.label, at_s)
                self.chart.classes = decision.classes
                self.stale = True

    def forget(self) -> None:
        """Know nothing but the reference any more."""
        self.drift.forget()
        self.stale = True


class DriftChart(Drawing):
    """The drawing: a verdict, a cloud of points, and the index over time.

    Parameters
    ----------
    drift : Drift
        What is drawn.
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """

    def __init__(self, drift: Drift, look: Look = DARK, size_pt: int = 10) -> None:
        super().__init__(look, size_pt)
        self.drift = drift
        self.classes: tuple[str, ...] = ()
        self._reach = 4.0
        self.setMinimumSize(280, 180)

    def renew(self) -> None:
        """Draw what is known now."""
        farthest = max((max(abs(x), abs(y)) for x, y, _ in self.drift.points), default=0.0)
        self._reach += 0.2 * (max(4.0, 1.1 * farthest) - self._reach)
        self.setAccessibleName("drift")
        self.setAccessibleDescription(self.drift.sentence())
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Draw everything."""
        line = self.line_height()
        self._paint_verdict(painter, QRectF(10, 4, self.width() - 20, 1.4 * line))
        top, foot = 4 + 1.7 * line, 1.3 * line
        height = self.height() - top - foot - 4
        side = min(height, 0.5 * self.width())
        cloud = QRectF(8, top, side, height)
        self._paint_cloud(painter, cloud)
        left = cloud.right() + 34
        room = QRectF(left, top + line, self.width() - left - 12, height - 2.1 * line)
        self._paint_index(painter, room)
        self._paint_foot(painter, QRectF(10, self.height() - foot - 2, self.width() - 20, foot))

    def _paint_verdict(self, painter: QPainter, box: QRectF) -> None:
        verdict = self.drift.verdict
        shape, colour = {
            Verdict.WAITING: (0, self.look.faint),
            Verdict.LIKE: (0, self.look.good),
            Verdict.AWAY: (1, self.look.doubtful),
            Verdict.MOVED: (2, self.look.bad),
        }[verdict]
        radius = 0.3 * box.height()
        at = QPointF(box.left() + radius, box.center().y())
        self.stamp(painter, shape, at, radius, "" if verdict is Verdict.WAITING else colour, colour)
        said = box.adjusted(2 * radius + 8, 0, 0, 0)
        self.write(painter, said, self.drift.sentence(), bold=True, scale=1.1)

    def _paint_cloud(self, painter: QPainter, box: QRectF) -> None:
        side = min(box.width(), box.height())
        middle, unit = box.center(), side / 2 / self._reach
        reference = self.drift.reference
        if reference is None:
            said = "nothing to compare with yet"
            self.write(painter, box, said, colour=self.look.faint, align=MIDDLE)
            return
        painter.save()
        painter.setClipRect(box)
        for radius, share in ((_MOST, 0.10), (_HALF, 0.20)):
            painter.setPen(pen(self.look.faint, 1.2, Qt.PenStyle.DashLine))
            painter.setBrush(QColor(blend(self.look.surface, self.look.faint, share)))
            painter.drawEllipse(middle, radius * unit, radius * unit)
        dots = [QPointF(middle.x() + x * unit, middle.y() - y * unit) for x, y in _pairs(reference)]
        painter.setPen(pen(blend(self.look.surface, self.look.faint, 0.6), 2.0))
        painter.drawPoints(QPolygonF(dots))
        self._paint_points(painter, middle, unit)
        painter.restore()

    def _paint_points(self, painter: QPainter, middle: QPointF, unit: float) -> None:
        """Oldest first and faintest; the shape tells the class, a small ring none."""
        points = list(self.drift.points)
        ages = np.arange(len(points)) * _AGES // max(len(points), 1)
        inks = {
            (label, age): blend(self.look.surface, self._mark(label)[1], 0.25 + 0.75 * share)
            for label in {*self.classes, ""}
            for age, share in enumerate(np.arange(1, _AGES + 1) / _AGES)
        }
        shapes = {label: place for place, label in enumerate(self.classes)}
        left, top = middle.x(), middle.y()
        for age, (x, y, label) in zip(ages.tolist(), points, strict=True):
            ink = inks.get((label, age), self.look.faint)
            radius = 4.0 if age == _AGES - 1 else 3.0
            at = QPointF(left + x * unit, top - y * unit)
            self.stamp(painter, shapes.get(label, 0), at, radius, ink if label else "", ink)

    def _mark(self, label: str) -> tuple[int, str]:
        if label not in self.classes:
            return 0, self.look.faint
        place = self.classes.index(label)
        return place, self.look.series[place % len(self.look.series)]

    def _paint_index(self, painter: QPainter, box: QRectF) -> None:
        indices = list(self.drift.indices)
        over = QRectF(box.left(), box.top() - self.line_height(), box.width(), self.line_height())
        value = f"drift index {self.drift.index:.1f}" if indices else "drift index"
        self.write(painter, over, value, bold=True)
        top = max(4.0, 1.1 * max((index for _, index in indices), default=0.0))
        self._paint_zones(painter, box, top)
        if not indices:
            return
        span_s = max(60.0, min(_SPAN_S, indices[-1][0] - indices[0][0]))
        now_s = indices[-1][0]
        step = max(1, len(indices) // 300)
        chosen = indices[::-1][::step]
        points = [
            QPointF(
                box.right() - (now_s - at_s) / span_s * box.width(),
                box.bottom() - min(index / top, 1.0) * box.height(),
            )
            for at_s, index in chosen
        ]
        painter.setPen(pen(self.look.text, 2.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        self.stamp(painter, 0, points[0], 4.0, self.look.text, self.look.surface)
        under = QRectF(box.left(), box.bottom() + 2, box.width(), self.line_height(0.8))
        back = f"-{span_s:.0f} s" if span_s < 120 else f"-{span_s / 60:.0f} min"
        self.write(painter, under, back, scale=0.8, colour=self.look.faint)
        self.write(painter, under, "now", scale=0.8, colour=self.look.faint, align=RIGHT)

    def _paint_zones(self, painter: QPainter, box: QRectF, top: float) -> None:
        zones = (
            (0.0, LIKE, self.look.good, "like it"),
            (LIKE, MOVED, self.look.doubtful, "somewhat away"),
            (MOVED, top, self.look.bad, "moved"),
        )
        small = self.line_height(0.8)
        for low, high, colour, word in zones:
            upper = box.bottom() - high / top * box.height()
            lower = box.bottom() - low / top * box.height()
            zone = QRectF(box.left(), upper, box.width(), lower - upper)
            painter.fillRect(zone, QColor(blend(self.look.surface, colour, 0.16)))
            painter.setPen(pen(self.look.line))
            painter.drawLine(zone.bottomLeft(), zone.bottomRight())
            if zone.height() >= small:
                inside = QRectF(zone.left() + 6, zone.top() + 1, zone.width() - 12, small)
                self.write(painter, inside, word, scale=0.8, colour=self.look.faint)
            tick = QRectF(box.left() - 30, lower - small / 2, 25, small)
            self.write(painter, tick, f"{low:g}", scale=0.8, colour=self.look.faint, align=RIGHT)

    def _paint_foot(self, painter: QPainter, box: QRectF) -> None:
        """The classes with their signs, and what the calibration is."""
        left = box.left()
        for label in self.classes[:5]:
            shape, colour = self._mark(label)
            at = QPointF(left + 5, box.center().y())
            self.stamp(painter, shape, at, 4.5, colour, colour)
            width = self.width_of(label, 0.9) + 2
            self.write(painter, QRectF(left + 14, box.top(), width, box.height()), label, scale=0.9)
            left += width + 24
        own = "the first minute" if self.drift.is_own else "the calibration"
        said = f"rings hold 50 and 95 % of {own}; 1 is as far as it strays itself"
        rest = QRectF(left, box.top(), box.right() - left, box.height())
        self.write(painter, rest, said, scale=0.85, colour=self.look.faint, align=RIGHT)


def _pairs(reference: Reference) -> list[tuple[float, float]]:
    return [(float(row[0]), float(row[1])) for row in reference.cloud]
