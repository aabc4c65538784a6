"""What a person can choose about the traces, each with a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QComboBox, QLineEdit, QToolBar, QToolButton, QWidget

from ..trace_filter import MAINS, PASSES
from ..trace_view import GROUPS, ORDERS, SCALES_UV, WINDOWS_S, TraceView

AUTO = 0
"""Among the scales: the one that follows the signal."""


class TraceBar(QToolBar):
    """Buttons and lists over the traces.

    Parameters
    ----------
    view : TraceView
        Changed here.
    pause, live, turn_page : callable
        What the panel does; `turn_page` is given a step.
    """

    def __init__(
        self,
        view: TraceView,
        pause: Callable[[], None],
        live: Callable[[], None],
        turn_page: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._view = view
        self._shown: TraceView | None = None
        self._boxes: list[tuple[QComboBox, Callable[[], Any]]] = []
        self.setMovable(False)
        self.setStyleSheet("QToolBar { background: transparent; border: 0; spacing: 4px; }")
        windows = [(f"{s} s", s) for s in WINDOWS_S]
        scales = [("auto", AUTO), *((f"{uv} µV", uv) for uv in SCALES_UV)]
        groups = [(f"{n} channels" if n else "all channels", n) for n in GROUPS]
        mains = [(f"no {hz} Hz" if hz else "mains kept", hz) for hz in MAINS]
        passes = [(f"{name} Hz" if name == "all" else name, name) for name in PASSES]
        self._choice("Time shown  [ ]", windows, self._window, lambda: view.window_s)
        self._choice(
            "From row to row  + -  (A: auto)",
            scales, self._scale, lambda: AUTO if view.auto else view.scale_uv,
        )  # fmt: skip
        self._choice("How many channels  G", groups, self._group, lambda: view.group)
        self._button("◂", "Channels before  Page Up", lambda: turn_page(-1))
        self._button("▸", "Channels after  Page Down", lambda: turn_page(1))
        self.search = QLineEdit()
        self.search.setPlaceholderText("find  /")
        self.search.setToolTip("Show only channels with this in their name  /")
        self.search.setFixedWidth(90)
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._find)
        self.addWidget(self.search)
        orders = [(name, name) for name in ORDERS]
        self._choice("Order of channels  O", orders, self._order, lambda: view.order)
        self._choice(
            "View filter, not what the decoder sees  F",
            passes, self._passes, lambda: view.filter.passes,
        )  # fmt: skip
        self._choice(
            "View filter, not what the decoder sees  N",
            mains, self._mains, lambda: view.filter.mains_hz,
        )  # fmt: skip
        self._sweep = self._button("sweep", "Sweep, or run to the left  S", self.change_sweep)
        self._pause = self._button("Pause", "Hold the picture  P", pause)
        self._live = self._button("Live", "Back to now  End", live)

    def show_view(self) -> None:
        """Bring what is shown in line with the view."""
        view = self._view
        if view == self._shown:
            return
        self._shown = replace(view)
        for box, now in self._boxes:
            place = box.findData(now())
            if place != box.currentIndex():
                box.setCurrentIndex(place)
        self._sweep.setText("sweep" if view.sweep else "run")
        self._pause.setText("Pause" if view.paused_at is None else "Go on")
        self._live.setEnabled(view.paused_at is not None)

    def keys(self, owner: QWidget) -> None:
        """Give every choice its key, while the keyboard is anywhere in the panel.

        Parameters
        ----------
        owner : QWidget
            The panel.
        """
        view = self._view
        for keys, act in (
            (("+", "="), lambda: view.magnify(1)),
            (("-",), lambda: view.magnify(-1)),
            (("A",), lambda: setattr(view, "auto", not view.auto)),
            (("[",), lambda: view.stretch(-1)),
            (("]",), lambda: view.stretch(1)),
            (("G",), lambda: self._group(_after(GROUPS, view.group))),
            (("O",), lambda: self._order(_after(ORDERS, view.order))),
            (("F",), lambda: self._passes(_after(PASSES, view.filter.passes))),
            (("N",), lambda: self._mains(_after(MAINS, view.filter.mains_hz))),
            (("S",), self.change_sweep),
            (("/", "Ctrl+F"), self.search.setFocus),
        ):
            for key in keys:
                bind(owner, key, act)

    def change_sweep(self) -> None:
        """From a sweep to running traces, and back."""
        self._view.sweep = not self._view.sweep

    def _choice(
        self,
        tip: str,
        choices: Sequence[tuple[str, Any]],
        choose: Callable[[Any], None],
        now: Callable[[], Any],
    ) -> None:
        box = QComboBox()
        for text, value in choices:
            box.addItem(text, value)
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        box.setCurrentIndex(box.findData(now()))
        box.activated.connect(lambda place: choose(box.itemData(place)))
        self._boxes.append((box, now))
        self.addWidget(box)

    def _button(self, text: str, tip: str, act: Callable[[], None]) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(act)
        self.addWidget(button)
        return button

    def _window(self, window_s: int) -> None:
        self._view.window_s = window_s

    def _scale(self, scale_uv: int) -> None:
        self._view.auto = scale_uv == AUTO
        self._view.scale_uv = scale_uv or self._view.scale_uv

    def _group(self, group: int) -> None:
        self._view.group, self._view.place = group, 0

    def _order(self, order: str) -> None:
        self._view.order = order

    def _find(self, text: str) -> None:
        self._view.find = text

    def _passes(self, passes: str) -> None:
        self._view.filter = replace(self._view.filter, passes=passes)

    def _mains(self, mains_hz: int) -> None:
        self._view.filter = replace(self._view.filter, mains_hz=mains_hz)


def bind(owner: QWidget, key: str, act: Callable[[], Any]) -> None:
    """A key that acts while the keyboard is anywhere in a widget.

    Parameters
    ----------
    owner : QWidget
        The widget.
    key : str
        As Qt names it.
    act : callable
        What it does.
    """
    shortcut = QShortcut(QKeySequence(key), owner)
    shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    shortcut.activated.connect(act)


def _after(ladder: Sequence[Any], now: Any) -> Any:
    return ladder[(ladder.index(now) + 1) % len(ladder)]
