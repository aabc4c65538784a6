"""What a window finds: a running session, an address, a recording, or nothing."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager

import pytest

from diverloop.controlling import controlled, entrance
from diverloop.runtime.access import RIGHTS, Action, Role
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.control_client import DOOR
from diverloop.runtime.errors import AccessError, ConfigError
from diverloop.runtime.keys import write_person_key
from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.people import own_key
from diverloop.runtime.record.audit import AuditLog
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.telemetry import TelemetryPublisher
from diverloop.screening import watched

from .test_controlling import Kept, Loop, Plain, session

LIMIT_MS = 20_000
EVENT = Event(kind=EventKind.GAP, text="40 samples are gone.")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))


@contextmanager
def running(folder, **control):
    """The doors of a session, and the publisher behind them."""
    made, clock = session(**control), MonotonicClock()
    with (
        closing(AuditLog.create(folder, new_key(), clock)) as audit,
        entrance(made.control, Kept(folder, audit), clock, live=True) as keeping,
        controlled(keeping, Loop(), Plain(), made),
    ):
        yield keeping.doors.publisher


def test_a_running_session_is_watched_and_controlled_with_the_rights_of_a_role(tmp_path):
    with running(tmp_path / "s") as publisher:
        found = watched(str(tmp_path / "s"))
        teller = found.listen()
        assert found.may == RIGHTS[Role.OPERATOR]
        assert publisher.wait_for_subscriber(LIMIT_MS)
        publisher.watch(EVENT)
        assert teller.poll(LIMIT_MS) == EVENT
        with found.link() as client:
            assert client.ask(Action.STOP).done
        teller.close()


def test_a_session_that_tells_nobody_is_refused_in_words(tmp_path):
    with (
        running(tmp_path / "s", watch=""),
        pytest.raises(ConfigError, match=r"leave control\.watch out"),
    ):
        watched(str(tmp_path / "s")).listen()


def test_a_session_on_another_machine_is_controlled_by_its_address(tmp_path):
    with running(tmp_path / "s") as publisher:
        control = json.loads((tmp_path / "s" / DOOR).read_text())["address"]
        key = tmp_path / "desk.key"
        write_person_key(key, own_key()[0])
        found = watched(publisher.address, key, control)
        assert found.may == RIGHTS[Role.OPERATOR]
        with found.link() as client:
            assert client.ask(Action.DISARM).done
        teller = found.listen()
        assert publisher.wait_for_subscriber(LIMIT_MS)
        teller.close()
    with pytest.raises(ConfigError, match="--control belongs to the address"):
        watched(str(tmp_path / "s"), key, control)


def test_an_address_is_watched_without_controls():
    publisher = TelemetryPublisher()
    found = watched(publisher.address)
    teller = found.listen()
    assert publisher.wait_for_subscriber(LIMIT_MS)
    publisher.watch(EVENT)
    assert teller.poll(LIMIT_MS) == EVENT
    assert (found.link, found.may) == (None, frozenset())
    teller.close()
    publisher.close()


def test_a_session_that_is_over_is_a_recording(tmp_path):
    assert watched(str(tmp_path)).recording == tmp_path


def test_what_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(ConfigError, match="name the folder of a session"):
        watched(str(tmp_path / "gone"))


def test_a_session_that_has_just_ended_is_not_waited_for(tmp_path):
    card = {"address": "tcp://127.0.0.1:1", "server": "x" * 40, "watch": ""}
    (tmp_path / DOOR).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises((AccessError, ConfigError)):
        watched(str(tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="needs locks that die with their holder")
def test_a_session_that_was_killed_is_a_recording_and_one_that_hangs_is_not(tmp_path):
    with running(tmp_path / "s"):
        card = (tmp_path / "s" / DOOR).read_text(encoding="utf-8")
    (tmp_path / "s" / DOOR).write_text(card, encoding="utf-8")
    assert watched(str(tmp_path / "s")).recording == tmp_path / "s"
    with closing(AuditLog.create(tmp_path / "hung", new_key(), MonotonicClock())):
        (tmp_path / "hung" / DOOR).write_text(card, encoding="utf-8")
        with pytest.raises(AccessError, match="answered"):
            watched(str(tmp_path / "hung"))
