"""Choosing among ways to decode, and being honest about the choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.choosing import Candidate, choose, preferred, shared_trials
from diverloop.adapters.cross_validation import FitConfig
from diverloop.adapters.folds import Trials
from diverloop.runtime.errors import ConfigError

CONFIG = FitConfig(n_folds=4, classifier="lda")


class Features:
    """An encoder that learns nothing."""

    def encode_many(self, windows):
        return windows


def candidate(name: str, distance: float, seed: int = 0, n_trials: int = 40) -> Candidate:
    """Two classes whose means lie so far apart in one of three features."""
    rng = np.random.default_rng(seed)
    labels = np.array(["left", "right"])[np.arange(n_trials) % 2]
    features = rng.normal(size=(n_trials, 3))
    features[labels == "right", 0] += distance
    return Candidate(
        name=name,
        windows=features,
        trials=Trials.of(labels, np.arange(n_trials), None, n_windows=n_trials),
        fit_encoder=lambda windows, labels: Features(),
        config=CONFIG,
    )


def test_the_way_that_sees_more_is_chosen_and_said_to_be():
    ways = [candidate("blind", 0.0), candidate("sharp", 4.0, seed=1), candidate("dull", 0.5)]
    choice = choose(ways)
    assert choice.name == "sharp"
    assert choice.reason.startswith("sharp made the left-out trials most probable: ")
    assert [each.name for each in choice.comparisons] == ["blind", "sharp", "dull"]
    assert choice.comparisons[1].behind == 0
    assert choice.fitted.report["chosen"] == "sharp"
    assert choice.fitted.report["cross_validation"]["accuracy"] > 0.9
    assert choice.nested["accuracy"] > 0.9


def test_the_preferred_way_stays_unless_it_is_clearly_worse():
    first = candidate("first", 2.0)
    shaken = first.windows + np.random.default_rng(3).normal(0, 0.2, first.windows.shape)
    ways = [first, replace(first, name="second", windows=shaken)]
    for order in (ways, ways[::-1]):
        choice = choose(order)
        assert choice.name == order[0].name
    assert any("is preferred" in choose(order).reason for order in (ways, ways[::-1]))


@pytest.mark.long
def test_choosing_the_luckiest_of_many_blind_ways_is_reported_at_chance():
    nested, flattered = [], []
    for person in range(6):
        ways = [candidate(f"way {n}", 0.0, seed=100 * person + n) for n in range(6)]
        choice = choose(ways)
        nested.append(choice.nested["accuracy"])
        flattered.append(max(each.accuracy["accuracy"] for each in choice.comparisons))
    assert 0.42 < np.mean(nested) < 0.56
    assert np.mean(flattered) > np.mean(nested) + 0.05


def test_one_way_alone_is_fitted_without_a_comparison():
    choice = choose([candidate("only", 3.0)])
    assert choice.reason == "only was the only way."
    assert "compared" not in choice.fitted.report
    assert choice.nested == choice.fitted.report["cross_validation"]


def test_ways_on_other_trials_are_not_compared():
    with pytest.raises(ConfigError, match=r"second was given 20 trials and first 40"):
        choose([candidate("first", 1.0), candidate("second", 1.0, n_trials=20)])
    with pytest.raises(ConfigError, match="No way to decode"):
        choose([])


def test_a_difference_within_its_own_uncertainty_does_not_count():
    rng = np.random.default_rng(2)
    better = rng.exponential(size=30)
    noisy = better + 0.05 + np.resize([1.0, -1.0], 30)
    assert preferred([noisy, better]) == 0
    assert preferred([better + 1.0, better]) == 1


def test_only_trials_that_every_way_has_are_kept():
    first = (np.array([0, 0, 1, 1]), np.array([10, 10, 10, 20]))
    second = (np.array([0, 1, 1]), np.array([10, 20, 30]))
    kept = shared_trials([first, second])
    np.testing.assert_array_equal(kept[0], [True, True, False, True])
    np.testing.assert_array_equal(kept[1], [True, True, False])
