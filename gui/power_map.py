"""Power of a rhythm over the electrodes, as colours with a bar that says what they mean."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath

from ..runtime.messages import StreamSpec
from .drawing import LEFT, MIDDLE, ink_on, pen
from .electrode_map import ElectrodeMap, head_of
from .head_map import Scalp
from .look import DARK, Look
from .map_plan import MapPlan, Place, Spot
from .quality_map import label_scale

# Eleven colours of viridis (van der Walt and Smith, 2015): as light as they are high, so that they
# are in order to any eye.
_VIRIDIS = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70",
    "#7ad151", "#bddf26", "#fde725",
)  # fmt: skip
_LEAST_SPAN_DB = 6.0
_EASE = 0.2  # share by which the scale follows at each update: colours must not flicker
_BAR_WIDTH = 12.0
_UNDER = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)


class PowerMap(ElectrodeMap):
    """Colours between the electrodes of a head; coloured contacts of grids and shafts.

    Parameters
    ----------
    look : Look
        Colours of everything but the power.
    size_pt : int
        Of plain text.
    positions : mapping of str to tuple of 3 float, optional
        Usual places of scalp electrodes by name, metres.
    """

    def __init__(
        self,
        look: Look = DARK,
        size_pt: int = 10,
        *,
        positions: Mapping[str, Place] | None = None,
    ) -> None:
        super().__init__(look, size_pt, positions=positions)
        table = _viridis()
        self._colours = tuple(QColor(*(int(part) for part in row)).name() for row in table)
        self._inks = tuple(ink_on(colour) for colour in self._colours)
        red, green, blue = (table[:, part].astype(np.uint32) for part in range(3))
        self._table = (np.uint32(0xFF000000) | red << 16 | green << 8 | blue).astype(np.uint32)
        self._strip = QImage(self._table.data, 256, 1, 1024, QImage.Format.Format_RGB32).copy()
        self._scalps: dict[int, Scalp] = {}
        self._pictures: dict[int, QImage] = {}
        self._values: NDArray[np.float64] = np.zeros(0)
        self._left_out: frozenset[str] = frozenset()
        self._scale: tuple[float, float] | None = None
        self.unit, self.note = "", ""
        self.in_decibels = True

    @property
    def scale(self) -> tuple[float, float]:
        """What the darkest and the lightest colour stand for."""
        return self._scale or (0.0, 1.0)

    def show_spec(self, spec: StreamSpec) -> None:
        """Draw the electrodes of a stream from now on."""
        super().show_spec(spec)
        self._values = np.full(spec.n_channels, np.nan)
        self._pictures, self._scale, self._left_out = {}, None, frozenset()
        self._scalps = {
            n: Scalp(np.array(plan.towards))
            for n, plan in enumerate(self.plans)
            if plan.kind == "head"
        }

    def show_left_out(self, names: Collection[str]) -> None:
        """Which electrodes are masked: they are drawn as crosses and say nothing of the rest."""
        if frozenset(names) != self._left_out:
            self._left_out = frozenset(names)
            self._redraw()

    def show_power(self, values: NDArray[np.float64], unit: str, *, note: str = "") -> None:
        """Draw power.

        Parameters
        ----------
        values : ndarray, shape (n_channels,)
            Of every row of the stream; NaN where it is not known.
        unit : str
            Of the values; another one begins with a scale of its own.
        note : str
            Under the map.
        """
        if unit != self.unit:
            self._scale = None
        self._values, self.unit, self.note = np.asarray(values, float), unit, note
        self._redraw()

    def foot(self) -> list[str]:
        """The chosen electrode, and what a person has to know."""
        notes = " ".join(plan.note for plan in self.plans if plan.note)
        said = self._said(self.choice) if self.choice else self.note
        return [said, *([notes] if notes else [])]

    def paint(self, painter: QPainter) -> None:
        """Draw the map and the colour bar."""
        super().paint(painter)
        if np.isfinite(self._values).any():
            self._paint_bar(painter)

    def paint_under(self, painter: QPainter, plan: MapPlan, box: QRectF) -> None:
        """Draw what lies between the electrodes of a head."""
        picture = self._pictures.get(self.plans.index(plan))
        if plan.kind != "head" or picture is None:
            return
        middle, r = head_of(box)
        inside = QPainterPath()
        inside.addEllipse(middle, r, r)
        painter.save()
        painter.setClipPath(inside)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(middle.x() - r, middle.y() - r, 2 * r, 2 * r), picture)
        painter.restore()

    def paint_spot(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Draw one electrode: a dot on a head, a coloured disc elsewhere, a cross if unknown."""
        value = self._value(spot)
        if math.isnan(value):
            self._cross(painter, at, min(radius, 5.0))
        elif plan.kind == "head":
            colour = self._ink(value, spot)
            self.stamp(painter, 0, at, 1.8, colour, colour)
        else:
            place = self._step(value) // 4 * 4  # 64 colours are kept as pictures
            self.stamp(painter, 0, at, radius, self._colours[place], self.look.line)

    def paint_label(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Write the name, if there is room."""
        value = self._value(spot)
        scale = label_scale(spot.short, radius, self.line_height())
        if plan.kind == "shafts" or scale < 0.5:
            return
        ink = self.look.text if math.isnan(value) else self._ink(value, spot)
        painter.setFont(self.type_of(min(scale, 0.75)))
        painter.setPen(pen(ink))
        down = 3.0 if plan.kind == "head" else -radius
        box = QRectF(at.x() - 30, at.y() + down, 60, 2 * radius)
        painter.drawText(box, _UNDER if plan.kind == "head" else MIDDLE, spot.short)

    def _redraw(self) -> None:
        self._follow()
        for n, scalp in self._scalps.items():
            picture = scalp.between(np.array([self._value(spot) for spot in self.plans[n].spots]))
            self._pictures.pop(n, None)
            if picture is not None:
                self._pictures[n] = self._picture(picture)
        self.update()

    def _follow(self) -> None:
        """Let the scale go slowly where the middle nine tenths of the electrodes are."""
        spots = [self._value(spot) for plan in self.plans for spot in plan.spots]
        known = np.array([value for value in spots if math.isfinite(value)])
        if not len(known):
            return
        low, high = np.percentile(known, (5, 95))
        least = _LEAST_SPAN_DB if self.in_decibels else 0.2 * max(float(high), 1e-6)
        room = max(0.0, least - (high - low)) / 2
        wanted = (float(low - room), float(high + room))
        old = self._scale or wanted
        self._scale = (
            old[0] + _EASE * (wanted[0] - old[0]),
            old[1] + _EASE * (wanted[1] - old[1]),
        )

    def _value(self, spot: Spot) -> float:
        known = spot.row < len(self._values) and spot.name not in self._left_out
        return float(self._values[spot.row]) if known else math.nan

    def _steps(self, value: NDArray[np.floating]) -> NDArray[np.intp]:
        low, high = self.scale
        place = (value - low) / max(high - low, 1e-12) * 255
        return np.asarray(np.clip(place, 0, 255), np.intp)

    def _step(self, value: float) -> int:
        low, high = self.scale
        return min(max(int((value - low) / max(high - low, 1e-12) * 255), 0), 255)

    def _ink(self, value: float, spot: Spot) -> str:
        """Black or white, whichever is read best there; the look's text outside the head."""
        if spot.short == spot.name and math.hypot(spot.x, spot.y) > 0.97:
            return self.look.text
        return self._inks[self._step(value)]

    def _picture(self, values: NDArray[np.float32]) -> QImage:
        pixels = np.ascontiguousarray(self._table[self._steps(values)])
        side = pixels.shape[0]
        image = QImage(pixels.data, side, side, 4 * side, QImage.Format.Format_RGB32)
        return image.copy()  # Qt keeps the pointer, numpy does not keep the memory

    def _cross(self, painter: QPainter, at: QPointF, r: float) -> None:
        painter.setPen(pen(self.look.surface, 4.0))
        for _ in range(2):
            painter.drawLine(QPointF(at.x() - r, at.y() - r), QPointF(at.x() + r, at.y() + r))
            painter.drawLine(QPointF(at.x() - r, at.y() + r), QPointF(at.x() + r, at.y() - r))
            painter.setPen(pen(self.look.bad, 2.0))

    def _said(self, name: str) -> str:
        spot = next(s for plan in self.plans for s in plan.spots if s.name == name)
        if name in self._left_out:
            return f"{name}: left out, see the signal quality"
        value = self._value(spot)
        return f"{name}: not known yet" if math.isnan(value) else f"{name}: {value:.1f} {self.unit}"

    def _paint_bar(self, painter: QPainter) -> None:
        """From low to high along the foot, with its unit."""
        low, high = self.scale
        line = self.line_height()
        top = self.height() - self.foot_height() + 0.3 * line
        left, width = 10.0, min(220.0, 0.5 * self.width())
        texts = (f"{low:.1f}", f"{high:.1f} {self.unit}")
        start = left + self.width_of(texts[0]) + 6
        self.write(painter, QRectF(left, top, 80, line), texts[0])
        box = QRectF(start, top + (line - _BAR_WIDTH) / 2, width, _BAR_WIDTH)
        painter.drawImage(box, self._strip)
        painter.setPen(pen(self.look.line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box)
        after = QRectF(box.right() + 6, top, self.width() - box.right() - 16, line)
        self.write(painter, after, texts[1], align=LEFT)


def _viridis() -> NDArray[np.int64]:
    """256 colours from dark to light, shape (256, 3)."""
    steps = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in _VIRIDIS], float)
    at = np.linspace(0, len(steps) - 1, 256)
    parts = [np.interp(at, np.arange(len(steps)), part) for part in steps.T]
    return np.asarray(np.rint(np.column_stack(parts)), np.int64)
