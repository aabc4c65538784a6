from __future__ import annotations

import pytest

from diverloop.adapters.speech.listening import Listening
from diverloop.runtime.errors import ConfigError


def test_nobody_is_listened_to_before_somebody_asks():
    listening = Listening(3)
    assert not listening.on
    assert "nobody has asked" in listening.reason


def test_silence_ends_it_and_an_attempt_starts_the_count_anew():
    listening = Listening(3)
    listening.begin()
    assert not listening.pass_hops(2, attempting=False)
    assert not listening.pass_hops(1, attempting=True)
    assert not listening.pass_hops(2, attempting=False)
    assert listening.pass_hops(1, attempting=False)


def test_a_gap_counts_as_long_as_it_was():
    listening = Listening(3)
    listening.begin()
    assert listening.pass_hops(40, attempting=False)


def test_what_is_deaf_already_is_not_ended_by_silence():
    assert not Listening(3).pass_hops(10, attempting=False)


def test_listening_for_no_time_is_refused():
    with pytest.raises(ConfigError, match="at least 1 hop"):
        Listening(0)
