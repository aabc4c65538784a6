"""The P300 matrix speller: a text line, a matrix that flashes, what was selected.

A flash makes letters brighter, bolder and a little larger: three things, so that it is seen with
any colour vision.
"""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from ...runtime.paradigms.speller import BACKSPACE, SPACE, is_flash
from ...runtime.telemetry import Telegram
from ..look import DARK, Look, blend
from .lettering import LEFT, RIGHT, foot, write
from .picture import Shown
from .spelling_course import Phase, SpellingConfig, SpellingCourse, SpellingFrame
from .stimulus_words import words_of

SIGNS = {SPACE: "␣", BACKSPACE: "⌫"}
"""How items are drawn that are not what they say."""

UNLIT = 0.3
"""How far letters at rest have gone from the faint colour towards the ground."""

_LARGER = 1.25
_HEAD = 0.19  # of the height, for the two lines of text
_WIDEST = 1.5  # a cell, of its height, and the other way round
_LETTER = 0.52  # of a cell


class SpellerPicture:
    """Runs a `SpellingCourse` frame by frame.

    Parameters
    ----------
    config : SpellingConfig
        What is spelled, and before whom.
    language : str
        ``"en"`` or ``"ko"``.
    """

    Config = SpellingConfig

    def __init__(self, config: SpellingConfig, language: str = "en") -> None:
        self.config = config
        self.course = SpellingCourse(config, 60.0)
        """Another from `begin` on, for the display's rate."""
        self._words = words_of(language)
        self._look = DARK
        self.cells: list[QRectF] = []
        """Where each item was drawn last."""
        self._laid_out, self._patch = QRectF(), False

    @property
    def notes(self) -> tuple[str, ...]:
        """What takes longer than planned, since a display has whole frames only."""
        return self.course.frames.notes

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.course, self._look = SpellingCourse(self.config, rate_hz), look

    def start(self) -> None:
        """A person at the screen lets it go on, see `Permission.start`."""
        self.course.permission.start()

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.course.take(message)

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame. The patch changes with every flash: half as often white as letters flash.

        Every flash so has an edge, and a patch that may turn white three times a second keeps up.
        """
        shown = self.course.step(frame)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = foot(painter, area, self._look, shown.said)
        high = _HEAD * left.height()
        self._head(painter, QRectF(left.left(), left.top(), left.width(), high), shown)
        self._matrix(painter, left.adjusted(0, 1.15 * high, 0, 0), shown)
        self._patch ^= any(map(is_flash, shown.labels))
        return Shown(labels=shown.labels, lit=self._patch)

    def _head(self, painter: QPainter, area: QRectF, shown: SpellingFrame) -> None:
        """The text to copy, below each letter what was written for it, and what is told."""
        look, words, mode = self._look, self._words, self.config.mode
        lines = [_line(area, which) for which in (0, 1)]
        pixels = 0.36 * lines[0].height()
        cell = self._cell(lines[0])
        first = max(0, self.course.place - int(0.7 * lines[0].width() / cell))
        if mode == "free":
            write(painter, lines[0], words.choose, look.faint, pixels, align=LEFT)
        else:
            write(painter, _before(lines[0]), words.copy, look.faint, pixels, align=RIGHT)
            self._wanted(painter, lines[0], first, cell)
        if mode != "calibrate":
            write(painter, _before(lines[1]), words.written, look.faint, pixels, align=RIGHT)
            self._written(painter, lines[1], first, cell)
        if told := self._told(shown):
            aside = QRectF(lines[1])
            aside.setLeft(aside.left() + 0.35 * aside.width())
            write(painter, aside, told, look.text, 1.2 * pixels, bold=True, align=RIGHT)

    def _told(self, shown: SpellingFrame) -> str:
        """What a person has to know who waits."""
        words = self._words
        if shown.chosen >= 0 and shown.said:
            back = shown.said == "taken back"
            return words.taken_back if back else words.not_written
        if shown.phase is Phase.WAITING:
            return words.wait
        if shown.phase is Phase.DONE:
            return words.done
        answering = self.config.mode != "calibrate" and shown.phase is Phase.PAUSE
        return words.moment if answering and shown.chosen < 0 else ""

    def _cell(self, area: QRectF) -> float:
        longest = self._longest()
        return 0.72 * area.height() * (1 if longest == 1 else 0.6 * longest + 0.6)

    def _longest(self) -> int:
        return max(len(SIGNS.get(item, item)) for item in self.config.plan.items)

    def _wanted(self, painter: QPainter, area: QRectF, first: int, cell: float) -> None:
        look, place, pixels = self._look, self.course.place, 0.62 * area.height()
        for n, item in enumerate(self.config.text[first:], first):
            at = QRectF(area.left() + (n - first) * cell, area.top(), cell, area.height())
            if at.right() > area.right():
                break
            now = n == place
            colour = look.text if n >= place else look.faint
            write(painter, at, SIGNS.get(item, item), colour, pixels, bold=now)
            if now:  # a line below, too, for bold alone is easily overlooked
                painter.setPen(QPen(QColor(look.accent), 0.07 * area.height()))
                y = at.bottom() - 0.06 * area.height()
                painter.drawLine(QPointF(at.left() + 3, y), QPointF(at.right() - 3, y))

    def _written(self, painter: QPainter, area: QRectF, first: int, cell: float) -> None:
        look, typed, pixels = self._look, self.course.typed, 0.62 * area.height()
        for n, item in enumerate(typed[first:], first):
            at = QRectF(area.left() + (n - first) * cell, area.top(), cell, area.height())
            text = self.config.text
            wrong = bool(text) and (n >= len(text) or text[n] != item)
            colour = look.bad if wrong else look.text
            write(painter, at, SIGNS.get(item, item), colour, pixels, bold=True)
            if wrong:  # struck out, for colour alone tells nothing
                painter.setPen(QPen(QColor(look.bad), 0.05 * area.height()))
                reach = QPointF(0.4 * cell, 0)
                painter.drawLine(at.center() - reach, at.center() + reach)
        if self.course.done:
            return
        x = area.left() + (len(typed) - first) * cell + 0.2 * cell
        painter.setPen(QPen(QColor(look.accent), 0.06 * area.height()))
        y = area.bottom() - 0.12 * area.height()
        painter.drawLine(QPointF(x, y), QPointF(x + 0.6 * cell, y))

    def _matrix(self, painter: QPainter, area: QRectF, shown: SpellingFrame) -> None:
        look = self._look
        if area != self._laid_out:
            self._laid_out, self.cells = area, item_cells(self.config.plan.positions, area)
        cells = self.cells
        rest, cell = blend(look.faint, look.ground, UNLIT), cells[0]
        # All items as large as the longest can be, so that none stands out by its size.
        pixels = min(_LETTER * cell.height(), cell.width() / (0.8 * self._longest()))
        for n, (item, cell) in enumerate(zip(self.config.plan.items, cells, strict=True)):
            text = SIGNS.get(item, item)
            if n == shown.chosen:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(look.accent))
                painter.drawRoundedRect(_inside(cell), 0.12 * cell.height(), 0.12 * cell.height())
                write(painter, _inside(cell), text, look.ground, pixels, bold=True)
            elif n in shown.lit:
                write(painter, cell, text, look.text, _LARGER * pixels, bold=True)
            elif n == shown.attend:
                self._point(painter, cell)
                write(painter, _inside(cell), text, look.text, pixels, bold=True)
            else:
                write(painter, _inside(cell), text, rest, pixels)

    def _point(self, painter: QPainter, cell: QRectF) -> None:
        """Ring around the item to attend."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self._look.accent), 0.045 * cell.height()))
        painter.drawRoundedRect(_inside(cell), 0.12 * cell.height(), 0.12 * cell.height())


def item_cells(positions: tuple[tuple[float, float], ...], area: QRectF) -> list[QRectF]:
    """Where each item is drawn.

    Parameters
    ----------
    positions : tuple of (float, float)
        Of the plan, x to the right and y down.
    area : QRectF
        For all of them.

    Returns
    -------
    cells : list of QRectF
        Of one size, in the middle of the area, none over another.
    """
    places = np.array(positions)
    span = places.max(axis=0) - places.min(axis=0)
    apart = np.abs(places[:, None] - places).max(axis=2)
    np.fill_diagonal(apart, math.inf)
    step = float(apart.min())  # of the closest pair, along the axis on which they differ more
    wide, high = area.width() / (span[0] / step + 1), area.height() / (span[1] / step + 1)
    wide, high = min(wide, _WIDEST * high), min(high, _WIDEST * wide)
    found = []
    for x, y in (places - places.min(axis=0) - span / 2) / step:
        at = area.center() + QPointF(float(x) * wide, float(y) * high)
        found.append(QRectF(at.x() - wide / 2, at.y() - high / 2, wide, high))
    return found


def _inside(cell: QRectF) -> QRectF:
    margin = 0.1 * cell.height()
    return cell.adjusted(margin, margin, -margin, -margin)


def _line(area: QRectF, which: int) -> QRectF:
    """The upper (0) or lower (1) line of text."""
    high, beside = 0.46 * area.height(), 0.17 * area.width()
    top = area.top() + 0.08 * area.height() + which * high
    return QRectF(area.left() + beside, top, area.width() - 1.4 * beside, high)


def _before(line: QRectF) -> QRectF:
    """What stands to the left of a line."""
    wide = 0.13 / 0.762 * line.width()
    return QRectF(line.left() - 1.1 * wide, line.top(), wide, line.height())
