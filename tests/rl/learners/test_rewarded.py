"""Rewards settle what signals leave open, however late they come and however often they err."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.rewarded import Rewarded, RewardedConfig
from diverloop.rl.reward.confusion import Confusion, ConfusionConfig
from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.errors import ConfigError

from .worlds import World


def detector(rate, seed=0):
    """An error potential of that balanced accuracy."""
    confusion = Confusion(ConfusionConfig(tpr=rate, tnr=rate))
    rng = np.random.default_rng(seed)

    def reward(trial, meant):
        wrong = (trial.decided != meant) == (rng.random() < rate)
        return confusion.detected(trial.number, wrong)

    return reward


def after_a_jump(reward, seed, n=100):
    world = World(seed)
    world.jump(3.6)
    learner = world.live(Rewarded(world.head), n, reward=reward)
    return world.accuracy(learner.head) - world.accuracy(world.head)


def test_a_detector_of_three_quarters_wins_back_an_abrupt_jump():
    gains = [after_a_jump(detector(0.75), seed) for seed in (102, 104)]
    assert np.mean(gains) > 0.1
    assert min(gains) > -0.05


def test_two_classes_that_changed_places_are_found_by_rewards_alone():
    world = World(101)
    world.means[[0, 1]] = world.means[[1, 0]]
    blind = world.live(Rewarded(world.head), 80, reward=lambda t, _: Reward(trial=t.number))
    told = world.live(Rewarded(world.head), 80, reward=detector(0.8))
    assert world.accuracy(blind.head) < 0.6
    assert world.accuracy(told.head) > 0.8


def test_rewards_in_another_order_and_late_lead_to_nearly_the_same_head():
    world = World(102)
    world.jump(2.0)
    features, meant = world.draw(np.arange(40) % 4), np.arange(40) % 4
    at_once, late = Rewarded(world.head), Rewarded(world.head)
    say = detector(0.9)
    rewards = []
    for number, (one, option) in enumerate(zip(features, meant, strict=True)):
        trial = Trial.plain(number, one, 4, int(world.head.scores(one).argmax()))
        rewards.append(say(trial, int(option)))
        at_once.see(trial)
        at_once.hear(rewards[-1])
        late.see(trial)
        if number % 4 == 3:
            for reward in reversed(rewards[-4:]):
                late.hear(reward)
    assert late.head.prototypes == pytest.approx(at_once.head.prototypes, abs=0.3)


def test_a_trial_waits_for_its_reward_before_it_moves_anything():
    world = World(103)
    learner = Rewarded(world.head, RewardedConfig(patience=5))
    world.live(learner, 5)
    assert learner.head.sha256 == world.head.sha256
    world.live(learner, 1, first=5)
    assert learner.head.sha256 != world.head.sha256
    assert learner.rule == "a trial without a reward"


def test_trials_without_a_reward_are_dropped_where_that_is_asked():
    world = World(103)
    learner = Rewarded(world.head, RewardedConfig(unanswered=0.0))
    world.live(learner, 30)
    assert learner.head.sha256 == world.head.sha256


def test_an_uninformative_detector_does_no_harm_to_a_person_who_does_not_change():
    world = World(104)
    learner = world.live(Rewarded(world.head), 100, reward=detector(0.5))
    assert world.accuracy(learner.head) > world.accuracy(world.head) - 0.04


def test_what_it_stores_is_bounded():
    world = World(105)
    learner = Rewarded(world.head, RewardedConfig(most_trials=10))
    world.live(learner, 50, reward=detector(0.75))
    assert len(learner._memory) == 10


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"lapse must be from 0 to 0\.9, got 1"):
        RewardedConfig(lapse=1.0)
