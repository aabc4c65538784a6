"""The linear bandit finds the better action of each context, and the cost of finding it flattens."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.linucb import LinUCB


def played(seed, trials=1500, width=1.0):
    """Regrets against the best action of each context, and those of the best fixed action."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(4, 3))
    bandit = LinUCB(4, 3, ridge=1.0, width=width)
    earned, fixed, best = np.zeros(trials), np.zeros((trials, 4)), np.zeros(trials)
    for t in range(trials):
        context = np.append(1.0, rng.normal(size=2))
        means, widths = bandit.bounds(context)
        action = int((means + widths).argmax())
        gains = truth @ context
        bandit.learn(context, action, gains[action] + 0.5 * rng.normal())
        earned[t], fixed[t], best[t] = gains[action], gains, gains.max()
    return earned, fixed, best


@pytest.mark.parametrize("seed", range(4))
def test_it_earns_more_than_the_best_fixed_action(seed):
    earned, fixed, _ = played(seed, 600)
    assert earned.sum() > fixed.sum(axis=0).max()


@pytest.mark.parametrize("seed", range(4))
def test_regret_grows_ever_more_slowly(seed):
    earned, _, best = played(seed)
    regret = best - earned
    assert regret[-500:].sum() < 0.25 * regret[:500].sum() + 1.0


def test_doubt_shrinks_where_something_was_learnt_and_nowhere_else():
    bandit = LinUCB(2, 2, ridge=1.0, width=1.0)
    context = np.array([1.0, 0.0])
    for _ in range(8):
        bandit.learn(context, 0, 1.0)
    means, widths = bandit.bounds(context)
    assert means == pytest.approx([8 / 9, 0.0])
    assert widths == pytest.approx([1 / 3, 1.0])
    assert bandit.bounds(np.array([0.0, 1.0]))[1] == pytest.approx([1.0, 1.0])


def test_with_forgetting_it_follows_a_gain_that_turned():
    lasting, fading = (LinUCB(1, 1, 1.0, 1.0, f) for f in (1.0, 0.95))
    for t in range(200):
        for bandit in (lasting, fading):
            bandit.learn(np.ones(1), 0, 1.0 if t < 140 else -1.0)
    assert lasting.bounds(np.ones(1))[0][0] > 0 > fading.bounds(np.ones(1))[0][0]
