"""A run ends in good order, however it ends, and leaves a report that says what it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diverloop.assembly import open_model
from diverloop.control_commands import person_key
from diverloop.demo import CLASSES, SPAN
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.proving import verify
from diverloop.run_report import RunReport
from diverloop.running import RunOptions, run_session, scorer_for
from diverloop.runtime.access import Action
from diverloop.runtime.control_client import DOOR, ControlClient, read_door
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.errors import BundleError
from diverloop.runtime.json_text import json_text
from diverloop.runtime.record.audit import AuditKind, read_audit
from diverloop.runtime.record.note_server import send_note
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.session import PartConfig, SessionConfig

from .modelled import fitted, saved

SESSION = """
[session]
name = "interrupted"
[source]
kind = "simulator"
classes = ["left", "right"]
[model]
bundle = "{bundle}"
"""


def simulated(seconds: float, bundle: Path = Path("none.bundle")) -> SessionConfig:
    settings = SimulatorConfig(seed=71, duration_s=seconds, classes=CLASSES)
    source = PartConfig(kind="simulator", settings=settings)
    return SessionConfig(name="a run / of mine", source=source, model=bundle)


def ran(signal_s: float, **options: object) -> RunReport:
    made = RunOptions(**({"live": False, "armed": True} | options))
    return run_session(simulated(signal_s), made, open_model(fitted()))


def strict(text: str) -> dict:
    return json.loads(text, parse_constant=pytest.fail)


def test_a_replay_reports_its_pace_and_no_latency(tmp_path):
    report = ran(20.0, reports=tmp_path)
    assert report.signal_s == pytest.approx(20.0, abs=0.05)
    assert 0 < report.wall_s < 20
    stored = strict(report.path.read_text(encoding="utf-8"))
    assert stored["latency"] is None
    assert stored["counts"]["decoded"] == report.latency.decoded > 100
    assert stored == strict(json_text(report.to_json()))


def test_a_live_run_reports_its_latency(tmp_path):
    report = ran(3.5, live=True, reports=tmp_path)
    stored = strict(report.path.read_text(encoding="utf-8"))
    assert stored["live"] is True
    assert stored["latency"]["effective"]["n"] == stored["counts"]["decoded"] > 0
    assert stored["notice"] == "Investigational, not a medical device."
    assert report.signal_s == pytest.approx(report.wall_s, abs=0.01)
    assert all(grant["name"] for grant in stored["real_time"])


def test_the_report_lies_where_it_says_under_a_name_that_every_system_takes(tmp_path):
    report = ran(4.0, reports=tmp_path / "new" / "folder")
    assert report.path.exists()
    assert report.path.name.startswith("a-run---of-mine-")


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ran(4.0).path is None
    assert not list(tmp_path.iterdir())


def test_every_decision_is_logged(tmp_path):
    report = ran(8.0, decisions=tmp_path / "decisions")
    records = read_decisions(tmp_path / "decisions")
    assert len(records) == report.latency.windows_due
    assert sum(record["label"] is not None for record in records) == report.latency.decoded


def test_accuracy_is_judged_by_the_span_that_was_fitted():
    assert scorer_for(open_model(fitted()).card).span == SPAN


def test_a_missing_bundle_is_refused_before_anything_opens(tmp_path):
    with pytest.raises(BundleError, match=r"gone\.bundle"):
        run_session(simulated(4.0, tmp_path / "gone.bundle"), RunOptions(live=False))


def test_a_run_ends_after_so_many_seconds_of_the_clock_on_the_wall():
    report = ran(0.0, live=True, seconds=0.5)
    assert report.latency.decoded == 0
    assert report.score is None
    assert report.unscored.startswith("No trial was judged")


def test_a_live_run_can_be_stopped_from_outside_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # they belong to another thread
    model = open_model(fitted())
    options = RunOptions(recordings=tmp_path, seconds=1.5, armed=True)
    thread = threading.Thread(target=run_session, args=(simulated(30.0), options, model))
    thread.start()
    while thread.is_alive() and not list(tmp_path.glob(f"*/{DOOR}")):
        thread.join(0.02)
    (folder,) = tmp_path.iterdir()
    door = read_door(folder)
    with ControlClient(door.address, door.server, person_key(None).key, 20) as person:
        person.must(Action.STOP)
        assert person.must(Action.STATUS).facts["guard"] == "stopped"
    thread.join()
    told = [entry.what for entry in read_audit(folder)]
    assert told.index(AuditKind.EMERGENCY_STOP) < told.index(AuditKind.SESSION_ENDED)
    assert not (folder / DOOR).exists()


def test_the_handlers_of_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    ran(4.0)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture(scope="module")
def session_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    path = folder / "endless.toml"
    path.write_text(SESSION.format(bundle=saved(folder).as_posix()))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_closes_the_run_cleanly_and_all_of_it_is_kept(session_file, tmp_path, number):
    log = tmp_path / "decisions"
    os.mkfifo(log)  # opens when the run opens its log, and delivers when it decides
    command = [sys.executable, "-m", "diverloop", "run", session_file, "--no-view", "--json"]
    command += ["--decisions", log, "--recordings", tmp_path / "kept"]
    command += ["--set", "model.step_s=0.02"]  # fills the log's buffer sooner
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            with log.open(encoding="utf-8") as decisions:
                decisions.readline()
                (folder,) = (tmp_path / "kept").iterdir()
                send_note(folder, "moved", "p1")
                process.send_signal(number)
                decisions.read()
            out, err = process.communicate(timeout=60)
        finally:
            guard.cancel()
            process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    report = strict(out)
    assert report["recording"] == str(folder)
    assert strict((folder / "report.json").read_text(encoding="utf-8")) == report
    verification, record = verify(folder), open_record(folder)
    assert verification.ok, verification.sentences()
    assert verification.sealed
    assert verification.comparison.n_decoded == report["counts"]["decoded"]
    assert [(note.text, note.who) for note in record.notes] == [("moved", "p1")]
    assert record.remarks == ()
    assert record.start_ns < record.notes[0].at_ns
    assert 0 < record.sample_at(record.notes[0].at_ns) < record.n_times


def test_what_a_run_reports_is_that_of_its_recording(tmp_path):
    report = ran(8.0, recordings=tmp_path)
    record = open_record(report.kept)
    assert report.path == report.kept / "report.json"
    assert strict(report.path.read_text(encoding="utf-8"))["recording"] == str(report.kept)
    assert report.model == record.manifest.model_sha256
    assert record.n_times == 2000
    assert sum(turn.decision.label is not None for turn in record.turns) == report.latency.decoded


def test_a_recorded_run_decides_as_one_that_is_not_recorded(tmp_path):
    ran(8.0, decisions=tmp_path / "without")
    ran(8.0, decisions=tmp_path / "with", recordings=tmp_path / "kept")
    without, recorded = (read_decisions(tmp_path / name) for name in ("without", "with"))
    assert len(recorded) == len(without) > 50
    for before, after in zip(without, recorded, strict=True):
        assert before["probabilities"] == after["probabilities"]
        assert before["command"] == after["command"]


def test_without_a_place_for_recordings_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ran(4.0).kept is None
    assert not list(tmp_path.iterdir())
