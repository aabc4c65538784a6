"""What the decoder thinks: probabilities, what was decided or why not, what was done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QHelpEvent, QImage, QKeyEvent, QPainter
from PySide6.QtWidgets import QToolTip

from ...runtime.messages import Chunk, Event, StreamSpec, Turn
from ...runtime.telemetry import Telegram
from ..drawing import MIDDLE, RIGHT, Drawing, ink_on, pen
from ..look import DARK, Look, blend
from ..probability_history import NEUTRAL, NOTHING, Columns, ProbabilityHistory, Stretch
from .chart_panel import ChartPanel

SPANS_S = (30.0, 60.0, 120.0)
"""What can be looked back on."""

_EVERY_S = 0.125  # a minute in 500 pixels moves no faster
_ABSTAINED = 0.62  # share of the surface in the colours where nothing was decided
_HATCH_PX = 7
_SOLID = Qt.PenStyle.SolidLine


class Probabilities(ChartPanel):
    """Stacked probabilities over the last 30 to 120 s; ``[`` and ``]`` look back less or more.

    Parameters
    ----------
    look : Look
        Colours.
    """

    name = "probabilities"
    title = "Decoder"

    def __init__(self, look: Look = DARK) -> None:
        self.history = ProbabilityHistory()
        self.chart = ProbabilityChart(self.history, look)
        super().__init__(look, self.chart, _EVERY_S)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case Turn():
                self.history.take(message)
                self.stale = True
            case Chunk():
                self.stale |= self.history.take_markers(message)
            case StreamSpec():
                self.history.rate_hz = message.rate_hz
            case Event():
                self.history.take_event(message)

    def forget(self) -> None:
        """Know nothing any more."""
        self.history.forget()
        self.stale = True

    def look_back(self, span_s: float) -> None:
        """Show so many seconds."""
        self.chart.span_s = span_s
        self.stale = True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Look back less or more."""
        step = {Qt.Key.Key_BracketLeft: -1, Qt.Key.Key_BracketRight: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        place = SPANS_S.index(self.chart.span_s) + step
        self.look_back(SPANS_S[min(max(place, 0), len(SPANS_S) - 1)])


class ProbabilityChart(Drawing):
    """The drawing: cue, probabilities, decisions and commands, one below the other.

    Parameters
    ----------
    history : ProbabilityHistory
        What is drawn.
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """

    def __init__(self, history: ProbabilityHistory, look: Look = DARK, size_pt: int = 10) -> None:
        super().__init__(look, size_pt)
        self.history = history
        self.span_s = 60.0
        self._hatch: NDArray[np.bool_] = np.zeros((0, 0), bool)
        self.setMinimumSize(280, 180)

    def renew(self) -> None:
        """Draw what is known now."""
        self.setAccessibleName("decoder probabilities")
        self.setAccessibleDescription(" ".join(self._now()))
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Draw everything."""
        line = self.line_height()
        if self.history.turn is None:
            said = "No decision has come yet."
            self.write(painter, QRectF(self.rect()), said, colour=self.look.faint, align=MIDDLE)
            return
        plot, cue, decided, done = self._layout(line)
        self._paint_now(painter, QRectF(10, 4, self.width() - 20, 1.5 * line))
        if self.history.is_text:
            self._paint_text(painter, QRectF(10, 4 + 1.6 * line, self.width() - 20, 1.3 * line))
        columns = self.history.columns(self.span_s, max(int(plot.width()), 1))
        painter.drawImage(plot.topLeft(), self._areas(columns, int(plot.height())))
        self._paint_axes(painter, plot, done.bottom())
        self._paint_names(painter, plot, columns)
        if cue.height():
            self._lane(painter, cue, "asked", self.history.cues(self.span_s))
        self._lane(painter, decided, "decided", self.history.decisions(self.span_s))
        self._lane(painter, done, "done", self.history.commands(self.span_s), quiet=True)
        self._paint_selections(painter, done)

    def said_at(self, x: float) -> str:
        """What was decided at a place across the widget, or why nothing was; empty beside it."""
        plot = self._layout(self.line_height())[0]
        at_s = self.history.now_s - (plot.right() - x) / plot.width() * self.span_s
        for stretch in self.history.decisions(self.span_s):
            if stretch.start_s <= at_s <= stretch.stop_s and x <= plot.right():
                ago = [f"{self.history.now_s - s:.1f}" for s in (stretch.start_s, stretch.stop_s)]
                word = "decided" if stretch.place >= 0 else "abstained:"
                return f"{ago[0]} to {ago[1]} s ago {word} {stretch.text}"
        return ""

    def event(self, event: QEvent) -> bool:
        """Say over the plot what was decided there."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.said_at(event.pos().x()), self)
            return True
        return super().event(event)

    def colour(self, place: int) -> str:
        """Of a class by its place among the classes; the others are quiet."""
        if self.history.is_text and place in self.history.leading:
            place = self.history.leading.index(place)  # of many, only those in sight have one
        elif place < 0 or self.history.is_text:
            return blend(self.look.surface, self.look.faint, 0.45)
        return self.look.series[place % len(self.look.series)]

    def _layout(self, line: float) -> tuple[QRectF, QRectF, QRectF, QRectF]:
        left = self.width_of("decided") + 16
        longest = max(self._names(), key=len, default="")
        names = self.width_of(f"{longest}  100 %", bold=True) + 30
        width = self.width() - left - min(names, 0.4 * self.width())
        top = 4 + (3.0 if self.history.is_text else 1.7) * line
        lane = 1.25 * line
        cues = lane if self.history.cues(self.span_s) else 0.0
        bottom = self.height() - 1.3 * line - 2 * lane - 8
        cue = QRectF(left, top, width, max(cues - 4, 0.0))
        plot = QRectF(left, top + cues, width, max(bottom - top - cues, 20.0))
        plot = QRectF(plot.toRect())
        decided = QRectF(left, plot.bottom() + 5, width, lane - 3)
        return plot, cue, decided, decided.translated(0, lane + 1)

    def _names(self) -> Sequence[str]:
        return (*self.history.classes, "others") if self.history.is_text else self.history.classes

    def _now(self) -> tuple[str, str]:
        """What is decided now, and what is done."""
        turn = self.history.turn
        if turn is None:
            return "", ""
        decision, command = turn.decision, turn.command
        if decision.label is None:
            word = "waits" if self.history.is_text else "abstains"
            said = f"{word}: {decision.reason}" if decision.reason else word
        else:
            place = decision.classes.index(decision.label)
            said = f"{decision.label} {100 * float(decision.probabilities[place]):.0f} %"
        if command.label is None:
            return said, f"output neutral: {command.reason}" if command.reason else "output neutral"
        return said, f"{'selected' if command.selected else 'output'}: {command.label}"

    def _paint_now(self, painter: QPainter, box: QRectF) -> None:
        said, done = self._now()
        turn = self.history.turn
        sure = turn is not None and turn.decision.label is not None
        colour = self.look.text if sure else self.look.doubtful
        self.write(painter, box, said, scale=1.35, bold=True, colour=colour)
        used = self.width_of(said, 1.35, bold=True) + 20
        rest = box.adjusted(min(used, box.width()), 0, 0, 0)
        self.write(painter, rest, done, colour=self.look.faint, align=RIGHT)

    def _paint_text(self, painter: QPainter, box: QRectF) -> None:
        """The newest decisions as they would be read, the newest always in sight."""
        tokens = list(self.history.text)
        between = " " if any(len(token) > 1 for token in tokens) else ""
        text = between.join(tokens) or "nothing was written yet"
        if self.history.corrected:
            text += f"   ({self.history.corrected})"
        while self.width_of(text, 1.15) > box.width() and len(text) > 2:
            text = "…" + text[max(len(text) // 20, 2) :]
        self.write(painter, box, text, scale=1.15)

    def _areas(self, columns: Columns, height: int) -> QImage:
        """Stacked shares, one pixel a step; hatched and pale where nothing was decided."""
        stacked = np.cumsum(np.nan_to_num(columns.shares), axis=1)
        n, width = len(columns.names), len(columns.decided)
        level = (np.arange(height, 0, -1, dtype=np.float32) - 0.5)[:, None] / height
        pixels = np.zeros((height, width), np.uint8)
        for edge in stacked.T[:-1]:
            pixels += level > edge
        # Between two letters a speller gathers evidence: that is no abstention.
        neutral = (columns.decided == NEUTRAL) & (not self.history.is_text)
        unknown = ~np.isfinite(columns.shares).all(1)
        pixels[:, neutral] += n
        pixels[:, unknown] = 2 * n + 1
        pixels[self._hatching(height, width) & (neutral | unknown)] = 2 * n
        pixels[:, columns.decided == NOTHING] = 2 * n + 1
        return self._image(pixels, columns)

    def _hatching(self, height: int, width: int) -> NDArray[np.bool_]:
        if self._hatch.shape != (height, width):
            across = np.arange(width)[None, :] + np.arange(height)[:, None]
            self._hatch = across % _HATCH_PX < 2
        return self._hatch

    def _image(self, pixels: NDArray[np.uint8], columns: Columns) -> QImage:
        """Classes, classes paled, hatching and the surface, by their numbers in that order."""
        surface = self.look.surface
        colours = [blend(surface, self.colour(place), 0.82) for place in columns.places]
        pale = [blend(colour, surface, _ABSTAINED) for colour in colours]
        table = (*colours, *pale, blend(surface, self.look.faint, 0.55), surface)
        height, width = pixels.shape
        numbers = np.array([0xFF000000 | int(colour[1:], 16) for colour in table], np.uint32)
        drawn = numbers[pixels]  # a name: Qt keeps only the pointer until the copy is made
        image = QImage(drawn.data, width, height, 4 * width, QImage.Format.Format_RGB32)
        return image.copy()

    def _paint_axes(self, painter: QPainter, plot: QRectF, bottom: float) -> None:
        line = self.line_height(0.8)
        for share, text in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
            y = plot.bottom() - share * plot.height()
            painter.setPen(
                pen(self.look.line, 1.0, Qt.PenStyle.DotLine if share == 0.5 else _SOLID)
            )
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            box = QRectF(0, y - line / 2, plot.left() - 6, line)
            self.write(painter, box, text, scale=0.8, colour=self.look.faint, align=RIGHT)
        for part in range(4):
            x = plot.left() + plot.width() * part / 3
            ago = self.span_s * (1 - part / 3)
            text = f"{-ago:.0f} s" if ago else "now"
            box = QRectF(x - 40, bottom + 2, 80, line)
            self.write(painter, box, text, scale=0.8, colour=self.look.faint, align=MIDDLE)

    def _paint_names(self, painter: QPainter, plot: QRectF, columns: Columns) -> None:
        """At the right end, beside the share that each class has now, never one over another."""
        known = np.flatnonzero(np.isfinite(columns.shares).all(1))
        shares = columns.shares[known[-1]] if len(known) else np.zeros(len(columns.names))
        if not len(known):
            shares = np.full(len(columns.names), 1 / max(len(columns.names), 1))
        line = self.line_height()
        middles = plot.bottom() - (np.cumsum(shares) - shares / 2) * plot.height()
        tops = _apart(middles - line / 2, line, plot.top(), plot.bottom())
        for name, place, share, top in zip(
            columns.names, columns.places, shares, tops, strict=True
        ):
            at = QPointF(plot.right() + 14, top + line / 2)
            shape = columns.places.index(place) if place >= 0 else 0
            self.stamp(painter, shape, at, 4.5, self.colour(place), self.look.text)
            box = QRectF(plot.right() + 24, top, self.width() - plot.right() - 28, line)
            text = f"{name}  {100 * share:.0f} %" if len(known) else name
            self.write(painter, box, text, bold=place >= 0)

    def _lane(
        self,
        painter: QPainter,
        box: QRectF,
        title: str,
        stretches: Sequence[Stretch],
        *,
        quiet: bool = False,
    ) -> None:
        """One row of blocks: a class in its colour with its name, none as hatching with why."""
        over = QRectF(0, box.top(), box.left() - 6, box.height())
        self.write(painter, over, title, colour=self.look.faint, align=RIGHT, scale=0.9)
        first_s, scale = self.history.now_s - self.span_s, box.width() / self.span_s
        left, right, top, height = box.left(), box.right(), box.top(), box.height()
        hide = quiet or self.history.is_text  # what is done is blank where nothing is
        for stretch in stretches:
            start = left + max(stretch.start_s - first_s, 0.0) * scale
            stop = min(left + (stretch.stop_s - first_s) * scale, right)
            block = QRectF(start, top, max(stop - start, 1.0), height)
            if stretch.place >= 0:
                self._block(painter, block, stretch)
            elif not hide:
                self._hatched(painter, block, stretch.text)

    def _block(self, painter: QPainter, block: QRectF, stretch: Stretch) -> None:
        colour = self.colour(stretch.place)
        if self.history.is_text and block.width() < 12:  # a letter takes a moment
            painter.fillRect(block, QColor(self.look.text))
            box = QRectF(block.right() + 3, block.top(), 90, block.height())
            self.write(painter, box, stretch.text, bold=True)
            return
        painter.fillRect(block, QColor(colour))
        if block.width() > 8 and self.width_of(stretch.text, 0.85) + 4 < block.width():
            ink = ink_on(colour)
            self.write(painter, block, stretch.text, colour=ink, scale=0.85, align=MIDDLE)

    def _hatched(self, painter: QPainter, block: QRectF, why: str) -> None:
        hatch = QColor(blend(self.look.surface, self.look.faint, 0.55))
        painter.fillRect(block, QBrush(hatch, Qt.BrushStyle.BDiagPattern))
        if block.width() > 40:
            width = min(self.width_of(why, 0.85) + 8, block.width())
            label = QRectF(block.center().x() - width / 2, block.top(), width, block.height())
            painter.fillRect(label, QColor(self.look.surface))
            self.write(painter, label, why, scale=0.85, align=MIDDLE)

    def _paint_selections(self, painter: QPainter, box: QRectF) -> None:
        first_s = self.history.now_s - self.span_s
        for at_s, _ in self.history.selections(self.span_s):
            x = box.left() + (at_s - first_s) / self.span_s * box.width()
            at = QPointF(x, box.bottom() + 1)
            self.stamp(painter, 3, at, 4.0, self.look.text, self.look.surface)


def _apart(tops: NDArray[np.floating], line: float, top: float, bottom: float) -> list[float]:
    """Move labels up and down until none covers another; they come from the lowest up."""
    places: list[float] = []
    limit = bottom - line
    for wanted in tops:
        place = min(float(wanted), limit)
        places.append(place)
        limit = place - line
    if places and places[-1] < top:  # too many at the top: all are pushed down again
        limit = top
        for n in range(len(places) - 1, -1, -1):
            places[n] = max(places[n], limit)
            limit = places[n] + line
    return places
