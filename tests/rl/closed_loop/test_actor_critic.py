"""The actor-critic: it moves to what is rewarded, tries within its spread, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.closed_loop.actor_critic import ActorCritic, ActorCriticConfig
from diverloop.rl.closed_loop.steering import Step
from diverloop.rl.closed_loop.velocity_head import VelocityHead
from diverloop.runtime.errors import ConfigError


def head():
    return VelocityHead(tuning=np.eye(3, 2), baseline=np.zeros(3), noise=np.eye(3))


def step(log_odds=(), ended=None):
    return Step(
        features=np.zeros(3), position=np.zeros(2), velocity=np.full(2, 0.3), seconds=0.5,
        error_log_odds=log_odds, ended=ended,
    )  # fmt: skip


def reward_turning(learner, holds):
    """An error signal that falls silent the more what is tried turns to the left."""
    for _ in range(holds):
        turn = learner.head.correction[1, 0] - learner.head.correction[0, 1]
        learner.watch(step())
        learner.watch(step((4.0 * (0.7 - turn),)))


def test_it_moves_towards_what_is_rewarded():
    learner = ActorCritic(head(), ActorCriticConfig(actor_rate=0.03, trace=0.0, discount=0.5))
    reward_turning(learner, 800)
    settled = learner.settled.correction
    assert settled[1, 0] - settled[0, 1] > 0.4


def test_with_no_rate_it_only_tries():
    learner = ActorCritic(head(), ActorCriticConfig(actor_rate=0.0))
    tried = []
    for _ in range(200):
        tried.append(learner.head.correction[0, 0])
        learner.watch(step(ended=True))
    assert np.std(tried) == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(learner.settled.correction, np.eye(2))


def test_what_is_tried_is_held_for_a_while():
    learner = ActorCritic(head())
    first = learner.head
    learner.watch(step())
    assert learner.head is first
    learner.watch(step())
    assert learner.head is not first


def test_the_mean_goes_no_farther_than_allowed():
    learner = ActorCritic(head(), ActorCriticConfig(actor_rate=5.0, farthest=0.3))
    reward_turning(learner, 100)
    away = np.vstack([learner.settled.correction - np.eye(2), learner.settled.offset])
    assert np.linalg.norm(away) <= 0.3 + 1e-9


def test_the_same_steps_give_the_same_decoder_and_another_seed_another():
    hashes = []
    for seed in (0, 0, 1):
        learner = ActorCritic(head(), ActorCriticConfig(seed=seed))
        reward_turning(learner, 20)
        hashes.append(learner.settled.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("wrong", [{"spread": 0.0}, {"actor_rate": -1.0}, {"trace": 1.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        ActorCriticConfig(**wrong)
