"""What every learner of the catalogue keeps to, whatever its rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.learners.learner import Learner
from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.catalog import CATALOG, find

from .worlds import World

NAMES = sorted(CATALOG["learner"])


def judged(trial, meant):
    right = trial.decided == meant
    return Reward(trial=trial.number, log_odds=1.0 if right else -1.0, meant=meant)


def speller_trial(number, head, rng):
    under = np.eye(6, dtype=np.int64)[:, np.tile(np.arange(6), 3)]
    features = rng.normal(size=(18, len(head.mean)))
    return Trial(number=number, features=features, under=under, prior=np.full(6, 1 / 6), decided=2)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_learner_that_begins_with_the_head_that_it_was_given(name):
    world = World(1)
    learner = find("learner", name)(world.head)
    assert isinstance(learner, Learner)
    assert learner.head.sha256 == world.head.sha256
    assert learner.rule


@pytest.mark.parametrize("name", NAMES)
def test_the_same_calls_give_the_same_head_to_the_bit(name):
    heads = []
    for _ in range(2):
        world = World(2)
        learner = find("learner", name)(world.head)
        world.shift(1.0)
        heads.append(world.live(learner, 60, reward=judged).head.sha256)
    assert heads[0] == heads[1]
    assert (heads[0] == World(2).head.sha256) == (name == "frozen")


@pytest.mark.parametrize("name", NAMES)
def test_rewards_of_unknown_trials_and_broken_trials_change_nothing(name):
    world = World(3)
    learner = find("learner", name)(world.head)
    learner.hear(Reward(trial=999, log_odds=-2.0, meant=1))
    learner.see(Trial.plain(1, np.full(4, np.nan), 4, decided=0))
    learner.hear(Reward(trial=1, log_odds=-2.0))
    assert learner.head.sha256 == world.head.sha256


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_from_a_head_that_it_is_told_to_adopt(name):
    world = World(4)
    learner = world.live(find("learner", name)(world.head), 40, reward=judged)
    other = replace(world.head, prototypes=world.head.prototypes + 0.1)
    learner.adopt(other)
    assert learner.head.sha256 == other.sha256
    world.live(learner, 20, reward=judged, first=100)
    assert np.isfinite(learner.head.prototypes).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_speller_with_many_flashes_is_learnt_from_as_well(name):
    world = World(5, n_classes=2)
    learner, rng = find("learner", name)(world.head), np.random.default_rng(0)
    for number in range(20):
        learner.see(speller_trial(number, world.head, rng))
        learner.hear(Reward(trial=number, log_odds=-1.0, meant=number % 6))
    assert np.isfinite(learner.head.probabilities(rng.normal(size=(9, 2)))).all()
