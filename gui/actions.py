"""Buttons for what a person can ask of a session, and the space bar that stops it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QPushButton, QSizePolicy, QWidget

from ..runtime.access import Action
from .controls import Controls

AGAIN_MS = 3000
"""How long a second press counts."""

WRITES = "writes"
"""Property of a line in which the space bar writes; everywhere else it stops."""

_NO_LINK = "This window has no control link: it looks on, and can ask for nothing."
_NOT_YOURS = "Your role does not allow this; ask somebody whose role does."


class ActionButton(QPushButton):
    """Asks for one thing.

    Parameters
    ----------
    action : Action
        What for.
    label : str
        On it.
    key : str
        That does the same, shown on it; empty for none.
    controls : Controls
        Who asks.
    may : collection of Action
        What the person's role allows.
    twice : bool
        Whether it wants a second press within `AGAIN_MS`. Nothing is ever laid over the stop.
    why : str
        What it does, for the tooltip.
    """

    def __init__(
        self,
        action: Action,
        label: str,
        key: str,
        controls: Controls,
        may: Collection[Action],
        *,
        twice: bool = False,
        why: str = "",
    ) -> None:
        super().__init__()
        self.action, self.key, self.why = action, key, why
        self._label, self._controls, self._twice = label, controls, twice
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(AGAIN_MS)
        self._again.timeout.connect(self._say)
        self.clicked.connect(self.press)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        allowed = action in may
        self.setEnabled(allowed and controls.connected)
        reason = "" if self.isEnabled() else _NO_LINK if allowed else _NOT_YOURS
        self.setToolTip(" ".join(filter(None, (why, reason))))
        self.setAccessibleName(label)
        self._say()

    @property
    def waits(self) -> bool:
        """Whether it waits for its second press."""
        return self._again.isActive()

    def press(self) -> None:
        """Ask; or wait for the second press."""
        if not self.isEnabled():
            return
        if self._twice and not self.waits:
            self._again.start()
            self._say()
            return
        self._again.stop()
        self._say()
        self._controls.ask(self.action)

    def _say(self) -> None:
        text = f"{self._label}: press again" if self.waits else self._label
        self.setText(f"{text}   {self.key}" if self.key else text)


class StopButton(QPushButton):
    """The emergency stop, with the space bar as its key wherever the keyboard is.

    Parameters
    ----------
    controls : Controls
        Who asks. Without a control link the button says so, and still answers.
    """

    pressed_now = Signal()
    """It was pressed, by whatever."""

    def __init__(self, controls: Controls) -> None:
        linked = controls.connected
        super().__init__("STOP\nSpace" if linked else "STOP\nno link")
        self.setObjectName("stop")
        self.setAccessibleName("Emergency stop")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(150)
        self.setStyleSheet("font-size: 17pt;")
        self.setToolTip(
            "Stops all output at once (space bar; Ctrl+space while you write)."
            if linked
            else "This window cannot stop the session: press the stop at the machine."
        )
        self._controls = controls
        self.clicked.connect(self.stop)

    def listen(self, window: QWidget) -> None:
        """Hear the space bar in all windows of the process, for as long as one is there.

        Parameters
        ----------
        window : QWidget
            The window that shows the stop.
        """
        for keys in ("Space", "Ctrl+Space", "Shift+Space"):
            shortcut = QShortcut(QKeySequence(keys), window)
            shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(self.stop)
            shortcut.activatedAmbiguously.connect(self.stop)
        _SpaceIsFree(window)

    def stop(self) -> None:
        """Stop."""
        self.pressed_now.emit()
        self._controls.ask(Action.STOP)


class _SpaceIsFree(QObject):
    """Keeps whatever has the keyboard from taking the space bar for itself."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._watched: QWidget | None = None
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._follow)
        self._follow(None, application.focusWidget())

    def _follow(self, _: QWidget | None, now: QWidget | None) -> None:
        if self._watched is not None:
            with suppress(RuntimeError):  # it may be gone by now
                self._watched.removeEventFilter(self)
        self._watched = now
        if now is not None:
            now.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Turn down the claim of a widget on the space bar, unless it is for writing."""
        if (
            event.type() is QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Space
            and not (watched.property(WRITES) and not event.modifiers())
        ):
            event.ignore()
            return True
        return False
