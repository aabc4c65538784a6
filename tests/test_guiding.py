"""A guided calibration from its first cue to a fitted model."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from diverloop.calibration import fit_best
from diverloop.cli import app
from diverloop.fit_plan import plans_for
from diverloop.guiding import Guiding, open_source
from diverloop.guiding_run import run_guide
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError, RecordingError, SourceUnavailable
from diverloop.runtime.guide_file import parse_guide
from diverloop.runtime.messages import Chunk, Marker, StreamSpec
from diverloop.runtime.montage_config import MontageConfig
from diverloop.runtime.paradigms.guided_course import Scene
from diverloop.runtime.session import PartConfig
from diverloop.training_sources import recordings

PERSON = {"kind": "simulator", "montage": "eeg8", "seed": 3, "skill": 1.0, "snr": 2.0}
USUAL = {"cue_s": 1.25, "trial_s": 3.25}
SHORT = {
    "task": "motor_imagery",
    "rest_s": [0.5, 1.0],
    "cue_s": 0.5,
    "trial_s": 2.5,
    "pause_s": 2.0,
}
GAP = {"kind": "gap", "at_s": 3.0, "length_s": 1.0}


def guide(person=(), **changes):
    """A short calibration of somebody who is good at it."""
    return parse_guide(
        {
            "session": {"name": "test", "participant": "P01"},
            "source": PERSON | dict(person),
            "calibration": SHORT | changes,
        }
    )


@functools.cache
def whole(folder: Path):
    """Six trials of each class, one of which loses a second of signal."""
    scenes = []
    asked = guide({"faults": [GAP]}, trials_per_class=6, block_per_class=3, **USUAL)
    path = folder / "whole.xdf"
    return run_guide(asked, path, live=False, seed=4, show=scenes.append), scenes, path


@functools.cache
def card_of(path: Path):
    plans = plans_for("motor_imagery", encoder="csp", classes=("left", "right"), stop_s=4.0)
    return fit_best(recordings([path]), plans).card


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    return whole(tmp_path_factory.getbasetemp())


def test_a_simulated_calibration_can_be_fitted_and_decodes_far_above_chance(calibrated):
    report, _, path = calibrated
    assert report.summary.ended == "complete"
    assert report.summary.kept == {"left": 6, "right": 6}
    found = card_of(path).scores["cross_validation"]
    assert found["n"] == 12
    assert found["accuracy"] >= 10 / 12


def test_a_trial_that_lost_signal_is_repeated_and_rejected_in_the_recording(calibrated):
    report, scenes, path = calibrated
    bad = [trial for trial in report.trials if not trial["kept"]]
    assert len(bad) == report.rejected == report.summary.repeats == 1
    assert "of the signal was lost" in bad[0]["sentence"]
    recording = read_recording(path)
    counts = Counter(marker.label for marker in recording.markers)
    assert counts["left"] + counts["right"] == len(report.trials) == 13
    assert counts["rest"] == 13
    assert counts["reject"] == 1
    cues = [marker for marker in recording.markers if marker.label in ("left", "right")]
    (reject,) = (marker for marker in recording.markers if marker.label == "reject")
    number = bad[0]["number"]
    assert cues[number - 1].sample < reject.sample < cues[number].sample
    assert cues[number - 1].label == bad[0]["label"]
    assert recording.gaps == ((3 * 250, 4 * 250),)
    assert any("It comes again later" in scene.last for scene in scenes)


def test_what_is_fitted_leaves_exactly_the_rejected_trial_out(calibrated):
    report, _, path = calibrated
    assert card_of(path).trained_on[0].n_trials == 12
    assert len(report.trials) == 13


def test_the_person_is_told_each_phase_and_how_far_it_is(calibrated):
    _, scenes, _ = calibrated
    kinds = Counter(scene.kind for scene in scenes)
    assert kinds["cue"] == kinds["trial"] == kinds["rest"] == kinds["end"] == 13
    assert kinds["pause"] >= 1
    assert scenes[-1].kind == "over"
    assert scenes[-1].good == scenes[-1].planned == 12
    assert {scene.instruction for scene in scenes if scene.kind == "cue"} == {
        "Now: left",
        "Now: right",
    }


def test_the_person_imagines_what_was_asked_from_half_a_second_after_each_cue(tmp_path):
    asked, clock = guide({"duration_s": 9.0}), VirtualClock()
    person = open_source(asked, clock)
    Guiding(asked, clock, seed=4, source=person).run(tmp_path / "short.xdf")
    for marker in read_recording(tmp_path / "short.xdf").markers:
        if marker.label in asked.plan.classes:
            assert person.truth(marker.sample + 100) == "rest"
            assert person.truth(marker.sample + 150) == marker.label
        elif marker.label == "rest":
            assert person.truth(marker.sample + 150) == "rest"


def test_the_same_seed_gives_the_same_recording_to_the_last_bit(tmp_path):
    asked = guide({"duration_s": 6.0})
    for name in ("one", "two"):
        run_guide(asked, tmp_path / f"{name}.xdf", live=False, seed=4)
    one, two = (read_recording(tmp_path / f"{name}.xdf") for name in ("one", "two"))
    assert np.array_equal(one.samples, two.samples)
    assert one.markers == two.markers


def test_a_calibration_behind_a_mapping_file_records_the_mapped_channels(tmp_path):
    asked = guide({"duration_s": 6.0})
    names = open_source(asked, VirtualClock()).spec.channel_names
    tables = "".join(f"[[channels]]\ndevice = '{n}'\nname = 'x{n}'\n" for n in names[::-1])
    (tmp_path / "cap.toml").write_text(tables)
    run_guide(asked, tmp_path / "plain.xdf", live=False, seed=4)
    asked = replace(asked, montage=MontageConfig(file=str(tmp_path / "cap.toml")))
    run_guide(asked, tmp_path / "mapped.xdf", live=False, seed=4)
    plain, mapped = (read_recording(tmp_path / f"{name}.xdf") for name in ("plain", "mapped"))
    assert mapped.spec.channel_names == tuple(f"x{name}" for name in names[::-1])
    assert np.array_equal(mapped.samples, plain.samples[::-1])
    assert mapped.markers == plain.markers


def settled(n_right: int, n: int) -> Future:
    done: Future = Future()
    done.set_result((n_right, n))
    return done


def test_it_ends_early_when_the_trials_so_far_settle_the_matter(tmp_path):
    asked = guide(
        trials_per_class=5, block_per_class=1, first_check=2, first_give_up=5, needed=0.51
    )
    looks = []

    def submit(look):
        looks.append(look)
        return settled(3, 4) if len(looks) == 1 else settled(6, 6)

    guiding = Guiding(asked, VirtualClock(), seed=1, submit=submit)
    report = guiding.run(tmp_path / "early.xdf")
    assert len(looks) == 2
    assert report.summary.ended == "enough"
    assert report.summary.kept == {"left": 3, "right": 3}
    assert "Decoded when held out: 6 of 6 trials" in report.sentences()[1]
    # A second is recorded behind the last marker.
    recording = read_recording(tmp_path / "early.xdf")
    assert recording.n_times - recording.markers[-1].sample == pytest.approx(250, abs=25)


def test_the_stream_is_recorded_while_somebody_looks_and_the_pause_is_not_longer(tmp_path):
    asked = guide(trials_per_class=3, block_per_class=2, first_check=2, first_give_up=2)
    scenes, waiting = [], []

    class Slow(Future):
        asked = 0

        def done(self):
            self.asked += 1
            if self.asked == 5:
                self.set_result((2, 4))
            return super().done()

    def submit(look):
        waiting.append(Slow())
        return waiting[-1]

    guiding = Guiding(asked, VirtualClock(), seed=1, submit=submit, show=scenes.append)
    guiding.run(tmp_path / "slow.xdf")
    assert [each.asked for each in waiting] == [5, 5]
    recording = read_recording(tmp_path / "slow.xdf")
    assert not recording.gaps
    (paused,) = (m for m in recording.markers if m.label == "pause")
    ended = max(m.sample for m in recording.markers if m.sample < paused.sample)
    begun = min(m.sample for m in recording.markers if m.sample > paused.sample)
    # 2 s of pause, counted from the end of the block, then 0.5 to 1 s of rest.
    assert 2.5 <= (begun - ended) / 250 <= 3.2
    assert (paused.sample - ended) / 250 >= 0.4


def test_trials_that_cannot_be_judged_are_a_note_and_no_end(tmp_path):
    asked = guide(trials_per_class=2, block_per_class=2, first_check=2, first_give_up=2)

    def submit(look):
        failed: Future = Future()
        failed.set_exception(RecordingError("too few trials"))
        return failed

    report = Guiding(asked, VirtualClock(), submit=submit).run(tmp_path / "noted.xdf")
    assert report.summary.ended == "complete"
    assert "could not be judged: too few trials" in report.notes[0]


def test_a_look_that_fails_in_a_way_nobody_foresaw_is_a_note_and_no_end(tmp_path):
    asked = guide(trials_per_class=2, block_per_class=2, first_check=2, first_give_up=2)

    def submit(look):
        failed: Future = Future()
        failed.set_exception(np.linalg.LinAlgError("singular matrix"))
        return failed

    report = Guiding(asked, VirtualClock(), submit=submit).run(tmp_path / "noted.xdf")
    assert report.summary.ended == "complete"
    assert "could not be judged: LinAlgError: singular matrix" in report.notes[0]


def test_a_stop_in_the_middle_of_a_trial_keeps_all_that_came_and_rejects_that_trial(tmp_path):
    asked, cues = guide(trials_per_class=6), []

    def show(scene):
        cues.append(scene.kind)
        if cues.count("trial") == 4:
            guiding.stop()

    guiding = Guiding(asked, VirtualClock(), seed=1, show=show)
    report = guiding.run(tmp_path / "stopped.xdf")
    assert report.summary.ended == "stopped"
    assert sum(report.summary.kept.values()) == 3
    assert report.notes == ("It was stopped before the calibration was over.",)
    recording = read_recording(tmp_path / "stopped.xdf")
    assert recording.duration_s == pytest.approx(report.seconds)
    labels = [m.label for m in recording.markers if m.label != "rest"]
    assert len(labels) == 5
    assert labels[-1] == "reject"
    assert not recording.notes  # footers and all


def test_a_screen_elsewhere_is_told_of_each_scene_and_of_the_signal(tmp_path):
    told, scenes = [], []
    publisher = SimpleNamespace(watch=told.append, close=lambda: told.append("closed"))
    path = tmp_path / "c.xdf"
    run_guide(guide(), path, live=False, seed=1, show=scenes.append, publisher=publisher)
    assert [one for one in told if isinstance(one, Scene)] == scenes
    assert isinstance(told[0], StreamSpec)
    n_told = sum(one.samples.shape[1] for one in told if isinstance(one, Chunk))
    assert n_told == read_recording(path).samples.shape[1]
    assert told[-1] == "closed"


def test_ctrl_c_stops_in_good_order_and_the_handler_is_put_back(tmp_path):
    before, seen = signal.getsignal(signal.SIGINT), []

    def show(scene):
        seen.append(scene.kind)
        if seen.count("cue") == 2:
            os.kill(os.getpid(), signal.SIGINT)

    report = run_guide(guide(), tmp_path / "c.xdf", live=False, seed=1, show=show)
    assert report.summary.ended == "stopped"
    assert len(report.trials) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stream_that_falls_silent_is_told_until_it_goes_on(tmp_path):
    stall, scenes = {"kind": "stall", "at_s": 3.0, "length_s": 4.0}, []
    asked = guide({"faults": [stall], "duration_s": 9.0})
    run_guide(asked, tmp_path / "s.xdf", live=False, seed=1, show=scenes.append)
    (silent,) = (n for n, scene in enumerate(scenes) if "No signal" in scene.instruction)
    assert scenes[silent].kind == "wait"
    assert scenes[silent + 1] == scenes[silent - 1]
    assert not read_recording(tmp_path / "s.xdf").gaps


def test_a_stream_that_ends_is_told_and_what_came_is_kept(tmp_path):
    report = run_guide(guide({"duration_s": 8.0}), tmp_path / "end.xdf", live=False, seed=1)
    assert report.notes[0] == "The stream ended before the calibration was over."
    assert read_recording(tmp_path / "end.xdf").duration_s == pytest.approx(8.0)


class Broken:
    """A source that breaks off, or never says anything."""

    def __init__(self, source, after: int) -> None:
        self._source, self._after = source, after

    def __getattr__(self, name):
        return getattr(self._source, name)

    def read(self, wanted, until_ns):
        self._after -= 1
        if self._after < 0:
            raise SourceUnavailable("the cable is out")
        chunk = self._source.read(wanted, until_ns)
        foreign = (Marker(label="left", sample=chunk.first_sample),) if self._after == 3 else ()
        return replace(chunk, markers=chunk.markers + foreign)


def test_what_was_recorded_before_a_source_broke_is_there(tmp_path):
    asked, clock = guide(), VirtualClock()
    broken = Broken(open_source(asked, clock), after=40)
    with pytest.raises(SourceUnavailable, match="cable"):
        Guiding(asked, clock, source=broken).run(tmp_path / "broken.xdf")
    recording = read_recording(tmp_path / "broken.xdf")
    assert recording.duration_s > 2
    # A cue that somebody else put into the stream is not taken for ours.
    assert "other:left" in [marker.label for marker in recording.markers]


def test_nothing_is_left_of_a_stream_that_never_came(tmp_path):
    asked, clock = guide(), VirtualClock()
    broken = Broken(open_source(asked, clock), after=0)
    with pytest.raises(SourceUnavailable):
        Guiding(asked, clock, source=broken).run(tmp_path / "nothing.xdf")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_guided_is_told_in_one_sentence(tmp_path):
    clock = VirtualClock()
    for changes, match in (
        ({"task": "p300_speller"}, "shows flashes or flicker"),
        ({"task": "error_potential"}, "asks at every event of its own"),
        ({"task": "neurofeedback"}, "learns from a whole recording"),
        ({"trial_s": 2.0}, r"make trial_s 2\.5 or more"),
        ({"classes": ["left", "hand"]}, "simulator.classes"),
    ):
        with pytest.raises(ConfigError, match=match):
            Guiding(guide(**changes), clock)
    with pytest.raises(ConfigError, match="ask for right, too"):
        Guiding(guide({"classes": ["left", "feet"]}), clock)
    live = parse_guide(
        {
            "session": {"name": "x"},
            "source": {"kind": "lsl", "name": "amp"},
            "calibration": {"task": "motor_imagery"},
        }
    )
    told = []
    publisher = SimpleNamespace(watch=told.append, close=lambda: told.append("closed"))
    with pytest.raises(ConfigError, match="cannot be hurried"):
        run_guide(live, tmp_path / "x.xdf", live=False, seed=0, publisher=publisher)
    device = replace(live, source=PartConfig(kind="rda", settings=live.source.settings))
    with pytest.raises(ConfigError, match="cannot be hurried"):
        run_guide(device, tmp_path / "x.xdf", live=False, seed=0)
    assert told == ["closed"]


FILE = """
[session]
name = "morning"

[source]
kind = "simulator"
montage = "eeg8"

[calibration]
task = "motor_imagery"
trials_per_class = 2
rest_s = [0.5, 0.5]
cue_s = 0.5
trial_s = 2.5
"""


def test_the_command_records_sums_up_and_overwrites_nothing(tmp_path):
    file = tmp_path / "morning.toml"
    file.write_text(FILE)
    told = ["calibrate", str(file), "-o", str(tmp_path / "new" / "c.xdf"), "--fast", "--seed", "2"]
    done = CliRunner().invoke(app, [*told, "--participant", "P'09 #1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found == json.loads((tmp_path / "new" / "c.json").read_text())
    assert found["kept"] == {"left": 2, "right": 2}
    assert (found["ended"], found["participant"], found["seed"]) == ("complete", "P'09 #1", 2)
    assert "not a medical device" in found["notice"]
    again = CliRunner().invoke(app, [*told, "--json"])
    assert again.exit_code == 2
    assert "never overwritten" in json.loads(again.output)["message"]


def test_the_command_shows_what_to_do_and_what_comes_next(tmp_path):
    file = tmp_path / "morning.toml"
    file.write_text(FILE)
    done = CliRunner().invoke(
        app, ["calibrate", str(file), "-o", str(tmp_path / "c.xdf"), "--fast"]
    )
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    for part in (
        "investigational, not a medical device",
        "Now: left",
        "diverloop fit",
        "Rejected: 0",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (["--set", "calibration.trials=3"], "'trials' is no key"),
        (["--set", "calibration.task=telepathy"], "No task is called"),
        (["--set", "source.kind=simulater"], "simulator"),
        (["--set", "calibration"], "--set takes table.key=value"),
        (["-o", "c.npz"], "must end in .xdf"),
    ],
)
def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path, change, match):
    file = tmp_path / "morning.toml"
    file.write_text(FILE)
    told = ["calibrate", str(file), "-o", str(tmp_path / "c.xdf"), "--fast", *change, "--json"]
    done = CliRunner().invoke(app, told)
    assert done.exit_code == 2
    assert match in json.loads(done.output)["message"]
