"""A person learns to regulate: fastest at the edge of ability, tired by work, mended by rest."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.trainee import Trainee, TraineeConfig
from diverloop.runtime.errors import ConfigError


def gain(threshold, *, late_s=0.0, **settings):
    trainee = Trainee(TraineeConfig(**settings))
    trainee.train(threshold, 120, late_s, np.random.default_rng(0))
    return trainee.skill - trainee.config.skill


def test_learning_is_fastest_between_too_easy_and_too_hard():
    edge, easy, hard = gain(-0.1), gain(-2.0), gain(2.0)
    assert edge > 3 * easy
    assert edge > 3 * hard


def test_late_feedback_teaches_less_and_half_a_second_nothing():
    assert gain(-0.1) > gain(-0.1, late_s=0.25) > gain(-0.1, late_s=0.5) == 0.0


def test_work_tires_rest_mends_and_hopeless_work_frustrates():
    trainee = Trainee(TraineeConfig())
    trainee.train(3.0, 240, 0.0, np.random.default_rng(0))
    tired = trainee.fatigue
    assert tired > 0.2
    assert trainee.frustration > 0.5
    assert trainee.effort < 0.8
    trainee.rest(120)
    assert trainee.fatigue == pytest.approx(tired / np.e)
    trainee.sleep()
    assert trainee.effort == 1.0


def test_a_night_takes_a_part_of_what_was_gained():
    trainee = Trainee(TraineeConfig(skill=0.5, forgets=0.2))
    trainee.skill = 1.5
    trainee.sleep()
    assert trainee.skill == pytest.approx(1.3)


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"edge": 1.5}, {"skill": 3.0}])
def test_a_trainee_who_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        TraineeConfig(**wrong)


def test_people_who_are_drawn_differ_and_are_valid():
    drawn = [TraineeConfig.sampled(np.random.default_rng(n)) for n in range(5)]
    assert len({one.ceiling for one in drawn}) == 5
