"""What is played earns, in almost all sessions, nearly as much as the baseline would have."""

from __future__ import annotations

import numpy as np

from diverloop.rl.learners.conservatism import Conservatism
from diverloop.rl.learners.linucb import LinUCB

ALPHA, DELTA = 0.05, 0.1


def session(seed, new, checked=True, trials=300):
    """A new action against a baseline that is right in 7 of 10, each judged with noise.

    Returns whether the true earnings ever fell below the bound, and how often the new was played.
    """
    rng = np.random.default_rng(seed)
    account, bandit = Conservatism(ALPHA, DELTA), LinUCB(1, 1, ridge=1.0, width=1.0)
    one, balance, broken, count = np.ones(1), 0.0, False, 0
    for t in range(trials):
        if t % 5 == 0:
            mean, width = (float(x[0]) for x in bandit.bounds(one))
            plays = not checked or account.floor(mean, width, 0.7, 5) >= 0
        old, fresh = rng.random() < 0.7, rng.random() < new
        seen = fresh if plays else old
        account.note(seen + 0.5 * rng.normal() if plays else float(old), float(old))
        if plays:
            bandit.learn(one, 0, float(fresh) - float(old))
        balance += (new if plays else 0.7) - (1 - ALPHA) * 0.7
        broken = broken or (t >= 5 and balance < 0)
        count += plays
    return broken, count


def test_the_bound_is_broken_in_no_more_sessions_than_agreed():
    for new in (0.3, 0.5, 0.65):
        assert np.mean([session(seed, new)[0] for seed in range(60)]) <= DELTA


def test_without_the_check_a_worse_action_breaks_it_always():
    assert all(session(seed, 0.5, checked=False)[0] for seed in range(5))


def test_what_is_better_comes_to_be_played():
    late = np.mean([session(seed, 0.95)[1] for seed in range(20)])
    assert late > 150


def test_playing_the_baseline_fills_the_account_and_losses_drain_it():
    account = Conservatism(ALPHA, DELTA)
    assert account.floor(-0.5, 0.0, 0.7, 5) < 0
    for _ in range(200):
        account.note(1.0, 1.0)
    assert account.floor(-0.5, 0.0, 0.7, 5) > 0
    for _ in range(20):
        account.note(0.0, 1.0)
    assert account.floor(-0.5, 0.0, 0.7, 5) < 0


def test_with_a_memory_an_old_fortune_does_not_pay_for_new_losses():
    lasting, fading = Conservatism(ALPHA, DELTA), Conservatism(ALPHA, DELTA, memory=50)
    for account in (lasting, fading):
        for _ in range(2000):
            account.note(1.0, 1.0)
    assert lasting.balance > 90
    assert fading.balance < 3


def test_less_certainty_allows_less():
    account = Conservatism(ALPHA, DELTA)
    floors = [account.floor(0.1, error, 0.7, 5) for error in (0.0, 0.1, 0.5, float("inf"))]
    assert floors == sorted(floors, reverse=True)
    assert floors[-1] == -float("inf")
