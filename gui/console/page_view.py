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
_SHORT = 24  # characters that stand on one line beside a name
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
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._chosen = chosen
        self._page: Page | None = None
        self._shape: tuple[bool, ...] = ()
        self._rows: list[tuple[QLabel, QLabel, QLabel]] = []
        self.head, self.now, self.todo = (_label(s) for s in ("fact", "main", "main"))
        self.head.setProperty("faint", "true")
        self.now.setProperty("strong", "true")
        self.detail = _label("least")
        self.detail.setProperty("faint", "true")
        self.code = QLineEdit()
        self.code.setProperty("words", "main")
        self.code.setMaxLength(32)
        self.main = QPushButton()
        self.main.setObjectName("main")
        self.main.setProperty("words", "main")
        self.main.clicked.connect(lambda: self._choose(self._page.main if self._page else None))
        self.others = [self._other(place) for place in range(_MOST_OTHERS)]
        self.quality = quality
        self.facts = QFrame()
        self.facts.setObjectName("card")
        self._grid = QGridLayout(self.facts)
        self._grid.setContentsMargins(18, 14, 18, 14)
        self._grid.setVerticalSpacing(10)
        self.beside, self.said = QWidget(), QFrame()
        self.said.setObjectName("card")
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
        self.beside.setVisible(bool(page.facts) or step is Step.SIGNAL)
        self._page = page

    def focus(self) -> None:
        """Put the keyboard where the next thing is done."""
        # An ancestor may not be shown yet, so `isVisible` would not do.
        if not self.code.isHidden():
            self.code.setFocus()
        elif self.main.isEnabled():
            self.main.setFocus()
        else:
            self.setFocus()

    def _show_main(self, page: Page, words: Words) -> None:
        """While there is nothing to do, the keyboard waits on the page, not on the next button."""
        enabled, focused = page.main is not None, self.window().focusWidget()
        if focused is self.main and not enabled:
            self.setFocus()
        self.main.setEnabled(enabled)
        self.main.setText(_text(page.main) if page.main else words(page.wait))
        if focused is self and enabled:
            self.main.setFocus()

    def _show_facts(self, page: Page) -> None:
        """A fact that changes, as the time does, keeps its labels: new ones would flicker."""
        shape = tuple(bool(fact.value) for fact in page.facts)
        if shape != self._shape:
            self._shape = shape
            self._lay_out_facts(shape)
        for labels, fact in zip(self._rows, page.facts, strict=True):
            for label, text in zip(labels, (fact.sign, fact.name, fact.value), strict=True):
                label.setText(text)
            labels[2].setWordWrap(len(fact.value) > _SHORT)
        self.facts.setVisible(bool(page.facts))

    def _lay_out_facts(self, shape: tuple[bool, ...]) -> None:
        while item := self._grid.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self._rows = [(_label("fact"), _label("fact"), _label("fact")) for _ in shape]
        for row, (sign, name, value) in enumerate(self._rows):
            sign.setWordWrap(False)
            value.setProperty("strong", "true")
            self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(name, row, 1, 1, 1 if shape[row] else 2)
            if shape[row]:
                self._grid.addWidget(value, row, 2)
        self._grid.setColumnStretch(1, 1)

    def _choose(self, choice: Choice | None) -> None:
        if choice:
            self._chosen(choice.act)

    def _other(self, place: int) -> QPushButton:
        button = QPushButton()
        button.setProperty("words", "small")
        kept = button.sizePolicy()
        kept.setRetainSizeWhenHidden(place == 0)  # the row keeps its height
        button.setSizePolicy(kept)
        button.clicked.connect(
            lambda: self._choose(self._page.others[place] if self._page else None)
        )
        return button

    def _lay_out(self) -> None:
        left = QVBoxLayout(self.said)
        left.setContentsMargins(24, 10, 24, 14)
        left.setSpacing(8)
        for widget in (self.head, self.now, self.todo, self.code):
            left.addWidget(widget)
        left.addStretch(1)
        left.addWidget(self.detail)
        right = QVBoxLayout(self.beside)
        right.setContentsMargins(0, 0, 0, 0)
        right.addWidget(self.facts)
        right.addWidget(self.quality, 1)
        right.addStretch(0)
        columns = QHBoxLayout()
        columns.setSpacing(12)
        columns.addWidget(self.said, 3)
        columns.addWidget(self.beside, 2)
        row = QHBoxLayout()
        row.setSpacing(10)
        for button in self.others:
            row.addWidget(button)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(6)
        whole.addLayout(columns, 1)
        whole.addWidget(self.main)
        whole.addLayout(row)


def _label(size: str) -> QLabel:
    label = QLabel()
    label.setProperty("words", size)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return label


def _text(choice: Choice) -> str:
    return f"{choice.label}  [{_KEYS.get(choice.key, choice.key)}]"
