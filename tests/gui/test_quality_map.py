"""How good each electrode is, for a nurse and an experimenter."""

from __future__ import annotations

import pytest

from diverloop.gui.electrode_state import MapWords, State
from diverloop.gui.look import DARK, LIGHT, blend, contrast
from diverloop.gui.quality_map import QualityMap, label_scale
from diverloop.hardware.montage import scalp_position_m

from .told import a_quality, a_stream


@pytest.fixture
def quality_map(qtbot) -> QualityMap:
    names = ("C3", "Cz", "C4", "Pz")
    made = QualityMap(positions={name: scalp_position_m(name) for name in names})
    qtbot.addWidget(made)
    made.resize(420, 380)
    made.show_spec(a_stream())
    return made


def test_before_anything_is_known_it_says_so(quality_map):
    assert quality_map.foot()[0] == "No electrode was judged yet."


def test_what_is_wrong_is_said_in_words_with_the_names(quality_map):
    quality_map.show_quality(a_quality(a_stream()))
    assert quality_map.foot()[0] == "Cz: flat, left out"
    assert quality_map.accessibleDescription() == "Cz: flat, left out"
    quality_map.choose("C3")
    assert quality_map.foot()[0] == "C3: good"


def test_a_bad_electrode_looks_otherwise_and_the_same_again_draws_nothing(quality_map, qapp):
    quality_map.show()
    quality_map.show_quality(a_quality(a_stream(), bad=()))
    good = quality_map.grab().toImage()
    quality_map.show_quality(a_quality(a_stream(), bad=("Cz",)))
    assert quality_map.grab().toImage() != good
    qapp.processEvents()
    before = quality_map.painted
    quality_map.show_quality(a_quality(a_stream(), sample=99, bad=("Cz",)))
    qapp.processEvents()
    assert quality_map.painted == before


def test_impedance_counts_where_it_was_measured(quality_map):
    quality_map.show_impedance({"C3": 80.0, "C4": 5.0, "Pz": None})
    states = [quality_map.electrodes.state(name) for name in ("C3", "C4", "Pz")]
    assert states == [State.BAD, State.GOOD, State.UNKNOWN]
    assert quality_map.foot()[0] == "C3: 80 kOhm"
    assert not quality_map.grab().isNull()
    quality_map.show_impedance(None)
    assert quality_map.foot()[0] == "No electrode was judged yet."


def test_it_speaks_another_language(quality_map):
    quality_map.show_quality(a_quality(a_stream()))
    quality_map.set_words(MapWords(left_out="제외", cause={"flat": "신호 없음"}.__getitem__))
    assert quality_map.foot()[0] == "Cz: 신호 없음, 제외"


def test_another_stream_begins_with_nothing_known(quality_map):
    quality_map.show_quality(a_quality(a_stream()))
    quality_map.show_spec(a_stream(6))
    assert quality_map.foot()[0] == "No electrode was judged yet."
    assert "No place is known for Fz, Oz" in quality_map.foot()[1]


@pytest.mark.parametrize("size_pt", [8, 10, 16, 24])
@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_it_is_drawn_in_any_look_and_size(quality_map, look, size_pt):
    quality_map.wear(look)
    quality_map.size_pt = size_pt
    quality_map.show_quality(a_quality(a_stream()))
    assert quality_map.grab().toImage().pixelColor(2, 2).name() == look.surface


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_what_is_written_in_and_beside_the_signs_can_be_read(look):
    assert contrast(look.text, blend(look.surface, look.good, 0.28)) >= 4.5
    for colour in (look.bad, look.doubtful):
        assert contrast(look.surface, colour) >= 4.5
    assert contrast(look.text, look.surface) >= 4.5


def test_a_name_is_as_large_as_its_disc_allows():
    assert label_scale("C3", 20, 16) == 0.9
    assert label_scale("FFC5h", 10, 16) < label_scale("C3", 10, 16)
    assert label_scale("C3", 3, 16) < 0.5
