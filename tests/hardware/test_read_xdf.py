"""A session of ours is an XDF file like any other: its signal, its cues and its gaps are found."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pylsl
import pytest

from diverloop.assembly import open_model
from diverloop.hardware.recordings import Recording, describe, read_recording
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import load_bundle
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record.contents import Record
from diverloop.runtime.record.reading import open_record

from ..kept import LOST, folder_of, model_of, session, settings
from ..test_cli import told

LIMIT_S = 60.0


@pytest.fixture(scope="module", params=["eeg16", "ecog8x8"])
def both(request) -> tuple[Record, Recording]:
    """A session as this program reads it, and as a file of any program."""
    folder = folder_of(request.param)
    return open_record(folder), read_recording(folder / "recording.xdf")


def test_the_signal_is_found_among_the_streams_bit_for_bit(both):
    ours, foreign = both
    assert foreign.spec.name == ours.spec.name == "simulated motor_imagery"
    assert foreign.spec.schema == ours.spec.schema
    assert foreign.samples.dtype == np.float32
    assert np.array_equal(foreign.samples, ours.samples(), equal_nan=True)


def test_samples_that_were_lost_are_a_gap(both):
    _, foreign = both
    assert foreign.gaps == (LOST,)
    assert foreign.n_times == 7500


def test_cues_are_found_at_their_samples_and_nothing_else_is_a_cue(both):
    ours, foreign = both
    told_apart = [(marker.label, marker.sample) for marker in foreign.markers]
    assert told_apart == [(marker.label, marker.sample) for marker in ours.markers]
    assert set(describe(foreign)["markers"]) == {"left", "right", "rest"}


def test_electrodes_stand_where_they_stood_to_a_nanometre(both):
    ours, foreign = both
    for before, after in zip(ours.spec.channels, foreign.spec.channels, strict=True):
        assert after.kind == before.kind
        assert after.position_m == pytest.approx(before.position_m, abs=1e-9)


def test_the_beginning_has_the_time_of_this_machine(both):
    ours, foreign = both
    assert foreign.start_lsl_s == pytest.approx(ours.start_lsl_s, abs=1e-6)


def test_moments_are_known_better_than_to_a_sample(both):
    _, foreign = both
    indices, stamps_s = np.array(foreign.stamps).T
    assert 200 < len(indices) <= 300
    np.testing.assert_allclose(stamps_s, foreign.start_lsl_s + indices / 250.0, atol=1e-5)


def test_the_reader_has_nothing_to_complain_of(both):
    assert both[1].notes == ()


def test_the_decisions_cannot_be_taken_for_a_signal(both):
    with pytest.raises(RecordingError, match="no signal of name or type 'diverloop-decisions'"):
        read_recording(both[1].path, stream="diverloop-decisions")


def test_a_session_that_breaks_off_can_be_read_up_to_there(tmp_path):
    whole = (folder_of() / "recording.xdf").read_bytes()
    path = tmp_path / "broken.xdf"
    path.write_bytes(whole[: len(whole) // 2])
    part, ours = read_recording(path), open_record(folder_of()).samples()
    assert 2000 < part.n_times < 5000
    assert np.array_equal(part.samples, ours[:, : part.n_times], equal_nan=True)
    assert any("has no footer" in note for note in part.notes)


def test_a_session_is_decoded_by_another_model_than_its_own(tmp_path):
    report = told(
        *("replay", folder_of() / "recording.xdf", "--model", folder_of() / "model.bundle"),
        *("--reports", tmp_path),
    )
    assert report["signal_s"] == pytest.approx(30.0, abs=0.1)
    assert report["counts"]["samples_lost"] == LOST[1] - LOST[0]
    assert report["counts"]["decoded"] > 200
    assert report["accuracy"]["n"] == 3


def test_a_model_is_fitted_on_a_session(tmp_path):
    options = RunOptions(live=False, recordings=tmp_path / "kept")
    longer = session(settings(duration_s=90.0))
    folder = run_session(longer, options, open_model(model_of("eeg16"))).kept
    path = tmp_path / "again.bundle"
    fitted = told(
        *("fit", folder / "recording.xdf", "--classes", "left,right", "--out", path),
        *("--encoder", "csp", "--window-s", 1.0),
    )
    card = load_bundle(path, sha256=fitted["sha256"]).card
    assert card.classes == ("left", "right")
    assert (card.trained_on[0].name, card.trained_on[0].seconds) == ("recording.xdf", 89.6)


@pytest.mark.live
def test_a_session_is_played_over_lsl_as_it_was(tmp_path):
    name, seconds = f"test-{uuid.uuid4().hex}", 1.0
    short = folder_of(seconds=10.0)
    command = [sys.executable, "-m", "diverloop", "play", short / "recording.xdf"]
    command += ["--name", name, "--stop-s", str(seconds), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as player:
        try:
            rows = received(name, round(seconds * 250))
            said = json.loads(player.communicate(timeout=LIMIT_S)[0])
        finally:
            player.kill()
    assert said["samples_sent"] == len(rows)
    ours = open_record(short).samples()[:, : len(rows)]
    assert np.array_equal(np.array(rows, np.float32).T, ours)


def received(name: str, count: int) -> list[list[float]]:
    """So many samples of a stream, as any LSL program receives them."""
    (found,) = pylsl.resolve_byprop("name", name, timeout=LIMIT_S)
    inlet = pylsl.StreamInlet(found)
    inlet.open_stream(LIMIT_S)
    rows = [inlet.pull_sample(LIMIT_S)[0] for _ in range(count)]
    inlet.close_stream()
    return rows


@pytest.mark.parametrize("content", [b"XDF:", b"no file of that kind"])
def test_what_holds_nothing_is_refused(tmp_path, content):
    path = Path(tmp_path / "x.xdf")
    path.write_bytes(content)
    with pytest.raises(RecordingError):
        read_recording(path)
