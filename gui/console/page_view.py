"""One page: what happens now, what to do next, one large button, and what belongs beside them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .script import Choice, Page
from .session import Act, Step
from .words import Words

_MOST_OTHERS = 3
_KEYS = {"Return": "↵"}


class PageView(QWidget):
    """Shows the `Page` of any step.

    Parameters
    ----------
    quality : QWidget
        Shown beside the signal check.
    chosen : callable
        Told what a person chose.
    """

    def __init__(self, quality: QWidget, chosen: Callable[[Act], None]) -> None:
        super().__init__()
        self._chosen = chosen
        self._page: Page | None = None
        self.head, self.now, self.todo = (_label(s) for s in ("fact", "main", "main"))
        self.head.setProperty("faint", "true")
        self.now.setProperty("strong", "true")
        self.detail = _label("least")
        self.detail.setProperty("faint", "true")
        self.code = QLineEdit()
        self.code.setProperty("size", "main")
        self.code.setMaxLength(32)
        self.main = QPushButton()
        self.main.setObjectName("main")
        self.main.setProperty("size", "main")
        self.main.clicked.connect(lambda: self._choose(self._page and self._page.main))
        self.others = [self._other(place) for place in range(_MOST_OTHERS)]
        self.quality = quality
        self.facts = QFrame()
        self.facts.setObjectName("card")
        self._grid = QGridLayout(self.facts)
        self._grid.setContentsMargins(18, 14, 18, 14)
        self._grid.setVerticalSpacing(10)
        self._lay_out()

    def show_page(self, page: Page, step: Step, words: Words, refused: str = "") -> None:
        """Show a page.

        Parameters
        ----------
        page : Page
            What it says.
        step : Step
            Where we are.
        words : Words
            In which language.
        refused : str
            Why the last act was refused: said in place of what to do next.
        """
        self.head.setText(page.head)
        self.now.setText(page.now)
        self.todo.setText(f"✗ {refused}" if refused else page.todo)
        self.detail.setText(words("detail", text=page.detail) if page.detail else "")
        self.code.setVisible(step is Step.IDENTIFY and page.main is not None)
        self.code.setPlaceholderText(words("identify_hint"))
        self.quality.setVisible(step is Step.SIGNAL)
        self._show_main(page, words)
        for place, button in enumerate(self.others):
            button.setVisible(place < len(page.others))
            if place < len(page.others):
                button.setText(_text(page.others[place]))
        if self._page is None or page.facts != self._page.facts:
            self._show_facts(page)
        self._page = page

    def focus(self) -> None:
        """Put the keyboard where the next thing is done."""
        # An ancestor may not be shown yet, so `isVisible` would not do.
        (self.main if self.code.isHidden() else self.code).setFocus()

    def _show_main(self, page: Page, words: Words) -> None:
        self.main.setEnabled(page.main is not None)
        self.main.setText(_text(page.main) if page.main else words("wait"))

    def _show_facts(self, page: Page) -> None:
        while item := self._grid.takeAt(0):
            if widget := item.widget():
                widget.setParent(None)
                widget.deleteLater()
        for row, fact in enumerate(page.facts):
            sign, name, value = _label("fact"), _label("fact"), _label("fact")
            sign.setWordWrap(False)
            for label, text in ((sign, fact.sign), (name, fact.name), (value, fact.value)):
                label.setText(text)
            value.setProperty("strong", "true")
            self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignTop)
            if fact.value:
                self._grid.addWidget(name, row, 1)
                self._grid.addWidget(value, row, 2)
            else:
                self._grid.addWidget(name, row, 1, 1, 2)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(2, 1)
        self.facts.setVisible(bool(page.facts))

    def _choose(self, choice: Choice | None) -> None:
        if choice:
            self._chosen(choice.act)

    def _other(self, place: int) -> QPushButton:
        button = QPushButton()
        button.setProperty("size", "small")
        button.clicked.connect(lambda: self._choose(self._page and self._page.others[place]))
        return button

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(8)
        for widget in (self.head, self.now, self.todo, self.code):
            left.addWidget(widget)
        left.addStretch(1)
        beside = QVBoxLayout()
        beside.addWidget(self.facts)
        beside.addWidget(self.quality, 1)
        beside.addStretch(0)
        columns = QHBoxLayout()
        columns.setSpacing(20)
        columns.addLayout(left, 3)
        columns.addLayout(beside, 2)
        row = QHBoxLayout()
        row.setSpacing(10)
        for button in self.others:
            row.addWidget(button)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(8)
        whole.addLayout(columns, 1)
        whole.addWidget(self.detail)
        whole.addWidget(self.main)
        whole.addLayout(row)


def _label(size: str) -> QLabel:
    label = QLabel()
    label.setProperty("size", size)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return label


def _text(choice: Choice) -> str:
    return f"{choice.label}  [{_KEYS.get(choice.key, choice.key)}]"
