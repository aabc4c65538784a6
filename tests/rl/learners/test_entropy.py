"""The gradient is the derivative, and what it leads to is a head that stays balanced."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.entropy import Entropy, EntropyConfig, Objective
from diverloop.runtime.errors import ConfigError

from .worlds import World


def test_the_gradient_agrees_with_finite_differences():
    world = World(1)
    points = world.head.project(world.draw(np.arange(40) % 4))
    objective = Objective(
        head=world.head, points=points, expected=np.array([0.4, 0.3, 0.2, 0.1]), balance=1.5,
        hold=0.1,
    )  # fmt: skip
    where = 0.2 * np.random.default_rng(0).normal(size=9)
    gradient = objective.value_and_gradient(where)[1]
    for place, step in enumerate(1e-5 * np.eye(9)):
        up = objective.value_and_gradient(where + step)[0]
        down = objective.value_and_gradient(where - step)[0]
        assert gradient[place] == pytest.approx((up - down) / 2e-5, abs=1e-7), place


def test_the_head_that_it_makes_is_the_one_that_the_objective_describes():
    world = World(2)
    learner = world.live(Entropy(world.head), 30)
    shift, logs, heat = learner._where[:4], learner._where[4:8], learner._where[8]
    features = world.draw(np.arange(8) % 4)
    points = np.exp(logs) * world.head.project(features) - shift
    assert learner.head.project(features) == pytest.approx(points)
    assert learner.head.temperature == pytest.approx(np.exp(heat))


def test_a_common_shift_is_partly_undone():
    world = World(3)
    world.shift(2.0)
    before = world.accuracy(world.head)
    learner = world.live(Entropy(world.head), 120)
    assert world.accuracy(learner.head) > before


def test_no_class_is_given_up_over_a_long_balanced_stream():
    world = World(4)
    learner = world.live(Entropy(world.head), 150)
    said = learner.head.scores(world.draw(np.arange(400) % 4)).argmax(axis=1)
    assert np.bincount(said, minlength=4).min() > 50
    assert world.accuracy(learner.head) > world.accuracy(world.head) - 0.05


def test_scale_and_temperature_stay_within_their_bounds():
    world = World(5)
    learner = world.live(Entropy(world.head, EntropyConfig(rate=5.0, hold=0.0)), 60)
    assert 0.6 < learner.head.temperature < 1.65


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="fewest must be from 2 to 10, got 15"):
        EntropyConfig(most_trials=10)
