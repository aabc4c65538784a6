"""What is said reaches the trial that it is about, with the weight of who says it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.rl.error_link import Judged
from diverloop.rl.reward_desk import RewardDesk, balanced
from diverloop.rl.trial import ABSTAINED
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.messages import Marker

from .heads import CLASSES, trial

GOOD = {"sensitivity": 0.8, "specificity": 0.9, "error_share": 0.25}
UNDO = Marker(label="undo", sample=600)


def desk(*rewards, scores=None):
    more = {"error_model": "any"} if "error potential" in rewards else {}
    config = AdaptationConfig(learner="reward", rewards=rewards, **more)
    return RewardDesk(config, CLASSES, scores)


def test_an_undo_speaks_of_the_last_trial_once_and_not_for_long():
    made = desk("undo")
    made.see(trial(100))
    made.see(trial(500))  # at 2 s
    (reward,) = made.mark(UNDO, 2.5)
    assert (reward.trial, reward.source) == (500, "undo")
    assert reward.log_odds < 0
    assert made.mark(UNDO, 2.6) == ()
    made.see(trial(750))  # at 3 s
    assert made.mark(UNDO, 9.0) == ()


def test_what_was_not_undone_in_time_was_kept_which_says_a_little():
    made = desk("undo")
    made.see(trial(250))  # at 1 s
    made.see(trial(500))
    made.mark(UNDO, 2.5)
    assert list(made.due(6.0)) == []
    (kept,) = made.due(7.5)
    assert kept.trial == 250
    assert 0 < kept.log_odds < 1.5
    assert list(made.due(99.0)) == []
    silent = desk("task")
    silent.see(trial(250))
    assert list(silent.due(99.0)) == []


def test_what_the_task_or_the_operator_says_counts_if_they_are_believed():
    right = Marker(label="outcome:right", sample=0)
    wrong = Marker(label="operator:wrong", sample=0)
    made = desk("task")
    made.see(trial(250))
    assert made.mark(right, 1.5)[0].log_odds > 0
    assert made.mark(wrong, 1.5) == ()
    other = desk("operator")
    other.see(trial(250))
    assert other.mark(wrong, 1.5)[0].source == "operator"


def test_nothing_is_said_of_what_was_not_decided():
    made = desk("undo")
    made.see(trial(250, decided=ABSTAINED))
    assert made.mark(UNDO, 1.2) == ()
    assert list(made.due(99.0)) == []


def test_a_cue_tells_what_was_meant_only_where_cues_are_believed():
    (reward,) = desk("cue").see(trial(100, decided=0), "right")
    assert reward.meant == 1
    assert desk("undo").see(trial(100), "right") == ()
    assert desk("cue").see(trial(100), "feet") == ()


def test_an_error_potential_weighs_what_its_model_has_proved():
    made = desk("error potential", scores=GOOD)
    error = made.judge(Judged(trial=100, error=0.9), 1.0)
    none = made.judge(Judged(trial=100, error=0.02), 1.0)
    assert error.log_odds == pytest.approx(math.log(0.25 / 0.75) - math.log(9))
    assert none.log_odds > 0
    assert made.judge(Judged(trial=100, error=0.25), 1.0) is None  # says nothing
    assert desk("undo").judge(Judged(trial=100, error=0.9), 1.0) is None


def test_a_detector_that_proved_little_is_not_believed():
    poor = {"sensitivity": 0.6, "specificity": 0.65}
    for scores in (poor, {}):
        made = desk("error potential", scores=scores)
        assert made.judge(Judged(trial=100, error=0.99), 1.0) is None


def test_an_error_of_the_share_that_calibration_had_is_as_likely_as_not():
    assert balanced(0.25, 0.25) == pytest.approx(0.5)
    assert balanced(0.9, 0.5) == pytest.approx(0.9)


def test_the_mean_of_the_values_is_the_accuracy_whatever_the_share_in_calibration():
    rng = np.random.default_rng(100)
    right = rng.random(100_000) < 0.7
    found = np.where(right, rng.random(right.size) > 0.9, rng.random(right.size) < 0.8)
    made = desk("error potential", scores=GOOD)
    values = [made.judge(Judged(trial=1, error=p), 0.0).value for p in (0.45, 0.01)]
    assert np.where(found, *values).mean() == pytest.approx(0.7, abs=0.01)
