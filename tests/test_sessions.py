"""Every ready session parses as it is, and runs."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import numpy as np
import pytest

from diverloop.hardware.player import PlayerConfig, play
from diverloop.proving import replay_exact
from diverloop.run_report import RunReport
from diverloop.running import RunOptions, run_session
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.guide_file import read_guide
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.session import SessionConfig, read_session

from .modelled import quickly_saved, saved, write_npz
from .mutations import cases, judge, subjects

FOLDER = Path(__file__).resolve().parents[1] / "sessions"
FILES = sorted(FOLDER.glob("*.toml"))
GUIDES = sorted(FOLDER.parent.glob("calibrations/*.toml"))
WHOLE = subjects(FOLDER)


def session(name: str, **overrides: object) -> SessionConfig:
    """A ready session with some values replaced; keys are written table__key."""
    texts = {key.replace("__", "."): str(value) for key, value in overrides.items()}
    return read_session(FOLDER / name, texts)


def run(config: SessionConfig, **options: object) -> RunReport:
    return run_session(config, RunOptions(**({"live": False} | options)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_ready_session_parses_and_says_what_it_is_for(path):
    config = read_session(path)
    comment = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert comment.startswith("# ")
    assert config.name
    assert "diverloop run sessions/" + path.name in path.read_text(encoding="utf-8")
    assert config.model.name in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_ready_calibration_parses_and_names_a_session_with_the_same_source(path):
    guide, text = read_guide(path), path.read_text(encoding="utf-8")
    assert f"diverloop calibrate calibrations/{path.name}" in text
    assert f"calibrations/{path.name} sessions/{path.name}" in text
    assert guide.source.kind == read_session(FOLDER / path.name).source.kind


def test_each_ready_session_is_run_by_a_test_below():
    assert [path.stem for path in FILES] == [
        "lsl-motor-imagery",
        "replay-eegmmidb",
        "simulated-cursor",
        "simulated-ecog",
        "simulated-motor-imagery",
        "simulated-speech",
    ]


def test_simulated_motor_imagery_runs(tmp_path):
    config = session(
        "simulated-motor-imagery.toml", model__bundle=saved(tmp_path), source__duration_s=20
    )
    report = run(config, armed=True)
    assert report.session == "simulated motor imagery"
    assert report.latency.decoded > 150
    assert report.score is not None


def test_a_simulated_cursor_moves_as_it_should_and_replays_exactly(
    tmp_path,
):
    bundle = saved(tmp_path)
    config = session("simulated-cursor.toml", model__bundle=bundle, source__duration_s=20)
    report = run(config, armed=True, recordings=tmp_path / "kept")
    assert report.latency.decoded > 150
    comparison, _ = replay_exact(report.kept)
    assert comparison.ok, comparison.sentence()
    assert comparison.n_commanded > 50
    commands = [turn.command for turn in open_record(report.kept).turns]
    assert {len(command.velocity) for command in commands} == {1}
    speeds = np.array([command.velocity[0] for command in commands])
    labels = np.array([command.label or "" for command in commands])
    assert (speeds[labels == "left"] < 0).all()
    assert (speeds[labels == "right"] > 0).all()
    assert (speeds[labels == ""] == 0).all()
    assert 0.3 < np.abs(speeds).max() <= 0.8
    assert len(np.unique(speeds)) > 50


def test_a_cursor_whose_guard_is_not_armed_never_moves(tmp_path):
    bundle = saved(tmp_path)
    config = session("simulated-cursor.toml", model__bundle=bundle, source__duration_s=12)
    report = run(config, recordings=tmp_path)
    commands = [turn.command for turn in open_record(report.kept).turns]
    assert len(commands) > 50
    assert {command.velocity for command in commands} == {(0.0,)}


def test_simulated_ecog_runs_and_decodes_nothing_across_its_gap(tmp_path):
    bundle = quickly_saved(tmp_path, "ecog8x8")
    config = session("simulated-ecog.toml", model__bundle=bundle, source__duration_s=16)
    report = run(config, armed=True)
    assert report.latency.samples_lost == 125
    assert report.latency.events["gap"] == 1
    assert report.latency.decoded > 80
    # 2.5 s and settling at the gap; 0.7 s of settling after the start.
    assert sum(report.latency.refused.values()) > 20


def test_the_replay_runs_on_a_recording_by_path(tmp_path):
    recording = write_npz(tmp_path / "run.npz")
    config = session("replay-eegmmidb.toml", model__bundle=saved(tmp_path), source__path=recording)
    report = run(config)
    assert report.signal_s == pytest.approx(12.0, abs=0.1)
    assert report.latency.decoded > 80


@pytest.mark.live
def test_lsl_motor_imagery_runs_on_a_played_recording(tmp_path):
    recording, stream = write_npz(tmp_path / "run.npz"), f"test-{uuid.uuid4().hex}"
    config = session(
        "lsl-motor-imagery.toml",
        model__bundle=saved(tmp_path),
        source__name=stream,
        loop__deadline_s=30,
    )
    stop = threading.Event()
    player = threading.Thread(
        target=play,
        args=(PlayerConfig(path=str(recording), name=stream), MonotonicClock()),
        kwargs={"stop": stop.is_set},
    )
    player.start()
    try:
        report = run(config, live=True, seconds=10.0)
    finally:
        stop.set()
        player.join(30)
    assert report.live
    assert report.latency.decoded > 5
    assert report.latency.samples_lost == 0


@pytest.mark.parametrize("name", ["conditioned", "pinned", "feedback", "sinks"])
def test_a_wrong_value_is_refused_by_name_or_valid_and_never_anything_else(name):
    # All values, in all sections of all sessions: tests/bench/settings_mutations.py.
    tried = cases(WHOLE[name], few=True)
    verdicts = {(place, what): judge(place, mutation) for place, what, mutation in tried}
    wrong = {key: told for key, told in verdicts.items() if told not in ("accepted", "refused")}
    assert not wrong
    assert list(verdicts.values()).count("refused") > 150
    assert all(told == "refused" for (_, what), told in verdicts.items() if what == "nan")
