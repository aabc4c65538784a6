"""A few cued trials move prototypes as far as they can be trusted."""

from __future__ import annotations

import pytest

from diverloop.rl.learners.recalibration import Recalibration, RecalibrationConfig
from diverloop.rl.trial import Reward
from diverloop.runtime.errors import ConfigError

from .worlds import World


def cued(trial, meant):
    return Reward(trial=trial.number, meant=meant, source="cue")


def test_twenty_cued_trials_win_back_much_of_a_jump():
    world = World(1)
    world.jump(3.0)
    before = world.accuracy(world.head)
    learner = world.live(Recalibration(world.head), 20, reward=cued)
    assert learner.enough
    assert world.accuracy(learner.head) > before + 0.1
    assert learner.rule == "recalibrated with 20 cued trials, 8 to 20 wanted"


def test_it_waits_until_there_are_enough():
    world = World(2)
    learner = world.live(Recalibration(world.head), 7, reward=cued)
    assert not learner.enough
    assert learner.head.sha256 == world.head.sha256
    assert learner.rule.startswith("waiting for more than 7")


def test_it_waits_for_a_class_that_was_not_cued():
    world = World(3)
    learner = world.live(Recalibration(world.head), 12, reward=cued, shares=[0.4, 0.3, 0.3, 0.0])
    assert not learner.enough
    assert learner.head.sha256 == world.head.sha256


def test_rewards_without_a_meaning_are_passed_over():
    world = World(4)
    learner = world.live(
        Recalibration(world.head), 30,
        reward=lambda trial, meant: Reward(trial=trial.number, log_odds=-3.0),
    )  # fmt: skip
    assert learner.head.sha256 == world.head.sha256


def test_the_last_cues_count_when_there_are_more_than_wanted():
    world = World(5)
    learner = Recalibration(world.head, RecalibrationConfig(most=8))
    world.live(learner, 8, reward=cued)
    world.jump(4.0)
    world.live(learner, 30, reward=cued, first=8)
    fresh = Recalibration(world.head)
    assert "8 cued" in learner.rule
    assert world.accuracy(learner.head) > world.accuracy(fresh.head)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="most must be from 8 to"):
        RecalibrationConfig(most=4)
