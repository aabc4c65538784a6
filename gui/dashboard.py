"""The experimenter's window: what the session does now, its panels, and what a person can do.

It is another process than the loop, and is told newest-only; it may be opened late, hang or die.
Plain letters belong to the panel that has the keyboard, what is held with Ctrl to the window; the
space bar is the stop, wherever the keyboard is.
Opened on a `Recorded`, the same window shows a recording, and nothing in it can be controlled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QMainWindow, QMenu, QToolBar, QToolButton, QWidget

from ..runtime.access import Action
from ..runtime.clock import MonotonicClock
from ..runtime.control_wire import LONGEST_TEXT
from ..runtime.shield import Kept as Shield
from ..runtime.stages import Clock
from ..runtime.telemetry import Telegram
from .application import dress
from .controls import Answer, Controls
from .docks import Docks
from .feed import FRAME_HZ, Feed, Teller
from .foot import Foot
from .header import Header
from .header_words import cells, replayed, silence
from .keys_help import KEYS, REPLAY_KEYS, KeysHelp
from .layouts import Kept, Layouts, Store
from .look import DARK, LIGHT, Look
from .pacing import Pacer
from .panels.panel import Panel
from .recorded import Recorded
from .replay_bar import ReplayBar
from .view_state import SEIZURE, ViewState

LIVELY_HZ = {"traces": 60.0, "probabilities": 20.0}
"""How often panels are worth drawing that move; all others `_CALM_HZ`."""

_CALM_HZ = 10.0
_WORDS_S = 0.2  # nobody reads faster
_HINT = "Space stops all output · F1 shows all keys"
_REPLAY_HINT = "A recording: nothing runs, so there is nothing to stop · F1 shows all keys"
_STEP_S = 5.0
_CATCH_UP_S = 0.04
_LONGEST_NAME = 40
_LONGEST_CODE = 8


@runtime_checkable
class StandsStill(Protocol):
    """A panel that can be paused by itself, and be scrolled back meanwhile."""

    def set_paused(self, paused: bool) -> None:
        """Stand still, or go on."""


class Dashboard(QMainWindow):
    """The window. Call `start` once it is shown.

    Parameters
    ----------
    panels : sequence of Panel
        In the order of their number keys; the window owns them from here on.
    teller : Teller
        Where messages come from; closed with the window.
    controls : Controls
        Who asks the session for things; stays the caller's to close.
    session : str
        Name for the header.
    look : Look
        Colours to begin with.
    may : collection of Action
        What the person's role allows.
    store : Store, optional
        Where layouts are kept, such as a ``QSettings``; in memory if not given.
    clock : Clock, optional
        To notice silence; the monotonic one by default.
    """

    def __init__(
        self,
        panels: Sequence[Panel],
        teller: Teller,
        controls: Controls,
        *,
        session: str = "",
        look: Look = DARK,
        may: Collection[Action] = frozenset(),
        store: Store | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self.look = look
        self.state = ViewState(session=session)
        self.feed = Feed(teller, self.take, self.frame)
        self.recorded = teller if isinstance(teller, Recorded) else None
        self.paused_at_s: float | None = None
        """Since when the pictures stand still; None if they move."""
        self._controls, self._may = controls, may
        self._clock = clock or MonotonicClock()
        self._shield = Shield()
        self._words_at_s = -1e9
        self._arranged = False
        self._pacer = Pacer(
            [(panel.name, LIVELY_HZ.get(panel.name, _CALM_HZ)) for panel in panels],
            frame_hz=FRAME_HZ,
        )
        self.setWindowTitle(f"{session or 'session'} · diverloop")
        self.resize(1280, 800)
        self.header = Header(session, controls, may, replayed=self.recorded is not None)
        self.foot = Foot()
        self.bar = ReplayBar(self.recorded) if self.recorded else None
        self.setDockNestingEnabled(True)
        self.docks = Docks(self, panels, self._pacer.hurry)
        self._panels = dict(self.docks.panels)
        self.layouts = Layouts(self, self.docks.docks, Kept() if store is None else store)
        self.help = KeysHelp(REPLAY_KEYS if self.recorded else KEYS, self)
        self._put_around()
        self._bind_keys()
        self.wear(look)

    # ------------------------------------------------------------------------ what comes

    def start(self) -> None:
        """Begin to listen and to draw."""
        self.feed.start()

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.state.take(message, self._clock.now_ns())
        for panel in list(self._panels.values()):
            self._guarded(panel, partial(panel.take, message))

    def frame(self) -> None:
        """Draw what is due; called 60 times a second at most."""
        now_s = time.perf_counter()
        if self.bar is not None:
            self.bar.draw()
            self._catch_up(now_s)
        if now_s - self._words_at_s >= _WORDS_S:
            self._words_at_s = now_s
            self._say_words()
        seen = [name for name in self.docks.seen() if name in self._panels]
        if self.paused_at_s is not None:
            seen = [name for name in seen if isinstance(self._panels[name], StandsStill)]
        for name in self._pacer.due(now_s, seen):
            panel, began_s = self._panels[name], time.perf_counter()
            self._guarded(panel, panel.draw)
            self._pacer.drew(name, time.perf_counter() - began_s)

    def event(self, event: QEvent) -> bool:
        """Time what Qt paints."""
        if event.type() is not QEvent.Type.UpdateRequest:
            return super().event(event)
        began_s = time.perf_counter()
        done = super().event(event)
        self._pacer.painted(time.perf_counter() - began_s)
        return done

    # ------------------------------------------------------------------------ what a person does

    def wear(self, look: Look) -> None:
        """Change colours."""
        self.look = look
        dress(self, look)
        for part in (self.header, self.foot, self.help, self.bar, *self._panels.values()):
            if part is not None:
                part.wear(look)

    @Slot()
    def change_look(self) -> None:
        """From dark to light, and back."""
        self.wear(LIGHT if self.look is DARK else DARK)

    @Slot()
    def pause(self) -> None:
        """Let the pictures stand still, or go on; the header goes on in any case."""
        if self.bar is not None:
            self.bar.toggle()
            return
        paused = self.paused_at_s is None
        self.paused_at_s = time.perf_counter() if paused else None
        for panel in self._panels.values():
            if isinstance(panel, StandsStill):
                panel.set_paused(paused)
        self._words_at_s = -1e9

    @Slot()
    def note(self) -> None:
        """Open the line for a note."""
        if self.recorded or Action.NOTE not in self._may or not self._controls.connected:
            why = "A recording takes no notes." if self.recorded else "Your role takes no notes."
            if not self.recorded and not self._controls.connected:
                why = "No note can be taken: this window has no control link."
            self.foot.say(why, bad=True)
            return
        self.foot.writing.write(
            "Note", lambda text: self._controls.ask(Action.NOTE, text=text), LONGEST_TEXT
        )

    @Slot()
    def save_layout(self) -> None:
        """Open the line for the name of the present layout."""
        self.foot.writing.write("Save this layout as", self._save_layout, _LONGEST_NAME)

    @Slot()
    def reset_layout(self) -> None:
        """The layout that fits most."""
        self.docks.leave_enlarged()
        self.layouts.arrange()
        self.foot.say("The panels stand as they did at first.")

    def showEvent(self, event: QShowEvent) -> None:
        """Arrange the panels, once the window has its size."""
        super().showEvent(event)
        if not self._arranged:
            self._arranged = True
            if not self.layouts.restore_last():
                self.layouts.arrange()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keep the layout, listen no more."""
        self.docks.leave_enlarged()
        if self._arranged:
            self.layouts.keep_last()
        self.feed.stop()
        super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that no panel wanted."""
        key = event.key()
        if key == Qt.Key.Key_Escape and self.help.isVisible():
            self.help.hide()
        elif key == Qt.Key.Key_P:
            self.pause()
        elif self.bar is not None and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            step_s = 60.0 if far else _STEP_S
            self.bar.go(step_s if key == Qt.Key.Key_Right else -step_s)
        elif self.bar is not None and key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.bar.go_to(0.0 if key == Qt.Key.Key_Home else float("inf"))
        else:
            super().keyPressEvent(event)

    # ------------------------------------------------------------------------ inside

    def _catch_up(self, now_s: float) -> None:
        """After a jump many messages are due: better one long frame than a picture of before."""
        while self.recorded is not None and self.recorded.behind:
            if time.perf_counter() - now_s > _CATCH_UP_S:
                break
            if (message := self.recorded.poll(0)) is not None:
                self.take(message)

    def _say_words(self) -> None:
        state = self.state
        state.now_ns = self._clock.now_ns()
        state.missed_messages = self.feed.teller.lost
        state.unreadable = self.feed.teller.unreadable
        shown = cells(state)
        if self.recorded is not None:
            shown = (*shown[:-1], replayed(self.recorded.playing, self.recorded.speed))
            self.header.say(SEIZURE if state.seizure else "", _REPLAY_HINT)
        else:
            found = [SEIZURE if state.seizure else "", silence(state), self._stands()]
            self.header.say("   ".join(filter(None, found)), _HINT)
        self.header.show_cells(shown)

    def _stands(self) -> str:
        if self.paused_at_s is None:
            return ""
        since_s = time.perf_counter() - self.paused_at_s
        return f"Paused for {since_s:.0f} s, the pictures are old: Ctrl+P goes on."

    def _guarded(self, panel: Panel, act: Callable[[], None]) -> None:
        """One panel that fails must not take the stop, nor the others, with it."""
        with self._shield:
            act()
        if (error := self._shield.error) is None:
            return
        self._panels.pop(panel.name, None)
        self.docks.docks[panel.name].setWindowTitle(f"{panel.title}: failed, stands still")
        what = f"{type(error).__name__}: {error}"
        self.foot.say(f"The panel {panel.title!r} failed ({what}); all else goes on.", bad=True)

    @Slot(object)
    def _hear(self, answer: Answer) -> None:
        name = str(answer.action).replace("_", " ").capitalize()
        done = "done" if answer.done else "not done"
        self.foot.say(f"{name}, {done}: {answer.text}", bad=not answer.done)
        if answer.wants_code:
            self.foot.writing.write(
                f"One-time code to {name.lower()}",
                lambda code: self._controls.ask(answer.action, code=code),
                _LONGEST_CODE,
            )

    @Slot()
    def _forget(self) -> None:
        """Another time is looked at."""
        self.state = ViewState(session=self.state.session)
        for panel in list(self._panels.values()):
            self._guarded(panel, panel.forget)
            self._pacer.hurry(panel.name)

    def _save_layout(self, name: str) -> None:
        self.layouts.save(name)
        self.foot.say(f"The layout is saved as {name!r}; Ctrl+L brings it back.")

    def _restore_layout(self, name: str) -> None:
        self.docks.leave_enlarged()
        there = self.layouts.restore(name)
        self.foot.say(
            f"Layout {name!r}" if there else f"Layout {name!r} fits no more", bad=not there
        )

    def _put_around(self) -> None:
        self.setMenuWidget(self.header)
        below = QToolBar("foot", self)
        below.setObjectName("foot-bar")
        below.setMovable(False)
        below.toggleViewAction().setEnabled(False)
        below.setStyleSheet("QToolBar { border: 0; padding: 0; spacing: 0; }")
        below.addWidget(self._foot_widget())
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, below)
        self._controls.answered.connect(self._hear)
        self.header.stop.pressed_now.connect(lambda: self.foot.say("Stop pressed: asking."))

    def _foot_widget(self) -> QWidget:
        self.menu = QMenu("Layouts", self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.menu_button = QToolButton()
        self.menu_button.setText("Layouts   Ctrl+L")
        self.menu_button.setMenu(self.menu)
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.foot.add_button(self.menu_button)
        if self.bar is not None:
            self.foot.add_above(self.bar)
            self.bar.went.connect(self._forget)
        return self.foot

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.menu.addAction("As at first   Ctrl+0", self.reset_layout)
        for name in self.layouts.names():
            self.menu.addAction(name, partial(self._restore_layout, name))
        self.menu.addAction("Save as …   Ctrl+S", self.save_layout)
        names = self.layouts.names()
        if names:
            remove = self.menu.addMenu("Remove")
            for name in names:
                remove.addAction(name, partial(self.layouts.remove, name))
        self.menu.addSeparator()
        for dock in self.docks.docks.values():
            self.menu.addAction(dock.toggleViewAction())

    def _bind_keys(self) -> None:
        if self.recorded is None:
            self.header.stop.listen(self)
            for button in self.header.buttons.values():
                self._bind(button.key, button.press)
            self._bind("Ctrl+N", self.note)
        elif self.bar is not None:
            bar = self.bar
            for key, act in (
                ("Ctrl+Down", partial(bar.change_speed, -1)),
                ("Ctrl+Up", partial(bar.change_speed, 1)),
                ("Ctrl+Left", partial(bar.to_mark, -1)), ("Ctrl+Right", partial(bar.to_mark, 1)),
            ):  # fmt: skip
                self._bind(key, act)
        for number in range(10):
            self._bind(str(number), partial(self.docks.focus, number or 10))
        for keys, do in (
            ("Ctrl+P", self.pause), ("Ctrl+T", self.change_look), ("Ctrl+E", self.docks.enlarge),
            ("Ctrl+O", self.docks.float_focused), ("F1", self.help.toggle),
            ("F11", self._full_screen),
            ("Ctrl+S", self.save_layout), ("Ctrl+L", self.menu_button.showMenu),
            ("Ctrl+0", self.reset_layout),
        ):  # fmt: skip
            self._bind(keys, do)

    def _bind(self, keys: str, act: Callable[[], None]) -> None:
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(act)

    def _full_screen(self) -> None:
        self.showNormal() if self.isFullScreen() else self.showFullScreen()
