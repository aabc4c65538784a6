"""What plays a recording: play and pause, speed, where it is, from mark to mark."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton

from .elided import Elided
from .look import Look
from .recorded import SPEEDS, Recorded
from .time_line import TimeLine
from .time_marks import clock_text, next_mark

_LEGEND = "bar: share of windows decided · │ marker  ■ note  ▲ fault  ◆ guard"


class ReplayBar(QFrame):
    """Stands below the panels of a dashboard that shows a recording.

    Parameters
    ----------
    recorded : Recorded
        What is played.
    """

    went = Signal()
    """It is somewhere else now: everything that is shown is of another time."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__()
        self.setObjectName("replay")
        self._recorded = recorded
        self._to_s: float | None = None
        self.line = TimeLine(recorded)
        self.line.wanted.connect(self._want)
        self.play = _button("▶ Play   P", "Play or pause", self.toggle)
        self.slower = _button("-", "Slower (Ctrl+down)", lambda: self.change_speed(-1))
        self.faster = _button("+", "Faster (Ctrl+up)", lambda: self.change_speed(1))
        self.before = _button("|◀", "To the mark before (Ctrl+left)", lambda: self.to_mark(-1))
        self.after = _button("▶|", "To the next mark (Ctrl+right)", lambda: self.to_mark(1))
        self.speed, self.where, self.mark = QLabel(), QLabel(), Elided()
        self._legend = QLabel(_LEGEND)
        self._lay_out()
        self.draw()

    def wear(self, look: Look) -> None:
        """Change colours."""
        self.setStyleSheet(
            f"QFrame#replay {{ background: {look.surface}; border-top: 1px solid {look.line}; }}"
        )
        self._legend.setStyleSheet(f"color: {look.faint}; font-size: 9pt;")
        self.where.setStyleSheet("font-weight: bold;")
        self.line.wear(look)

    def toggle(self) -> None:
        """Play, or pause."""
        recorded = self._recorded
        if recorded.playing:
            recorded.pause()
        else:
            at_end = recorded.position_s >= recorded.length_s
            recorded.play()
            if at_end:
                self.went.emit()

    def change_speed(self, step: int) -> None:
        """The next faster or slower speed."""
        recorded = self._recorded
        place = min(range(len(SPEEDS)), key=lambda n: abs(SPEEDS[n] - recorded.speed))
        speed = SPEEDS[min(max(place + step, 0), len(SPEEDS) - 1)]
        if recorded.playing:
            recorded.play(speed)
        else:
            recorded.speed = speed

    def go(self, by_s: float) -> None:
        """Go so many seconds ahead, or back."""
        at_s = self._recorded.position_s if self._to_s is None else self._to_s
        self._want(at_s + by_s)

    def go_to(self, at_s: float) -> None:
        """Go to a moment."""
        self._want(at_s)

    def to_mark(self, step: int) -> None:
        """Go to the next mark, or to the one before, and say what it is."""
        at_s = self._recorded.position_s if self._to_s is None else self._to_s
        mark = next_mark(self._recorded.tape.marks, at_s, step)
        if mark is None:
            self.mark.say("no mark further on" if step > 0 else "no mark before")
            return
        self.mark.say(f"{mark.kind}: {mark.text}")
        self._want(mark.at_s)

    def draw(self) -> bool:
        """Go where was wanted last, however often somebody asked since the last frame, and show it.

        Returns
        -------
        went : bool
            Whether it went somewhere else.
        """
        went = self._to_s is not None
        if self._to_s is not None:
            self._recorded.seek(self._to_s)
            self._to_s = None
            self.went.emit()
        recorded = self._recorded
        self.play.setText("‖ Pause   P" if recorded.playing else "▶ Play   P")
        self.speed.setText(f"{recorded.speed:g} x")
        self.where.setText(f"{clock_text(recorded.position_s)} / {clock_text(recorded.length_s)}")
        self.line.draw()
        return went

    def _want(self, at_s: float) -> None:
        self._to_s = min(max(at_s, 0.0), self._recorded.length_s)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(8, 4, 8, 0)
        for widget in (
            self.play, self.before, self.after, self.slower, self.speed, self.faster, self.where,
        ):  # fmt: skip
            row.addWidget(widget)
        row.addWidget(self.mark, 1)
        row.addWidget(self._legend)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(2)
        layout.addLayout(row, 0, 0)
        layout.addWidget(self.line, 1, 0)


def _button(text: str, what: str, act: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(what)
    button.setAccessibleName(what)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(act)
    return button
