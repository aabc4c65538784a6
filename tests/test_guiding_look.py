"""What is looked at while it is recorded is what is read from the file afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.guiding import Guiding
from diverloop.guiding_look import SoFar, look_at, way_of
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.guide_file import parse_guide
from diverloop.runtime.messages import Channel, Chunk, Marker, StreamSpec

SPEC = StreamSpec(name="x", rate_hz=250.0, channels=(Channel(name="C3"), Channel(name="C4")))


def guide(**changes):
    asked = {"task": "motor_imagery", "rest_s": [0.5, 1.0], "pause_s": 2.0}
    person = {"kind": "simulator", "montage": "eeg8", "seed": 3, "skill": 1.0, "snr": 2.0}
    return parse_guide({"session": {"name": "x"}, "source": person, "calibration": asked | changes})


def chunk(first: int, n: int, *labels: str) -> Chunk:
    samples = np.full((2, n), float(first), np.float32)
    markers = tuple(Marker(label=label, sample=first) for label in labels)
    return Chunk(samples=samples, first_sample=first, arrived_ns=0, markers=markers)


def test_a_look_on_the_way_judges_the_trials_that_the_file_holds_and_ends_it_early(tmp_path):
    path = tmp_path / "c.xdf"
    asked = guide(trials_per_class=6, block_per_class=3, first_check=3, needed=0.9, narrow=0.45)
    report = Guiding(asked, VirtualClock(), seed=2).run(path)
    summary = report.summary
    assert summary.ended == "known"
    assert summary.n_judged == sum(summary.kept.values()) == 6
    assert look_at(read_recording(path), way_of(asked)) == (summary.n_right, summary.n_judged)


def test_what_has_come_so_far_is_a_recording_with_its_gaps():
    so_far = SoFar(SPEC)
    for one in (chunk(10, 5, "left"), chunk(20, 5), chunk(25, 5, "rest")):
        so_far.take(one)
    recording = so_far.recording()
    assert recording.n_times == 20
    assert recording.gaps == ((5, 10),)
    assert np.isnan(recording.samples[:, 5:10]).all()
    assert [(m.label, m.sample) for m in recording.markers] == [("left", 0), ("rest", 15)]
    so_far.take(chunk(30, 5))
    assert recording.n_times == 20


def test_nothing_is_no_recording():
    with pytest.raises(RecordingError, match="No sample has come yet"):
        SoFar(SPEC).recording()


def test_the_way_is_the_tasks_first_within_the_length_of_a_trial():
    plan = way_of(guide())
    assert (plan.encoder, plan.span.stop_s) == ("filterbank_covariance", 4.0)
    assert way_of(guide(trial_s=2.0)).span.stop_s == 3.25
    with pytest.raises(ConfigError, match="shows flashes or flicker"):
        way_of(guide(task="ssvep"))
