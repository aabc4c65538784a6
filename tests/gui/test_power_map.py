"""Power over the electrodes: colours that mean what the bar says."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.look import DARK, LIGHT, contrast
from diverloop.gui.power_map import PowerMap
from diverloop.hardware.montage import scalp_position_m

from .told import a_stream

NAMES = ("C3", "Cz", "C4", "Pz", "Fz", "Oz", "F3", "F4")


@pytest.fixture
def power_map(qtbot) -> PowerMap:
    made = PowerMap(positions={name: scalp_position_m(name) for name in NAMES})
    qtbot.addWidget(made)
    made.resize(400, 360)
    made.show_spec(a_stream(8))
    return made


def at(power_map: PowerMap, name: str):
    point = next(points[name] for *_, points in power_map._place_all())
    return power_map.grab().toImage().pixelColor(round(point.x()) + 8, round(point.y()) - 4)


def test_more_power_is_lighter(power_map):
    values = np.zeros(8)
    values[0], values[2] = 20.0, -20.0
    power_map.show_power(values, "dB")
    assert at(power_map, "C3").lightness() > at(power_map, "Cz").lightness()
    assert at(power_map, "Cz").lightness() > at(power_map, "C4").lightness()


def test_the_colours_are_lighter_the_higher_they_stand(power_map):
    lightness = [contrast(colour, "#000000") for colour in power_map._colours[::5]]
    assert lightness == sorted(lightness)


def test_the_chosen_electrode_is_said_with_its_unit(power_map):
    power_map.show_power(np.arange(8.0), "dB re 1 uV^2/Hz", note="alpha")
    assert power_map.foot()[0] == "alpha"
    power_map.choose("Cz")
    assert power_map.foot()[0] == "Cz: 1.0 dB re 1 uV^2/Hz"


def test_a_masked_electrode_is_a_cross_and_says_nothing_of_the_rest(power_map):
    values = np.zeros(8)
    values[1] = 1e6
    power_map.show_left_out(["Cz"])
    power_map.show_power(values, "dB")
    assert power_map.scale[1] < 10
    power_map.choose("Cz")
    assert power_map.foot()[0] == "Cz: left out, see the signal quality"


def test_another_stream_begins_with_no_electrode_left_out(power_map):
    power_map.show_left_out(["Cz"])
    power_map.show_spec(a_stream(4))
    power_map.show_power(np.zeros(4), "dB")
    power_map.choose("Cz")
    assert power_map.foot()[0] == "Cz: 0.0 dB"


def test_without_any_value_it_is_drawn_without_a_bar(power_map):
    power_map.show_power(np.full(8, np.nan), "dB")
    assert not power_map.grab().isNull()
    power_map.choose("C3")
    assert power_map.foot()[0] == "C3: not known yet"


def test_the_scale_follows_slowly_and_another_unit_begins_with_its_own(power_map):
    power_map.show_power(np.linspace(0, 10, 8), "dB")
    first = power_map.scale
    power_map.show_power(np.linspace(50, 60, 8), "dB")
    assert first[1] < power_map.scale[1] < 25
    power_map.show_power(np.linspace(500, 600, 8), "uV^2/Hz")
    assert power_map.scale[0] > 480


def test_names_can_be_read_on_every_colour(power_map):
    pairs = zip(power_map._inks, power_map._colours, strict=True)
    assert min(contrast(ink, colour) for ink, colour in pairs) >= 4.5


@pytest.mark.parametrize("kind", ["seeg", "ecog"])
def test_contacts_of_shafts_and_grids_are_coloured_themselves(power_map, kind):
    spec = a_stream(8, kind=kind)
    power_map.show_spec(spec)
    power_map.show_power(np.arange(8.0), "dB")
    for look in (DARK, LIGHT):
        power_map.wear(look)
        assert power_map.grab().toImage().pixelColor(2, 2).name() == look.surface
