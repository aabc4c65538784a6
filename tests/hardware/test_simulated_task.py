from collections import Counter
from itertools import pairwise

import pytest

from diverloop.hardware.simulated_task import (
    CUE_TO_INTENT_S,
    FATIGUE_PER_S,
    INTENT_S,
    LOWEST_ATTENTION,
    PATIENCE_S,
    PAUSE_S,
    REST_S,
    Reaction,
    Timeline,
)

LEFT_RIGHT = ("left", "right")


def timeline(task="motor_imagery", labels=LEFT_RIGHT, rate_hz=250.0, seed=0):
    return Timeline(task, labels, rate_hz, seed)


def test_a_trial_is_rest_cue_intention_and_pause():
    trials = timeline().between(0, 200)
    assert trials[0].cue_s == REST_S
    for before, after in pairwise(trials):
        assert before.start_s - before.cue_s == pytest.approx(CUE_TO_INTENT_S)
        assert before.stop_s - before.start_s == pytest.approx(INTENT_S)
        pause_s = after.cue_s - before.stop_s - REST_S
        assert PAUSE_S[0] <= pause_s <= PAUSE_S[1]


@pytest.mark.parametrize("labels", [LEFT_RIGHT, ("left", "right", "feet", "rest")])
def test_classes_are_balanced_in_every_group(labels):
    trials = timeline(labels=labels).between(0, 400)
    group = 2 * len(labels)
    for start in range(0, len(trials) - group, group):
        counts = Counter(trial.label for trial in trials[start : start + group])
        assert counts == dict.fromkeys(labels, 2)


def test_same_seed_same_trials_and_another_seed_others():
    assert timeline(seed=3).between(0, 100) == timeline(seed=3).between(0, 100)
    assert timeline(seed=3).between(0, 100) != timeline(seed=4).between(0, 100)


def test_asking_late_first_changes_nothing():
    jumped = timeline()
    jumped.intended_at(90.0)
    assert jumped.between(0, 50) == timeline().between(0, 50)


def test_truth_is_the_cued_class_during_the_intention_only():
    line = timeline()
    for trial in line.between(0, 100):
        middle_s = (trial.start_s + trial.stop_s) / 2
        assert line.intended_at(middle_s) == trial.label
        assert line.intended_at(trial.cue_s) == "rest"
        assert line.intended_at(trial.stop_s + 0.01) == "rest"
        assert line.busy_at(middle_s)
        assert not line.busy_at(trial.stop_s + 0.01)
    assert line.intended_at(0.0) == "rest"


@pytest.mark.parametrize("cut", [1, 7, 100, 5000])
def test_every_marker_comes_once_however_time_is_cut(cut):
    line, stop = timeline(), 10_000
    pieces = [line.markers(at, min(at + cut, stop)) for at in range(0, stop, cut)]
    got = [marker for piece in pieces for marker in piece]
    assert repr(got) == repr(timeline().markers(0, stop))  # as text: their times are NaN
    assert got[0].label in LEFT_RIGHT
    assert got[0].sample == REST_S * 250
    assert got[1].label == "rest"


def test_one_flash_in_six_is_the_target():
    trials = timeline("p300", ("target", "nontarget")).between(0, 16)
    assert Counter(trial.label for trial in trials) == {"target": 10 - 1, "nontarget": 50 - 3}


def test_at_rest_there_is_no_trial():
    line = timeline("rest", ())
    assert line.between(0, 1e6) == []
    assert line.intended_at(500.0) == "rest"


def reaction(skill=0.5, learning_rate=0.1):
    return Reaction(skill, (0.1, 0.9), learning_rate)


def live(person, seconds, intended="left"):
    for step in range(round(seconds * 10)):
        person.advance(step, intended, 0.1)


@pytest.mark.parametrize(("label", "bound"), [("left", 0.9), ("right", 0.1)])
def test_feedback_moves_skill_towards_its_bound_and_never_beyond(label, bound):
    person = reaction()
    person.show(0, label, None)
    live(person, 1)
    assert person.skill == pytest.approx(0.5 + (bound - 0.5) * (1 - 0.99**10))
    live(person, 1000)
    assert person.skill == pytest.approx(bound)


def test_without_feedback_nothing_changes():
    person = reaction()
    live(person, 100)
    assert (person.skill, person.attention) == (0.5, 1.0)


def test_between_trials_nothing_changes():
    person = reaction()
    person.show(0, "right", None)
    live(person, 100, intended=None)
    assert person.skill == 0.5


def test_feedback_is_seen_no_sooner_than_it_is_due():
    person = reaction()
    person.show(25, "left", None)
    person.advance(24, "left", 0.1)
    assert person.skill == 0.5
    person.advance(25, "left", 0.1)
    assert person.skill > 0.5


def test_long_neutral_feedback_tires_and_any_other_wakes_up():
    person = reaction()
    person.show(0, None, None)
    live(person, PATIENCE_S)
    assert person.attention == pytest.approx(1.0, abs=1e-9 + 0.1 * FATIGUE_PER_S)
    live(person, 100)
    assert person.attention == LOWEST_ATTENTION
    assert person.skill == 0.5
    assert person.drive == pytest.approx(0.5 * LOWEST_ATTENTION)
    person.show(0, "right", None)
    live(person, 1)
    assert person.attention > LOWEST_ATTENTION


def test_feedback_to_a_marker_is_judged_by_that_marker():
    person = reaction()
    person.show(0, "target", "target")
    live(person, 1, intended="nontarget")
    assert person.skill > 0.5
