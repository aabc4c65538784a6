"""What must have been meant, by each rule, on a path made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.closed_loop.intentions import IntentionConfig, intended
from diverloop.rl.closed_loop.steering import Path
from diverloop.runtime.errors import ConfigError


def path(target=(1.0, 0.0), acquired=True):
    x = np.linspace(0.0, 1.0, 21)
    return Path(
        features=np.arange(21.0)[:, None],
        positions=np.column_stack([x, np.zeros(21)]),
        velocities=np.column_stack([np.zeros(21), np.full(21, 0.2)]),
        seconds=1.05,
        target=None if target is None else np.array(target),
        acquired=acquired,
    )


def test_the_decoded_velocity_is_turned_to_the_target_and_zero_within():
    config = IntentionConfig(speed="decoded", skip_s=0.0, radius=0.12)
    _, meant = intended(path(), 0.8, config)
    assert np.allclose(meant[:18], [0.25, 0.0])
    assert np.array_equal(meant[18:], np.zeros((3, 2)))


def test_by_distance_it_is_full_far_away_and_falls_off_near():
    _, meant = intended(path(), 0.8, IntentionConfig(skip_s=0.0, slow_within=0.4, radius=0.1))
    assert meant[0] == pytest.approx([1.0, 0.0])
    assert meant[16] == pytest.approx([0.5, 0.0])


def test_the_beginning_is_left_out():
    features, meant = intended(path(), 0.8, IntentionConfig(skip_s=0.25))
    assert features[0, 0] == 5
    assert len(features) == len(meant) == 16


def test_in_hindsight_the_end_of_an_acquired_path_was_the_target():
    config = IntentionConfig(target="hindsight")
    _, known = intended(path(target=None), 0.8, config)
    _, given = intended(path(), 0.8, IntentionConfig())
    assert np.allclose(known, given)
    assert intended(path(target=None, acquired=False), 0.8, config) is None
    assert intended(path(target=None), 0.8, IntentionConfig()) is None


@pytest.mark.parametrize(
    "wrong", [{"target": "guess"}, {"speed": "warp"}, {"radius": 0.0}, {"skip_s": -1.0}]
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        IntentionConfig(**wrong)
