"""Electrodes drawn where they are, and one of them chosen with the mouse or the arrow keys."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPainterPath

from ..runtime.messages import StreamSpec
from .drawing import MIDDLE, Drawing, pen
from .look import DARK, Look, blend
from .map_plan import MapPlan, Place, Spot, plans_of

_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class ElectrodeMap(Drawing):
    """What maps of quality and of power share: the outlines, the places, the chosen electrode.

    Parameters
    ----------
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    positions : mapping of str to tuple of 3 float, optional
        Usual places of scalp electrodes by name, metres.
    """

    chosen = Signal(str)
    """Name of the electrode under the mouse or the cursor; empty if there is none."""

    def __init__(
        self,
        look: Look = DARK,
        size_pt: int = 10,
        *,
        positions: Mapping[str, Place] | None = None,
    ) -> None:
        super().__init__(look, size_pt)
        self._positions = positions
        self.plans: tuple[MapPlan, ...] = ()
        self.choice = ""
        self._places: list[tuple[MapPlan, QRectF, float, dict[str, QPointF]]] = []
        self._placed_for: tuple[int, int, int] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(160, 140)

    @property
    def names(self) -> tuple[str, ...]:
        """Of every electrode that is drawn."""
        return tuple(spot.name for plan in self.plans for spot in plan.spots)

    def show_spec(self, spec: StreamSpec) -> None:
        """Draw the electrodes of a stream from now on.

        Parameters
        ----------
        spec : StreamSpec
            The stream.
        """
        self.plans = plans_of(spec, self._positions)
        self._placed_for = None
        self.choose("")
        self.update()

    def choose(self, name: str) -> None:
        """Choose an electrode, or none."""
        if name != self.choice:
            self.choice = name
            self.chosen.emit(name)
            self.update()

    def spot_at(self, at: QPointF) -> str:
        """Name of the electrode drawn there; empty if none is."""
        found, nearest = "", math.inf
        for _, _, radius, points in self._place_all():
            for name, point in points.items():
                away = math.hypot(point.x() - at.x(), point.y() - at.y())
                if away < nearest and away <= max(1.4 * radius, 8.0):
                    found, nearest = name, away
        return found

    def foot(self) -> list[str]:
        """Lines under the map; the first one matters most."""
        return []

    def paint_under(self, painter: QPainter, plan: MapPlan, box: QRectF) -> None:
        """Draw below the electrodes of one map: what lies between them."""

    def paint_spot(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Draw one electrode."""

    def paint_label(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Write at one electrode; all of them are drawn by then."""

    def paint(self, painter: QPainter) -> None:
        """Draw every map, the ring around the chosen electrode, and the lines under them."""
        for plan, box, radius, points in self._place_all():
            self._paint_titles(painter, plan, box, points)
            self.paint_under(painter, plan, box)
            if plan.kind == "head":
                self._outline(painter, box)
            elif plan.kind == "shafts":
                self._stems(painter, plan, points)
            for spot in plan.spots:
                self.paint_spot(painter, plan, spot, points[spot.name], radius)
            for spot in plan.spots:
                self.paint_label(painter, plan, spot, points[spot.name], radius)
            if self.choice in points:
                painter.setPen(pen(self.look.accent, 2.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawEllipse(points[self.choice], radius + 4, radius + 4)
        self._paint_foot(painter)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the mouse any more."""
        self.choose("")

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Nobody chooses with the keys any more."""
        self.choose("")
        super().focusOutEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Choose what is under the mouse."""
        self.choose(self.spot_at(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose the next electrode in the direction of an arrow key; Escape chooses none."""
        if event.key() == Qt.Key.Key_Escape and self.choice:
            self.choose("")
        elif (step := _STEPS.get(Qt.Key(event.key()))) and self.names:
            self.choose(self._next(step))
        else:
            super().keyPressEvent(event)

    def _next(self, step: tuple[int, int]) -> str:
        points = {name: at for *_, places in self._place_all() for name, at in places.items()}
        if self.choice not in points:
            return self.names[0]
        here, best, found = points[self.choice], math.inf, self.choice
        for name, at in points.items():
            along = (at.x() - here.x()) * step[0] + (at.y() - here.y()) * step[1]
            beside = abs((at.x() - here.x()) * step[1]) + abs((at.y() - here.y()) * step[0])
            if along > 1 and along + 2.5 * beside < best:
                best, found = along + 2.5 * beside, name
        return found

    def foot_height(self) -> float:
        """Of the legend and the lines below it, pixels."""
        return (len(self.foot()) + 1.9) * self.line_height() if self.plans else 0.0

    def _place_all(self) -> list[tuple[MapPlan, QRectF, float, dict[str, QPointF]]]:
        """Where everything goes: found once for a size of the widget and of its text."""
        key = (self.width(), self.height(), self.size_pt)
        if self._placed_for != key:
            self._placed_for = key
            self._places = [
                (plan, box, *_points(plan, box)) for plan, box in self._boxes() if box.isValid()
            ]
        return self._places

    def _boxes(self) -> list[tuple[MapPlan, QRectF]]:
        """A box for each map, side by side, as wide as it has columns."""
        gap, top = 8.0, 8.0
        room = self.width() - gap
        height = self.height() - self.foot_height() - top
        wanted = [math.sqrt(len(plan.spots)) + 1 for plan in self.plans]
        left, boxes = gap, []
        for plan, share in zip(self.plans, wanted, strict=True):
            width = room * share / sum(wanted)
            titled = self.line_height() * ((len(self.plans) > 1) + bool(plan.heads))
            box = QRectF(left, top + titled, width - gap, height - titled)
            boxes.append((plan, box))
            left += width
        return boxes

    def _paint_titles(
        self, painter: QPainter, plan: MapPlan, box: QRectF, points: Mapping[str, QPointF]
    ) -> None:
        line = self.line_height()
        if len(self.plans) > 1:
            top = box.top() - line * (1 + bool(plan.heads))
            over = QRectF(box.left(), top, box.width(), line)
            self.write(painter, over, plan.title, colour=self.look.faint)
        width = box.width() / max(len(plan.heads), 1)
        for column, head in enumerate(plan.heads):
            over = QRectF(box.left() + column * width, box.top() - line, width, line)
            self.write(painter, over, head, bold=True, align=MIDDLE)

    def _paint_foot(self, painter: QPainter) -> None:
        line = self.line_height()
        top = self.height() - self.foot_height() + 1.5 * line  # the legend is above
        for n, text in enumerate(self.foot()):
            box = QRectF(10, top + n * line, self.width() - 20, line)
            self.write(painter, box, text, colour=self.look.faint if n else self.look.text)

    def _outline(self, painter: QPainter, box: QRectF) -> None:
        """Nose, ears and the edge of the head."""
        middle, r = head_of(box)
        colour = blend(self.look.surface, self.look.faint, 0.8)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen(colour, 1.8))
        painter.drawEllipse(middle, r, r)
        nose = QPainterPath(QPointF(middle.x() - 0.12 * r, middle.y() - 0.993 * r))
        nose.lineTo(middle.x(), middle.y() - 1.11 * r)
        nose.lineTo(middle.x() + 0.12 * r, middle.y() - 0.993 * r)
        painter.drawPath(nose)
        for side in (-1, 1):
            ear = QRectF(middle.x() + side * 1.045 * r - 0.045 * r, middle.y() - 0.15 * r, 0, 0)
            ear.setSize(QRectF(0, 0, 0.09 * r, 0.3 * r).size())
            start = 90 if side < 0 else -90
            painter.drawArc(ear, start * 16, 180 * 16)

    def _stems(self, painter: QPainter, plan: MapPlan, points: Mapping[str, QPointF]) -> None:
        columns: dict[float, list[float]] = {}
        for spot in plan.spots:
            at = points[spot.name]
            columns.setdefault(at.x(), []).append(at.y())
        painter.setPen(pen(self.look.line, 5.0))
        for x, ys in columns.items():
            painter.drawLine(QPointF(x, min(ys)), QPointF(x, max(ys)))


def head_of(box: QRectF) -> tuple[QPointF, float]:
    """Middle and radius of the head in its box, with room for nose and ears; pixels."""
    r = max(min(box.width() / 2.24, box.height() / 2.34), 1.0)
    return QPointF(box.center().x(), box.center().y() - 0.03 * r), r


def _points(plan: MapPlan, box: QRectF) -> tuple[float, dict[str, QPointF]]:
    """Radius of an electrode, and where each one is; pixels."""
    if plan.kind == "head":
        middle, r = head_of(box)
        points = {
            spot.name: QPointF(middle.x() + r * spot.x, middle.y() - r * spot.y)
            for spot in plan.spots
        }
        return _radius(list(points.values()), 0.07 * r), points
    cell_x, cell_y = box.width() / plan.columns, box.height() / plan.rows
    if plan.kind == "grid":  # contacts are as far apart one way as the other
        cell_x = cell_y = min(cell_x, cell_y)
    cell_y = min(cell_y, 3.2 * cell_x)
    left = box.center().x() - cell_x * plan.columns / 2
    top = box.center().y() - cell_y * plan.rows / 2
    if plan.kind == "shafts":
        top = box.top()
    points = {
        spot.name: QPointF(left + (spot.x + 0.5) * cell_x, top + (spot.y + 0.5) * cell_y)
        for spot in plan.spots
    }
    return min(0.36 * min(cell_x, cell_y), 26.0), points


def _radius(points: list[QPointF], largest: float) -> float:
    """As large as the closest pair allows, and never too small to be seen."""
    closest = math.inf
    for n, one in enumerate(points):
        for other in points[:n]:
            closest = min(closest, math.hypot(one.x() - other.x(), one.y() - other.y()))
    return max(min(0.42 * closest, largest), 3.0)
