from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.tails import largest_with, log_tails, own_surprises, surprise


def tail(ranks, value) -> float:
    return float(np.exp(log_tails(np.sort(np.atleast_2d(ranks)), np.array([value]))[0]))


def test_a_tail_counts_what_is_at_least_as_large_and_the_value_itself():
    ranks = np.arange(19.0)
    assert tail(ranks, -1) == pytest.approx(20 / 20)
    assert tail(ranks, 9.0) == pytest.approx(11 / 20)
    assert tail(ranks, 9.5) == pytest.approx(10 / 20)
    assert tail(ranks, 18.0) == pytest.approx(2 / 20)
    assert tail(ranks, 18.0 + 1e-9) == pytest.approx(1 / 20)


def test_beyond_calibration_stranger_is_less_likely_than_strange():
    ranks = np.sort(np.random.default_rng(0).normal(size=50))
    values = ranks[-1] + np.array([0.0, 0.1, 1.0, 10.0])
    found = [tail(ranks, value) for value in values]
    assert (np.diff(found) < 0).all()
    assert found[-1] < 1e-4


def test_tails_of_new_draws_are_as_frequent_as_they_say():
    rng, found = np.random.default_rng(1), []
    for _ in range(4000):
        draws = rng.exponential(size=40)
        found.append(tail(draws[:39], draws[39]))
    for alpha in (0.05, 0.1, 0.5):
        assert np.mean(np.array(found) <= alpha + 1e-9) == pytest.approx(alpha, abs=0.015)


def test_the_threshold_and_the_tail_say_the_same():
    ranks = np.sort(np.random.default_rng(2).exponential(size=39))
    for alpha in (0.001, 0.02, 0.025, 0.05, 0.1, 0.33, 0.975):
        limit = largest_with(ranks, alpha)
        assert tail(ranks, limit) >= alpha - 1e-12
        assert tail(ranks, limit + 1e-6) < alpha


def test_many_ways_do_not_make_many_false_alarms():
    rng, refused, by_any = np.random.default_rng(3), [], []
    for _ in range(12):
        draws = rng.normal(size=(12, 160))
        known, ranks = draws[:, :60], np.sort(draws[:, :60], axis=1)
        limit = largest_with(np.sort(own_surprises(known)), 0.1)
        tails = [log_tails(ranks, new) for new in draws[:, 60:].T]
        refused += [surprise(one) > limit for one in tails]
        by_any += [one.min() < np.log(0.1) for one in tails]
    assert np.mean(by_any) > 0.5
    assert np.mean(refused) == pytest.approx(0.1, abs=0.05)


def test_a_calibration_window_is_ranked_among_the_others_alone():
    ranks = np.random.default_rng(4).normal(size=(3, 20))
    found = own_surprises(ranks)
    others = np.sort(np.delete(ranks, 7, axis=1), axis=1)
    assert found[7] == pytest.approx(surprise(log_tails(others, ranks[:, 7])), abs=1e-12)


def test_the_three_oddest_ways_count_and_no_other():
    tails = np.log([0.5, 0.01, 0.9, 0.2, 0.1])
    assert surprise(tails) == pytest.approx(-np.log(0.01 * 0.1 * 0.2))
    assert surprise(tails[:2]) == pytest.approx(-np.log(0.5 * 0.01))
