"""Whoever may reach a running decoder that hears, and who may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from diverloop.listening import DOOR, IGNORE, LISTEN, ask_to, hearing
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.inbox import Inbox, Kind
from diverloop.runtime.record.note_server import send_note
from diverloop.runtime.session import PartConfig, SessionConfig

from .runtime.test_deciding import Plain, Talking


def session(**how):
    source = PartConfig(kind="simulator", settings=None)
    return SessionConfig(name="made", source=source, model=Path("any.bundle"), **how)


def entered(adapter, inbox, *, folder=None, listen=False, live=False, **how):
    return hearing(adapter, inbox, session(**how), listen=listen, live=live, folder=folder)


def test_nobody_can_reach_a_decoder_that_hears_nothing(tmp_path):
    with entered(Plain(), Inbox(), folder=tmp_path):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("how", "asked"),
    [({"listen": True}, "--listen"), ({"second_stage": "ipc://x"}, "model.second_stage")],
)
def test_a_decoder_that_hears_nothing_cannot_be_asked_to(how, asked):
    with (
        pytest.raises(ConfigError, match=f"decodes no speech.* leave {asked} out"),
        entered(Plain(), Inbox(), **how),
    ):
        pass


def test_another_decoder_that_hears_cannot_be_given_a_second_stage():
    with (
        pytest.raises(ConfigError, match=r"takes no corrections .* leave model\.second_stage out"),
        entered(Talking(), Inbox(), live=True, second_stage="ipc://x"),
    ):
        pass


def test_it_may_listen_from_the_start_in_the_operators_name():
    inbox = Inbox()
    with entered(Talking(), inbox, listen=True, operator="p1"):
        (told,) = inbox.take()
    assert (told.kind, told.text) == (Kind.LISTEN, "p1")


def test_whoever_may_write_into_the_folder_can_reach_it_while_it_runs(tmp_path):
    inbox = Inbox()
    with entered(Talking(), inbox, folder=tmp_path):
        ask_to(LISTEN, tmp_path, "nurse-2")
        ask_to(IGNORE, tmp_path)
        told = inbox.take()
    assert [(one.kind, one.text) for one in told] == [
        (Kind.LISTEN, "nurse-2"), (Kind.IGNORE, "the operator")
    ]  # fmt: skip
    with pytest.raises(RecordingError, match="No session whose decoder hears runs"):
        ask_to(LISTEN, tmp_path)


def test_nobody_can_put_words_into_its_mouth(tmp_path):
    inbox = Inbox()
    with entered(Talking(), inbox, folder=tmp_path):
        for text in ("correct", "hello"):
            with pytest.raises(RecordingError, match="can be told listen or ignore"):
                send_note(tmp_path, text, file=DOOR)
    assert inbox.take() == ()


def test_a_second_stage_beyond_this_machine_is_refused():
    from diverloop.adapters.speech.adapter import SpeechAdapter

    speech = object.__new__(SpeechAdapter)
    speech.second_stage = None
    with (
        pytest.raises(ConfigError, match="must be on this machine"),
        entered(speech, Inbox(), live=True, second_stage="tcp://10.0.0.1:5"),
    ):
        pass
    with entered(speech, Inbox(), live=False, second_stage="tcp://127.0.0.1:5"):
        assert speech.second_stage is None, "a replay asks nobody"
    with entered(speech, Inbox(), live=True, second_stage="tcp://127.0.0.1:5"):
        assert speech.second_stage is not None
