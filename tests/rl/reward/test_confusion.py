"""What an erring detector says is turned into odds by Bayes, and its bias is taken out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.rl.reward.confusion import Confusion, ConfusionConfig
from diverloop.runtime.errors import ConfigError

DETECTOR = Confusion(ConfusionConfig(tpr=0.7, tnr=0.868))


def test_the_odds_are_those_of_bayes():
    assert DETECTOR.detected(1, True).log_odds == pytest.approx(math.log(0.132 / 0.7))
    assert DETECTOR.detected(1, False).log_odds == pytest.approx(math.log(0.868 / 0.3))


@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.95])
def test_the_mean_of_the_values_is_the_accuracy(accuracy):
    seen_wrong = accuracy * (1 - 0.868) + (1 - accuracy) * 0.7
    mean = (
        seen_wrong * DETECTOR.detected(1, True).value
        + (1 - seen_wrong) * DETECTOR.detected(1, False).value
    )
    assert mean == pytest.approx(accuracy)


def test_a_detector_too_near_to_chance_says_nothing():
    poor = Confusion(ConfusionConfig(tpr=0.6, tnr=0.65))
    for reward in (poor.detected(1, True), poor.judged(1, 0.99)):
        assert (reward.log_odds, reward.value) == (0.0, 0.5)
    assert Confusion(ConfusionConfig(tpr=0.65, tnr=0.65)).says_something


@pytest.mark.parametrize("probability", [0.4, 0.5, 0.6, -0.1, 1.2, math.nan])
def test_an_undecided_or_impossible_probability_says_nothing(probability):
    reward = DETECTOR.judged(1, probability)
    assert (reward.log_odds, reward.value) == (0.0, 0.5)


def test_what_calibration_expected_of_any_decision_is_no_evidence_of_this_one():
    rare = Confusion(ConfusionConfig(error_share=0.2))
    assert rare.judged(1, 0.2).log_odds == pytest.approx(0.0)
    odds = np.exp(rare.judged(1, 0.8).log_odds)
    assert odds * 0.8 / 0.2 == pytest.approx(0.2 / 0.8)


def test_a_certain_probability_stays_finite():
    assert math.isfinite(DETECTOR.judged(1, 1.0).log_odds)
    assert math.isfinite(DETECTOR.judged(1, 0.0).log_odds)


def test_rates_that_are_none_are_refused():
    with pytest.raises(ConfigError, match=r"tpr must be from 0\.01 to 0\.99, got 1"):
        ConfusionConfig(tpr=1.0)
