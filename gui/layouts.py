"""Where the panels of the dashboard stand: a good beginning, and layouts that people save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow

_VERSION = 1  # of a saved state; another one is not restored
_THREE_ROWS = 950  # pixels of height from which three panels stand well above each other
_SAVED, _LAST = "layouts/{name}", "last"

_SLOTS = (
    ("main", ("trace",)),
    ("under", ("prob",)),
    ("beside", ("guard",)),
    ("top", ("map", "quality", "band", "head")),
    ("middle", ("spectr", "drift", "latency")),
    ("bottom", ("event", "adapt")),
)
"""Slots, and how the names of the panels begin that stand there; others stand in the middle."""


class Store(Protocol):
    """What keeps layouts: a ``QSettings``, or a stand-in."""

    def value(self, key: str, /) -> Any:
        """What was kept; None if nothing was."""

    def setValue(self, key: str, value: Any, /) -> None:
        """Keep something."""

    def remove(self, key: str, /) -> None:
        """Keep it no more."""

    def allKeys(self) -> Sequence[str]:
        """What is kept."""


class Kept(dict[str, Any]):
    """A store in memory."""

    def value(self, key: str, /) -> Any:
        """As in `Store`."""
        return self.get(key)

    def setValue(self, key: str, value: Any, /) -> None:
        """As in `Store`."""
        self[key] = value

    def remove(self, key: str, /) -> None:
        """As in `Store`."""
        self.pop(key, None)

    def allKeys(self) -> Sequence[str]:
        """As in `Store`."""
        return list(self)


class Layouts:
    """Arranges the docks of a window.

    Parameters
    ----------
    window : QMainWindow
        With its docks, each with its own object name.
    docks : mapping of str to QDockWidget
        By the name of their panel.
    store : Store
        Where layouts are kept.
    """

    def __init__(self, window: QMainWindow, docks: Mapping[str, QDockWidget], store: Store) -> None:
        self._window, self._docks, self._store = window, docks, store

    def names(self) -> list[str]:
        """Saved layouts, in alphabetical order."""
        start = _SAVED.format(name="")
        keys = [str(key) for key in self._store.allKeys()]
        return sorted(key.removeprefix(start) for key in keys if key.startswith(start))

    def save(self, name: str) -> None:
        """Keep the present layout under a name; one of the same name is replaced."""
        self._keep(_SAVED.format(name=name.replace("/", "-")))

    def remove(self, name: str) -> None:
        """Keep a layout no more."""
        self._store.remove(_SAVED.format(name=name))

    def restore(self, name: str) -> bool:
        """Go back to a saved layout; False if there is none, or it cannot be read."""
        return self._restore(_SAVED.format(name=name))

    def keep_last(self) -> None:
        """Keep the present layout for the next time."""
        self._keep(_LAST)

    def restore_last(self) -> bool:
        """Go back to how the window was left; False if that is not known."""
        return self._restore(_LAST)

    def arrange(self) -> None:
        """The layout that fits most: traces large on the left, the rest around them."""
        for dock in self._docks.values():
            dock.setFloating(False)
            self._window.removeDockWidget(dock)
        slots = self._slots()
        firsts = {slot: docks[0] for slot, docks in slots.items()}
        left = [firsts[name] for name in ("main", "under") if name in firsts]
        right = [firsts[name] for name in ("top", "middle", "bottom") if name in firsts]
        self._stack(left, right)
        if "beside" in firsts:
            self._put_beside(firsts["beside"], firsts.get("under"), left, right)
        for docks in slots.values():
            for dock in docks[1:]:
                self._window.tabifyDockWidget(docks[0], dock)
            for dock in docks:
                dock.show()
            docks[0].raise_()
        self._resize(left, right, firsts.get("beside"))

    def _stack(self, left: list[QDockWidget], right: list[QDockWidget]) -> None:
        window, area = self._window, Qt.DockWidgetArea.LeftDockWidgetArea
        heads = [column[0] for column in (left, right) if column]
        if heads:
            window.addDockWidget(area, heads[0])
        if len(heads) == 2:
            window.splitDockWidget(heads[0], heads[1], Qt.Orientation.Horizontal)
        for column in (left, right):
            for above, below in pairwise(column):
                window.splitDockWidget(above, below, Qt.Orientation.Vertical)

    def _put_beside(
        self,
        dock: QDockWidget,
        under: QDockWidget | None,
        left: list[QDockWidget],
        right: list[QDockWidget],
    ) -> None:
        if under is not None:
            self._window.splitDockWidget(under, dock, Qt.Orientation.Horizontal)
        elif left or right:
            self._window.splitDockWidget((left or right)[-1], dock, Qt.Orientation.Vertical)
        else:
            self._window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)

    def _resize(
        self, left: list[QDockWidget], right: list[QDockWidget], beside: QDockWidget | None
    ) -> None:
        window, wide, tall = self._window, self._window.width(), self._window.height()
        upright, flat = Qt.Orientation.Vertical, Qt.Orientation.Horizontal
        if left and right:
            shares = [round(0.6 * wide), round(0.4 * wide)]
            window.resizeDocks([left[0], right[0]], shares, flat)
        if len(left) == 2:
            window.resizeDocks(left, [round(0.65 * tall), round(0.35 * tall)], upright)
            if beside is not None:
                shares = [round(0.34 * wide), round(0.26 * wide)]
                window.resizeDocks([left[1], beside], shares, flat)
        if len(right) == 2:
            window.resizeDocks(right, [round(0.45 * tall), round(0.55 * tall)], upright)
        if len(right) == 3:
            window.resizeDocks(right, [round(part * tall) for part in (0.36, 0.32, 0.32)], upright)

    def _slots(self) -> dict[str, list[QDockWidget]]:
        found: dict[str, list[QDockWidget]] = {}
        for name, dock in self._docks.items():
            slot = next((s for s, starts in _SLOTS if name.startswith(starts)), "middle")
            found.setdefault(slot, []).append(dock)
        if "beside" in found and self._window.height() < _THREE_ROWS:
            found["beside"] += found.pop("bottom", [])
        if "main" not in found and found:  # whatever comes first is what is looked at
            slot = next(iter(found))
            found = {"main": [found[slot].pop(0)], **{s: d for s, d in found.items() if d}}
        return found

    def _keep(self, key: str) -> None:
        self._store.setValue(key, self._window.saveState(_VERSION))

    def _restore(self, key: str) -> bool:
        state = self._store.value(key)
        return isinstance(state, QByteArray) and self._window.restoreState(state, _VERSION)
