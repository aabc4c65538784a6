"""The words of the screen, in every language."""

from __future__ import annotations

import pytest

from diverloop.gui.participant.words import LANGUAGES, words_of
from diverloop.runtime.errors import ConfigError


def test_every_language_has_words_for_the_same_things() -> None:
    english, korean = words_of("en"), words_of("ko")
    assert english.keys() == korean.keys()
    assert all(korean[key] != english[key] for key in english)
    assert set(LANGUAGES) == {"en", "ko"}


def test_a_language_that_the_screen_does_not_speak_is_refused() -> None:
    with pytest.raises(ConfigError, match="en and ko"):
        words_of("la")
