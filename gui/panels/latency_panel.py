"""From sample to act: where the time goes, how it scatters, and what came too late."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from ...runtime.latency import LatencyReport
from ...runtime.messages import Event, Turn
from ...runtime.telemetry import Telegram
from ..drawing import MIDDLE, RIGHT, Drawing, pen
from ..latency_history import BIN_S, PER_DECADE, STEPS, LatencyHistory, edges_ms
from ..look import DARK, Look, blend
from ..view_state import count_text, ms_text
from .chart_panel import ChartPanel

_EVERY_S = 0.2  # figures that change more often cannot be read
_UNMEASURED = (
    "Not in these figures: the device before a sample arrives, and the screen after the act. "
    "diverloop timing measures both with a photodiode."
)


class LatencyPanel(ChartPanel):
    """Stages of a turn, histogram from sample to act, misses over time.

    Parameters
    ----------
    look : Look
        Colours.
    """

    name = "latency"
    title = "Latency"

    def __init__(self, look: Look = DARK) -> None:
        self.history = LatencyHistory()
        self.chart = LatencyChart(self.history, look)
        super().__init__(look, self.chart, _EVERY_S)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case Turn():
                self.history.take(message)
                self.stale = True
            case Event():
                self.stale |= self.history.take_event(message)
            case LatencyReport():
                self.history.report = message
                self.stale = True

    def forget(self) -> None:
        """Know nothing any more."""
        self.history.forget()
        self.stale = True


class LatencyChart(Drawing):
    """The drawing.

    Parameters
    ----------
    history : LatencyHistory
        What is drawn.
    look : Look
        Colours.
    size_pt : int
        Of plain text.
    """

    def __init__(self, history: LatencyHistory, look: Look = DARK, size_pt: int = 10) -> None:
        super().__init__(look, size_pt)
        self.history = history
        self.setMinimumSize(320, 220)
        self.setToolTip(_UNMEASURED)

    def renew(self) -> None:
        """Draw what is known now."""
        self.setAccessibleName("latency")
        self.setAccessibleDescription(self.headline() + ". " + self.late())
        self.update()

    def headline(self) -> str:
        """Median and 99th percentile, in words."""
        p50, p99 = self.history.quantiles_ms()
        return f"{ms_text(p50)} ms median, {ms_text(p99)} ms p99 from sample to act"

    def late(self) -> str:
        """What came too late since this view looks on, and how even the acts are."""
        history = self.history
        middle, half = history.interval_ms()
        every = "" if math.isnan(middle) else f"; an act every {middle:.1f} ms ± {half:.1f}"
        late = f"{history.missed} missed, {history.skipped} skipped"
        return f"{late}, {count_text(history.decided)} decided since this view looks on{every}"

    def paint(self, painter: QPainter) -> None:
        """Draw everything."""
        line = self.line_height()
        if not self.history.last_ms:
            said = "No decision has come yet."
            self.write(painter, QRectF(self.rect()), said, colour=self.look.faint, align=MIDDLE)
            return
        head = QRectF(10, 4, self.width() - 20, 1.4 * line)
        self.write(painter, head, self.headline(), bold=True, scale=1.15)
        late = self.history.missed + self.history.skipped
        colour = self.look.doubtful if late else self.look.faint
        self.write(painter, head.translated(0, 1.3 * line), self.late(), colour=colour)
        top, foot = 4 + 2.9 * line, 2.0 * line
        room = self.height() - top - foot - 10
        bars = max(0.2 * room, 2.6 * line)
        if room - bars < (0.9 * len(STEPS) + 1) * line:
            bars = 0.0  # the line above says how many: the stages need the place to be read
        height = room - bars
        half = 0.52 * self.width()
        self._paint_stages(painter, QRectF(10, top, half - 20, height))
        self._paint_histogram(painter, QRectF(half + 10, top, self.width() - half - 22, height))
        if bars:
            self._paint_late(painter, QRectF(10, top + height + 6, self.width() - 20, bars))
        self._paint_foot(painter, QRectF(10, self.height() - foot - 2, self.width() - 20, foot))

    def _paint_stages(self, painter: QPainter, box: QRectF) -> None:
        """The newest turn as bars one after the other; the medians as outlines."""
        medians = self.history.medians_ms()
        ends = self.history.last_ms
        usual = np.cumsum(medians)
        names = max(self.width_of(step) for step in STEPS) + 10
        figures = self.width_of("000.0 ms") + 6
        line = self.line_height(0.85)
        plot = QRectF(
            box.left() + names, box.top() + line, box.width() - names - figures,
            box.height() - line,
        )  # fmt: skip
        top = QRectF(box.left(), box.top(), box.width(), line)
        said = "newest turn; outlined: median of the last 512"
        self.write(painter, top, said, scale=0.85, colour=self.look.faint)
        longest = max(*ends, float(usual[-1]), 1e-3)
        row = plot.height() / len(STEPS)
        starts = [0.0, *ends[:-1]]
        scale = min(0.95, max(0.6, row / self.line_height()))  # names must not overlap
        for n, step in enumerate(STEPS):
            y = plot.top() + n * row
            name = QRectF(box.left(), y, names - 8, row)
            self.write(painter, name, step, align=RIGHT, scale=scale)
            self._bar(painter, plot, y, row, starts[n] / longest, ends[n] / longest, filled=True)
            before = usual[n] - medians[n]
            self._bar(painter, plot, y, row, before / longest, usual[n] / longest, filled=False)
            figure = QRectF(plot.right() + 4, y, figures, row)
            text = f"{ms_text(float(medians[n]))} ms"
            self.write(painter, figure, text, align=RIGHT, scale=scale, colour=self.look.faint)

    def _bar(
        self,
        painter: QPainter,
        plot: QRectF,
        y: float,
        row: float,
        begin: float,
        end: float,
        *,
        filled: bool,
    ) -> None:
        left = plot.left() + max(begin, 0.0) * plot.width()
        width = max((end - max(begin, 0.0)) * plot.width(), 1.5)
        box = QRectF(left, y + 0.2 * row, width, 0.6 * row)
        if filled:
            painter.fillRect(box, QColor(self.look.accent))
        else:
            painter.setPen(pen(self.look.text, 1.2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(0, -0.09 * row, 0, 0.09 * row))

    def _paint_histogram(self, painter: QPainter, box: QRectF) -> None:
        """Counts by time from sample to act, on a logarithmic axis, with what matters marked."""
        line = self.line_height(0.85)
        top = QRectF(box.left(), box.top(), box.width(), line)
        self.write(painter, top, "sample to act, all seen", scale=0.85, colour=self.look.faint)
        plot = QRectF(box.left(), box.top() + 2.6 * line, box.width(), box.height() - 3.8 * line)
        first, last = self._range()
        counts = self.history.counts[first:last]
        width = plot.width() / len(counts)
        tallest = max(int(counts.max()), 1)
        colour = QColor(blend(self.look.surface, self.look.accent, 0.75))
        for n in np.flatnonzero(counts):
            # The root keeps the few slow ones in sight.
            height = math.sqrt(counts[n] / tallest) * plot.height()
            bar = QRectF(plot.left() + n * width, plot.bottom() - height, width - 0.6, height)
            painter.fillRect(bar, colour)
        painter.setPen(pen(self.look.line))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        low, high = edges_ms()[first], edges_ms()[last]
        self._ticks(painter, plot, low, high)
        self._marks(painter, plot, low, high)

    def _range(self) -> tuple[int, int]:
        """Bins that are drawn: what was seen, and a little around."""
        seen = np.flatnonzero(self.history.counts)
        first, last = int(seen[0]), int(seen[-1])
        return max(first - 4, 0), min(max(last, first + PER_DECADE) + 5, len(self.history.counts))

    def _ticks(self, painter: QPainter, plot: QRectF, low: float, high: float) -> None:
        line = self.line_height(0.8)
        for decade in range(-1, 5):
            for times in (1, 2, 5):
                ms = times * 10.0**decade
                if low < ms < high:
                    x = _along(plot, ms, low, high)
                    painter.setPen(pen(self.look.line))
                    painter.drawLine(QPointF(x, plot.bottom()), QPointF(x, plot.bottom() + 3))
                    box = QRectF(x - 25, plot.bottom() + 3, 50, line)
                    text = f"{ms:g} ms" if times == 1 else f"{ms:g}"
                    self.write(painter, box, text, scale=0.8, colour=self.look.faint, align=MIDDLE)

    def _marks(self, painter: QPainter, plot: QRectF, low: float, high: float) -> None:
        p50, p99 = self.history.quantiles_ms()
        line = self.line_height(0.8)
        for ms, word, down in ((p50, "p50", 0), (p99, "p99", 1)):
            if math.isnan(ms):
                continue
            x = min(max(_along(plot, ms, low, high), plot.left()), plot.right())
            style = Qt.PenStyle.SolidLine if down == 0 else Qt.PenStyle.DashLine
            painter.setPen(pen(self.look.text, 1.5, style))
            y = plot.top() - (1.6 - 0.8 * down) * line
            painter.drawLine(QPointF(x, y + line), QPointF(x, plot.bottom()))
            text = f"{word} {ms_text(ms)}"
            width = self.width_of(text, 0.8) + 4
            left = x + 4 if down else x - width / 2  # p50 and p99 may be close together
            left = min(max(left, plot.left()), plot.right() - width)
            box = QRectF(left, y, width, line)
            self.write(painter, box, text, scale=0.8, align=MIDDLE)

    def _paint_late(self, painter: QPainter, box: QRectF) -> None:
        """Bars of ten seconds: missed upwards in full, skipped as outlines above them."""
        line = self.line_height(0.85)
        bins = list(self.history.bins)
        over = QRectF(box.left(), box.top(), box.width(), line)
        said = f"too late, each {BIN_S:.0f} s: filled missed, outlined skipped"
        self.write(painter, over, said, scale=0.85, colour=self.look.faint)
        plot = box.adjusted(0, line + 2, 0, 0)
        painter.setPen(pen(self.look.line))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        if not bins:
            return
        newest, n_bins = bins[-1].number, self.history.bins.maxlen or 1
        most = max(max(one.missed + one.skipped for one in bins), 4)
        width, unit = plot.width() / n_bins, plot.height() / most
        for one in bins:
            left = plot.right() - (newest - one.number + 1) * width
            missed = QRectF(left, plot.bottom() - one.missed * unit, width - 2, one.missed * unit)
            painter.fillRect(missed, QColor(self.look.bad))
            if one.skipped:
                painter.setPen(pen(self.look.doubtful, 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                height = one.skipped * unit
                painter.drawRect(QRectF(left, missed.top() - height, width - 2, height))
        if not self.history.missed + self.history.skipped:
            text = "nothing came too late while this view looked on"
            self.write(painter, plot, text, scale=0.9, align=MIDDLE, colour=self.look.good)

    def _paint_foot(self, painter: QPainter, box: QRectF) -> None:
        report = self.history.report
        said = report.sentence() if report else _UNMEASURED
        self.paragraph(painter, box, said, scale=0.85, colour=self.look.faint)


def _along(plot: QRectF, ms: float, low: float, high: float) -> float:
    share = math.log(max(ms, 1e-6) / low) / math.log(high / low)
    return plot.left() + share * plot.width()
