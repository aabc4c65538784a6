from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.collection import TrialSpan, WholeRecording, collect
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Chunk, Decision, Marker, StreamSpec, Window
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig

RATE_HZ = 100.0
SPEC = StreamSpec(name="made", rate_hz=RATE_HZ, channels=(Channel(name="nr"), Channel(name="C4")))
SPAN = TrialSpan(classes=("left", "right"), start_s=0.5, stop_s=2.0)
WINDOW = WindowConfig(length_s=1.0, step_s=0.1)


def cue(label: str, sample: int) -> Marker:
    return Marker(label=label, sample=sample)


CUES = (cue("left", 100), cue("pause", 350), cue("right", 600), cue("left", 1000))


class Recorded:
    """A source on a virtual clock: row 0 counts samples, markers come with their samples."""

    spec = SPEC

    def __init__(self, clock, stop=1500, hole=(0, 0), size=30, markers=CUES) -> None:
        self._clock, self._size, self._markers = clock, size, list(markers)
        self._left = [(a, b) for a, b in ((0, hole[0]), (hole[1], stop)) if a < b]
        self.closed = 0

    @property
    def ended(self) -> bool:
        return not self._left

    def open(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    def read(self, wanted: int, until_ns: int) -> Chunk:
        first, stop = self._left.pop(0)
        cut = min(stop, first + self._size)
        if cut < stop:
            self._left.insert(0, (cut, stop))
        self._clock.wait_until(round(cut * 1e9 / RATE_HZ))
        came = tuple(marker for marker in self._markers if marker.sample < cut)
        self._markers = self._markers[len(came) :]
        number = np.arange(first, cut)
        samples = np.vstack([number, np.sin(number)]).astype(np.float32)
        return Chunk(
            samples=samples, first_sample=first, arrived_ns=self._clock.now_ns(), markers=came
        )


def collected(condition=None, window=WINDOW, span=SPAN, **source):
    clock = VirtualClock()
    conditioner = StreamConditioner(condition)
    return collect(Recorded(clock, **source), conditioner, clock, window=window, span=span)


def firsts(result) -> list[int]:
    return result.windows[:, 0, 0].astype(int).tolist()


def test_all_windows_that_lie_in_trials_are_kept_and_no_other():
    result = collected()
    expected = [
        (end - 100, trial, label)
        for trial, (at, label) in enumerate([(100, "left"), (600, "right"), (1000, "left")])
        for end in range(at + 150, at + 201, 10)
    ]
    assert firsts(result) == [first for first, _, _ in expected]
    assert result.trials.tolist() == [trial for _, trial, _ in expected]
    assert result.labels.tolist() == [label for _, _, label in expected]
    assert result.windows.shape == (18, 2, 100)
    np.testing.assert_array_equal(
        result.windows[:, 0], np.add.outer(firsts(result), np.arange(100))
    )


@pytest.mark.parametrize("size", [1, 7, 100, 200])
def test_packets_of_any_size_leave_no_window_out(size):
    result, whole = collected(size=size), collected()
    np.testing.assert_array_equal(result.windows, whole.windows)
    assert result.trials.tolist() == whole.trials.tolist()


def test_the_streams_before_and_after_conditioning_and_the_length_are_told():
    result = collected(ConditionConfig(bands_hz=((8.0, 30.0),), order=2))
    assert result.spec == SPEC
    assert result.conditioned.channel_names == ("8-30/nr", "8-30/C4")
    assert result.n_samples == 1500


def test_windows_are_conditioned_as_they_will_be_when_serving():
    condition = ConditionConfig(bands_hz=((8.0, 30.0),), order=2)
    result = collected(condition, size=17)
    conditioner = StreamConditioner(condition)
    conditioner.open(SPEC)
    number = np.arange(1500)
    signal = np.vstack([number, np.sin(number)]).astype(np.float32)
    whole = conditioner.process(Chunk(samples=signal, first_sample=0, arrived_ns=0)).samples
    for window, first in zip(result.windows[:6], range(150, 210, 10), strict=True):
        np.testing.assert_array_equal(window, whole[:, first : first + 100])


def test_windows_that_touch_a_hole_are_left_out():
    result = collected(hole=(650, 705))
    assert 600 not in [int(first) // 100 * 100 for first in firsts(result) if first < 705]
    assert set(result.trials.tolist()) == {0, 1} == set(range(2))
    assert result.labels.tolist() == ["left"] * 12
    assert result.n_samples == 1445


def test_the_source_is_closed_afterwards():
    clock = VirtualClock()
    source = Recorded(clock)
    collect(source, StreamConditioner(), clock, window=WINDOW, span=SPAN)
    assert source.closed == 1


def test_without_a_window_in_a_trial_the_markers_that_are_there_are_named():
    with pytest.raises(
        RecordingError, match=r"No window of 1 s lies between 0\.5 and 2 s"
    ) as caught:
        collected(span=TrialSpan(classes=("feet",), start_s=0.5, stop_s=2.0))
    assert "marker feet; the markers are left, pause, right" in str(caught.value)


def test_a_recording_without_markers_is_said_to_have_none():
    with pytest.raises(RecordingError, match="the markers are none: choose"):
        collected(markers=())


def test_a_window_longer_than_the_part_that_counts_fits_nowhere():
    with pytest.raises(RecordingError, match=r"No window of 1\.6 s"):
        collected(window=WindowConfig(length_s=1.6, step_s=0.1))


@pytest.mark.parametrize(
    ("first", "stop", "trial"),
    [
        (0, 50, -1),  # before any marker
        (149, 249, -1), (150, 250, 0), (200, 300, 0), (201, 301, -1),  # the edges of the span
        (360, 380, -1),  # behind a marker that begins no trial
        (650, 750, 2), (1050, 1150, 3),
        (599, 700, -1),  # begins in the trial before
    ],
)  # fmt: skip
def test_a_window_belongs_to_the_newest_marker_before_it(first, stop, trial):
    window = Window(samples=np.zeros((2, 1)), first_sample=first, stop_sample=stop, due_ns=0)
    decision = Decision(
        classes=("left",), probabilities=np.array([math.nan]), label=None,
        first_sample=first, stop_sample=stop,
    )  # fmt: skip
    assert SPAN.trial_of(window, CUES, RATE_HZ) == trial
    assert SPAN.trial_of(decision, CUES, RATE_HZ) == trial


def test_without_markers_no_window_belongs_anywhere():
    window = Window(samples=np.zeros((2, 1)), first_sample=200, stop_sample=300, due_ns=0)
    assert SPAN.trial_of(window, (), RATE_HZ) == -1


def test_a_window_that_reaches_into_the_next_trial_belongs_to_none():
    cues = (cue("left", 0), cue("right", 150))
    window = Decision(
        classes=("left",),
        probabilities=np.array([1.0]),
        label="left",
        first_sample=60,
        stop_sample=160,
    )
    assert SPAN.trial_of(window, cues, RATE_HZ) == -1
    assert SPAN.trial_of(window, cues[:1], RATE_HZ) == 0


def test_a_window_that_is_locked_to_a_marker_is_of_that_markers_trial():
    cues = (cue("left", 0), cue("right", 20), cue("pause", 25))
    for place, trial in ((0, 0), (1, 1), (2, -1)):
        decision = Decision(
            classes=("left",),
            probabilities=np.array([1.0]),
            label="left",
            first_sample=cues[place].sample,
            stop_sample=cues[place].sample + 80,
            marker=cue(cues[place].label, cues[place].sample),
        )
        assert SPAN.trial_of(decision, cues, RATE_HZ) == trial


def test_a_trial_that_was_rejected_before_the_next_cue_is_left_out_and_no_other():
    whole = collected()
    assert sorted(set(whole.cues.tolist())) == [100, 600, 1000]
    bad = collected(markers=sorted((*CUES, cue("reject", 400)), key=lambda m: m.sample))
    assert sorted(set(bad.cues.tolist())) == [600, 1000]
    assert sorted(set(bad.trials.tolist())) == [0, 1]
    left = np.isin(whole.cues, bad.cues)
    assert np.array_equal(whole.windows[left], bad.windows)
    assert np.array_equal(whole.labels[left], bad.labels)
    # Behind the last trial, and where no trial has begun yet.
    ends = collected(markers=(cue("reject", 50), *CUES, cue("reject", 1400)))
    assert sorted(set(ends.cues.tolist())) == [100, 600]


def test_a_recording_of_rejected_trials_alone_says_so():
    with pytest.raises(RecordingError, match="All of the 1 trials were rejected"):
        collected(markers=(CUES[0], cue("reject", 400)))


def test_a_rejected_trial_takes_nothing_from_a_recording_that_is_learnt_from_whole():
    span = WholeRecording()
    with_reject = collected(span=span, markers=(*CUES, cue("reject", 1400)))
    assert len(with_reject.windows) == len(collected(span=span).windows)


def test_a_whole_recording_is_one_trial_with_markers_or_without():
    span = WholeRecording(start_s=0.0, stop_s=0.0)
    for markers in (CUES, ()):
        result = collected(span=span, markers=markers)
        assert set(result.trials) == {0}
        assert set(result.labels) == {"recording"}
        assert result.markers == tuple(markers)
    assert len(result.windows) == len(range(100, 1501, 10))


def test_every_window_names_the_sample_of_its_cue():
    result = collected()
    starts = {100: "left", 600: "right", 1000: "left"}
    assert [starts[at] for at in result.cues] == result.labels.tolist()
    assert set(result.only(result.cues == 600).labels) == {"right"}
