"""The guard: where it is, what became of the last command, and what held commands back."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from ...runtime.limits import State
from ...runtime.telemetry import Telegram
from ..guard_view import PASSED, GuardView, is_limit
from ..guard_words import SIGNS, WORDS
from ..look import DARK, Look
from .panel import Panel

_PLACES = {
    State.DISARMED: (0.0, 0.0), State.ARMED: (1.0, 0.0),
    State.STOPPED: (0.0, 1.0), State.HOLDING: (1.0, 1.0),
}  # fmt: skip
_ARROWS = (
    (State.DISARMED, State.ARMED, "arm", "disarm"),
    (State.ARMED, State.HOLDING, "fault", "over"),
    (State.STOPPED, State.DISARMED, "reset", ""),
)
_ROW = 24


class Machine(QWidget):
    """The four states as boxes; the one the guard is in has a frame, a sign and the word "now"."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self.state: State | None = None
        self.setMinimumSize(270, 128)
        self.setMaximumHeight(170)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_state(self, state: State | None) -> None:
        """Show another state."""
        if state is not self.state:
            self.state = state
            self.setAccessibleName(f"Guard: {state or 'not heard yet'}")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint boxes and arrows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for start, stop, there, back in _ARROWS:
            self._paint_arrow(painter, self._box(start), self._box(stop), there, back)
        for state in State:
            self._paint_box(painter, state)

    def _box(self, state: State) -> QRectF:
        right, down = _PLACES[state]
        wide = min(170.0, (self.width() - 72) / 2)
        tall = min(52.0, (self.height() - 38) / 2)
        return QRectF(
            4 + right * (self.width() - wide - 8), 4 + down * (self.height() - tall - 8), wide, tall
        )

    def _paint_box(self, painter: QPainter, state: State) -> None:
        here, box, look = state is self.state, self._box(state), self.look
        colours = {State.ARMED: look.good, State.HOLDING: look.doubtful, State.STOPPED: look.bad}
        colour = QColor(colours.get(state, look.text))
        painter.setPen(QPen(colour, 3) if here else QPen(QColor(look.line), 1))
        painter.setBrush(QColor(look.raised if here else look.surface))
        painter.drawRoundedRect(box, 6, 6)
        font = QFont(self.font())
        font.setBold(here)
        painter.setFont(font)
        painter.setPen(colour if here else QColor(look.faint))
        upper = box.adjusted(4, 2, -4, -box.height() / 2 + 2)
        name = f"{SIGNS[state]} {state}" + (" · now" if here else "")
        painter.drawText(upper, Qt.AlignmentFlag.AlignCenter, name)
        font.setBold(False)
        font.setPointSize(8)
        painter.setFont(font)
        lower = box.adjusted(4, box.height() / 2 - 4, -4, -2)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(lower, flags, WORDS[state])

    def _paint_arrow(
        self, painter: QPainter, start: QRectF, stop: QRectF, there: str, back: str
    ) -> None:
        painter.setPen(QPen(QColor(self.look.faint), 1))
        painter.setBrush(QColor(self.look.faint))
        font = QFont(self.font())
        font.setPointSize(8)
        painter.setFont(font)
        if start.top() == stop.top():
            left, right, y = start.right() + 3, stop.left() - 3, start.center().y()
            _arrow(painter, QPointF(left, y - 5), QPointF(right, y - 5))
            _arrow(painter, QPointF(right, y + 5), QPointF(left, y + 5))
            words = QRectF(left, y - 30, right - left, 22)
            painter.drawText(words, Qt.AlignmentFlag.AlignCenter, there)
            words = QRectF(left, y + 8, right - left, 22)
            painter.drawText(words, Qt.AlignmentFlag.AlignCenter, back)
            return
        down = start.top() < stop.top()
        x = start.center().x()
        ends = (
            (start.bottom() + 3, stop.top() - 3) if down else (start.top() - 3, stop.bottom() + 3)
        )
        _arrow(painter, QPointF(x - 4, ends[0]), QPointF(x - 4, ends[1]))
        if back:
            _arrow(painter, QPointF(x + 4, ends[1]), QPointF(x + 4, ends[0]))
        middle = sum(ends) / 2
        text = f"{there} / {back}" if back else there
        wide = painter.fontMetrics().horizontalAdvance(text) + 4
        left = x - 10 - wide if x > self.width() / 2 else x + 10
        words = QRectF(left, middle - 10, wide, 20)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, text)


class Bars(QWidget):
    """What became of the windows of the last minute, as words and bars."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self.rows: list[tuple[str, str, int]] = []
        self.total = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(2 * _ROW)

    def show_rows(self, rows: list[tuple[str, str, int]], total: int) -> None:
        """Show other numbers."""
        if (rows, total) != (self.rows, self.total):
            self.rows, self.total = rows, total
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a line for each reason, as many as there is room for."""
        painter = QPainter(self)
        for number, (what, why, count) in enumerate(self.rows[: self.height() // _ROW]):
            share = count / max(self.total, 1)
            line = QRectF(0, number * _ROW, self.width(), _ROW - 6)
            colour = QColor(self.look.good if what == PASSED else self.look.line)
            painter.fillRect(QRectF(0, line.bottom(), share * line.width(), 3), colour)
            painter.setPen(QColor(self.look.text))
            sign = "⚠ " if is_limit(why) or why.startswith("signal quality") else ""
            text = f"{sign}{what}: {why}" if why else f"{sign}{what}"
            shown = painter.fontMetrics().elidedText(
                text, Qt.TextElideMode.ElideRight, int(line.width() - 58)
            )
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, shown)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(line, flags, f"{100 * share:.0f} %")


class GuardPanel(Panel):
    """The guard's state machine, and its reasons."""

    name, title = "guard", "Guard"

    def __init__(self, look: Look = DARK) -> None:
        super().__init__(look)
        self.view = GuardView()
        self.machine, self.bars = Machine(look), Bars(look)
        self.last, self.heading = QLabel(), QLabel()
        for label in (self.last, self.heading):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(label is self.last)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        layout.addWidget(self.machine, 3)
        layout.addWidget(self.last)
        layout.addWidget(self.heading)
        layout.addWidget(self.bars, 2)
        self.wear(look)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.view.take(message)

    def draw(self) -> None:
        """Show what is known now."""
        view = self.view
        self.machine.show_state(view.state)
        asked = f" {view.break_due}" if view.break_due else ""
        self.last.setText(f"Last command. {view.became()}{asked}")
        self.heading.setText(f"Last minute, {view.total()} windows")
        self.bars.show_rows(view.reasons(), view.total())

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.machine.look = self.bars.look = look
        self.heading.setStyleSheet(f"color: {look.faint}; font-size: 9pt;")
        self.machine.update()
        self.bars.update()

    def forget(self) -> None:
        """Know nothing any more."""
        self.view = GuardView()


def _arrow(painter: QPainter, start: QPointF, stop: QPointF) -> None:
    painter.drawLine(start, stop)
    along = stop - start
    length = max((along.x() ** 2 + along.y() ** 2) ** 0.5, 1e-9)
    ahead = along / length
    aside = QPointF(-ahead.y(), ahead.x())
    corners = (stop, stop - ahead * 6 + aside * 3, stop - ahead * 6 - aside * 3)
    painter.drawPolygon(QPolygonF(corners))
