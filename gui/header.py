"""The header of the dashboard: what matters now, the stop, and what else a person can do."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout

from ..runtime.access import Action
from .actions import ActionButton, StopButton
from .controls import Controls
from .elided import Elided
from .header_words import BAD, PLAIN, Cell
from .look import Look

ACTIONS = (
    (Action.ARM, "Arm", "Ctrl+A", True, "Lets commands pass."),
    (Action.DISARM, "Disarm", "Ctrl+D", False, "Lets no more commands pass."),
    (Action.RESET, "Reset", "Ctrl+R", True, "Leaves an emergency stop behind, to disarmed."),
    (
        Action.DISABLE_ADAPTATION,
        "Freeze",
        "Ctrl+Z",
        False,
        "Adapts no more.",
    ),
    (Action.ROLL_BACK, "Roll back", "Ctrl+B", False, "Goes back to the weights before."),
)
"""What, its label, its key, whether it wants two presses, and what it does."""

_NAME_WIDTH = 190  # pixels


class CellView(QFrame):
    """One cell of the header: title, text, detail."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"cell-{name}")
        self.cell: Cell | None = None
        self._title, self._text, self._detail = Elided(), Elided(), Elided()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 2, 10, 2)
        layout.setSpacing(0)
        for label in (self._title, self._text, self._detail):
            layout.addWidget(label)
        self._look: Look | None = None

    def wear(self, look: Look) -> None:
        """Change colours."""
        self._look = look
        self.setStyleSheet(f"QFrame#{self.objectName()} {{ border-left: 1px solid {look.line}; }}")
        for label in (self._title, self._detail):
            label.setStyleSheet(f"color: {look.faint}; font-size: 9pt;")
        self._colour(self.cell.level if self.cell else PLAIN)

    def show_cell(self, cell: Cell) -> None:
        """Say something else, if it is something else."""
        if cell == self.cell:
            return
        before, self.cell = self.cell, cell
        self._title.say(cell.title)
        self._text.say(cell.text)
        self._detail.say(cell.detail)
        self.setToolTip(f"{cell.title}: {cell.text}. {cell.detail}")
        self.setAccessibleName(self.toolTip())
        if before is None or before.level != cell.level:
            self._colour(cell.level)

    def _colour(self, level: str) -> None:
        if self._look is not None:
            colour = self._look.text if level == PLAIN else getattr(self._look, level)
            self._text.setStyleSheet(f"color: {colour}; font-size: 15pt; font-weight: bold;")


class Header(QFrame):
    """Cells on the left, buttons below them, the stop on the right.

    Parameters
    ----------
    session : str
        Name of the session.
    controls : Controls
        Who asks.
    may : collection of Action
        What the person's role allows.
    replayed : bool
        For a recording, where nothing runs: no stop and no buttons, and the header says why.
    """

    def __init__(
        self, session: str, controls: Controls, may: Collection[Action], *, replayed: bool = False
    ) -> None:
        super().__init__()
        self.setObjectName("header")
        self.cells: dict[str, CellView] = {}
        self.stop = StopButton(controls)
        self.buttons = {
            action: ActionButton(action, label, key, controls, may, twice=twice, why=why)
            for action, label, key, twice, why in ACTIONS
        }
        self._name = Elided(session or "session")
        self._name.setFixedWidth(_NAME_WIDTH)
        self._kind = QLabel("replay of a recording" if replayed else "session")
        self.line = Elided()
        self._cells = QHBoxLayout()
        self._look: Look | None = None
        self._line_level = PLAIN
        self._lay_out(replayed)

    def show_cells(self, cells: tuple[Cell, ...]) -> None:
        """Show what is known now."""
        for cell in cells:
            if cell.name not in self.cells:
                view = self.cells[cell.name] = CellView(cell.name)
                self._cells.addWidget(view, 3 if cell.name in ("guard", "latency") else 2)
                if self._look is not None:
                    view.wear(self._look)
            self.cells[cell.name].show_cell(cell)

    def wear(self, look: Look) -> None:
        """Change colours."""
        self._look = look
        self.setStyleSheet(
            f"QFrame#header {{ background: {look.surface}; border-bottom: 1px solid {look.line}; }}"
        )
        self._kind.setStyleSheet(f"color: {look.faint}; font-size: 9pt;")
        self._name.setStyleSheet("font-size: 13pt; font-weight: bold;")
        for view in self.cells.values():
            view.wear(look)
        self._dress_line()

    def say(self, alarm: str, hint: str) -> None:
        """Fill the line below the buttons.

        Parameters
        ----------
        alarm : str
            What makes everything else doubtful; empty for nothing.
        hint : str
            What stands there otherwise.
        """
        text = f"⚠ {alarm}" if alarm else hint
        self.line.say(text)
        level = BAD if alarm else PLAIN
        if level != self._line_level:
            self._line_level = level
            self._dress_line()

    def _dress_line(self) -> None:
        if self._look is None:
            return
        if self._line_level == BAD:
            style = f"background: {self._look.bad}; color: {self._look.ground}; font-weight: bold;"
        else:
            style = f"color: {self._look.faint};"
        self.line.setStyleSheet(f"{style} padding: 4px 10px;")

    def _lay_out(self, replayed: bool) -> None:
        names = QVBoxLayout()
        names.setContentsMargins(10, 2, 10, 2)
        names.setSpacing(0)
        names.addWidget(self._kind)
        names.addWidget(self._name)
        names.addStretch()
        above = QHBoxLayout()
        above.addLayout(names)
        above.addLayout(self._cells, 1)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 4, 6, 4)
        layout.setVerticalSpacing(4)
        layout.addLayout(above, 0, 0)
        below = QHBoxLayout()
        below.setContentsMargins(8, 0, 8, 0)
        if replayed:
            self.stop.hide()
        else:
            layout.addWidget(self.stop, 0, 1, 2, 1)
            for button in self.buttons.values():
                below.addWidget(button)
        below.addWidget(self.line, 1)
        layout.addLayout(below, 1, 0)
        for widget in (self.stop, *self.buttons.values()):
            widget.setParent(self)
            widget.setVisible(not replayed)
