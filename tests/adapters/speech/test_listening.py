from __future__ import annotations

import pytest

from diverloop.adapters.speech.listening import (
    Found,
    Inbox,
    Kind,
    Listening,
    ReplayedInbox,
    Told,
)
from diverloop.runtime.errors import ConfigError


def test_nobody_is_listened_to_before_somebody_arms():
    listening = Listening(3)
    assert not listening.armed
    assert "nobody has armed" in listening.reason


def test_silence_disarms_and_an_attempt_starts_the_count_anew():
    listening = Listening(3)
    listening.arm()
    assert not listening.pass_hops(2, attempting=False)
    assert not listening.pass_hops(1, attempting=True)
    assert not listening.pass_hops(2, attempting=False)
    assert listening.pass_hops(1, attempting=False)


def test_a_gap_counts_as_long_as_it_was():
    listening = Listening(3)
    listening.arm()
    assert listening.pass_hops(40, attempting=False)


def test_what_is_deaf_already_is_not_disarmed_by_silence():
    assert not Listening(3).pass_hops(10, attempting=False)


def test_an_inbox_notes_what_was_found_at_which_look():
    noted = []
    inbox = Inbox(noted.append)
    inbox.take()
    inbox.arm("the operator")
    inbox.disarm("the person")
    told = inbox.take()
    assert [one.kind for one in told] == [Kind.ARM, Kind.DISARM]
    assert noted == [Found(look=1, told=one) for one in told]
    assert inbox.take() == ()


def test_a_replay_finds_the_same_at_the_same_looks_and_hears_nothing_else():
    noted = []
    inbox = Inbox(noted.append)
    replayed = None
    heard = []
    for look in range(5):
        if look in (1, 3):
            inbox.tell(Told(kind=Kind.CORRECT, text=f"at {look}", utterance=1, version=look))
        heard.append(inbox.take())
    replayed = ReplayedInbox(noted)
    replayed.arm("somebody during the replay")
    assert [replayed.take() for _ in range(5)] == heard


def test_listening_for_no_time_is_refused():
    with pytest.raises(ConfigError, match="at least 1 hop"):
        Listening(0)
