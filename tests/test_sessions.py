"""Every ready session parses as it is, and runs."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import pytest

from diverloop.hardware.player import PlayerConfig, play
from diverloop.running import RunOptions, RunReport, run_session
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.session import SessionConfig, read_session

from .test_assembly import saved, write_npz

FOLDER = Path(__file__).resolve().parents[1] / "sessions"
FILES = sorted(FOLDER.glob("*.toml"))


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


def test_each_ready_session_is_run_by_a_test_below():
    assert [path.stem for path in FILES] == [
        "lsl-motor-imagery",
        "replay-eegmmidb",
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


def test_simulated_ecog_runs_and_decodes_nothing_across_its_gap(tmp_path):
    bundle = saved(tmp_path, "ecog8x8")
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
