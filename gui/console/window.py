"""The operator's window: it shows where the session is, and carries what a person does.

The stop is heard before anything else, by one filter over all keys of the program: whatever has the
keyboard, and whatever is being waited for. Nothing here waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, cast

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent, QWindow
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from ...runtime.messages import StreamSpec
from ...runtime.quality import Quality
from ...runtime.telemetry import Telegram
from ..electrode_state import MapWords
from ..look import DARK, LIGHT, Look
from .alarms import Alarm, Alarms, Sound
from .chrome import Chrome
from .hearing import Hearing
from .learning import learn
from .lights import light_of
from .map_words import map_words
from .news import LoopRuns, News, ResetDone
from .page_view import PageView
from .script import Times, page_of
from .session import Act, Order, Outcome, Output, Session, Step
from .sizes import Sizes, console_style
from .steps import act, steps_of
from .words import NOTES, SEIZURE_NOTE, Words
from .work import Work

_FRAME_MS = 100
_TONE_MS = 260
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MODIFIED = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


class QualityView(Protocol):
    """What draws the electrodes; a widget."""

    def show_spec(self, spec: StreamSpec) -> None:
        """Learn which electrodes there are."""

    def show_quality(self, quality: Quality) -> None:
        """Learn how they are."""

    def wear(self, look: Look) -> None:
        """Change colours."""

    def set_words(self, words: MapWords) -> None:
        """Change the language."""


class Console(QWidget):
    """The window.

    Parameters
    ----------
    work : Work
        What does what is ordered.
    quality_view : QWidget
        Draws the electrodes; a `QualityView`.
    language : str
        ``"en"`` or ``"ko"``.
    look : Look
        Colours.
    rehearsal : bool
        Say in large letters that nobody is connected.
    beep : callable, optional
        Plays one tone; the system's own by default.
    clock : callable, optional
        Seconds that only go forward.
    """

    def __init__(
        self,
        work: Work,
        quality_view: QWidget,
        *,
        language: str = "en",
        look: Look = DARK,
        rehearsal: bool = False,
        beep: Callable[[], None] = QApplication.beep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.setObjectName("console")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.work, self.words, self.look = work, Words(language), look
        self.session, self.alarms, self.hearing = Session(), Alarms(), Hearing()
        self._electrodes = cast("QualityView", quality_view)
        self._beep, self._clock = beep, clock
        self._sound = Sound()
        self._feedback_s = self._since_s = 0.0
        self._break_from_s = self._last_s = clock()
        self._refused = self._noted = ""
        self._seizure_noted = False
        self._shown: object = None
        self.page = PageView(quality_view, self.do)
        self.chrome = Chrome(self.page, self.words, self.note, self.write_note, rehearsal=rehearsal)
        self.chrome.put_into(self)
        self.chrome.stop.clicked.connect(lambda: self.do(Act.STOP))
        self.chrome.alarms.button.clicked.connect(self.acknowledge)
        work.news.connect(self.learn)
        work.heard.connect(self.take)
        work.code_wanted.connect(self.ask_code)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_FRAME_MS)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)
        self._sizes = Sizes()
        self._dress()
        self._speak()
        self.resize(1280, 800)
        self._show()
        self.page.focus()

    # ------------------------------------------------------------------------- what a person does

    def do(self, what: Act) -> None:
        """Let a person do something.

        Parameters
        ----------
        what : Act
            What was chosen.
        """
        self._apply(act(self.session, what, self.page.code.text()))
        if what is Act.NEXT_PERSON and not self._refused:
            self._begin_anew()

    def note(self, number: int) -> None:
        """Put one of the ready notes on record; a suspected seizure also stops.

        Parameters
        ----------
        number : int
            Of `NOTES`.
        """
        if number == SEIZURE_NOTE:
            self._seizure_noted = True
            self.do(Act.STOP)
        self.work.note(NOTES[number])
        self._tell_noted(self.words(f"note_{number}"))

    def write_note(self, text: str) -> None:
        """Put a note in words on record."""
        self.work.note(text)
        self._tell_noted(text)

    def ask_code(self) -> None:
        """Ask for the one-time code of a person who was locked after a quarter of an hour."""
        self.chrome.notes.ask(self.words("code_hint"), self.work.code)

    def acknowledge(self) -> None:
        """Say that the alarms were seen."""
        self._seizure_noted = False
        self.alarms = self.alarms.acknowledge()
        self.refresh()

    def change_language(self) -> None:
        """Speak the other language."""
        self.words = self.words.other
        self._speak()
        self._show()

    def change_look(self) -> None:
        """Dark or light."""
        self.look = LIGHT if self.look is DARK else DARK
        self._dress()
        self._show()

    # ------------------------------------------------------------------------- what it is told

    def learn(self, news: News) -> None:
        """Learn something about the session."""
        if isinstance(news, LoopRuns):
            self.hearing.begin_loop(self._clock())
        elif isinstance(news, ResetDone):
            self.hearing.reset()
        self._apply(learn(self.session, news))

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        for news in self.hearing.take(message, self._clock()):
            self.learn(news)
        if isinstance(message, StreamSpec):
            self._electrodes.show_spec(message)
        elif isinstance(message, Quality):
            self._electrodes.show_quality(message)

    def refresh(self) -> None:
        """Draw what changes with time: alarms, their flashing and tones, and how long it takes."""
        now_s = self._clock()
        passed_s, self._last_s = now_s - self._last_s, now_s
        if self.session.output in (Output.ON, Output.HOLDING):
            self._feedback_s += passed_s
        wrong = self.hearing.wrong(self.session, now_s, self.work.lost)
        if self._seizure_noted:
            wrong[Alarm.SEIZURE] = {}
        self.alarms = self.alarms.update(wrong, now_s)
        for tone in range(self._sound.due(self.alarms, now_s)):
            QTimer.singleShot(tone * _TONE_MS, self, self._beep)
        self._show()

    # ------------------------------------------------------------------------- keys

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Hear every key of the program before anything else does; the stop first of all."""
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        if not isinstance(watched, QWidget | QWindow):
            return False
        if self._stops(event):
            if not event.isAutoRepeat():
                self.do(Act.STOP)
            return True
        ours = isinstance(watched, QWidget) and watched.window() is self
        return ours and not event.isAutoRepeat() and self._key(event)

    def _stops(self, event: QKeyEvent) -> bool:
        """The space bar and F12. In a note, while there is nothing to stop, a space is a space."""
        if event.key() == Qt.Key.Key_F12:
            return True
        if event.key() != Qt.Key.Key_Space:
            return False
        shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        writing = self.chrome.notes.writing
        return not (writing and (shifted or not self._can_stop()))

    def _can_stop(self) -> bool:
        return self.session.running or self.session.task in (Order.CALIBRATE, Order.RUN)

    def _key(self, event: QKeyEvent) -> bool:
        key, notes = event.key(), self.chrome.notes
        functions = {Qt.Key.Key_F2: self.change_language, Qt.Key.Key_F3: self.change_look}
        if key in functions:
            functions[Qt.Key(key)]()
            return True
        if notes.writing:
            return self._key_in_note(key)
        if key in _ENTER:
            return self._enter()
        if self.focusWidget() is self.page.code or event.modifiers() & _MODIFIED:
            return False
        return self._letter(key)

    def _key_in_note(self, key: int) -> bool:
        if key == Qt.Key.Key_Escape:
            self.chrome.notes.leave()
        elif key in _ENTER:
            self.chrome.notes.submit()
        else:
            return False
        self.page.focus()
        return True

    def _enter(self) -> bool:
        """The main button, unless the keyboard is on another one."""
        focused = self.focusWidget()
        button = focused if isinstance(focused, QPushButton) else self.page.main
        button.click()
        return True

    def _letter(self, key: int) -> bool:
        if key == Qt.Key.Key_A:
            self.acknowledge()
        elif key == Qt.Key.Key_N:
            self.chrome.notes.write()
        elif Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            self.note(int(key) - int(Qt.Key.Key_0))
        else:
            return self._choice(key)
        return True

    def _choice(self, key: int) -> bool:
        page = page_of(self.session, self.words, self._times())
        for choice in page.others:
            if len(choice.key) == 1 and key == ord(choice.key):
                self.do(choice.act)
                return True
        return False

    # ------------------------------------------------------------------------- showing

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Larger words in a larger window."""
        super().resizeEvent(event)
        sizes = Sizes.for_window(self.width(), self.height())
        if sizes != self._sizes:
            self._sizes = sizes
            self._dress()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close, unless a session runs: it is ended first, so that nobody is left with it."""
        if self.session.running:
            self._refused = self.words("refuse_running")
            self._show()
            event.ignore()
            return
        self._timer.stop()
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self.work.close()
        super().closeEvent(event)

    def _apply(self, outcome: Outcome) -> None:
        before, self.session = self.session, outcome.session
        refused = outcome.refused
        if refused:
            self._refused = self.words(refused.key, **dict(refused.values))
        elif outcome.session != before:
            self._refused = ""
        self._note_times(before)
        for order in outcome.orders:
            self.work.do(order, self.session)
        self._show()
        if self.session.step is not before.step:
            self.page.focus()

    def _note_times(self, before: Session) -> None:
        now_s = self._clock()
        if self.session.blocks > before.blocks:
            self.hearing.begin_block(now_s)
        if self.session.step is Step.BREAK and before.step is not Step.BREAK:
            self._break_from_s = now_s

    def _begin_anew(self) -> None:
        self.hearing.forget()
        self.alarms, self._feedback_s = Alarms(), 0.0
        self._noted = ""
        self.page.code.clear()
        self._show()

    def _times(self) -> Times:
        return Times(
            feedback_s=self._feedback_s,
            break_s=self._clock() - self._break_from_s,
            break_due=self.hearing.break_due,
        )

    def _tell_noted(self, text: str) -> None:
        self._noted = self.words("noted", time=f"{datetime.now():%H:%M:%S}", text=text)
        self._show()

    def _show(self) -> None:
        session, words = self.session, self.words
        self.chrome.alarms.show_alarms(self.alarms, words, self._clock())
        page = page_of(session, words, self._times())
        light = light_of(session, alarmed=self.alarms.high)
        shown = (page, light, words, session, self._refused, self._noted)
        if shown == self._shown:
            return
        self._shown = shown
        self.page.show_page(page, session.step, words, self._refused)
        self.chrome.show_frame(words, session, light, steps_of(session), live=self._can_stop())
        self.chrome.show_noted(self._noted)
        self.setWindowTitle(f"{words('title')} - {words('notice')}")

    def _speak(self) -> None:
        self._electrodes.set_words(map_words(self.words))

    def _dress(self) -> None:
        self.setStyleSheet(console_style(self.look, self._sizes))
        self.chrome.wear(self.look, self._sizes)
        self._electrodes.wear(self.look)
