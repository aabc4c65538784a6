"""The foot of the dashboard: one line to write in, what came of what was asked, the disclaimer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from .actions import WRITES
from .elided import Elided
from .look import Look
from .view_state import DISCLAIMER

LEAVE_MS = 20_000
"""A line in which nobody writes gives the space bar back after so long."""


class WritingLine(QFrame):
    """A line that is there while somebody writes: a note, or the name of a layout.

    It covers nothing, and while it is there it says how to stop: here the space bar writes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._label, self._hint = QLabel(), QLabel()
        self.line = QLineEdit()
        self.line.setProperty(WRITES, True)
        self.line.installEventFilter(self)
        self.line.returnPressed.connect(self._enter)
        self._done: Callable[[str], None] = lambda _: None
        self._leave = QTimer(self)
        self._leave.setSingleShot(True)
        self._leave.setInterval(LEAVE_MS)
        self._leave.timeout.connect(self.leave)
        self.line.textEdited.connect(lambda _: self._leave.start())
        self._hint.setText("Enter keeps it · Esc leaves · CTRL+SPACE STOPS while you write")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 4, 10, 4)
        layout.addWidget(self._label)
        layout.addWidget(self.line, 1)
        layout.addWidget(self._hint)
        self.hide()

    def wear(self, look: Look) -> None:
        """Change colours."""
        self._hint.setStyleSheet(f"color: {look.doubtful}; font-weight: bold;")

    def write(self, label: str, done: Callable[[str], None], longest: int) -> None:
        """Open the line.

        Parameters
        ----------
        label : str
            What is written.
        done : callable
            Called with the text, if there is any and Enter was pressed.
        longest : int
            Characters at most.
        """
        self._done = done
        self._label.setText(label)
        self.line.setAccessibleName(label)
        self.line.setMaxLength(longest)
        self.line.clear()
        self.show()
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._leave.start()

    def leave(self) -> None:
        """Close the line, and give the space bar back."""
        self._leave.stop()
        self.line.clearFocus()
        self.hide()

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        """Leave on Escape, and when the keyboard goes elsewhere."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() is QEvent.Type.KeyPress:
                self.leave()
            return True
        if isinstance(event, QFocusEvent) and event.type() is QEvent.Type.FocusOut:
            self._leave.stop()
            self.hide()
        return False

    def _enter(self) -> None:
        text, done = self.line.text().strip(), self._done
        self.leave()
        if text:
            done(text)


class Foot(QFrame):
    """The writing line, and below it answers and the disclaimer."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("foot")
        self.writing = WritingLine()
        self.answer = Elided("Nothing has been asked for yet.")
        self.disclaimer = QLabel(DISCLAIMER)
        row = self._row = QHBoxLayout()
        row.setContentsMargins(10, 3, 10, 3)
        row.setSpacing(14)
        row.addWidget(self.answer, 1)
        row.addWidget(self.disclaimer)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self.writing)
        self._column.addLayout(row)
        self._look: Look | None = None
        self._bad = False

    def wear(self, look: Look) -> None:
        """Change colours."""
        self._look = look
        self.setStyleSheet(
            f"QFrame#foot {{ background: {look.surface}; border-top: 1px solid {look.line}; }}"
        )
        self.disclaimer.setStyleSheet(f"color: {look.faint};")
        self.writing.wear(look)
        self._dress()

    def add_button(self, button: QWidget) -> None:
        """Put a button beside the disclaimer."""
        self._row.insertWidget(1, button)

    def add_above(self, widget: QWidget) -> None:
        """Put something above all of it."""
        self._column.insertWidget(0, widget)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Say what came of something."""
        self.answer.say(text)
        self._bad = bad
        self._dress()

    def _dress(self) -> None:
        if self._look is not None:
            colour = self._look.bad if self._bad else self._look.text
            self.answer.setStyleSheet(f"color: {colour};")
