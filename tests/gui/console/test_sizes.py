"""What matters is read at two metres."""

from __future__ import annotations

import pytest

from diverloop.gui.console.sizes import LEAST_CAP_MM, Sizes, cap_height_mm, console_style
from diverloop.gui.look import DARK, LIGHT, contrast


@pytest.mark.parametrize("name", ["status", "main", "stop", "alarm"])
def test_capitals_of_what_matters_are_seven_millimetres_high(name):
    assert cap_height_mm(getattr(Sizes(), name)) >= LEAST_CAP_MM


def test_the_status_word_is_largest():
    assert Sizes().status >= 48
    assert Sizes().main >= 28


def test_words_grow_with_the_window_and_never_shrink():
    assert Sizes.for_window(1280, 800) == Sizes.for_window(800, 600) == Sizes()
    assert Sizes.for_window(1920, 1080).main == int(28 * 1.35)
    assert Sizes.for_window(9999, 9999).main == 56


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=["dark", "light"])
def test_everything_can_be_read_in_both_looks(look):
    pairs = [
        (look.text, look.surface), (look.text, look.ground), (look.faint, look.surface),
        (look.faint, look.ground), (look.on_stop, look.stop), (look.ground, look.doubtful),
        (look.ground, look.accent), (look.text, look.raised), (look.faint, look.raised),
    ]  # fmt: skip
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
    assert look.stop in console_style(look, Sizes())
