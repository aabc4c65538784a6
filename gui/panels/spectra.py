"""Power by frequency: what rhythms there are, and how much of the mains."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from ..spectrum import BANDS, MAINS_HZ, Spectrum, decibel, hum
from ..trace_marks import Grade, TraceMarks
from ..trace_store import TraceStore
from .channel_box import ChannelBox
from .panel import Panel
from .trace_bar import bind

KEEP_S = 10.0
"""How much signal the panel keeps, if it is given no store."""
REACHES_HZ = (40, 80, 150)
"""How far the axis may go."""

_MEAN = "mean of good"
_LETTERS = dict(zip(BANDS, "δθαβγ", strict=True))
_LIFT_DB = 6.0  # free room above the highest curve


class Spectra(Panel):
    """Welch's spectrum of one channel, or the mean, before the range of all good ones.

    Parameters
    ----------
    look : Look
        Colours.
    store : TraceStore, optional
        Where the signal is kept; several panels may share one. Its own if not given.
    """

    name = "spectra"
    title = "Spectra"

    def __init__(self, look: Look = DARK, store: TraceStore | None = None) -> None:
        super().__init__(look)
        self.store = store or TraceStore(KEEP_S)
        self.marks = TraceMarks()
        self.spectrum = Spectrum(self.store)
        self.logarithmic = True
        """Whether power is shown in decibel."""
        self.plot = pg.PlotWidget()
        self.says = QLabel("no stream yet")
        self.says.setProperty("faint", True)
        self.says.setMinimumWidth(1)
        self._make_curves()
        self._lay_out()
        self._top = np.nan
        self._dirty = True
        self.wear(look)

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.store.take(message)
        self.marks.take(message)

    def draw(self) -> None:
        """Show what is new: three times a second."""
        if self.store.spec:
            self.marks.take(self.store.spec)  # it may have been told before this panel was
            self.channels.offer(self.store.spec.channel_names)
        if self.spectrum.advance() or self._dirty:
            self._dirty = False
            self._show()

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.plot.setBackground(look.surface)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(look.line)
            axis.setTextPen(look.faint)
        tint = QColor(look.series[0])
        tint.setAlpha(60)
        self._range.setBrush(tint)
        self._mean.setPen(pg.mkPen(look.series[0], width=1))
        self._one.setPen(pg.mkPen(look.series[1], width=2))
        for mark in self._mains:
            mark.setPen(pg.mkPen(look.faint, style=Qt.PenStyle.DashLine))
            mark.label.setColor(look.faint)
        for edge in self._edges:
            edge.setPen(pg.mkPen(look.line))
        for label in self._bands.values():
            label.setColor(look.faint)
        self._dirty = True

    def forget(self) -> None:
        """Know nothing but the stream."""
        self.store.forget()
        self.marks.forget()

    def change_scale(self) -> None:
        """From decibel to a linear scale, and back."""
        self.logarithmic = not self.logarithmic
        self._scale.setText("dB" if self.logarithmic else "linear")
        self._touch()

    def _make_curves(self) -> None:
        item = self.plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(False, False)
        item.vb.disableAutoRange()
        low, high = pg.PlotCurveItem(), pg.PlotCurveItem()
        self._low, self._high = low, high
        self._range = pg.FillBetweenItem(low, high)
        self._mean, self._one = pg.PlotCurveItem(), pg.PlotCurveItem()
        self._edges = [pg.InfiniteLine(hz) for hz in sorted({e for b in BANDS.values() for e in b})]
        self._mains = [
            pg.InfiniteLine(
                hz,
                label=f"{hz} Hz",
                labelOpts={"position": 0.9, "anchors": [(side, 0), (side, 0)]},
            )
            for side, hz in zip((1, 0), MAINS_HZ, strict=True)
        ]
        self._bands = {name: pg.TextItem(name, anchor=(0.5, 0)) for name in BANDS}
        for part in (
            *self._edges, self._range, self._mean, self._one, *self._mains, *self._bands.values(),
        ):  # fmt: skip
            item.addItem(part, ignoreBounds=True)
        item.setLabel("bottom", "Hz")

    def _lay_out(self) -> None:
        self.channels = ChannelBox((_MEAN,))
        self.channels.currentIndexChanged.connect(self._touch)
        self.reach = QComboBox()
        for hz in REACHES_HZ:
            self.reach.addItem(f"to {hz} Hz", hz)
        self.reach.setCurrentIndex(1)
        self.reach.setToolTip("How far the axis goes  R")
        self.reach.setAccessibleName("How far the axis goes")
        self.reach.currentIndexChanged.connect(self._touch)
        self._scale = QToolButton()
        self._scale.setText("dB")
        self._scale.setToolTip("Decibel, or linear  L")
        self._scale.clicked.connect(self.change_scale)
        top = QHBoxLayout()
        top.setContentsMargins(6, 4, 6, 4)
        for part in (self.channels, self.reach, self._scale):
            top.addWidget(part)
        top.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(top)
        whole.addWidget(self.plot, 1)
        whole.addWidget(self.says)
        self.says.setContentsMargins(8, 2, 8, 4)
        bind(self, "L", self.change_scale)
        bind(self, "R", lambda: self.reach.setCurrentIndex((self.reach.currentIndex() + 1) % 3))
        bind(self, "Down", lambda: self.channels.step(1))
        bind(self, "Up", lambda: self.channels.step(-1))

    def _touch(self) -> None:
        self._dirty = True
        self._top = np.nan

    def _show(self) -> None:
        power = self.spectrum.mean()
        usable = np.isfinite(power[0]) if len(power) else np.zeros(0, bool)
        if not usable.any():
            for curve in (self._low, self._high, self._mean, self._one):
                curve.setData([], [])
            return
        at = self.spectrum.frequencies_hz
        drawn = (at >= 1) & (at <= self.reach.currentData())  # below 1 Hz there is only drift
        good = usable & (self.marks.grades != Grade.BAD)
        all_good = power[:, good if good.any() else usable]
        low, high = np.percentile(all_good, (10, 90), axis=1)
        mean = all_good.mean(axis=1)
        one = power[:, self.channels.channel] if self.channels.channel >= 0 else mean
        x = at[drawn]
        for curve, values in ((self._low, low), (self._high, high), (self._mean, mean)):
            curve.setData(x, self._scaled(values[drawn]))
        if np.isfinite(one).any():
            self._one.setData(x, self._scaled(one[drawn]))
        else:  # pyqtgraph takes no curve without a number
            self._one.setData([], [])
        self._fit(x, self._scaled(np.stack([low, high, one])[:, drawn]))
        self._say(at, one, int(good.sum()))

    def _scaled(self, power: NDArray[np.floating]) -> NDArray[np.floating]:
        return decibel(power) if self.logarithmic else power

    def _fit(self, x: NDArray[np.floating], drawn: NDArray[np.floating]) -> None:
        """Move the axis only when the curves leave it, or leave half of it empty."""
        known = drawn[np.isfinite(drawn)]
        if not len(known):
            return
        bottom = float(np.percentile(known, 1)) if self.logarithmic else 0.0
        peak = float(known.max())
        lift = _LIFT_DB if self.logarithmic else 0.15 * peak
        room = max(self._top - bottom, 1e-9)
        if not (peak <= self._top and peak - bottom > 0.5 * room):
            self._top = peak + lift
            bottom -= lift / 2 if self.logarithmic else 0.0
            self.plot.setRange(xRange=(x[0], x[-1]), yRange=(bottom, self._top), padding=0)
        per_hz = self.plot.getPlotItem().vb.width() / max(x[-1] - x[0], 1.0)
        for name, (low, high) in BANDS.items():
            room = (min(high, x[-1]) - low) * per_hz
            # Where the name does not fit, its letter does.
            text = name if room > 8 * len(name) else _LETTERS[name]
            self._bands[name].setText(text)
            self._bands[name].setPos((low + min(high, x[-1])) / 2, self._top)
            self._bands[name].setVisible(bool(low < x[-1] and room > 8))
        self.plot.setLabel("left", "dB (1 µV²/Hz)" if self.logarithmic else "µV²/Hz")

    def _say(self, at: NDArray[np.floating], power: NDArray[np.floating], n_good: int) -> None:
        found = hum(at, power)
        said = (
            f"{found[0]} Hz mains {found[1]:.0f} dB above its sides"
            if found
            else "no hum at 50 or 60 Hz"
        )
        rhythm = (at >= 4) & (at <= 40) & np.isfinite(power)
        peak = "no signal"
        if rhythm.any():
            peak = f"strongest above 4 Hz: {at[rhythm][np.argmax(power[rhythm])]:.0f} Hz"
        self.says.setText(
            f"{self.channels.currentText()}   ·   {peak}   ·   {said}   ·   band: 80 % of {n_good}"
        )
