from __future__ import annotations

import json

import numpy as np
import pytest

from diverloop.adapters.adaptive_threshold import AdaptiveConfig, AdaptiveThreshold
from diverloop.runtime.errors import ConfigError


def served(threshold: AdaptiveThreshold, n: int, seed: int, boast: float):
    """Trials of a decoder that claims more than is true; returns which decisions were wrong."""
    rng, wrong = np.random.default_rng(seed), []
    for score in 2 * rng.normal(size=n):
        truth = rng.random() < 1 / (1 + np.exp(-score))
        sure = 1 / (1 + np.exp(-boast * abs(score)))
        if sure >= threshold.threshold:
            right = truth == (score > 0)
            threshold.update(bool(right))
            wrong.append(not right)
    return np.array(wrong)


def test_an_error_raises_it_and_a_success_lowers_it_a_little():
    threshold = AdaptiveThreshold(0.7, AdaptiveConfig(alpha=0.1, rate=0.1))
    assert threshold.update(False) == pytest.approx(0.79)
    assert threshold.update(True) == pytest.approx(0.78)


def test_the_error_comes_back_to_what_was_allowed_when_probabilities_become_wrong():
    threshold = AdaptiveThreshold(0.75, AdaptiveConfig(alpha=0.1, rate=0.02, highest=0.999))
    served(threshold, 500, seed=0, boast=1.0)
    before = threshold.threshold
    wrong = served(threshold, 6000, seed=1, boast=1.7)
    assert threshold.threshold > before + 0.03
    assert wrong[500:].mean() == pytest.approx(0.1, abs=0.02)
    fixed = served(AdaptiveThreshold(before, AdaptiveConfig(rate=1e-9)), 6000, seed=1, boast=1.7)
    assert fixed.mean() > 0.12


def test_away_from_the_bounds_the_steps_account_for_every_outcome():
    config = AdaptiveConfig(alpha=0.2, rate=0.01)
    threshold, rng = AdaptiveThreshold(0.6, config), np.random.default_rng(0)
    outcomes = rng.random(300) < 0.8
    for right in outcomes.tolist():
        threshold.update(right)
    moved = (threshold.threshold - 0.6) / (config.rate * len(outcomes))
    assert (~outcomes).mean() - config.alpha == pytest.approx(moved)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.5), (False, 0.9)])
def test_it_never_leaves_its_bounds(right, bound):
    threshold = AdaptiveThreshold(0.7, AdaptiveConfig(rate=0.3, lowest=0.5, highest=0.9))
    for _ in range(100):
        threshold.update(right)
    assert threshold.threshold == bound
    assert AdaptiveThreshold(1.0, AdaptiveConfig(highest=0.9)).threshold == 0.9


def test_its_state_is_plain_numbers_and_goes_on_where_it_stopped():
    config, rng = AdaptiveConfig(), np.random.default_rng(0)
    first, second = (rng.random(20) < 0.8).tolist(), (rng.random(20) < 0.8).tolist()
    whole = AdaptiveThreshold(0.7, config)
    for right in first:
        whole.update(right)
    again = AdaptiveThreshold.from_state(json.loads(json.dumps(whole.state())), config)
    for right in second:
        assert whole.update(right) == again.update(right)
    assert again.state() == whole.state()
    assert whole.state()["n_right"] + whole.state()["n_wrong"] == 40


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"alpha": 0.0}, "alpha must be"),
        ({"rate": 0.0}, "rate in"),
        ({"lowest": 0.9, "highest": 0.8}, "lowest < highest"),
        ({"highest": 1.5}, "lowest < highest"),
    ],
)
def test_settings_outside_their_range_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        AdaptiveConfig(**wrong)


def test_a_start_that_is_no_probability_is_refused():
    with pytest.raises(ConfigError, match="start must be in"):
        AdaptiveThreshold(1.5)
