"""The error signal: late, noisy, and about moving away."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.wayward import Wayward, WaywardConfig
from diverloop.runtime.errors import ConfigError


def scores(away, *, separation=1.35, attended=True, seconds=600):
    wayward = Wayward(WaywardConfig(separation=separation), np.random.default_rng(0))
    distance, got = 0.0, []
    for n in range(seconds * 20):
        distance += 0.01 if away else -0.01
        wayward.watch(3, distance, attended, n * 0.05)
        got += wayward.arrived(n * 0.05)
    return got


def test_scores_of_moving_away_are_higher_and_carry_the_trial():
    away, fine = scores(True), scores(False)
    assert {trial for trial, _ in away} == {3}
    higher = np.mean([a > b for (_, a) in away for (_, b) in fine])
    assert higher == pytest.approx(0.83, abs=0.04)  # the area that a separation of 1.35 means


def test_a_score_is_the_logarithm_of_the_odds_of_an_error():
    odds = np.array([value for _, value in scores(True)] + [value for _, value in scores(False)])
    error = np.repeat([1.0, 0.0], len(odds) // 2)
    sure = odds > 1.0
    assert error[sure].mean() == pytest.approx((1 / (1 + np.exp(-odds[sure]))).mean(), abs=0.06)


def test_what_nobody_looks_at_bothers_nobody():
    assert np.mean([odds for _, odds in scores(True, attended=False)]) < 0


def test_a_score_comes_late_and_once():
    wayward = Wayward(WaywardConfig(delay_s=(0.5, 0.5)), np.random.default_rng(0))
    wayward.watch(0, 1.0, True, 0.0)
    wayward.watch(0, 2.0, True, 1.0)
    assert wayward.arrived(1.4) == []
    assert len(wayward.arrived(1.51)) == 1
    assert wayward.arrived(1.51) == []


@pytest.mark.parametrize("wrong", [{"every_s": 0.0}, {"delay_s": (0.5, 0.2)}])
def test_a_signal_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        WaywardConfig(**wrong)
