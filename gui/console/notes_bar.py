"""Notes by one key each, and a line for words of one's own."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from .words import NOTES, Words

_COLUMNS = 5


class NotesBar(QStackedWidget):
    """Ten buttons; or the line, while a note is being written.

    Parameters
    ----------
    noted : callable
        Told the number of a note.
    written : callable
        Told a note in words.
    """

    def __init__(self, noted: Callable[[int], None], written: Callable[[str], None]) -> None:
        super().__init__()
        self._written = self._done = written
        self.buttons = {number: self._button(number, noted) for number in NOTES}
        self.free = QPushButton()
        self.free.setProperty("words", "small")
        self.free.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.free.clicked.connect(self.write)
        self.line = QLineEdit()
        self.line.setProperty("words", "fact")
        self.line.setMaxLength(200)
        self._hint = ""
        self._lay_out()

    @property
    def writing(self) -> bool:
        """Whether a note is being written."""
        return self.currentIndex() == 1

    def speak(self, words: Words, *, live: bool) -> None:
        """Change the language; `live` says that the space bar stops even here."""
        for number, button in self.buttons.items():
            button.setText(f"{number}  {words(f'note_{number}')}")
        self.free.setText(f"N  {words('note_free')}")
        self._hint = words("note_hint_live" if live else "note_hint")
        if self._done == self._written:
            self.line.setPlaceholderText(self._hint)

    def write(self) -> None:
        """Open the line for a note."""
        self._open(self._written, self._hint)

    def ask(self, hint: str, done: Callable[[str], None]) -> None:
        """Open the line for something else than a note.

        Parameters
        ----------
        hint : str
            What to write.
        done : callable
            Told what was written.
        """
        self._open(done, hint)

    def _open(self, done: Callable[[str], None], hint: str) -> None:
        self._done = done
        self.line.setPlaceholderText(hint)
        self.setCurrentIndex(1)
        self.line.setFocus()

    def leave(self) -> None:
        """Close the line without a note."""
        self.line.clear()
        self._done = self._written
        self.setCurrentIndex(0)

    def submit(self) -> None:
        """Put what was written on record, and close the line."""
        text, done = self.line.text().strip(), self._done
        self.leave()
        if text:
            done(text)

    def _button(self, number: int, noted: Callable[[int], None]) -> QPushButton:
        button = QPushButton()
        button.setProperty("words", "small")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it has a key of its own
        button.clicked.connect(lambda: noted(number))
        return button

    def _lay_out(self) -> None:
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for place, button in enumerate([*self.buttons.values(), self.free]):
            grid.addWidget(button, *divmod(place, _COLUMNS))
        for column in range(_COLUMNS):
            grid.setColumnStretch(column, 1)
        field = QWidget()
        column_of_field = QVBoxLayout(field)
        column_of_field.setContentsMargins(0, 0, 0, 0)
        column_of_field.addWidget(self.line)
        self.addWidget(page)
        self.addWidget(field)
