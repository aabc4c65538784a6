"""A head that reads its own trials follows a slow drift, and does not run away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.learners.pseudo_labels import PseudoLabels, PseudoLabelsConfig
from diverloop.runtime.errors import ConfigError

from .worlds import World


def test_a_slow_drift_is_followed():
    world = World(1)
    learner = PseudoLabels(world.head)
    for place in range(10):
        world.jump(0.7)
        world.live(learner, 30, first=30 * place)
    assert world.accuracy(learner.head) > world.accuracy(world.head) + 0.03


def test_a_person_who_does_not_change_loses_little():
    world = World(2)
    learner = world.live(PseudoLabels(world.head), 200)
    assert world.accuracy(learner.head) > world.accuracy(world.head) - 0.03


def test_one_class_for_a_long_time_costs_the_others_something_and_does_not_ruin_them():
    world = World(3)
    learner = world.live(PseudoLabels(world.head), 150, shares=[0.91, 0.03, 0.03, 0.03])
    assert world.accuracy(learner.head) > world.accuracy(world.head) - 0.2


def test_trials_that_it_is_not_sure_of_move_nothing():
    world = World(4)
    learner = PseudoLabels(world.head, PseudoLabelsConfig(least_confidence=1.0))
    before = world.head.prototypes
    assert world.live(learner, 30).head.prototypes == pytest.approx(before)


def test_a_bad_signal_counts_for_nothing():
    world = World(5)
    learner = PseudoLabels(world.head)
    see = learner.see
    learner.see = lambda trial: see(replace(trial, quality=0.0))
    moved = world.live(learner, 20).head.prototypes
    assert np.allclose(moved, world.head.prototypes)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="least_confidence must be from 0 to 1, got 2"):
        PseudoLabelsConfig(least_confidence=2.0)
