"""All trials read at once say what each says by itself."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.memory import Memory
from diverloop.rl.learners.soft_labels import soft_labels
from diverloop.rl.trial import Reward, Trial

from .worlds import World

WORLD = World(1)
HEAD = WORLD.head


def remembered(trials, rewards=()):
    memory = Memory(50)
    for trial in trials:
        memory.add(trial, HEAD)
    for reward in rewards:
        memory.tell(reward)
    return memory.layout()


def trials_of_several_kinds():
    rng = np.random.default_rng(0)
    plain = Trial.plain(1, 0.5 * rng.normal(size=(3, 4)), 4, decided=2)
    under = rng.integers(0, 4, size=(7, 5))
    prior = rng.dirichlet(np.ones(7))
    speller = Trial(
        number=2, features=0.5 * rng.normal(size=(5, 4)), under=under, prior=prior, decided=4
    )
    return [plain, speller]


def test_they_are_what_trial_and_reward_say_one_by_one():
    trials = trials_of_several_kinds()
    rewards = [Reward(trial=1, log_odds=-1.0), Reward(trial=2, log_odds=0.7)]
    labels = soft_labels(remembered(trials, rewards), HEAD.prototypes, HEAD.temperature)
    options = [
        reward.weigh(trial, trial.posterior(HEAD))
        for trial, reward in zip(trials, rewards, strict=True)
    ]
    alone = [trial.shares(one, 4) for trial, one in zip(trials, options, strict=True)]
    assert labels.shares == pytest.approx(np.concatenate(alone))
    assert labels.confidence == pytest.approx([one.max() for one in options])


def test_what_is_known_is_certain_and_a_window_that_contradicts_it_is_a_lapse():
    plain = Trial.plain(1, WORLD.means[0], 4, decided=0)
    layout = remembered([plain], [Reward(trial=1, meant=3)])
    sure = soft_labels(layout, HEAD.prototypes, 1.0).shares[0]
    lapsed = soft_labels(layout, HEAD.prototypes, 1.0, lapse=0.2).shares[0]
    assert sure == pytest.approx([0, 0, 0, 1])
    assert lapsed.sum() < 0.2


def test_a_frequent_class_is_more_probable_by_its_frequency():
    plain = Trial.plain(1, np.zeros(4), 4, decided=0)
    layout, frequent = remembered([plain]), np.array([4.0, 1.0, 1.0, 1.0])
    before = soft_labels(layout, HEAD.prototypes, 1.0).shares[0]
    after = soft_labels(layout, HEAD.prototypes, 1.0, 0.0, frequent).shares[0]
    assert after == pytest.approx(before * frequent / (before @ frequent))


def test_heads_that_explain_the_trials_better_are_more_likely():
    trials = [Trial.plain(n, WORLD.means[n % 4], 4, n % 4) for n in range(8)]
    layout = remembered(trials)
    right = soft_labels(layout, HEAD.prototypes, 1.0).log_likelihood.sum()
    wrong = soft_labels(layout, -HEAD.prototypes, 1.0).log_likelihood.sum()
    assert right > wrong + 10
