"""The signal as it comes, and the last minutes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QGridLayout, QLabel

from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from ..trace_marks import Grade, TraceMarks
from ..trace_picture import TracePicture
from ..trace_store import TraceStore
from ..trace_view import TraceView
from .panel import Panel
from .trace_bar import TraceBar, bind
from .trace_canvas import TraceCanvas, TraceNames, TraceTimes

_SILENT_S = 1.5  # after it, what is shown is not called live
_FOLLOW_EVERY = 60  # frames from one look at the scale to the next


class Traces(Panel):
    """Stacked traces with their quality, markers, and what was not decided.

    Parameters
    ----------
    look : Look
        Colours.
    store : TraceStore, optional
        Where the signal is kept; several panels may share one. Its own if not given.
    now_s : callable
        Time in seconds, by which it is told that nothing new comes.
    """

    name = "traces"
    title = "Signal"

    def __init__(
        self,
        look: Look = DARK,
        store: TraceStore | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(look)
        self._now_s = now_s
        self._heard_s, self._heard_stop = now_s(), 0
        self.store = store or TraceStore()
        self.marks, self.view = TraceMarks(), TraceView()
        self.picture = TracePicture(self.store, self.marks, self.view, look)
        self.canvas = TraceCanvas(self.picture)
        self._names = TraceNames(self.picture)
        self._times = TraceTimes(self.canvas)
        self.bar = TraceBar(self.view, self.pause, self.live, self.turn_page)
        self.says = QLabel()
        self.says.setProperty("faint", True)
        self.setFocusProxy(self.canvas)
        self._frame = 0
        self._lay_out()
        self._bind_keys()

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.store.take(message)
        self.marks.take(message)

    def draw(self) -> None:
        """Show what is new."""
        self._frame += 1
        if self._frame % _FOLLOW_EVERY == 0:
            self.picture.follow_signal()
        if self.store.stop != self._heard_stop:
            self._heard_stop, self._heard_s = self.store.stop, self._now_s()
        self.canvas.advance()
        self._names.advance()
        self._times.advance()
        self.bar.show_view()
        self.says.setText(self._state())

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.picture.look = look
        for part in (self.canvas, self._names, self._times):
            part.update()

    def forget(self) -> None:
        """Know nothing but the stream."""
        self.store.forget()
        self.marks.forget()
        self.view.paused_at = None

    def pause(self) -> None:
        """Hold the picture, or go on."""
        live = self.view.paused_at is None
        self.view.paused_at = self.store.stop if live else None

    def live(self) -> None:
        """Back to now."""
        self.view.paused_at = None

    def look_back(self, windows: float) -> None:
        """Look further back (below 0), or forward.

        Parameters
        ----------
        windows : float
            By how many widths of the picture.
        """
        window = self.picture.window
        by = round(windows * window)
        self.view.scroll(by, self.store.first, self.store.stop, window)

    def turn_page(self, step: int) -> None:
        """To other channels.

        Parameters
        ----------
        step : int
            How many groups.
        """
        self.view.turn_page(step, self.store.spec.n_channels if self.store.spec else 0)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Look back and forward."""
        self.look_back(event.angleDelta().y() / -1200)
        event.accept()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self.bar, 0, 0, 1, 2)
        grid.addWidget(self._names, 1, 0)
        grid.addWidget(self.canvas, 1, 1)
        grid.addWidget(self._times, 2, 0, 1, 2)
        grid.addWidget(self.says, 3, 0, 1, 2)
        grid.setRowStretch(1, 1)
        self.says.setContentsMargins(8, 2, 8, 4)
        self.says.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        # A long sentence must not make the window wider.
        self.says.setMinimumWidth(1)

    def _bind_keys(self) -> None:
        self.bar.keys(self)
        bind(self, "P", self.pause)
        bind(self, "End", self.live)
        bind(self, "Home", lambda: self.look_back(-1e6))
        bind(self, "PgUp", lambda: self.turn_page(-1))
        bind(self, "PgDown", lambda: self.turn_page(1))
        for key, windows in (("Left", 0.1), ("Shift+Left", 1.0)):
            bind(self, key, partial(self.look_back, -windows))
            bind(self, key.replace("Left", "Right"), partial(self.look_back, windows))
        bind(self.bar.search, "Esc", self._end_search)

    def _end_search(self) -> None:
        self.bar.search.clear()
        self.canvas.setFocus()

    def _state(self) -> str:
        """The line below the picture."""
        view, store = self.view, self.store
        if store.spec is None:
            return "no stream yet"
        if view.paused_at is None:
            silent_s = self._now_s() - self._heard_s
            parts = ["live" if silent_s < _SILENT_S else f"NO NEW SIGNAL for {silent_s:.0f} s"]
        else:
            back_s = (store.stop - view.paused_at) / store.rate_hz
            parts = [f"PAUSED, {back_s:.0f} s back (End: live)"]
        parts.append(f"rows {view.scale_uv} µV apart{', auto' if view.auto else ''}")
        parts.append(self._channels())
        if view.filter.active:
            parts.append(view.filter.text)
        if self.marks.abstained:
            parts.append("shaded: no decision")
        return "   ·   ".join(parts)

    def _channels(self) -> str:
        n_shown, n_bad = len(self.picture.rows), int(np.sum(self.marks.grades == Grade.BAD))
        total = self.store.spec.n_channels if self.store.spec else 0
        shown = f"{n_shown} of {total} channels" if n_shown < total else f"{total} channels"
        return f"{shown}, {n_bad} bad" if n_bad else f"{shown}, none bad"
