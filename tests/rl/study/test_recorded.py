"""Recordings as trials: flashes become selections, and a calibration becomes a head."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.study.recorded import Asked, RecordedCase, selections
from diverloop.runtime.errors import RecordingError


def flashes(n=600, seed=0, shift=2.0):
    rng = np.random.default_rng(seed)
    targets = rng.random(n) < 0.2
    features = rng.normal(size=(n, 5))
    features[targets, 0] += shift
    return features, targets


def case(n_trials=30):
    rng = np.random.default_rng(3)

    def asked(meant):
        windows = rng.normal(size=(3, 6)) + 2.0 * meant
        return Asked(features=windows, under=np.array([[0] * 3, [1] * 3]), meant=meant)

    trials = tuple(asked(n % 2) for n in range(n_trials))
    return RecordedCase(
        person="p", name="n", task="t", classes=("a", "b"), calibration=trials, sessions=(trials,)
    )


def test_each_selection_shows_the_attended_item_its_targets_and_others_their_flashes():
    features, targets = flashes()
    made = selections(features, targets, one_of=4, repeats=2, rng=np.random.default_rng(0))
    assert made
    places = {tuple(row): place for place, row in enumerate(features.tolist())}
    seen = []
    for one in made:
        assert one.under.sum(axis=0).tolist() == [1] * 8  # every flash is one item's
        rows = [places[tuple(row)] for row in one.features.tolist()]
        assert targets[rows].tolist() == one.under[one.meant].astype(bool).tolist()
        seen += rows
    assert len(seen) == len(set(seen))  # no flash is used twice
    assert len({one.meant for one in made}) == 4


def test_a_head_of_the_calibration_decides_and_is_not_too_sure():
    one = case()
    right = [asked.trial(0, one.head).decided == asked.meant for asked in one.sessions[0]]
    assert np.mean(right) > 0.9
    assert one.head.temperature > 0


def test_too_few_trials_to_calibrate_are_refused():
    with pytest.raises(RecordingError, match="has 8 trials to calibrate on, needed are 10"):
        case(8).head  # noqa: B018
