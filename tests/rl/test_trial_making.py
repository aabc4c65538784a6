"""Trials hold what they rest on, once each, and memory stays bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.rl.trial import ABSTAINED
from diverloop.rl.trial_making import MOST_WINDOWS, TrialMaker
from diverloop.runtime.messages import Command, Decision, Embedding, Marker, StageTimes, Turn

CLASSES = ("left", "right")
RATE_HZ = 100.0


def turn(stop, label="left", *, selected=False, length=100, values=None, **more):
    p = 0.5 if label is None else 0.9
    sure = np.array([p, 1 - p] if label != "right" else [1 - p, p])
    decision = Decision(
        classes=CLASSES,
        probabilities=more.get("probabilities", sure),
        label=label,
        first_sample=stop - length,
        stop_sample=stop,
        epoch=more.get("epoch", 0),
        marker=more.get("marker"),
    )
    times = StageTimes(**dict.fromkeys(StageTimes.__dataclass_fields__, stop * 10_000_000))
    quality = more.get("quality", 1.0)
    seen = Embedding(values=np.full(3, float(stop)) if values is None else values, quality=quality)
    command = Command(label=label, selected=selected)
    return Turn(
        decision=decision,
        command=command,
        times=times,
        embedding=None if more.get("lost") else seen,
    )


def maker(kind="selection", **more):
    return TrialMaker(CLASSES, kind, rate_hz=RATE_HZ, **more)


def test_a_selection_rests_on_the_windows_since_the_one_before():
    made = maker()
    assert made.take(turn(100)) is None
    assert made.take(turn(110, "right", selected=True)).trial.decided == 1
    assert made.take(turn(300, epoch=2, quality=0.7)) is None
    second = made.take(turn(400, selected=True, epoch=2))
    assert second.trial.number == 400
    assert second.epoch == 2
    assert second.trial.features.shape == (2, 3)
    assert (second.trial.quality, second.trial.at_s) == (0.7, 4.0)


def test_windows_that_overlap_are_averaged_so_that_they_do_not_count_many_times():
    made = maker()
    for stop in range(100, 200, 10):
        made.take(turn(stop))
    last = made.take(turn(200, selected=True)).trial
    np.testing.assert_array_equal(last.features[:, 0], [np.mean(range(100, 200, 10)), 200])
    marker = Marker(label="flash", sample=0)
    locked = maker()
    locked.take(turn(100, marker=marker))
    assert locked.take(turn(110, selected=True, marker=marker)).trial.features.shape == (2, 3)


def test_what_lies_too_far_back_or_before_a_hole_does_not_count():
    made = maker(trial_s=2.0)
    made.take(turn(100))
    made.take(turn(500))
    assert len(made.take(turn(600, selected=True)).trial.features) == 2
    made.take(turn(700))
    made.take(turn(800, None, lost=True))
    assert len(made.take(turn(900, selected=True)).trial.features) == 1


def test_weights_that_changed_in_the_middle_are_told():
    made = maker()
    made.take(turn(100, epoch=1))
    assert made.take(turn(200, selected=True, epoch=2)).epoch == -1


def test_a_cue_begins_a_trial_and_the_next_one_or_time_ends_it():
    made = maker("cue", trial_s=2.0, from_s=0.5)
    assert made.mark(Marker(label="cue:right", sample=1000), 10.0) is None
    assert made.take(turn(1100)) is None  # begins before what counts
    for stop in (1150, 1200):
        assert made.take(turn(stop, "right")) is None
    ended = made.take(turn(1210, "left"))
    assert (ended.cue, ended.trial.decided, ended.trial.number) == ("right", 1, 1200)
    made.mark(Marker(label="left", sample=1300), 13.0)
    made.take(turn(1450, "right"))
    ended = made.mark(Marker(label="right", sample=1480), 14.8)
    assert (ended.cue, ended.trial.decided) == ("left", 1)
    assert made.mark(Marker(label="pause", sample=1500), 15.0) is None


def test_each_window_can_be_a_trial_also_one_that_abstained():
    made = maker("window")
    assert made.take(turn(100)).trial.decided == 0
    assert made.take(turn(110, None)).trial.decided == ABSTAINED


REFUSED = {"label": None, "probabilities": np.full(2, math.nan)}


def test_what_could_not_be_encoded_makes_no_trial():
    assert maker("window").take(turn(100, values=np.array([1.0, math.nan, 0.0]))) is None
    assert maker("window").take(turn(100, lost=True)) is None


def test_a_window_that_was_refused_is_a_trial_without_a_decision_and_no_selection_rests_on_it():
    trial = maker("window").take(turn(100, **REFUSED)).trial
    assert (trial.decided, trial.features.tolist()) == (ABSTAINED, [[100.0] * 3])
    selecting = maker()
    selecting.take(turn(100))
    selecting.take(turn(200, **REFUSED))
    made = selecting.take(turn(300, selected=True))
    assert made.trial.features[:, 0].tolist() == [100.0, 300.0]


@pytest.mark.parametrize(
    ("refused", "decided", "kept"),
    [((1300,), 1, [1100.0, 1200.0]), ((1200, 1300), 1, [1100.0, 1200.0, 1300.0]),
     ((1100, 1200, 1300), ABSTAINED, [1100.0, 1200.0, 1300.0])],
)  # fmt: skip
def test_an_odd_window_that_was_refused_is_left_out_but_not_most_of_a_trial(refused, decided, kept):
    made = maker("cue", trial_s=4.0)
    made.mark(Marker(label="left", sample=1000), 10.0)
    for stop in (1100, 1200, 1300):
        made.take(turn(stop, **(REFUSED if stop in refused else {"label": "right"})))
    ended = made.mark(Marker(label="right", sample=1400), 14.0)
    assert (ended.trial.decided, ended.cue) == (decided, "left")
    assert ended.trial.features[:, 0].tolist() == kept


def test_the_same_number_comes_once_and_memory_is_bounded():
    made = maker("window")
    assert made.take(turn(100)) is not None
    assert made.take(turn(100)) is None
    waiting = maker()
    for stop in range(100, 100 + 3 * MOST_WINDOWS):
        waiting.take(turn(stop))
    assert len(waiting._waiting) == MOST_WINDOWS
