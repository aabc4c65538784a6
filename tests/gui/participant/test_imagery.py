"""Motor imagery on the screen."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.gui.participant.imagery import STYLES, Imagery, ImageryConfig
from diverloop.gui.participant.trials import TrialsConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Turn

from .shown import Shown, commanded, held, marked

OWN = TrialsConfig(per_class=2, rest_s=(0.5, 0.6), cue_s=0.3, trial_s=0.5)


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
@pytest.mark.parametrize("style", STYLES)
def test_left_right_rest_and_pause_look_different(qapp: Any, style: str, look: Look) -> None:
    def seen(turn: Turn) -> bytes:
        shown = Shown(Imagery(ImageryConfig(style=style)), look)
        shown.turn(turn, frames=40)
        return shown.pixels()

    turns = (commanded("left"), commanded("right"), commanded(None, reason="unsure"), held())
    assert len({seen(turn) for turn in turns}) == 4


def test_a_cue_of_the_stream_is_shown_and_its_marker_is_no_second_cue(qapp: Any) -> None:
    shown = Shown(Imagery())
    shown.turn(commanded(None, reason="unsure"))
    resting = shown.pixels()
    shown.turn(marked("left"))
    assert shown.pixels() != resting
    shown.turn(marked("shown:left", "another"))
    assert shown.said() == ["shown:left"]


def test_its_own_cues_have_the_labels_that_a_calibration_writes(qapp: Any) -> None:
    shown = Shown(Imagery(ImageryConfig(cues="own", trials=OWN)))
    for _ in range(16):
        shown.turn(commanded(None, reason="unsure"), frames=30)
    assert sorted(shown.said()) == ["left", "left", *["rest"] * 4, "right", "right"]
    over = shown.pixels()
    shown.turn(commanded("left"), marked("left"), frames=20)
    assert len(shown.said()) == 8
    assert shown.pixels() == over


def test_nothing_is_cued_while_the_session_pauses(qapp: Any) -> None:
    shown = Shown(Imagery(ImageryConfig(cues="own", trials=OWN)))
    for _ in range(6):
        shown.turn(held(), frames=30)
    assert shown.said() == []


def test_the_patch_is_white_when_a_cue_comes_and_black_again_soon(qapp: Any) -> None:
    shown = Shown(Imagery())
    shown.turn(commanded(None, reason="unsure"))
    corner = []
    shown.picture.take(marked("right"))
    for _ in range(10):
        shown.turn()
        corner.append(shown.clock.image.pixelColor(2, 357).lightness() > 200)
    assert corner == [True] * 6 + [False] * 4


def test_korean_and_own_words_are_written(qapp: Any) -> None:
    seen = set()
    for config in (
        ImageryConfig(),
        ImageryConfig(language="ko"),
        ImageryConfig(words={"left": "Close your left hand"}),
    ):
        shown = Shown(Imagery(config))
        shown.turn(commanded(None, reason="unsure"))
        shown.turn(marked("left"))
        seen.add(shown.pixels())
    assert len(seen) == 3


@pytest.mark.parametrize(
    "wrong", [{"style": "rocket"}, {"cues": "none at all"}, {"language": "la"}]
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="got"):
        ImageryConfig(**wrong)
