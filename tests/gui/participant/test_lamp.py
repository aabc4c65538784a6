"""The patch is white long enough to be seen, and never too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.gui.participant.lamp import Lamp, PatchConfig, PatchLight
from diverloop.runtime.errors import ConfigError


@given(st.lists(st.booleans(), max_size=400))
def test_whatever_a_picture_asks_no_second_has_more_than_three_flashes(asked: list[bool]) -> None:
    light = PatchLight(3, 60.0)
    lit = [light.ask(wanted, frame) for frame, wanted in enumerate(asked)]
    began = [n for n, now in enumerate(lit) if now and not (n and lit[n - 1])]
    for first in began:
        assert sum(first <= other < first + 60 for other in began) <= 3
    assert all(wanted for wanted, now in zip(asked, lit, strict=True) if now)


def test_a_flash_that_is_withheld_is_counted_and_stays_black_to_its_end() -> None:
    light = PatchLight(1, 60.0)
    assert light.ask(True, 0)
    assert not light.ask(False, 1)
    assert not light.ask(True, 2)
    assert not light.ask(True, 70)  # the second is over, but this flash began before
    assert light.withheld == 1


def test_a_lamp_is_lit_for_a_tenth_of_a_second_after_a_label() -> None:
    lamp = Lamp()
    lamp.begin(60.0)
    lit = [lamp.lit(frame, ("go",) if frame == 5 else ()) for frame in range(20)]
    assert [n for n, now in enumerate(lit) if now] == list(range(5, 11))


@pytest.mark.parametrize(
    "wrong", [{"corner": "middle"}, {"size_cm": 50.0}, {"size_cm": float("nan")}, {"flashes_hz": 0}]
)
def test_a_patch_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="patch"):
        PatchConfig(**wrong)  # type: ignore[arg-type]
