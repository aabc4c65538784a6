"""The panels of a dashboard in their docks: which can be seen, which has the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from .panels.panel import Panel

_ACTIVE = "active"


class Docks(QObject):
    """One dock for each panel, each with a number.

    Parameters
    ----------
    window : QMainWindow
        Where they are.
    panels : sequence of Panel
        In the order of their numbers; their names differ.
    shown : callable
        Told the name of a panel that can be seen again.
    """

    def __init__(
        self, window: QMainWindow, panels: Sequence[Panel], shown: Callable[[str], None]
    ) -> None:
        super().__init__(window)
        self._window, self._shown = window, shown
        self.panels = {panel.name: panel for panel in panels}
        self.docks = {panel.name: self._dock(n, panel) for n, panel in enumerate(panels, 1)}
        self._seen: set[str] = set()
        self._before: QByteArray | None = None
        self._active: QDockWidget | None = None
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._follow)

    def seen(self) -> list[str]:
        """Panels that can be seen: not closed, not behind another tab."""
        if self._window.isMinimized():
            return []
        return [name for name in self.docks if name in self._seen]

    def focus(self, number: int) -> None:
        """Bring the panel of a number to the front and give it the keyboard."""
        names = list(self.docks)
        if not 0 < number <= len(names):
            return
        dock, panel = self.docks[names[number - 1]], self.panels[names[number - 1]]
        dock.show()
        dock.raise_()
        panel.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def focused(self) -> str:
        """The panel that has the keyboard; empty if none has."""
        widget = QApplication.focusWidget()
        found = (name for name, dock in self.docks.items() if widget and dock.isAncestorOf(widget))
        return next(found, "")

    def enlarge(self) -> None:
        """Show the panel that has the keyboard alone; again: all as they were."""
        if self._before is not None:
            before, self._before = self._before, None
            self._window.restoreState(before)
            return
        name = self.focused()
        if not name:
            return
        self._before = self._window.saveState()
        for other, dock in self.docks.items():
            dock.setVisible(other == name)

    def leave_enlarged(self) -> None:
        """Show all panels as they were, if one was shown alone."""
        if self._before is not None:
            self.enlarge()

    def float_focused(self) -> None:
        """Take the panel that has the keyboard out of the window, or put it back."""
        if name := self.focused():
            self.docks[name].setFloating(not self.docks[name].isFloating())
            self.panels[name].setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys that a floating panel has no use for are the window's."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() is QEvent.Type.KeyPress
            and isinstance(watched, QDockWidget)
            and watched.isFloating()
        ):
            self._window.keyPressEvent(event)
            return True
        return False

    def _dock(self, number: int, panel: Panel) -> QDockWidget:
        key = number % 10 if number <= 10 else ""
        dock = QDockWidget(f"{key}  {panel.title}".strip(), self._window)
        dock.setObjectName(f"dock-{panel.name}")
        dock.setWidget(panel)
        dock.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        dock.visibilityChanged.connect(lambda seen, name=panel.name: self._note(name, seen))
        dock.installEventFilter(self)
        if panel.focusPolicy() == Qt.FocusPolicy.NoFocus:
            panel.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return dock

    def _note(self, name: str, seen: bool) -> None:
        if seen and name not in self._seen:
            self._seen.add(name)
            self._shown(name)
        elif not seen:
            self._seen.discard(name)

    def _follow(self, _: QWidget | None, now: QWidget | None) -> None:
        name = self.focused()
        active = self.docks.get(name)
        if now is None or active is self._active:
            return
        for dock in filter(None, (self._active, active)):
            dock.setProperty(_ACTIVE, dock is active)
            dock.style().unpolish(dock)
            dock.style().polish(dock)
        self._active = active
