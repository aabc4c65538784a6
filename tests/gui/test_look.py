"""Colours: that everything can be read, in both looks."""

from __future__ import annotations

import pytest

from diverloop.gui.look import DARK, LIGHT, blend, contrast, style_sheet


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
def test_words_are_read_on_everything_they_stand_on(look):
    for ground in (look.ground, look.surface, look.raised):
        assert contrast(look.text, ground) >= 7
        for words in (look.faint, look.accent, look.good, look.doubtful, look.bad):
            assert contrast(words, ground) >= 4.5, (words, ground)
    assert contrast(look.on_stop, look.stop) >= 4.5


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
def test_curves_are_seen_on_a_panel(look):
    assert all(contrast(colour, look.surface) >= 3 for colour in look.series)
    assert len(set(look.series)) == 8


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert (
        contrast("#777777", "#ffffff")
        == contrast("#ffffff", "#777777")
        == pytest.approx(4.48, abs=0.01)
    )


def test_the_style_sheet_wears_the_look():
    for look in (DARK, LIGHT):
        assert look.ground in style_sheet(look)
        assert "font-size: 14pt" in style_sheet(look, 14)


def test_between_two_colours_lie_their_mixtures():
    assert blend("#000000", "#ffffff", 0.0) == "#000000"
    assert blend("#000000", "#ffffff", 1.0) == "#ffffff"
    assert blend("#102030", "#304050", 0.5) == "#203040"
