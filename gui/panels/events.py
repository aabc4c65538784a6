"""Events and markers, the newest on top."""

from __future__ import annotations

from itertools import islice
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableView,
    QVBoxLayout,
)

from ...runtime.messages import EventKind
from ...runtime.telemetry import Telegram
from ..event_list import GROUPS, MARKER, MOST, SELECTED, EventList, Row, time_text
from ..look import DARK, Look
from .panel import Panel

_HEADS = ("Time", "", "Kind", "What")
_EVERYTHING = "everything"
_Index = QModelIndex | QPersistentModelIndex


class Rows(QAbstractTableModel):
    """The rows of a list that are looked at."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.look = look
        self._kinds: frozenset[str] | None = None
        self._count = 0

    def rowCount(self, parent: _Index | None = None) -> int:
        """How many."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Time, sign, kind, text."""
        return 0 if parent is not None and parent.isValid() else len(_HEADS)

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """What stands over a column."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What stands in a cell, and in which colour."""
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            texts = (time_text(row.at_s), row.sign, row.kind.replace("_", " "), row.text)
            return texts[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.text
        if role == Qt.ItemDataRole.ForegroundRole and row.weight:
            return QColor(self.look.bad if row.weight == 2 else self.look.doubtful)
        return None

    def show(self, events: EventList, kinds: frozenset[str] | None) -> int:
        """Show what came since; returns how many rows came on top."""
        if events.count == self._count and kinds == self._kinds:
            return 0
        came = events.count - self._count
        anew = kinds != self._kinds or came < 0 or came > 200 or not self.rows
        self._count, self._kinds = events.count, kinds
        if anew:
            self.beginResetModel()
            self.rows = list(events.newest(kinds))
            self.endResetModel()
            return 0
        newest = [r for r in islice(events.newest(), came) if kinds is None or r.kind in kinds]
        return self._put_on_top(newest)

    def forget(self) -> None:
        """Show nothing."""
        self.beginResetModel()
        self.rows = []
        self._count = 0
        self.endResetModel()

    def _put_on_top(self, newest: list[Row]) -> int:
        if newest:
            self.beginInsertRows(QModelIndex(), 0, len(newest) - 1)
            self.rows[:0] = newest
            self.endInsertRows()
        if len(self.rows) > MOST:
            self.beginRemoveRows(QModelIndex(), MOST, len(self.rows) - 1)
            del self.rows[MOST:]
            self.endRemoveRows()
        return len(newest)


class Events(Panel):
    """A table of what happened, which can be narrowed to some kinds."""

    name, title = "events", "Events and markers"

    def __init__(self, look: Look = DARK) -> None:
        super().__init__(look)
        self.events = EventList()
        self.model = Rows(look)
        self.kinds = QComboBox()
        self.kinds.setAccessibleName("Which events")
        for text in (_EVERYTHING, *GROUPS):
            self.kinds.addItem(text, text)
        self.kinds.insertSeparator(self.kinds.count())
        for kind in (MARKER, SELECTED, *EventKind):
            self.kinds.addItem(str(kind).replace("_", " "), str(kind))
        self.count = QLabel()
        self.table = _table(self.model)
        self.setFocusProxy(self.table)
        row = QHBoxLayout()
        row.addWidget(self.kinds)
        row.addWidget(self.count, 1, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(row)
        layout.addWidget(self.table, 1)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.events.take(message)

    def draw(self) -> None:
        """Show what came; whoever reads further down is not moved."""
        bar = self.table.verticalScrollBar()
        at = bar.value()
        came = self.model.show(self.events, self._wanted())
        if at and came:
            bar.setValue(at + came)
        shown, kept = len(self.model.rows), self.events.count
        self.count.setText(f"{shown} shown of {kept}" if kept else "nothing has happened yet")

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.model.look = look
        self.count.setStyleSheet(f"color: {look.faint};")

    def forget(self) -> None:
        """Know nothing any more."""
        self.events = EventList()
        self.model.forget()

    def _wanted(self) -> frozenset[str] | None:
        chosen = str(self.kinds.currentData())
        if chosen == _EVERYTHING:
            return None
        return GROUPS.get(chosen, frozenset({chosen}))


def _table(model: Rows) -> QTableView:
    table = QTableView()
    table.setModel(model)
    table.setAccessibleName("Events, the newest on top")
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(22)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    header = table.horizontalHeader()
    header.setStretchLastSection(True)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setHighlightSections(False)
    for column, width in enumerate((82, 24, 104)):
        table.setColumnWidth(column, width)
    header.setMinimumSectionSize(20)
    return table
