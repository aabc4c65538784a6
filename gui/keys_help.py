"""All keys of the dashboard, laid over it without being in anybody's way."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from .look import Look

Keys = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""Headings, each with keys and what they do."""

KEYS: Keys = (
    (
        "Session",
        (
            ("Space", "stop all output, at once"), ("Ctrl+D", "disarm"),
            ("Ctrl+A", "arm: twice within 3 s"),
            ("Ctrl+R", "reset after a stop: twice within 3 s"),
            ("Ctrl+Z", "freeze adaptation"), ("Ctrl+B", "roll back to the weights before"),
            ("Ctrl+N", "write a note (Ctrl+Space stops meanwhile)"),
        ),
    ),
    (
        "View",
        (
            ("1 to 9, 0", "go to a panel; it has keys of its own"),
            ("Tab", "go on to the next button or panel"),
            ("Ctrl+P or P", "pause the pictures, and on"),
            ("Ctrl+E", "this panel alone, and back"),
            ("Ctrl+O", "this panel out of the window, and back"),
            ("Ctrl+T", "dark or light"), ("F11", "full screen"), ("Ctrl+S", "save the layout"),
            ("Ctrl+L", "layouts and panels"), ("Ctrl+0", "the layout it began with"),
            ("F1", "this list"),
        ),
    ),
)  # fmt: skip
"""Of a session."""

REPLAY_KEYS: Keys = (
    (
        "Recording",
        (
            ("Ctrl+P or P", "play or pause"), ("Ctrl+↓, Ctrl+↑", "slower, faster"),
            ("Ctrl+←, Ctrl+→", "to the mark before, to the next"),
            ("←, →", "5 s back, ahead; with Shift 60 s"), ("Home, End", "to the beginning, end"),
        ),
    ),
    KEYS[1],
)  # fmt: skip
"""Of a recording."""


class KeysHelp(QFrame):
    """A sheet over a part of the window; F1 or Escape takes it away. The keys stay in use.

    Parameters
    ----------
    keys : Keys
        What to list, two columns of headings.
    parent : QWidget
        The window.
    """

    def __init__(self, keys: Keys, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("keys")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(28, 20, 28, 20)
        title = QLabel("Keys")
        title.setStyleSheet("font-size: 16pt; font-weight: bold;")
        layout.addWidget(title)
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(5)
        layout.addLayout(grid)
        rows = [0, 0]
        for heading, pairs in keys:
            column = 0 if rows[0] <= rows[1] else 1
            rows[column] = _add(grid, heading, pairs, rows[column], column * 3)
        grid.setColumnMinimumWidth(2, 30)
        self.hide()

    def wear(self, look: Look) -> None:
        """Change colours."""
        self.setStyleSheet(
            f"QFrame#keys {{ background: {look.surface}; border: 2px solid {look.accent};"
            f" border-radius: 10px; }}"
        )

    def toggle(self) -> None:
        """Show it in the middle of the window, or take it away."""
        if self.isVisible():
            self.hide()
            return
        self.adjustSize()
        window = self.window()
        left, top = (window.width() - self.width()) // 2, (window.height() - self.height()) // 2
        self.move(max(0, left), max(0, top))
        self.show()
        self.raise_()


def _add(
    grid: QGridLayout, heading: str, pairs: Sequence[tuple[str, str]], row: int, column: int
) -> int:
    title = QLabel(heading)
    title.setProperty("faint", True)
    grid.addWidget(title, row, column, 1, 2)
    for key, what in pairs:
        row += 1
        name = QLabel(key)
        name.setStyleSheet("font-weight: bold;")
        grid.addWidget(name, row, column)
        grid.addWidget(QLabel(what), row, column + 1)
    return row + 1
