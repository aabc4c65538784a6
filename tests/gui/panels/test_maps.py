"""The panel of maps: what is chosen is shown, and nothing is drawn without need."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from diverloop.gui.band_power import BANDS
from diverloop.gui.look import LIGHT
from diverloop.gui.panels.maps import Maps
from diverloop.hardware.montage import scalp_position_m

from ..told import a_quality, a_session, a_stream

PLACES = {name: scalp_position_m(name) for name in ("C3", "Cz", "C4", "Pz")}


@pytest.fixture
def maps(qtbot) -> Maps:
    maps = Maps(positions=PLACES)
    qtbot.addWidget(maps)
    maps.resize(460, 420)
    for message in a_session(4.0):
        maps.take(message)
        maps.draw()
    return maps


def test_quality_is_shown_first_and_says_what_is_wrong(maps):
    assert maps.band is None
    assert maps.quality_map.foot()[0] == "Cz: flat, left out"


def test_the_keys_go_through_quality_and_every_band_and_round(maps, qtbot):
    seen = []
    for _ in range(len(BANDS) + 1):
        qtbot.keyClick(maps.quality_map, Qt.Key.Key_BracketRight)
        seen.append(maps.band)
    assert seen == [*BANDS, None]
    qtbot.keyClick(maps.quality_map, Qt.Key.Key_BracketLeft)
    assert maps.band == BANDS[-1]


def test_the_map_that_is_shown_has_the_keyboard(maps, qtbot):
    maps.show()
    qtbot.waitExposed(maps)
    maps.activateWindow()
    maps.setFocus()
    qtbot.waitUntil(maps.quality_map.hasFocus)
    qtbot.keyClick(maps.quality_map, Qt.Key.Key_BracketRight)
    assert maps.power_map.hasFocus()
    qtbot.keyClick(maps.power_map, Qt.Key.Key_BracketLeft)
    assert maps.quality_map.hasFocus()


def test_a_ten_hertz_rhythm_is_in_alpha_with_its_unit(maps, qtbot):
    maps.choose(3)
    maps.draw()
    assert "alpha 8 to 13 Hz" in maps.power_map.note
    assert maps.power_map.unit.startswith("dB")
    density_db = maps.power_map._values[0]
    assert density_db == pytest.approx(10 * np.log10(20**2 / 2 / 5), abs=1.0)
    qtbot.keyClick(maps.power_map, Qt.Key.Key_U)
    maps.draw()
    assert maps.power_map.unit == "µV²/Hz"
    assert maps.power_map._values[0] == pytest.approx(10 ** (density_db / 10), rel=0.01)


def test_a_masked_electrode_is_left_out_of_the_power_too(maps):
    maps.choose(3)
    maps.draw()
    maps.power_map.choose("Cz")
    assert maps.power_map.foot()[0].startswith("Cz: left out")


def test_a_band_that_the_rate_cannot_hold_is_refused_in_words(qtbot):
    maps = Maps(positions=PLACES)
    qtbot.addWidget(maps)
    for message in a_session(4.0, rate_hz=128.0):
        maps.take(message)
    maps.choose(6)
    maps.draw()
    assert maps.power_map.note == "128 samples a second cannot hold high gamma."


def test_a_draw_with_nothing_new_does_nothing(maps, qapp):
    maps.choose(3)
    maps.show()
    maps.draw()
    qapp.processEvents()
    painted = (maps.quality_map.painted, maps.power_map.painted)
    for _ in range(20):
        maps.draw()
    qapp.processEvents()
    assert (maps.quality_map.painted, maps.power_map.painted) == painted


def test_the_stream_told_again_to_newcomers_changes_nothing(maps):
    maps.take(a_stream())
    maps.draw()
    assert maps.quality_map.foot()[0] == "Cz: flat, left out"


def test_forgetting_keeps_the_electrodes_and_nothing_else(maps):
    maps.forget()
    maps.draw()
    assert maps.quality_map.foot()[0] == "No electrode was judged yet."
    maps.take(a_quality(a_stream(), bad=()))
    maps.draw()
    assert maps.quality_map.foot()[0] == "All electrodes are good."


def test_it_wears_another_look(maps):
    maps.wear(LIGHT)
    assert maps.grab().toImage().pixelColor(1, 1).name() == LIGHT.surface


def test_it_can_be_drawn_before_anything_came(qtbot):
    maps = Maps()
    qtbot.addWidget(maps)
    maps.draw()
    assert not maps.grab().isNull()
