"""Learners hear what they are to hear, and nothing else."""

from __future__ import annotations

import numpy as np

from diverloop.rl.envs.messenger import ERRORS, NOTHING, SHUFFLED, TRUTH, Messenger
from diverloop.rl.trial import Reward, Trial


def trial(number, decided=0):
    return Trial.plain(number, np.zeros(2), 2, decided)


def reward(number, log_odds):
    return Reward(trial=number, log_odds=log_odds, value=log_odds, source="error potential")


def test_without_rewards_nothing_is_heard():
    assert Messenger(NOTHING, 0).tell(trial(1), 0, [reward(1, 1.0)]) == ()


def test_errors_are_handed_on_as_they_are():
    rewards = (reward(1, 1.0), reward(0, -2.0))
    assert Messenger(ERRORS, 0).tell(trial(1), 0, rewards) == rewards


def test_the_truth_names_what_was_meant_and_whether_it_was_decided():
    (right,) = Messenger(TRUTH, 0).tell(trial(1, decided=1), 1, [])
    (wrong,) = Messenger(TRUTH, 0).tell(trial(2, decided=1), 0, [])
    assert (right.meant, right.value, wrong.meant, wrong.value) == (1, 1.0, 0, 0.0)


def test_shuffled_rewards_are_as_often_right_and_about_other_trials():
    said = np.random.default_rng(1).choice([-1.0, 1.0], 2000, p=[0.3, 0.7])
    messenger = Messenger(SHUFFLED, 0)
    heard = [messenger.tell(trial(n), 0, [reward(n, one)])[0] for n, one in enumerate(said)]
    assert [one.trial for one in heard] == list(range(2000))
    values = np.array([one.log_odds for one in heard])
    assert abs(values.mean() - said.mean()) < 0.08
    assert abs(np.corrcoef(values, said)[0, 1]) < 0.08


def test_a_shuffled_reward_is_never_its_own():
    messenger = Messenger(SHUFFLED, 3)
    heard = [messenger.tell(trial(n), 0, [reward(n, float(n + 1))])[0] for n in range(300)]
    assert heard[0].log_odds == 0
    assert all(1 <= one.log_odds <= n for n, one in enumerate(heard) if n)


def test_the_same_seed_shuffles_alike():
    one, other = (
        [messenger.tell(trial(n), 0, [reward(n, float(n))])[0].log_odds for n in range(50)]
        for messenger in (Messenger(SHUFFLED, 5), Messenger(SHUFFLED, 5))
    )
    assert one == other
