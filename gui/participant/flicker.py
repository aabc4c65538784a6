"""SSVEP targets: squares whose light follows a plan, frame by frame; grey is their rest."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from .flicker_course import FlickerCourse, FlickerFrame, FlickerShow, Phase
from .lettering import foot, write
from .picture import Shown
from .stimulus_words import words_of

_CROSS = ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5))  # four targets: up, right, down, left
_RING = 1.16  # of a target, what is drawn around it
_SPREAD = 2.3  # from one target to the next at most, in sides
_STRIP = 0.07  # of the height, for what is told at the top


class FlickerPicture:
    """Runs a `FlickerCourse` frame by frame.

    Parameters
    ----------
    show : FlickerShow
        What flickers, and before whom. One that exists may be shown: what the participant's
        profile refuses, and nobody unlocked, cannot be made.
    language : str
        ``"en"`` or ``"ko"``.
    """

    Config = FlickerShow

    def __init__(self, show: FlickerShow, language: str = "en") -> None:
        self.show = show
        self.course = FlickerCourse(show, 0.0)
        """Still, until `begin` tells the display's rate."""
        self._words = words_of(language)
        self._look = DARK

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.course, self._look = FlickerCourse(self.show, rate_hz), look

    def start(self) -> None:
        """A person at the screen lets it go on, see `Permission.start`."""
        self.course.permission.start()

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.course.take(message)

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame; the patch is white for as long as anything flickers."""
        shown = self.course.step(frame)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = foot(painter, area, self._look, shown.said)
        free = left.adjusted(0, _STRIP * left.height(), 0, 0)
        targets = target_areas(len(shown.light), free, self.show.area * _size(area))
        for n, target in enumerate(targets):
            self._target(painter, target, n, shown)
        self._tell(painter, left, shown)
        return Shown(labels=shown.labels, lit=shown.phase is Phase.FLICKER)

    def _target(self, painter: QPainter, target: QRectF, n: int, shown: FlickerFrame) -> None:
        look, side = self._look, target.height()
        painter.fillRect(target, pixel(shown.light[n], self.show.gamma))
        below = QRectF(target.left() - side, target.bottom() + 0.1 * side, 3 * side, 0.24 * side)
        bold = n in (shown.cued, shown.chosen)
        write(painter, below, self.show.names[n], look.text, 0.18 * side, bold=bold)
        if n in (shown.cued, shown.chosen, shown.led):
            strong = n in (shown.cued, shown.chosen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), (0.035 if strong else 0.012) * side))
            margin = (_RING - 1) / 2 * side
            painter.drawRect(target.adjusted(-margin, -margin, margin, margin))
        above = QRectF(target.left() - side, target.top() - 0.43 * side, 3 * side, 0.2 * side)
        if n == shown.chosen:
            write(painter, above, f"✓ {self._words.chosen}", look.text, 0.15 * side, bold=True)
        elif n == shown.cued:
            self._point(painter, target)
            if shown.phase is Phase.CUE:
                write(painter, above, self._words.attend, look.text, 0.15 * side, bold=True)
        if n == shown.led:  # how sure the decoder is, as a length
            line = QRectF(target.left(), below.bottom() + 0.03 * side, side, 0.035 * side)
            painter.fillRect(line, QColor(look.line))
            line.setWidth(side * min(1.0, shown.strength))
            painter.fillRect(line, QColor(look.accent))

    def _point(self, painter: QPainter, target: QRectF) -> None:
        """An arrow at the target that is to be looked at."""
        side = 0.1 * target.height()
        tip = QPointF(target.center().x(), target.top() - 0.1 * target.height())
        arrow = QPolygonF([tip, tip + QPointF(-side, -side), tip + QPointF(side, -side)])
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._look.accent))
        painter.drawPolygon(arrow)

    def _tell(self, painter: QPainter, area: QRectF, shown: FlickerFrame) -> None:
        """In the middle, what a person has to know who waits."""
        text = {Phase.STILL: self._words.wait, Phase.DONE: self._words.done}.get(shown.phase, "")
        strip = QRectF(area.left(), area.top(), area.width(), _STRIP * area.height())
        if text:
            write(painter, strip, text, self._look.text, 0.7 * strip.height(), bold=True)
        elif self.course.n_trials:
            count = f"{min(self.course.trial + 1, self.course.n_trials)} / {self.course.n_trials}"
            write(painter, strip, count, self._look.faint, 0.6 * strip.height())


def pixel(light: float, gamma: float) -> QColor:
    """The grey that a display of this gamma shows as so much light, 0 to 1."""
    value = min(max(light, 0.0), 1.0) ** (1 / gamma)
    return QColor.fromRgbF(value, value, value)


def target_areas(n_targets: int, area: QRectF, lit_area: float) -> list[QRectF]:
    """Where the targets are drawn.

    Parameters
    ----------
    n_targets : int
        One in the middle, two or three side by side, four on a cross, more in rows.
    area : QRectF
        For all of them and their names.
    lit_area : float
        For all of them together at most, in square pixels.

    Returns
    -------
    targets : list of QRectF
        Squares of one size.
    """
    if n_targets == 4:
        spots, columns, rows = list(_CROSS), 3, 3
    else:
        columns = n_targets if n_targets < 4 else math.ceil(math.sqrt(n_targets))
        rows = math.ceil(n_targets / columns)
        spots = [
            (_share(n % columns, columns), _share(n // columns, rows)) for n in range(n_targets)
        ]
    # Beside a target there is half of one free, above and below it there are words.
    fits = min(area.width() / (1.5 * columns + 0.5), area.height() / (1.75 * rows + 0.3))
    side = math.floor(min(fits, math.sqrt(lit_area / n_targets)))
    wide = min(area.width() - 1.5 * side, _SPREAD * side * max(1, columns - 1))
    high = min(area.height() - 1.75 * side, _SPREAD * side * max(1, rows - 1))
    found = []
    for x, y in spots:
        left = area.center().x() + (x - 0.5) * wide - side / 2
        top = area.center().y() + (y - 0.5) * high - side / 2
        found.append(QRectF(round(left), round(top), side, side))
    return found


def _share(place: int, n_places: int) -> float:
    return place / (n_places - 1) if n_places > 1 else 0.5


def _size(area: QRectF) -> float:
    return area.width() * area.height()
