"""Where on the head, the grid or the shafts: how good the signal is, and how strong a rhythm."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QStackedLayout, QVBoxLayout

from ...runtime.messages import Chunk, StreamSpec
from ...runtime.quality import Quality
from ...runtime.telemetry import Telegram
from ..band_power import BANDS, Band, BandPower, decibels
from ..drawing import ground
from ..look import DARK, Look
from ..map_plan import Place
from ..power_map import PowerMap
from ..quality_map import QualityMap
from .panel import Panel

_DB, _LINEAR = "dB re 1 µV²/Hz", "µV²/Hz"


class Maps(Panel):
    """Signal quality or band power over the electrodes; ``[`` and ``]`` choose, U changes the unit.

    Parameters
    ----------
    look : Look
        Colours.
    positions : mapping of str to tuple of 3 float, optional
        Usual places of scalp electrodes by name, metres, for streams that do not know theirs.
    """

    name = "maps"
    title = "Maps"

    def __init__(
        self,
        look: Look = DARK,
        *,
        positions: Mapping[str, Place] | None = None,
    ) -> None:
        super().__init__(look)
        self.quality_map = QualityMap(look, positions=positions)
        self.power_map = PowerMap(look, positions=positions)
        self._spec: StreamSpec | None = None
        self._power: BandPower | None = None
        self._new_spec: StreamSpec | None = None
        self._new_quality: Quality | None = None
        self._stale = False
        self._choice = QComboBox()
        self._choice.addItem("Signal quality")
        self._choice.addItems([_band_title(band) for band in BANDS])
        self._choice.setToolTip("What is shown: keys [ and ]")
        self._unit = QPushButton("dB")
        self._unit.setToolTip("Decibels or microvolts squared: key U")
        self._lay_out()
        ground(self, look)
        self._choice.currentIndexChanged.connect(self._chosen)
        self._unit.clicked.connect(self.change_unit)
        self._chosen(0)

    @property
    def band(self) -> Band | None:
        """Which rhythm is shown; None for the signal quality."""
        place = self._choice.currentIndex()
        return BANDS[place - 1] if place > 0 else None

    def choose(self, place: int) -> None:
        """Show the quality (0) or a band (from 1 on)."""
        self._choice.setCurrentIndex(place % self._choice.count())

    def change_unit(self) -> None:
        """Decibels or microvolts squared."""
        self.power_map.in_decibels = not self.power_map.in_decibels
        self._unit.setText("dB" if self.power_map.in_decibels else "µV²/Hz")
        self._stale = True

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case StreamSpec():
                if message != self._spec:
                    self._spec = self._new_spec = message
                    self._power = BandPower(message.n_channels, message.rate_hz)
            case Chunk() if self._power:
                self._power.take(message)
            case Quality():
                self._new_quality = message

    def draw(self) -> None:
        """Show what is new."""
        if self._new_spec:
            self.quality_map.show_spec(self._new_spec)
            self.power_map.show_spec(self._new_spec)
            self._new_spec, self._stale = None, True
        if self._new_quality:
            quality, self._new_quality = self._new_quality, None
            self.quality_map.show_quality(quality)
            names = zip(quality.channels, quality.usable, strict=True)
            self.power_map.show_left_out([name for name, usable in names if not usable])
        if self.band and self._power and (self._power.update() or self._stale):
            self._show_power(self.band, self._power)
            self._stale = False

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        ground(self, look)
        self.quality_map.wear(look)
        self.power_map.wear(look)

    def forget(self) -> None:
        """Know nothing but the stream any more."""
        self._new_quality = None
        if self._spec:
            self._new_spec = self._spec
            self._power = BandPower(self._spec.n_channels, self._spec.rate_hz)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose by key."""
        match event.key():
            case Qt.Key.Key_BracketLeft:
                self.choose(self._choice.currentIndex() - 1)
            case Qt.Key.Key_BracketRight:
                self.choose(self._choice.currentIndex() + 1)
            case Qt.Key.Key_U if self.band:
                self.change_unit()
            case _:
                super().keyPressEvent(event)

    def _show_power(self, band: Band, power: BandPower) -> None:
        density = power.of(band)
        usable = band.within(power.rate_hz)
        if usable is None:
            note = f"{power.rate_hz:g} samples a second cannot hold {band.name}."
        else:
            note = (
                f"{band.name} {usable.low_hz:g} to {usable.high_hz:g} Hz, last 4 s, of the signal "
                "as it comes in"
            )
        decibel = self.power_map.in_decibels
        values = decibels(density) if decibel else density
        self.power_map.show_power(values, _DB if decibel else _LINEAR, note=note)

    def _chosen(self, place: int) -> None:
        shown = self.power_map if place else self.quality_map
        had_keyboard = (before := self.focusProxy()) is not None and before.hasFocus()
        self._stack.setCurrentWidget(shown)
        self.setFocusProxy(shown)  # one that is hidden cannot take the keyboard
        if had_keyboard:
            shown.setFocus()
        self._unit.setEnabled(place > 0)
        self._stale = True

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.addWidget(self._choice, 1)
        bar.addWidget(self._unit)
        self._stack = QStackedLayout()
        self._stack.addWidget(self.quality_map)
        self._stack.addWidget(self.power_map)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(4, 4, 4, 4)
        whole.addLayout(bar)
        whole.addLayout(self._stack, 1)


def _band_title(band: Band) -> str:
    return f"{band.name.capitalize()} {band.low_hz:g} to {band.high_hz:g} Hz"
