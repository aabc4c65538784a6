"""The picture of the traces: a ring of pixel columns, of which only new ones are ever drawn.

Column ``n`` of the stream lies at ``n % width``. Shown as it lies, it is a sweep; shown from the
oldest column on, it runs to the left: both cost the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .look import Look
from .trace_filter import TraceFilter
from .trace_marks import Grade, TraceMarks
from .trace_pixels import SHADES, bin_extents, extents, shades, stroke
from .trace_store import BIN, TraceStore
from .trace_view import TraceView, fitting_scale

_AT_ONCE = 500_000
"""Samples drawn in one go: about 20 ms. A larger picture is filled over several frames."""
_REACH = (1.0, 1.0, 0.5)  # rows up and down that a trace may go before it is cut, by `Grade`
_DASH = 4  # columns drawn, and left out, of a bad channel: told by more than its colour
_HATCH = 8
_RECENT = 400  # columns by which the scale follows the signal
_TICKS_S = {1: 0.2, 2: 0.5, 3: 0.5, 5: 1, 10: 1, 15: 1, 20: 2, 30: 5, 60: 10}


class TracePicture:
    """Draws what a view asks for of a store.

    Parameters
    ----------
    store : TraceStore
        The signal.
    marks : TraceMarks
        Quality, for colours.
    view : TraceView
        What to show; looked at anew for each `advance`.
    look : Look
        Colours.
    """

    def __init__(self, store: TraceStore, marks: TraceMarks, view: TraceView, look: Look) -> None:
        self.store, self.marks, self.view, self.look = store, marks, view, look
        self.pixels: NDArray[np.uint32] = np.zeros((1, 1), np.uint32)
        """Shape (height, width), ``0xffRRGGBB``; another array after every change of size."""
        self.begin = self.end = 0
        """Which columns of the stream it holds, stop exclusive."""
        self.voids = 0
        """Grows when everything has to be shown anew."""
        self.rows: NDArray[np.intp] = np.zeros(0, np.intp)
        """Which channels, from the top."""
        self._key: tuple[object, ...] = ()
        self._recent = np.zeros((2, 0, 0))
        self._over = 0  # columns from here on are not over yet
        self._drawn_stop = 0  # how far the stream was when the last of them was drawn

    @property
    def per_column(self) -> float:
        """Samples in one column of pixels."""
        return float(self.view.window_s * self.store.rate_hz / self.pixels.shape[1])

    @property
    def tick_s(self) -> float:
        """From one upright line of the grid to the next."""
        return _TICKS_S[self.view.window_s]

    @property
    def window(self) -> int:
        """Samples from the left to the right edge."""
        return round(self.view.window_s * self.store.rate_hz)

    @property
    def last_column(self) -> int:
        """One past the newest column to be shown: of the stream, or where it is paused."""
        paused = self.view.paused_at
        ready = self._ready()
        return ready if paused is None else min(ready, int(paused / self.per_column))

    @property
    def shown_stop(self) -> int:
        """Stream index one past the newest sample that is in the picture."""
        return min(int(self.end * self.per_column) + 1, self._drawn_stop)

    def advance(self, width: int, height: int) -> tuple[int, int]:
        """Draw what is missing, or a part of it if it is much.

        Parameters
        ----------
        width, height : int
            Pixels.

        Returns
        -------
        first, stop : int
            The columns that were drawn, stop exclusive; all that are shown, after a change of view.
        """
        self._keep_up(width, height)
        last = self.last_column
        oldest = int(np.ceil(self.store.first / self.per_column))
        first = max(last - width, min(oldest, last))
        if first > self.end or last < self.begin:
            self.begin = self.end = self._over = first
            self.voids += 1
        at_once = max(int(_AT_ONCE / max(self.per_column * len(self.rows), 1)), 4)
        growing = self._over < self.end <= last and self.store.stop != self._drawn_stop
        if last > self.end or growing:
            drawn = (self._over, min(last, self._over + at_once))
            self._draw(*drawn)
            self.end, self._drawn_stop = drawn[1], self.store.stop
            self._over = min(self.end, self._n_over())
            self.begin = max(self.begin, self.end - width)
        elif first < self.begin:
            drawn = (max(first, self.begin - at_once), self.begin)
            self._draw(*drawn)
            self.begin = drawn[0]
            self.end = min(self.end, self.begin + width)
            self._over = min(self._over, self.end)
        else:
            drawn = (self.end, self.end)
        return drawn

    def follow_signal(self) -> bool:
        """Choose a better scale, if the view leaves it to the signal and is live.

        Returns
        -------
        changed : bool
            Whether there is another scale now.
        """
        before = self.view.scale_uv
        if self.view.auto and self.view.paused_at is None:
            self.view.scale_uv = fitting_scale(self._spread(), before)
        return self.view.scale_uv != before

    def _ready(self) -> int:
        """Columns of which anything is there; with bins, everything."""
        if self._binned():
            return max(int((self.store.stop // BIN) * BIN / self.per_column) - 1, 0)
        return max(int(np.ceil((self.store.stop - 1) / self.per_column)), 0)

    def _n_over(self) -> int:
        """Columns of which everything is there."""
        if self._binned():
            return self._ready()
        return max(int((self.store.stop - 1) / self.per_column), 0)

    def _binned(self) -> bool:
        return self.per_column >= 4 * BIN and not self.view.filter.active

    def _keep_up(self, width: int, height: int) -> None:
        """Begin anew if anything but time has changed."""
        spec, view = self.store.spec, self.view
        if spec is not None:
            self.marks.take(spec)  # it may have been told before there were any marks
        names = spec.channel_names if spec else ()
        self.rows = view.rows(names, self.marks.grades)
        key = (
            self.store.age, width, height, self.rows.tobytes(), view.window_s, view.scale_uv,
            view.filter, self.look,
        )  # fmt: skip
        if key == self._key:
            return
        self._key = key
        if self.pixels.shape != (height, width):
            self.pixels = np.empty((height, width), np.uint32)
        self._prepare()
        self.begin = self.end = self._over = 0
        self.voids += 1

    def _prepare(self) -> None:
        look = self.look
        colours = {Grade.GOOD: look.series[0], Grade.DOUBTFUL: look.doubtful, Grade.BAD: look.bad}
        self._shades = np.stack([shades(look.surface, colours[grade]) for grade in Grade])
        self._ground, self._grid = shades(look.surface, look.line)[[0, SHADES // 2]]
        self._hatch = shades(look.surface, look.faint)[SHADES // 2]
        self.pixels[:] = self._ground
        self._filter = TraceFilter(self.store, self.view.filter, self.rows)
        self._recent = np.zeros((2, 0, len(self.rows)))
        self._set_centres()

    def _set_centres(self) -> None:
        """What lies in the middle of each row: the median of what is about to be seen."""
        self._centres: NDArray[np.floating] = np.zeros(len(self.rows))
        if self.view.filter.passes != "all" or not len(self.rows):
            return  # a high-pass has centred them already
        stop = self.view.paused_at or self.store.stop
        low, high = self.store.read_bins((stop - self.window) // BIN, stop // BIN)
        step = max(len(low) // 200, 1)
        middles = (low[::step, self.rows] + high[::step, self.rows]) / 2
        self._centres = _median_of_known(middles)

    def _draw(self, first: int, stop: int) -> None:
        width = self.pixels.shape[1]
        if first // width != stop // width and self.view.paused_at is None:
            self._set_centres()  # once per sweep: drifts do not carry a trace away
        columns = np.arange(first, stop)
        self._lay_ground(columns)
        if not len(self.rows) or stop <= first:
            return
        if self._binned():
            low, high = bin_extents(self.store, self.rows, first, stop, self.per_column)
        else:
            low, high = self._extents(first, stop)
        low, high = low - self._centres, high - self._centres
        self._recent = np.concatenate([self._recent, [low, high]], axis=1)[:, -_RECENT:]
        self._lay_gaps(columns, low)
        self._lay_traces(columns, low, high)

    def _extents(self, first: int, stop: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        newest = self.store.stop - 1
        return extents(self._filter.read, first, stop, self.per_column, newest)

    def _lay_ground(self, columns: NDArray[np.integer]) -> None:
        places = columns % self.pixels.shape[1]
        ticks = np.floor(columns * (self.per_column / self.store.rate_hz) / self.tick_s + 1e-9)
        before = np.floor(
            (columns - 1) * (self.per_column / self.store.rate_hz) / self.tick_s + 1e-9
        )
        self.pixels[:, places] = np.where(ticks > before, self._grid, self._ground)

    def _lay_gaps(self, columns: NDArray[np.integer], low: NDArray[np.floating]) -> None:
        """Hatch what never came, over all rows: it is not a flat trace."""
        lost = columns[np.isnan(low).all(axis=1)]
        if len(lost):
            height, width = self.pixels.shape
            lines = (np.arange(height)[:, None] + lost[None]) % _HATCH == 0
            self.pixels[:, lost % width] = np.where(lines, self._hatch, self._ground)

    def _lay_traces(
        self, columns: NDArray[np.integer], low: NDArray[np.floating], high: NDArray[np.floating]
    ) -> None:
        height, width = self.pixels.shape
        moments = (columns * self.per_column).astype(np.int64)
        grades = self.marks.grades_at(moments)[:, self.rows]
        pitch = height / len(self.rows)
        middles = (np.arange(len(self.rows)) + 0.5) * pitch
        reach = np.array(_REACH)[grades] * pitch
        top = middles - np.clip(high * (pitch / self.view.scale_uv), -reach, reach)
        bottom = middles - np.clip(low * (pitch / self.view.scale_uv), -reach, reach)
        left_out = (grades == Grade.BAD) & (columns[:, None] // _DASH % 2 == 1)
        drawn = np.isfinite(top) & ~left_out
        x = np.broadcast_to((columns % width)[:, None], drawn.shape)
        stroke(self.pixels, x[drawn], top[drawn], bottom[drawn], self._shades[grades[drawn]])

    def _spread(self) -> float:
        """From the low to the high end of a typical trace, in the last columns."""
        low, high = self._recent
        known = np.isfinite(low).all(axis=0) & (self.marks.grades[self.rows] != Grade.BAD)
        if len(low) < 20 or not known.any():
            return float("nan")
        ends = np.percentile(high[:, known], 95, axis=0) - np.percentile(low[:, known], 5, axis=0)
        return float(np.median(ends))


def _median_of_known(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median of each column, without what is NaN; 0 where everything is."""
    ordered = np.sort(values, axis=0)  # NaN goes last
    counts = np.isfinite(values).sum(axis=0)
    if not len(ordered):
        return np.zeros(values.shape[1])
    middle = np.take_along_axis(ordered, (np.maximum(counts - 1, 0) // 2)[None], axis=0)[0]
    return np.where(counts > 0, middle, 0.0)
