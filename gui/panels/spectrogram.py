"""Power by frequency and time, of one channel: newest at the right."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from ..pace import Pace
from ..spectrum import Spectrogram
from ..trace_store import TraceStore
from .channel_box import ChannelBox
from .panel import Panel
from .spectra import REACHES_HZ
from .trace_bar import bind

KEEP_S = 60.0
"""How much signal the panel keeps, if it is given no store."""

_LEFT, _RIGHT, _BOTTOM, _TOP = 40, 58, 20, 6
_EVERY_S = 10  # from one time to the next
_RENEW_S = 0.25  # from one picture to the next, each of several new columns
_SLOWLY = 0.2  # of the way that the colours go to fit, at each update
_LEAST_RANGE_DB = 10.0


class TimeFrequency(Panel):
    """A spectrogram.

    Parameters
    ----------
    look : Look
        Colours.
    store : TraceStore, optional
        Where the signal is kept; several panels may share one. Its own if not given.
    """

    name = "spectrogram"
    title = "Spectrogram"

    def __init__(self, look: Look = DARK, store: TraceStore | None = None) -> None:
        super().__init__(look)
        self.store = store or TraceStore(KEEP_S)
        self.spectrogram = Spectrogram(self.store)
        self.heat = HeatMap(self.spectrogram, look)
        self.channels = ChannelBox()
        self.reach = QComboBox()
        for hz in REACHES_HZ:
            self.reach.addItem(f"to {hz} Hz", hz)
        self.reach.setToolTip("How far the axis goes  R")
        self.reach.setAccessibleName("How far the axis goes")
        self.pace = Pace(_RENEW_S)
        self._channel = 0
        self._lay_out()

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        self.store.take(message)

    def draw(self) -> None:
        """Show what is new: four times a second."""
        if self.store.spec:
            self.channels.offer(self.store.spec.channel_names)
            self.spectrogram.channel = max(self.channels.channel, 0)
        changed = self.spectrogram.channel != self._channel
        self._channel = self.spectrogram.channel
        if (changed or self.pace.due()) and self.spectrogram.advance():
            self.heat.follow()

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        self.heat.look = look
        self.heat.follow()

    def forget(self) -> None:
        """Know nothing but the stream."""
        self.store.forget()

    def _lay_out(self) -> None:
        self.reach.currentIndexChanged.connect(self._reach)
        top = QHBoxLayout()
        top.setContentsMargins(6, 4, 6, 4)
        top.setSpacing(6)
        for part in (self.channels, self.reach):
            top.addWidget(part)
        says = QLabel("1 s windows")
        says.setProperty("faint", True)
        top.addWidget(says)
        top.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(top)
        whole.addWidget(self.heat, 1)
        bind(self, "R", lambda: self.reach.setCurrentIndex((self.reach.currentIndex() + 1) % 3))
        bind(self, "Down", lambda: self.channels.step(1))
        bind(self, "Up", lambda: self.channels.step(-1))

    def _reach(self) -> None:
        self.heat.reach_hz = self.reach.currentData()
        self.heat.follow()


class HeatMap(QWidget):
    """Draws a spectrogram with its axes.

    Parameters
    ----------
    spectrogram : Spectrogram
        What to draw.
    look : Look
        Colours.

    References
    ----------
    Nunez, Anderton and Renslow (2018). Optimizing colormaps with consideration for color vision
    deficiency to enable accurate interpretation of scientific data. PLoS ONE 13: e0199239.
    """

    def __init__(self, spectrogram: Spectrogram, look: Look) -> None:
        super().__init__()
        self.spectrogram, self.look = spectrogram, look
        self.reach_hz = float(REACHES_HZ[0])
        self.levels_db: tuple[float, float] | None = None
        """Where the colours begin and end."""
        self.setMinimumSize(160, 80)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        red, green, blue = pg.colormap.get("cividis").getLookupTable(nPts=256)[:, :3].T.astype("u4")
        self._colours: NDArray[np.uint32] = 0xFF000000 | red << 16 | green << 8 | blue

    def follow(self) -> None:
        """Fit the colours to what is there, and have it painted."""
        shown = self._shown()
        known = shown[np.isfinite(shown)]
        if len(known):
            low, high = (float(level) for level in np.percentile(known[::7], (5, 99)))
            high = max(high, low + _LEAST_RANGE_DB)
            before = self.levels_db or (low, high)
            self.levels_db = (
                before[0] + _SLOWLY * (low - before[0]),
                before[1] + _SLOWLY * (high - before[1]),
            )
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the map, the frequencies, the times and the colours."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self.look.surface))
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        field = self.rect().adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)
        shown = self._shown()
        if self.levels_db is None or not shown.size or field.width() < 8:
            painter.setPen(QColor(self.look.faint))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no signal yet")
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(field), self._image(shown))
        painter.setPen(QColor(self.look.faint))
        self._paint_axes(painter, field)
        self._paint_colours(painter, field)

    def _shown(self) -> NDArray[np.floating]:
        """Rows from 1 Hz up to where the axis goes, the highest on top."""
        at = self.spectrogram.frequencies_hz
        return self.spectrogram.power_db[(at >= 1) & (at <= self.reach_hz)][::-1]

    def _image(self, shown: NDArray[np.floating]) -> QImage:
        low, high = self.levels_db or (0.0, 1.0)
        known = np.isfinite(shown)
        level = np.clip((np.where(known, shown, low) - low) / (high - low), 0, 1)
        pixels = self._colours[(level * 255).astype(np.intp)]
        ground = QColor(self.look.surface).rgb()
        pixels = np.ascontiguousarray(np.where(known, pixels, np.uint32(ground)))
        height, width = pixels.shape
        made = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
        return made.copy()  # the array ends with this function

    def _paint_axes(self, painter: QPainter, field: QRect) -> None:
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        at = self.spectrogram.frequencies_hz
        at = at[(at >= 1) & (at <= self.reach_hz)]
        half = (at[1] - at[0]) / 2
        bottom, top = at[0] - half, at[-1] + half
        for hz in range(0, int(top) + 1, 10 if top < 60 else 20):
            y = field.bottom() - round((hz - bottom) / (top - bottom) * field.height())
            if field.top() <= y <= field.bottom():
                painter.drawText(0, y - 8, _LEFT - 10, 16, right, f"{hz}")
                painter.drawLine(field.left() - 5, y, field.left() - 1, y)
        painter.drawText(2, field.top() - 4, 24, 16, Qt.AlignmentFlag.AlignLeft, "Hz")
        seconds = self.spectrogram.seconds
        every_s = _EVERY_S if field.width() > 300 else 2 * _EVERY_S
        for back_s in range(0, int(seconds) + 1, every_s):
            x = field.right() - round(back_s / seconds * field.width())
            text = f"-{back_s} s" if back_s else "now"
            painter.drawLine(x, field.bottom() + 1, x, field.bottom() + 4)
            box = QRect(x - 25, field.bottom() + 4, 50, _BOTTOM - 4)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_colours(self, painter: QPainter, field: QRect) -> None:
        bar = QRect(field.right() + 10, field.top(), 10, field.height())
        column = np.ascontiguousarray(self._colours[::-1][:, None])
        scale = QImage(column.data, 1, len(column), 4, QImage.Format.Format_RGB32)
        painter.drawImage(QRectF(bar), scale.copy())  # a painter may keep what it is given
        low, high = self.levels_db or (0.0, 1.0)
        for share in (0.0, 0.5, 1.0):
            y = round(bar.bottom() - share * bar.height())
            y = min(max(y, bar.top() + 8), bar.bottom() - 8)
            text = f"{low + share * (high - low):.0f}" + (" dB" if share == 1.0 else "")
            painter.drawText(bar.right() + 4, y - 8, 44, 16, Qt.AlignmentFlag.AlignVCenter, text)
