"""A common shift is undone, and a stream in which one class dominates does not make one."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.recentring import Recentring, RecentringConfig
from diverloop.runtime.errors import ConfigError

from .worlds import World


def test_a_common_shift_is_found_again():
    world = World(1)
    world.shift(1.5)
    before = world.accuracy(world.head)
    learner = world.live(Recentring(world.head), 120)
    assert world.accuracy(learner.head) > before + 0.02
    moved = learner.head.centre - world.head.centre
    way = world.head.project(world.means) - world.head.prototypes
    assert moved == pytest.approx(way.mean(axis=0), abs=0.5)


def test_a_stream_of_mostly_one_class_hardly_moves_the_centre():
    world = World(2)
    shares = np.array([0.85, 0.05, 0.05, 0.05])
    balanced = world.live(Recentring(world.head), 150, shares=shares).head.centre
    naive = (shares - 0.25) @ world.head.prototypes
    assert np.linalg.norm(balanced) < 0.5 * np.linalg.norm(naive)


def test_a_spread_that_doubled_is_put_back_where_that_is_asked():
    world = World(3)
    middle = world.means.mean(axis=0)
    learner = Recentring(world.head, RecentringConfig(variance=True, half_life=100))
    drawn = world.draw
    world.draw = lambda meant: middle + 2 * (drawn(meant) - middle)
    world.live(learner, 200)
    gain = learner.head.basis[:, 0] / world.head.basis[:, 0]
    assert 0.5 <= gain.mean() < 0.8


def test_the_first_trial_moves_less_than_many_do():
    world = World(4)
    world.shift(2.0)
    learner = Recentring(world.head)
    one = np.linalg.norm(world.live(learner, 1).head.centre)
    assert 0 < one < np.linalg.norm(world.live(learner, 80, first=1).head.centre)


@pytest.mark.parametrize("wrong", [{"half_life": 0.0}, {"own": -1.0}, {"common": float("nan")}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be from"):
        RecentringConfig(**wrong)
