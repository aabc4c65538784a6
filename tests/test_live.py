"""Three processes on a real recording: one plays it, one decodes it, this one listens."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from diverloop.calibration import fit_model
from diverloop.fit_plan import FitPlan
from diverloop.hardware.lsl_outlet import FIXED
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.proving import verify
from diverloop.runtime.bundle import save_bundle
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.record.bids import BidsOptions, export_bids
from diverloop.runtime.record.contents import Record
from diverloop.runtime.record.deidentify import DeidentifyOptions
from diverloop.runtime.record.nwb import NwbOptions, export_nwb
from diverloop.runtime.record.reading import open_record
from diverloop.training_sources import recordings

from .data import recording_path

pytestmark = [pytest.mark.live, pytest.mark.data]

PLAYED_S = 8.0
RUN_S = 13.0  # the player needs PLAYED_S, and up to 2 s to meet its listener and to say goodbye
LIMIT_S = 90.0  # for each wait; they take as long as the run
RATE_HZ, STEP = 160, 16

SESSION = """
[session]
name = "live"
[source]
kind = "lsl"
name = "{stream}"
wait_s = 60
[model]
bundle = "{bundle}"
[[sinks]]
kind = "lsl"
name = "{stream}-out"
[loop]
deadline_s = 30  # on a busy machine a window may be late, but here none may be skipped
"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What every process had to say at the end."""

    played: dict[str, Any]
    report: dict[str, Any]
    written: list[dict[str, Any]]
    live: list[dict[str, Any]]
    replayed: dict[int, dict[str, Any]]
    received: list[dict[str, float]]


@contextmanager
def diverloop(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A diverloop command in a process of its own, which does not outlive the block."""
    command = [sys.executable, "-m", "diverloop", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The one JSON object that a command printed before it ended well."""
    text, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    return json.loads(text)


def listen(name: str) -> list[dict[str, float]]:
    """Every decision until the farewell, received as any LSL program would."""
    (found,) = pylsl.resolve_byprop("name", name, timeout=LIMIT_S)
    inlet = pylsl.StreamInlet(found)
    inlet.open_stream(LIMIT_S)
    labels, rows = inlet.info(LIMIT_S).get_channel_labels(), []
    while not rows or rows[-1]["stop_sample"] >= 0:
        sample, _ = inlet.pull_sample(LIMIT_S)
        assert sample is not None, f"nothing came after {rows[-1:]}"
        rows.append(dict(zip(labels, sample, strict=True)))
    inlet.close_stream()
    assert labels[: len(FIXED)] == list(FIXED)
    return rows


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A model fitted on another run of the same person."""
    span = TrialSpan(classes=("both_fists", "both_feet"), start_s=0.5, stop_s=4.1)
    sources = recordings([recording_path("mi/eegmmidb_S001_R06.npz")])
    path = tmp_path_factory.mktemp("model") / "run6.bundle"
    save_bundle(fit_model(sources, FitPlan(span=span)), path)
    return path


@pytest.fixture(scope="module")
def seen(bundle, tmp_path_factory) -> Seen:
    """One rehearsal, looked at from all sides by the tests below."""
    recording = recording_path("mi/eegmmidb_S001_R10.npz")
    folder, stream = tmp_path_factory.mktemp("live"), f"test-{uuid.uuid4().hex}"
    session, live, replayed = (folder / name for name in ("live.toml", "live", "replayed"))
    session.write_text(SESSION.format(stream=stream, bundle=bundle.as_posix()))
    play = ("play", recording, "--name", stream, "--stop-s", PLAYED_S, "--json")
    run = ("run", session, "--no-view", "--seconds", RUN_S, "--decisions", live)
    run += ("--recordings", folder / "recordings", "--json")
    again = ("replay", recording, "--model", bundle, "--decisions", replayed)
    again += ("--reports", folder / "reports", "--json")
    with diverloop(*play) as player, diverloop(*run) as runner:
        received = listen(f"{stream}-out")
        played, report = said(player), said(runner)
    with diverloop(*again) as replay:
        said(replay)
    written = read_decisions(live)
    return Seen(
        played=played,
        report=report,
        written=written,
        live=[record for record in written if is_window(record)],
        replayed={record["stop_sample"]: record for record in read_decisions(replayed)},
        received=received,
    )


def is_window(record: dict[str, Any]) -> bool:
    """Whether it speaks of a window, not of a stream that fell silent."""
    return record["stop_sample"] > record["first_sample"]


def test_every_live_decision_is_that_of_the_replay(seen):
    for record in seen.live:
        twin = seen.replayed[record["stop_sample"]]
        for key in ("first_sample", "label", "reason", "epoch"):
            assert record[key] == twin[key]
        live, replayed = (
            np.array([one["probabilities"][name] for name in sorted(one["probabilities"])], float)
            for one in (record, twin)
        )
        np.testing.assert_allclose(live, replayed, rtol=0, atol=1e-6)


def test_no_window_is_missing(seen):
    stops = [record["stop_sample"] for record in seen.live]
    assert stops == list(range(2 * RATE_HZ, round(PLAYED_S * RATE_HZ) + 1, STEP))


def test_the_loop_was_engaged(seen):
    decided = [record for record in seen.live if record["label"]]
    assert len(decided) > 40
    sure = [record["probabilities"]["both_feet"] for record in decided]
    assert len(set(sure)) > 0.9 * len(sure)  # it looked at every window anew
    assert seen.played["samples_sent"] == round(PLAYED_S * RATE_HZ)


def test_what_a_plain_listener_received_is_what_was_decided(seen):
    *received, farewell = seen.received
    assert farewell["stop_sample"] == -1
    names = list(seen.live[0]["probabilities"])
    assert len(received) >= len(seen.live)
    for row, record in zip(received, seen.written[-len(received) :], strict=True):
        assert row["stop_sample"] == record["stop_sample"]
        assert row["decided"] == (names.index(record["label"]) if record["label"] else -1)
        assert row["strength"] == record["strength"]
        assert bool(row["selected"]) == record["selected"]
        for name in names:
            sent = record["probabilities"][name]
            assert row[f"p:{name}"] == pytest.approx(np.nan if sent is None else sent, nan_ok=True)


def test_nothing_is_commanded_until_a_person_arms_the_guard(seen):
    assert {row["commanded"] for row in seen.received} == {-1}
    assert {record["command"] for record in seen.live} == {None}


def test_the_loss_of_the_sender_is_reported_and_the_run_ends_at_its_time(seen):
    events = seen.report["counts"]["events"]
    assert events["source_lost"] == 1
    assert events["stale"] >= 1
    assert seen.report["counts"]["decoded"] == len([r for r in seen.live if r["label"]])
    assert seen.report["counts"]["skipped_late"] == 0
    assert seen.report["wall_s"] >= PLAYED_S


# --- what the session left ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def played() -> Recording:
    """What the player played."""
    return read_recording(recording_path("mi/eegmmidb_S001_R10.npz")).excerpt(0.0, PLAYED_S)


@pytest.fixture(scope="module")
def recorded(seen) -> Record:
    """What the session recorded of it."""
    return open_record(seen.report["recording"])


def cues(recording: Record | Recording) -> list[tuple[str, int]]:
    return [(marker.label, marker.sample) for marker in recording.markers]


def test_the_live_session_replays_exactly_and_is_sealed(seen):
    verification = verify(seen.report["recording"])
    assert verification.ok, verification.sentences()
    assert verification.sealed
    assert verification.comparison.n_decided == seen.report["counts"]["decoded"]


def test_the_recording_holds_what_was_played_bit_for_bit(recorded, played):
    assert recorded.spec.schema == played.spec.schema
    assert recorded.spec.sent is not None
    assert np.array_equal(recorded.samples(), played.samples)
    assert cues(recorded) == cues(played) != []


def test_any_xdf_reader_finds_the_same_in_it(recorded, played):
    foreign = read_recording(recorded.path)
    assert foreign.spec.schema == played.spec.schema
    assert np.array_equal(foreign.samples, played.samples)
    assert cues(foreign) == cues(played)
    assert (foreign.gaps, foreign.notes) == ((), ())


def test_it_comes_back_whole_from_an_export(recorded, played, tmp_path):
    mne_bids = pytest.importorskip("mne_bids", reason="pip install 'diverloop[export]'")
    pynwb = pytest.importorskip("pynwb", reason="pip install 'diverloop[export]'")
    privacy = DeidentifyOptions(participant="P1", key="k")
    export_bids(recorded, tmp_path / "bids", BidsOptions(task="mi", deidentify=privacy))
    export_nwb(recorded, tmp_path / "one.nwb", NwbOptions(deidentify=privacy))
    raw = mne_bids.read_raw_bids(
        mne_bids.BIDSPath(
            subject="P1", session="01", task="mi", run="1", datatype="eeg", root=tmp_path / "bids"
        ),
        verbose="error",
    )
    assert np.array_equal((raw.get_data() * 1e6).astype(np.float32), played.samples)
    at = raw.time_as_index(raw.annotations.onset, use_rounding=True).tolist()
    assert set(cues(played)) <= set(zip(raw.annotations.description.tolist(), at, strict=True))
    found = raw.get_montage().get_positions()["ch_pos"]
    for channel in recorded.spec.channels:
        assert tuple(found[channel.name]) == channel.position_m
    with pynwb.NWBHDF5IO(tmp_path / "one.nwb", "r") as file:
        (series,) = file.read().acquisition.values()
        assert np.array_equal(series.data[:].T, played.samples)
