"""Scores come late, as good as was set, worse with habit, and not from those who look away."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.error_channel import ErrorChannel, ErrorChannelConfig, error_channel_of
from diverloop.runtime.errors import ConfigError


def scores(config, right, *, attended=True, trial=0, n=4000, seed=0):
    channel, rng = ErrorChannel(config, 100), np.random.default_rng(seed)
    for _ in range(n):
        channel.sees(trial, right, attended, 0.0, rng)
    return np.array([score for _, score, _ in channel.arrived(10_000)])


def balanced(config, trial=0):
    found = (scores(config, False, trial=trial) > 0).mean()
    left = (scores(config, True, trial=trial, seed=1) < 0).mean()
    return (found + left) / 2


@pytest.mark.parametrize("accuracy", [0.5, 0.65, 0.75, 0.9])
def test_a_fresh_detector_is_as_good_as_was_set(accuracy):
    config = ErrorChannelConfig(balanced_accuracy=accuracy)
    assert balanced(config) == pytest.approx(accuracy, abs=0.016)


def test_habit_takes_a_fifth_of_the_separation():
    config = ErrorChannelConfig()
    apart = [
        scores(config, False, trial=t).mean() - scores(config, True, trial=t).mean()
        for t in (0, 99)
    ]
    assert apart[0] == pytest.approx(config.separation, abs=0.07)
    assert apart[1] == pytest.approx(0.8 * config.separation, abs=0.07)


def test_who_looks_away_has_no_error_potential():
    config = ErrorChannelConfig(balanced_accuracy=0.9)
    away = scores(config, False, attended=False)
    assert away == pytest.approx(scores(config, True))


def test_log_odds_are_those_of_the_two_distributions():
    config = ErrorChannelConfig(balanced_accuracy=0.8)
    after_right, after_wrong = scores(config, True), scores(config, False, seed=3)
    for low, high in ((-1.0, -0.6), (0.2, 0.6), (1.0, 1.6)):
        within = [((x > low) & (x < high)).mean() for x in (after_right, after_wrong)]
        expected = np.log(within[0] / within[1])
        assert config.log_odds((low + high) / 2) == pytest.approx(expected, abs=0.25)


def test_the_mean_of_values_is_the_accuracy():
    config = ErrorChannelConfig(balanced_accuracy=0.7)
    right, wrong = scores(config, True), scores(config, False, seed=5)
    values = [config.value(one) for one in (*right[:3200], *wrong[:800])]
    assert np.mean(values) == pytest.approx(0.8, abs=0.04)


def test_a_detector_that_knows_nothing_says_nothing():
    config = ErrorChannelConfig(balanced_accuracy=0.5)
    assert config.value(3.0) == 0.5
    assert config.log_odds(3.0) == 0


def test_scores_arrive_once_and_after_one_or_two_more_decisions():
    channel, rng = ErrorChannel(ErrorChannelConfig(missing=0.0), 50), np.random.default_rng(0)
    late = []
    for trial in range(50):
        channel.sees(trial, True, True, 10.0 * trial, rng)
        for number, _, at_s in channel.arrived(trial):
            late.append(trial - number)
            assert 0.2 <= at_s - 10.0 * number <= 1.5
    assert set(late) == {1, 2}
    assert len(late) >= 48


def test_some_feedbacks_have_no_score():
    assert len(scores(ErrorChannelConfig(missing=0.3), True)) == pytest.approx(2800, abs=130)


def test_a_channel_is_named_in_any_of_four_ways():
    assert error_channel_of(None) == ErrorChannelConfig()
    assert error_channel_of(0.8) == ErrorChannelConfig(balanced_accuracy=0.8)
    assert error_channel_of({"delay_trials": [0, 3]}) == ErrorChannelConfig(delay_trials=(0, 3))


@pytest.mark.parametrize(
    "wrong", [0.4, float("nan"), {"delay_s": (2, 1)}, {"noise": 1}, {"missing": 2}]
)
def test_an_impossible_channel_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"errp"):
        error_channel_of(wrong)
