"""What any bandit over updates does, whatever policy chooses: here one that follows a script."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.learners.learner import Learner
from diverloop.rl.learners.update_bandit import LEARNT, UpdateBandit, UpdateBanditConfig
from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.prototype_head import PrototypeHead

N = 6


class Script:
    """Always wants one action, or nothing, and notes what it is told."""

    def __init__(self, wants=None):
        self.wants, self.told = wants, []

    def bounds(self, context):
        means = np.full(len(LEARNT), -1.0)
        if self.wants:
            means[LEARNT.index(self.wants)] = 50.0
        return means, np.zeros(len(LEARNT))

    def learn(self, context, action, gain):
        self.told.append((LEARNT[action], gain))


def head():
    prototypes = 2 * np.eye(3, N)
    return PrototypeHead(
        classes=("a", "b", "c"), mean=np.full(N, 0.3), scale=np.full(N, 2.0), basis=np.eye(N),
        centre=np.zeros(N), prototypes=prototypes, log_priors=np.zeros(3),
    )  # fmt: skip


def bandit(wants=None, **config):
    return UpdateBandit(head(), UpdateBanditConfig(**config), Script(wants))


def step(learner, number, rng, *, right=True, moved=0.0, hears=True):
    meant = int(rng.integers(3))
    point = head().prototypes[meant] + moved + 0.3 * rng.normal(size=N)
    decided = meant if right else (meant + 1) % 3
    learner.see(Trial.plain(number, 0.3 + 2.0 * point, 3, decided))
    if hears:
        value, odds = (1.0, 3.0) if right else (0.0, -3.0)
        learner.hear(Reward(trial=number, value=value, log_odds=odds))


def test_it_is_a_learner_that_begins_with_the_head_it_was_given():
    learner = bandit()
    assert isinstance(learner, Learner)
    assert learner.head.sha256 == head().sha256


def test_without_rewards_the_unchanged_head_stays():
    learner, rng = bandit("recentre"), np.random.default_rng(0)
    for number in range(60):
        step(learner, number, rng, moved=0.5, hears=False)
    assert learner.head.sha256 == head().sha256
    assert "unchanged" in learner.rule


def test_a_changed_head_is_offered_once_rewards_do_not_speak_against_it():
    learner, rng = bandit("recentre"), np.random.default_rng(0)
    for number in range(60):
        step(learner, number, rng, moved=0.5)
    assert learner.head.sha256 != head().sha256
    assert learner.rule == "moved the centre to the windows"


def test_a_head_that_was_made_worse_is_not_offered():
    learner, rng = bandit(), np.random.default_rng(0)
    for number in range(40):
        step(learner, number, rng)
    turned = replace(head(), prototypes=head().prototypes[[1, 2, 0]])
    learner.adopt(turned)
    assert learner.head.sha256 == turned.sha256
    for number in range(40, 70):
        step(learner, number, rng)
    assert learner.head.sha256 == head().sha256


def test_unknown_old_and_repeated_rewards_change_nothing():
    learner, rng = bandit("pull decided"), np.random.default_rng(0)
    for number in range(30):
        step(learner, number, rng)
    before, told = learner.head.sha256, len(learner._policy.told)
    for number in (-5, 3, 29, 10**9):
        learner.hear(Reward(trial=number, value=0.0, log_odds=-9.0))
    assert learner.head.sha256 == before
    assert len(learner._policy.told) == told


def test_rewards_may_come_in_any_order_and_only_later_trials_credit_a_choice():
    learner = bandit("pull decided", horizon=2, hindsight=False)
    for number in range(6):
        point = 0.3 + 2.0 * head().prototypes[0]
        learner.see(Trial.plain(number, point, 3, 0))
    for number in (5, 2, 1, 0):
        learner.hear(Reward(trial=number, value=1.0, log_odds=2.0))
    # The choice at trial 5 has no later trial; that at 2 has neither: 1 and 0 came before it.
    assert learner._policy.told == []
    for number in (3, 4):
        learner.hear(Reward(trial=number, value=1.0, log_odds=2.0))
    learner.see(Trial.plain(7, 0.3 + 2.0 * head().prototypes[0], 3, 0))
    learner.hear(Reward(trial=7, value=1.0, log_odds=2.0))
    assert {name for name, _ in learner._policy.told} <= {"pull decided"}


def test_credit_is_positive_for_what_follows_a_drift_and_all_actions_get_theirs():
    learner, rng = bandit("recentre"), np.random.default_rng(0)
    for number in range(25):
        step(learner, number, rng, moved=np.array([-0.8, 0.8, 0.8, 0, 0, 0]))
    told = learner._policy.told
    assert {"recentre", "warm", "cool", "pull decided"} <= {name for name, _ in told}
    assert np.mean([gain for name, gain in told if name == "recentre"]) > 0


def test_memory_is_bounded_however_long_the_session():
    learner, rng = bandit("pull decided"), np.random.default_rng(0)
    for number in range(150):
        step(learner, number, rng, hears=number % 3 == 0)
        assert len(learner._waiting) <= learner._config.patience
        assert len(learner._choices) <= 2 * learner._config.horizon
        assert len(learner._candidates._earned) <= learner._config.window


def test_it_asks_for_recalibration_when_nothing_helps_any_more_and_stops_asking_with_a_new_head():
    learner, rng = bandit(), np.random.default_rng(0)
    for number in range(40):
        step(learner, number, rng)
    assert not learner.asks_recalibration
    for number in range(40, 120):
        meant, point = int(rng.integers(3)), rng.normal(size=N)
        learner.see(Trial.plain(number, point, 3, meant))
        learner.hear(Reward(trial=number, meant=int(rng.integers(3))))
    assert learner.asks_recalibration
    assert learner.rule.startswith("asks for recalibration")
    learner.adopt(replace(head(), scale=np.full(N, 3.0)))
    assert not learner.asks_recalibration


def test_a_head_of_another_space_begins_everything_anew():
    learner, rng = bandit("recentre"), np.random.default_rng(0)
    for number in range(40):
        step(learner, number, rng)
    other = replace(head(), mean=np.zeros(N))
    learner.adopt(other)
    assert learner.head.sha256 == other.sha256
    assert learner._waiting == {}


def test_what_cannot_be_configured_is_said_in_one_sentence():
    for name, value in (("alpha", 0.0), ("delta", 0.5), ("window", 2), ("horizon", 0)):
        with pytest.raises(ConfigError, match=f"{name} of an update bandit"):
            UpdateBanditConfig(**{name: value})


def test_none_of_it_needs_torch():
    module = sys.modules[UpdateBandit.__module__]
    assert not hasattr(module, "torch")
