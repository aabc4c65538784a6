"""Speech on the screen."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.gui.participant.speech import SpeechScreen, SpeechScreenConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Event, EventKind, Turn

from .shown import Shown, commanded, marked

LISTENS = Event(kind=EventKind.LISTENING, text="The decoder listens to speech: asked.", count=1)


def word(text: str, chance: float = 0.9) -> Turn:
    return commanded(text, classes=(text, "other"), chances=(chance, 1 - chance))


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
def test_how_sure_a_word_is_can_be_seen(qapp: Any, look: Look) -> None:
    seen = set()
    for chance in (0.9, 0.6, 0.3):
        shown = Shown(SpeechScreen(), look)
        shown.turn(LISTENS, word("water", chance), frames=12)
        seen.add(shown.pixels())
    assert len(seen) == 3


def test_prompts_and_words_are_labels_of_the_frame_in_which_they_are_seen(qapp: Any) -> None:
    shown = Shown(SpeechScreen())
    shown.turn(LISTENS, frames=2)
    shown.turn(marked("say:물 주세요"), frames=2)
    shown.turn(word("물"), frames=2)
    assert shown.labels == [(2, "say:물 주세요"), (4, "word:물")]


@pytest.mark.parametrize("text", ["x" * 300, "물" * 200, "word " * 80])
def test_text_of_any_length_stays_above_the_notice(qapp: Any, text: str) -> None:
    shown = Shown(SpeechScreen(), size=(640, 400))
    shown.turn(LISTENS, frames=15)

    def strip() -> bytes:
        part = shown.clock.image.copy(150, 352, 490, 24)  # its bits are gone when it is
        return bytes(part.constBits())

    empty = strip()
    shown.turn(*(word(part) for part in text.split()), frames=15)
    assert strip() == empty


def test_whether_it_listens_is_seen(qapp: Any) -> None:
    shown = Shown(SpeechScreen(SpeechScreenConfig(prompt="Say hello", language="ko")))
    shown.turn()
    deaf = shown.pixels()
    shown.turn(LISTENS)
    assert shown.pixels() != deaf


def test_a_session_that_has_fallen_silent_does_not_seem_to_listen(qapp: Any) -> None:
    shown = Shown(SpeechScreen())
    shown.turn()
    deaf = shown.pixels()
    shown.turn(LISTENS, frames=30)
    assert shown.pixels() != deaf
    shown.turn(frames=240)
    assert shown.pixels() == deaf


def test_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ConfigError, match="size"):
        SpeechScreenConfig(size=2.0)
