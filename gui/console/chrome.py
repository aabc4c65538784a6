"""What is around every page and never moves: light, stop, alarms, steps, notes, and the foot."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..look import Look
from .alarm_bar import AlarmBar
from .lights import Light
from .notes_bar import NotesBar
from .session import Session, Step
from .sizes import Sizes
from .status_light import StatusLight
from .words import Words

LEAST = (1024, 700)
"""Width and height below which the window cannot be made; all words fit from 1280 by 800 on."""

_PIXELS_PER_POINT = 96 / 72


class StopButton(QPushButton):
    """The stop: its word, and below it the key that does the same."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stop")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it has a key of its own, everywhere
        self.word, self.key = _label("stop"), _label("small")
        self.word.setProperty("strong", "true")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 8)
        column.setSpacing(0)
        for label in (self.word, self.key):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            column.addWidget(label)

    def speak(self, words: Words) -> None:
        """Change the language."""
        self.word.setText(words("stop"))
        self.key.setText(words("stop_key"))
        self.setAccessibleName(f"{words('stop')}, {words('stop_key')}")


class Chrome:
    """The frame of the window.

    Parameters
    ----------
    page : QWidget
        In its middle.
    words : Words
        A language.
    noted, written : callable
        As for `NotesBar`.
    rehearsal : bool
        Say that nobody is connected.
    """

    def __init__(
        self,
        page: QWidget,
        words: Words,
        noted: Callable[[int], None],
        written: Callable[[str], None],
        *,
        rehearsal: bool,
    ) -> None:
        self._page = page
        self.light = StatusLight(words)
        self.person, self.practice = _label("fact"), _label("fact")
        self.practice.setProperty("strong", "true")
        self.practice.setVisible(rehearsal)
        self.stop = StopButton()
        self.alarms = AlarmBar(words)
        self.strip = {step: _label("small") for step in Step}
        self.notes = NotesBar(noted, written)
        self.noted, self.keys, self.notice = _label("small"), _label("least"), _label("least")
        for label in (self.keys, self.notice):
            label.setProperty("faint", "true")
        self.noted.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def put_into(self, window: QWidget) -> None:
        """Lay everything out, with the page in the middle."""
        who = QVBoxLayout()
        who.setSpacing(0)
        who.addStretch(1)
        who.addWidget(self.practice, 0, Qt.AlignmentFlag.AlignRight)
        who.addWidget(self.person, 0, Qt.AlignmentFlag.AlignRight)
        who.addStretch(1)
        top = QHBoxLayout()
        top.setSpacing(18)
        top.addWidget(self.light)
        top.addStretch(1)
        top.addLayout(who)
        top.addWidget(self.stop)
        steps = QHBoxLayout()
        steps.setSpacing(6)
        for label in self.strip.values():
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            steps.addWidget(label, 1)
        foot = QHBoxLayout()
        foot.setSpacing(18)
        foot.addWidget(self.noted, 1)
        foot.addWidget(self.keys)
        foot.addWidget(self.notice)
        whole = QVBoxLayout(window)
        # Qt would make the window as high as its words were in its narrowest shape.
        whole.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        window.setMinimumSize(*LEAST)
        whole.setContentsMargins(20, 12, 20, 8)
        whole.setSpacing(6)
        whole.addLayout(top)
        whole.addWidget(self.alarms)
        whole.addLayout(steps)
        whole.addWidget(self._page, 1)
        whole.addWidget(self.notes)
        whole.addLayout(foot)
        self.notes.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_frame(
        self,
        words: Words,
        session: Session,
        light: Light,
        steps: tuple[tuple[Step, bool], ...],
        *,
        live: bool,
    ) -> None:
        """Show where the session is.

        Parameters
        ----------
        words : Words
            In which language.
        session : Session
            As it is.
        light : Light
            Of the big light.
        steps : tuple of (Step, bool)
            Every step, and whether it lies behind.
        live : bool
            Whether the space bar stops something even while a note is written.
        """
        self.light.show_light(light, words)
        person = words("participant", person=session.person) if session.person else words("nobody")
        self.person.setText(person)
        self.practice.setText(words("rehearsal"))
        self.stop.speak(words)
        for step, behind in steps:
            here = step is session.step
            sign = "●" if here else "✓" if behind else "○"
            self.strip[step].setText(f"{sign} {words(f'step_{step}')}")
            _set(self.strip[step], "here", here)
            _set(self.strip[step], "faint", not here)
        self.notes.speak(words, live=live)
        keys = ("key_language", "key_look")
        self.keys.setText("   ".join(words(key) for key in keys))
        self.notice.setText(words("notice"))

    def show_noted(self, text: str) -> None:
        """Say what was noted last."""
        self.noted.setText(text)

    def wear(self, look: Look, sizes: Sizes) -> None:
        """Change colours and sizes."""
        self.light.wear(look, round(sizes.status * _PIXELS_PER_POINT * 1.35))
        side = sizes.stop * _PIXELS_PER_POINT
        self.stop.setFixedSize(round(side * 5.4), round(side * 2.3))


def _label(size: str) -> QLabel:
    label = QLabel()
    label.setProperty("words", size)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _set(label: QLabel, name: str, value: bool) -> None:
    """A property that the style sheet looks at; drawn anew only if it is another."""
    word = "true" if value else "false"
    if label.property(name) != word:
        label.setProperty(name, word)
        label.style().unpolish(label)
        label.style().polish(label)
