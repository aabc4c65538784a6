"""Trials that the screen asks for."""

from __future__ import annotations

from collections import Counter

import pytest

from diverloop.gui.participant.trials import Trials, TrialsConfig
from diverloop.runtime.errors import ConfigError

QUICK = TrialsConfig(per_class=4, rest_s=(0.5, 1.0), cue_s=0.5, trial_s=1.0, seed=3)


def run(trials: Trials, frames: int, paused: range = range(0)) -> list[str]:
    found: list[str] = []
    for frame in range(frames):
        found += trials.advance(1, paused=frame in paused)
    return found


def test_every_class_is_asked_for_as_often_as_planned_and_each_task_ends() -> None:
    trials = Trials(QUICK)
    trials.begin(60.0)
    labels = run(trials, 3000)
    assert trials.phase == "over"
    assert Counter(labels) == {"left": 4, "right": 4, "rest": 8}
    assert labels[1::2] == ["rest"] * 8


def test_the_same_seed_gives_the_same_course() -> None:
    courses = []
    for _ in range(2):
        trials = Trials(QUICK)
        trials.begin(60.0)
        courses.append([trials.advance(1, paused=False) for _ in range(800)])
    assert courses[0] == courses[1]


def test_a_trial_that_a_pause_breaks_off_is_rejected_and_asked_for_again() -> None:
    trials = Trials(QUICK)
    trials.begin(60.0)
    first = ""
    while not first:
        first = "".join(trials.advance(1, paused=False))
    assert trials.advance(1, paused=True) == ("reject",)
    assert trials.advance(1, paused=True) == ()
    assert next(label for label in run(trials, 200) if label) == first


def test_frames_that_were_lost_leave_out_no_cue() -> None:
    trials = Trials(QUICK)
    trials.begin(60.0)
    labels: list[str] = []
    while trials.phase != "over":
        labels += trials.advance(45, paused=False)
    assert Counter(labels) == {"left": 4, "right": 4, "rest": 8}


def test_where_rest_is_a_class_the_end_has_another_name() -> None:
    assert TrialsConfig(classes=("rest", "feet")).end_marker == "relax"


@pytest.mark.parametrize(
    "wrong", [{"classes": ("left",)}, {"rest_s": (3.0, 1.0)}, {"cue_s": 0.0}, {"per_class": 0}]
)
def test_trials_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="got"):
        TrialsConfig(**wrong)  # type: ignore[arg-type]
