"""A whole session under control: the doors, the guard behind them, and the record."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from diverloop.assembly import open_model
from diverloop.control_commands import newest_session, person_key
from diverloop.controlling import check_doors
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.running import RunOptions, run_session
from diverloop.runtime.access import Action, Role
from diverloop.runtime.control_client import DOOR, ControlClient, read_door
from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.errors import AccessError, ConfigError
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.people import People
from diverloop.runtime.record.audit import AuditKind, read_audit
from diverloop.runtime.session import PartConfig, SessionConfig

from .test_assembly import fitted

CLASSES = ("left", "right")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def session(**control):
    settings = SimulatorConfig(seed=71, duration_s=30.0, classes=CLASSES)
    source = PartConfig(kind="simulator", settings=settings)
    bundle = Path("none.bundle")
    return SessionConfig(
        name="a run", source=source, model=bundle, control=ControlConfig(**control)
    )


class Running:
    """A live session on a thread; `seconds` is the bound if nobody ends it."""

    def __init__(self, root, made, **options):
        self.root = root
        asked = RunOptions(recordings=root, seconds=4.0, **options)
        self.failed = None

        def run():
            try:
                self.report = run_session(made, asked, open_model(fitted()))
            except ConfigError as error:
                self.failed = error

        self._thread = threading.Thread(target=run)

    def folder(self):
        for _ in range(400):
            found = list(self.root.glob(f"*/{DOOR}"))
            if found:
                return found[0].parent
            threading.Event().wait(0.02)
        raise AssertionError("the session never opened its door")

    def __enter__(self):
        # Signals belong to the main thread: what sets them stays out of this one.
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(30)


@pytest.fixture(autouse=True)
def no_signals(monkeypatch):
    from diverloop import running

    monkeypatch.setattr(running.signal, "signal", lambda *_: None)


def client(folder, key):
    door = read_door(folder)
    return ControlClient(door.address, door.server, key, 10)


def test_a_session_is_armed_stopped_and_reset_by_people_and_all_of_it_is_on_record(home, tmp_path):
    clinician = new_curve_key()
    People(home).enrol("c1", Role.CLINICIAN, clinician.public)
    with Running(tmp_path / "kept", session()) as running:
        folder = running.folder()
        assert newest_session(tmp_path / "kept") == folder
        own = person_key(None).key  # made while the session runs, and known to it at once
        with client(folder, own) as operator, client(folder, clinician) as doctor:
            assert operator.must(Action.STATUS).facts["guard"] == "disarmed"
            operator.must(Action.ARM)
            operator.must(Action.STOP)
            refused = operator.ask(Action.ARM)
            assert not refused.done
            assert "a clinician resets it first" in refused.text
            assert not operator.ask(Action.RESET).done
            operator.must(Action.DISARM)
            assert operator.must(Action.STATUS).facts["guard"] == "stopped"
            doctor.must(Action.RESET)
            assert operator.must(Action.STATUS).facts["guard"] == "disarmed"
            assert not operator.ask(Action.LISTEN).done
            assert not operator.ask(Action.ROLL_BACK).done
            operator.must(Action.NOTE, text="a quiet room")
    assert not (folder / DOOR).exists()
    entries = read_audit(folder)
    acts = [(entry.what, entry.who) for entry in entries if entry.details.get("done")]
    assert acts == [
        (AuditKind.ARMED, "owner"),
        (AuditKind.EMERGENCY_STOP, "owner"),
        (AuditKind.ACCESS, "c1"),
        (AuditKind.ACCESS, "owner"),
    ]
    refusals = [entry.details for entry in entries if entry.details.get("done") is False]
    assert [(one["action"], one["refused"]) for one in refusals] == [
        ("arm", "not possible now"),
        ("reset", "role does not allow it"),
        ("listen", "not possible now"),
        ("roll_back", "not possible now"),
    ]
    with pytest.raises(AccessError, match="No session that can be controlled"):
        newest_session(tmp_path / "kept")


def test_a_damaged_list_of_people_keeps_a_session_from_starting(home, tmp_path):
    home.mkdir()
    (home / "people.json").write_text("{")
    (home / "people.json").chmod(0o600)
    with Running(tmp_path / "kept", session()) as running:
        pass
    assert "list of people" in str(running.failed)


def test_a_session_without_a_link_leaves_no_door_and_makes_no_key(home, tmp_path):
    with Running(tmp_path / "kept", session(enabled=False), live=False) as running:
        pass
    assert running.report.latency.decoded > 0
    assert not list(tmp_path.glob(f"kept/*/{DOOR}"))
    assert not (home / "control-key.json").exists()


def test_doors_that_cannot_be_had_are_refused():
    with pytest.raises(ConfigError, match="but --arm was given"):
        check_doors(ControlConfig(required=True), live=True, armed=True, kept=True)
    for asked in ({"required": True}, {"remote": True}, {"watch": "ipc://x"}):
        with pytest.raises(ConfigError, match="name a folder with --recordings"):
            check_doors(ControlConfig(**asked), live=True, armed=False, kept=False)
        check_doors(ControlConfig(**asked), live=False, armed=True, kept=False)
    check_doors(ControlConfig(), live=True, armed=True, kept=False)
