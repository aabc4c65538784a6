"""The doors of a session, the guard behind them, and the record."""

from __future__ import annotations

import os
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from diverloop.control_commands import newest_session, person_key
from diverloop.controlling import (
    _Hand,
    adaptation_refusal,
    check_doors,
    controlled,
    entrance,
    stimulation_permit,
)
from diverloop.runtime.access import Action, Permission, Permissions, Role
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.control_client import DOOR, ControlClient, read_door
from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.errors import AccessError, ConfigError
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.inbox import Inbox, Kind
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.people import CODES, People
from diverloop.runtime.record.audit import AuditKind, AuditLog, read_audit
from diverloop.runtime.record.note_server import NoteServer
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.second_factor import STEP_S, SecondFactors, totp, utc_s
from diverloop.runtime.session import PartConfig, SessionConfig

from .runtime.test_deciding import Plain, Talking


@dataclass
class Loop:
    """What the doors touch of a loop."""

    guard: Guard = field(default_factory=Guard)
    inbox: Inbox = field(default_factory=Inbox)


@dataclass(frozen=True)
class Kept:
    """What the doors touch of what keeps a session."""

    folder: Path
    audit: AuditLog
    watchers: tuple = ()
    doors: object = None


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def session(**control):
    source = PartConfig(kind="simulator", settings=None)
    config = ControlConfig(**control)
    return SessionConfig(name="made", source=source, model=Path("any.bundle"), control=config)


@contextmanager
def opened(folder, loop, adapter=None, adaptation=None, **control):
    made, clock = session(**control), MonotonicClock()
    with closing(AuditLog.create(folder, new_key(), clock)) as audit:
        kept = Kept(folder, audit)
        with (
            entrance(made.control, kept, clock, live=True) as keeping,
            controlled(keeping, loop, adapter or Plain(), made, adaptation) as server,
        ):
            yield server


def client(folder, key):
    door = read_door(folder)
    return ControlClient(door.address, door.server, key, 20)


def test_people_arm_stop_and_reset_a_session_and_all_of_it_is_on_record(home, tmp_path):
    doctors = new_curve_key()
    People(home).enrol("c1", Role.CLINICIAN, doctors.public)
    folder, loop = tmp_path / "kept" / "session", Loop()
    with opened(folder, loop):
        assert newest_session(tmp_path / "kept") == folder
        own = person_key(None).key  # made while the session runs, and known to it at once
        with client(folder, own) as operator, client(folder, doctors) as doctor:
            assert operator.must(Action.STATUS).facts["guard"] == "disarmed"
            operator.must(Action.ARM)
            operator.must(Action.STOP)
            assert "a clinician resets it first" in operator.ask(Action.ARM).text
            assert not operator.ask(Action.RESET).done
            operator.must(Action.DISARM)
            assert operator.must(Action.STATUS).facts["guard"] == "stopped"
            doctor.must(Action.RESET)
            assert operator.must(Action.STATUS).facts["guard"] == "disarmed"
            assert not operator.ask(Action.LISTEN).done
            assert not operator.ask(Action.ROLL_BACK).done
    assert loop.guard.take_in() == (
        Signal.PERSON_ARMS, Signal.EMERGENCY_STOP, Signal.PERSON_ARMS, Signal.PERSON_RESETS
    )  # fmt: skip
    assert not (folder / DOOR).exists()
    with pytest.raises(AccessError, match="No session that can be controlled"):
        newest_session(tmp_path / "kept")
    entries = read_audit(folder)
    acts = [(entry.what, entry.who) for entry in entries if entry.details.get("done")]
    assert acts == [
        (AuditKind.ARMED, "owner"),
        (AuditKind.EMERGENCY_STOP, "owner"),
        (AuditKind.DISARMED, "owner"),
        (AuditKind.ACCESS, "c1"),
    ]
    refusals = [entry.details for entry in entries if entry.details.get("done") is False]
    assert [(one["action"], one["refused"]) for one in refusals] == [
        ("arm", "not possible now"),
        ("reset", "role does not allow it"),
        ("listen", "not possible now"),
        ("roll_back", "not possible now"),
    ]


def test_whoever_never_gave_a_code_is_told_at_the_start_that_arming_will_want_one(
    home, tmp_path, capsys
):
    with opened(tmp_path / "first", Loop()):
        assert capsys.readouterr().err == ""  # nobody is enrolled yet
    person = person_key(None)
    capsys.readouterr()
    with opened(tmp_path / "second", Loop(), lock_s=120.0):
        told = " ".join(capsys.readouterr().err.split())
    assert "After 2 minutes without an act 'owner' arms with a one-time code only" in told
    assert told.endswith("run diverloop keys renew owner now.")
    secret = People(home).by_key(person.key.public).secret
    codes = SecondFactors(home / CODES)
    assert codes.check("owner", secret, totp(secret, int(utc_s() // STEP_S))) is None
    with opened(tmp_path / "third", Loop()):
        assert capsys.readouterr().err == ""


def test_a_session_that_ends_while_one_is_looked_for_does_not_hide_the_other(tmp_path, monkeypatch):
    running, ended = tmp_path / "a" / DOOR, tmp_path / "b" / DOOR
    running.parent.mkdir()
    running.touch()
    monkeypatch.setattr(Path, "glob", lambda root, pattern: iter((running, ended)))
    assert newest_session(tmp_path) == running.parent


@pytest.mark.skipif(os.name != "posix", reason="needs locks that die with their holder")
def test_a_session_that_was_killed_does_not_hide_an_older_one_that_runs(tmp_path):
    logs = []
    for name, began_s in (("older", 1), ("killed", 2)):
        logs.append(AuditLog.create(tmp_path / name, new_key(), MonotonicClock()))
        (tmp_path / name / DOOR).touch()
        os.utime(tmp_path / name / DOOR, (began_s, began_s))
    older, killed = logs
    killed.close()
    assert newest_session(tmp_path) == tmp_path / "older"
    older.close()
    assert newest_session(tmp_path) == tmp_path / "killed"


def test_a_flood_of_stops_leaves_one_with_a_loop_that_does_not_look(home, tmp_path):
    loop = Loop()
    with opened(tmp_path / "s", loop), client(tmp_path / "s", person_key(None).key) as person:
        for _ in range(60):
            person.must(Action.STOP)
    assert loop.guard.take_in() == (Signal.EMERGENCY_STOP,)


def test_a_decoder_that_hears_is_told_in_the_persons_name(home, tmp_path):
    loop = Loop()
    with (
        opened(tmp_path / "s", loop, Talking()),
        client(tmp_path / "s", person_key(None).key) as person,
    ):
        person.must(Action.LISTEN)
        person.must(Action.IGNORE)
    told = [(one.kind, one.text) for one in loop.inbox.take()]
    assert told == [(Kind.LISTEN, "owner"), (Kind.IGNORE, "owner")]


def test_a_note_reaches_the_recorder_in_the_persons_name(home, tmp_path):
    notes, folder = [], tmp_path / "s"
    with (
        opened(folder, Loop()),
        NoteServer(folder, notes.append, pytest.fail),
        client(folder, person_key(None).key) as person,
    ):
        person.must(Action.NOTE, text="a quiet room")
        assert not person.ask(Action.NOTE).done
        # The server of notes must outlive the desk that hands them on.
        for _ in range(200):
            if notes:
                break
            person.must(Action.STATUS)
            threading.Event().wait(0.02)
    assert [(note.text, note.who) for note in notes] == [("a quiet room", "owner")]


def test_telemetry_for_people_with_a_key_is_one_more_watcher(home, tmp_path):
    with opened(tmp_path / "s", Loop(), watch="tcp://127.0.0.1:*"):
        door = read_door(tmp_path / "s")
        assert door.watch.startswith("tcp://127.0.0.1:")
        assert door.watch != door.address


def test_a_damaged_list_of_people_keeps_a_session_from_starting(home, tmp_path):
    home.mkdir()
    (home / "people.json").touch(0o600)
    (home / "people.json").write_text("{")
    with (
        pytest.raises(ConfigError, match="list of people"),
        opened(tmp_path / "s", Loop()),
    ):
        pass


def test_stimulation_is_enabled_by_a_persons_word_and_only_for_its_time():
    @dataclass(frozen=True)
    class Doors:
        permissions: Permissions = field(default_factory=Permissions)

    @dataclass(frozen=True)
    class Entered:
        doors: Doors | None

    clock, doors = VirtualClock(1000), Doors()
    permit = stimulation_permit(Entered(doors), clock)
    assert stimulation_permit(None, clock)() is None
    assert stimulation_permit(Entered(None), clock)() is permit() is None
    until = Permission(action=Action.ENABLE_STIMULATION, who="dr-a", until_ns=2000)
    doors.permissions.grant(until)
    word = permit()
    assert (word.who, word.role, word.second_factor) == ("dr-a", "clinician", True)
    clock.wait_until(2000)
    assert permit() is None


def test_an_act_that_nobody_does_is_not_called_done():
    hand = _Hand(Loop(), False, None, "made", None)
    assert not hand.act(Action.HOLD, "p1", "").done
    assert hand.act(Action.DISABLE_STIMULATION, "p1", "").done


def test_a_session_without_a_link_leaves_no_door_and_makes_no_key(home, tmp_path):
    with opened(tmp_path / "s", Loop(), enabled=False) as server:
        assert server is None
        assert not (tmp_path / "s" / DOOR).exists()
    assert not home.exists()


def test_doors_that_cannot_be_had_are_refused():
    with pytest.raises(ConfigError, match="but --arm was given"):
        check_doors(ControlConfig(required=True), live=True, armed=True, kept=True)
    for asked in ({"required": True}, {"remote": True}, {"watch": "ipc://x"}):
        with pytest.raises(ConfigError, match="name a folder with --recordings"):
            check_doors(ControlConfig(**asked), live=True, armed=False, kept=False)
        check_doors(ControlConfig(**asked), live=False, armed=True, kept=False)
    check_doors(ControlConfig(), live=True, armed=True, kept=False)


class Adapts:
    """What the doors touch of an adaptation."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def freeze(self, who):
        self.asked.append(("freeze", who))
        return "Frozen."

    def thaw(self, who):
        self.asked.append(("thaw", who))
        return True, "Thawed."

    def roll_back(self, who):
        self.asked.append(("roll back", who))
        return len(self.asked) < 3, "Whatever came of it."


def test_people_freeze_adaptation_and_take_it_back(home, tmp_path):
    adapts = Adapts()
    with (
        opened(tmp_path / "s", Loop(), adaptation=adapts),
        client(tmp_path / "s", person_key(None).key) as person,
    ):
        person.must(Action.ROLL_BACK)
        assert person.must(Action.DISABLE_ADAPTATION).text == "Frozen."
        assert not person.ask(Action.ROLL_BACK).done
    assert adapts.asked == [("roll back", "owner"), ("freeze", "owner"), ("roll back", "owner")]
    entries = [e for e in read_audit(tmp_path / "s") if e.details.get("action") == "roll_back"]
    assert [(e.what, e.details["done"]) for e in entries] == [
        (AuditKind.ROLLBACK, True),
        (AuditKind.ACCESS, False),
    ]


def test_freezing_is_done_where_nothing_adapts_and_enabling_is_not(home, tmp_path):
    doctors = new_curve_key()
    People(home).enrol("c1", Role.CLINICIAN, doctors.public)
    with opened(tmp_path / "s", Loop()) as server, client(tmp_path / "s", doctors) as doctor:
        assert "nothing adapts" in doctor.must(Action.DISABLE_ADAPTATION).text
        assert server is not None


def test_changes_are_allowed_while_a_clinicians_permission_runs_or_by_the_file(home, tmp_path):
    clock = VirtualClock()
    by_file = AdaptationConfig(learner="any", permission="session")
    by_clinician = AdaptationConfig(learner="any")
    assert adaptation_refusal(by_file, None, clock)() == ""
    assert "no clinician's permission" in adaptation_refusal(by_clinician, None, clock)()
    permissions = Permissions()
    kept = SimpleNamespace(doors=SimpleNamespace(permissions=permissions))
    why_not = adaptation_refusal(by_clinician, kept, clock)
    assert why_not()
    permissions.grant(Permission(action=Action.ENABLE_ADAPTATION, who="c1", until_ns=10**9))
    assert why_not() == ""
    clock.advance(10**9)
    assert why_not()
