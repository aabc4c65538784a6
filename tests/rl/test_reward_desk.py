"""What is said reaches the trial that it is about, with the weight of who says it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.rl.error_link import Judged
from diverloop.rl.reward_desk import ErrorRates, RewardDesk
from diverloop.rl.trial import ABSTAINED
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.messages import Marker

from .heads import CLASSES, trial

GOOD = ErrorRates(sensitivity=0.8, specificity=0.9, share=0.25)


def desk(*rewards, rates=None):
    more = {"error_model": "any"} if "error potential" in rewards else {}
    config = AdaptationConfig(learner="reward", rewards=rewards, **more)
    return RewardDesk(config, CLASSES, rates)


def test_an_undo_speaks_of_the_last_trial_once_and_not_for_long():
    made = desk("undo")
    made.see(trial(100))
    made.see(trial(500))  # at 2 s
    undo = Marker(label="undo", sample=600)
    (reward,) = made.mark(undo, 2.5)
    assert (reward.trial, reward.source) == (500, "undo")
    assert reward.log_odds < 0
    assert reward.value < 0.5
    assert made.mark(undo, 2.6) == ()
    made.see(trial(750))  # at 3 s
    assert made.mark(undo, 9.0) == ()


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
    assert made.mark(Marker(label="undo", sample=0), 1.1) == ()


def test_a_cue_tells_what_was_meant_only_where_cues_are_believed():
    (reward,) = desk("cue").see(trial(100, decided=0), "right")
    assert (reward.meant, reward.value) == (1, 0.0)
    assert desk("undo").see(trial(100), "right") == ()
    assert desk("cue").see(trial(100), "feet") == ()


def test_an_error_potential_weighs_what_its_model_has_proved():
    made = desk("error potential", rates=GOOD)
    made.see(trial(100))
    error = made.judge(Judged(trial=100, error=0.9), 1.0)
    none = made.judge(Judged(trial=100, error=0.02), 1.0)
    assert error.log_odds == pytest.approx(math.log(0.25 / 0.75) - math.log(9))
    assert none.log_odds > 0
    assert made.judge(Judged(trial=100, error=0.25), 1.0) is None  # says nothing
    assert made.judge(Judged(trial=999, error=0.9), 1.0) is None


def test_a_detector_that_proved_little_is_not_believed():
    poor = ErrorRates.of({"sensitivity": 0.6, "specificity": 0.65})
    made = desk("error potential", rates=poor)
    made.see(trial(100))
    assert made.judge(Judged(trial=100, error=0.99), 1.0) is None
    assert not ErrorRates.of({}).believed


def test_the_mean_of_the_values_is_the_accuracy():
    rng = np.random.default_rng(100)
    right = rng.random(100_000) < 0.7
    found = np.where(right, rng.random(right.size) > 0.9, rng.random(right.size) < 0.8)
    values = [GOOD.value(0.9), GOOD.value(0.01)]
    assert np.where(found, *values).mean() == pytest.approx(0.7, abs=0.01)
