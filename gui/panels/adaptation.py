"""Which weights decide, how they came about, and how to hold on to them."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from ...runtime.access import Action
from ...runtime.telemetry import Telegram
from ..actions import ActionButton
from ..adaptation_view import NO_FIGURES, AdaptationView, Change, Standing
from ..controls import Controls
from ..elided import Elided
from ..event_list import time_text
from ..learning_curve import LearningCurve
from ..look import DARK, Look
from .panel import Panel

_HEADS = ("Epoch", "Time", "Became", "Who", "Why")
_LEAST_ROWS = 3


class Adaptation(Panel):
    """Epoch, learning curve, changes of weights, and two buttons: freeze, roll back.

    Parameters
    ----------
    look : Look
        Colours.
    controls : Controls, optional
        Who asks; without it the panel has no buttons.
    may : collection of Action
        What the person's role allows.
    """

    name, title = "adaptation", "Adaptation"

    def __init__(
        self,
        look: Look = DARK,
        controls: Controls | None = None,
        may: Collection[Action] = frozenset(),
    ) -> None:
        super().__init__(look)
        self.view = AdaptationView()
        self.epoch, self.sentence = QLabel("epoch —"), QLabel()
        self.sentence.setWordWrap(True)
        self.why, self.figures = Elided(), Elided(NO_FIGURES)
        self.curve = LearningCurve(self.view, look)
        self.curve.hide()
        self.table = _table()
        self.setFocusProxy(self.table)
        self._shown = (-1, "")
        self._drawn: tuple[int, Standing | None] = (0, None)
        top = QHBoxLayout()
        top.addWidget(self.epoch)
        top.addStretch()
        self.buttons = () if controls is None else _buttons(controls, may)
        for button in self.buttons:
            top.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addLayout(top)
        layout.addWidget(self.sentence)
        layout.addWidget(self.curve, 2)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.why)
        layout.addWidget(self.figures)
        self.wear(look)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.view.take(message)

    def draw(self) -> None:
        """Show what is known now."""
        view = self.view
        self.epoch.setText("epoch —" if view.epoch is None else f"epoch {view.epoch}")
        self.sentence.setText(view.sentence())
        self.why.say(view.told_why())
        self.figures.say(view.told_figures())
        self._draw_curve()
        known = (view.count, view.changes[-1].became if view.changes else "")
        if known != self._shown:
            self._shown = known
            self._fill()

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.curve.wear(look)
        self.epoch.setStyleSheet("font-size: 15pt; font-weight: bold;")
        self.figures.setStyleSheet(f"color: {look.faint}; font-size: 9pt;")

    def forget(self) -> None:
        """Know nothing any more."""
        self.view = self.curve.view = AdaptationView()

    def _draw_curve(self) -> None:
        course = self.view.course
        drawn = (self.view.count, course[-1] if course else None)
        if drawn != self._drawn:
            self._drawn = drawn
            self.curve.setVisible(bool(course))
            self.curve.renew()

    def _fill(self) -> None:
        changes = list(reversed(self.view.changes))
        self.table.setRowCount(len(changes))
        self.table.setVisible(bool(changes))
        for row, change in enumerate(changes):
            for column, text in enumerate(_texts(change)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(row, column, item)


def _texts(change: Change) -> tuple[str, ...]:
    at = time_text(change.at_s if change.at_s >= 0 else float("nan"))
    return (str(change.epoch), at, change.became, change.who, change.reason)


def _buttons(controls: Controls, may: Collection[Action]) -> tuple[ActionButton, ...]:
    freeze = ActionButton(
        Action.DISABLE_ADAPTATION,
        "Freeze",
        "Ctrl+Z",
        controls,
        may,
        why="Adapts no more.",
    )
    back = ActionButton(
        Action.ROLL_BACK,
        "Roll back",
        "Ctrl+B",
        controls,
        may,
        why="To the weights before.",
    )
    return freeze, back


def _table() -> QTableWidget:
    table = QTableWidget(0, len(_HEADS))
    table.setHorizontalHeaderLabels(list(_HEADS))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)
    table.setWordWrap(False)  # a reason is read whole in its tool tip
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    row_px = table.fontMetrics().height() + 4
    table.verticalHeader().setMinimumSectionSize(row_px)
    table.verticalHeader().setDefaultSectionSize(row_px)
    table.setAccessibleName("Changes of weights, the newest on top")
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    frame_px = 2 * table.frameWidth()
    table.setMinimumHeight(header.sizeHint().height() + _LEAST_ROWS * row_px + frame_px)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setStretchLastSection(True)
    for column, width in enumerate((46, 66, 66, 70)):
        table.setColumnWidth(column, width)
    table.hide()
    return table
