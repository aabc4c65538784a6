"""The place of the alarms: always there, so that nothing moves when one comes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy

from .alarms import Alarms, Priority
from .words import Words

_SIGNS = {Priority.HIGH: "!!!", Priority.MEDIUM: "!!", Priority.LOW: "!"}


class AlarmBar(QFrame):
    """The most urgent alarm, how many more there are, and a button to say that it was seen.

    Parameters
    ----------
    words : Words
        A language.
    """

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.setObjectName("alarm")
        self.sign, self.text, self.more = QLabel(), QLabel(), QLabel()
        self.sign.setProperty("strong", "true")
        for label, size in ((self.sign, "alarm"), (self.text, "alarm"), (self.more, "small")):
            label.setProperty("words", size)
            label.setTextFormat(Qt.TextFormat.PlainText)  # names of electrodes come from a stream
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton()
        self.button.setProperty("words", "small")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it has a key of its own
        kept = self.button.sizePolicy()
        kept.setRetainSizeWhenHidden(True)
        self.button.setSizePolicy(kept)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 2, 10, 2)
        row.setSpacing(14)
        row.addWidget(self.sign)
        row.addWidget(self.text, 1)
        row.addWidget(self.more)
        row.addWidget(self.button)
        self.show_alarms(Alarms(), words, 0.0)

    def show_alarms(self, alarms: Alarms, words: Words, now_s: float) -> None:
        """Show what stands.

        Parameters
        ----------
        alarms : Alarms
            All of them.
        words : Words
            In which language.
        now_s : float
            For the flashing.
        """
        first = alarms.first
        self.button.setVisible(alarms.unseen)
        self.button.setText(f"{words('acknowledge')}  [A]")
        others = len(alarms.standing) - 1
        self.more.setText(words("more_alarms", count=str(others)) if others > 0 else "")
        if first is None:
            self.sign.setText("")
            self.text.setText(words("no_alarm"))
            self._wear("none")
            return
        self.sign.setText(f"{_SIGNS[first.priority]} {words(f'priority_{first.priority:d}')}")
        self.text.setText(words(first.alarm, **dict(first.values)))
        state = first.priority.name.lower()
        steady = first.priority is Priority.LOW or first.lit(now_s)
        self._wear(state if steady else f"{state}-dark")

    def _wear(self, state: str) -> None:
        if self.property("state") == state:
            return
        self.setProperty("state", state)
        for widget in (self, self.sign, self.text, self.more):
            widget.style().unpolish(widget)
            widget.style().polish(widget)
