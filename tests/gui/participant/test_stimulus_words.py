from __future__ import annotations

from dataclasses import fields

import pytest

from diverloop.gui.participant.stimulus_words import WORDS, StimulusWords, words_of
from diverloop.runtime.errors import ConfigError


def test_every_language_says_everything_in_its_own_words():
    names = [field.name for field in fields(StimulusWords)]
    assert set(WORDS) == {"en", "ko"}
    for name in names:
        said = [getattr(words, name) for words in WORDS.values()]
        assert all(said)
        assert len(set(said)) == len(said)


def test_a_language_that_nobody_wrote_is_refused():
    assert words_of("ko") is WORDS["ko"]
    with pytest.raises(ConfigError, match="en, ko"):
        words_of("de")
