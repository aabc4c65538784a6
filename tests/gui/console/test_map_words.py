"""The map of the electrodes speaks the language of the console."""

from __future__ import annotations

import pytest

from diverloop.gui.console.map_words import map_words
from diverloop.gui.console.words import LANGUAGES, Words
from diverloop.gui.electrode_state import State
from diverloop.runtime.signal.bad_channels import CAUSES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cause_that_is_told_has_a_word(language):
    words = map_words(Words(language))
    said = [words.cause(cause) for cause in CAUSES]
    assert all(said)
    assert language == "en" or not set(said) & set(CAUSES)


def test_an_unknown_cause_is_said_as_it_came():
    assert map_words(Words("ko")).cause("bitten by a dog") == "bitten by a dog"


def test_states_and_counts_are_in_the_language():
    words = map_words(Words("ko"))
    assert words.of(State.GOOD) == "좋음"
    assert words.more.format(n=3) == "외 3개"
