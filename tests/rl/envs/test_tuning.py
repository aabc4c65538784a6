"""Tuned features: what can be read from them, and how each drift changes them."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.tuning import KINDS, Tuning, TuningDriftConfig, rotation
from diverloop.runtime.errors import ConfigError


@pytest.fixture
def tuning():
    return Tuning.draw(24, 2.0, 0.1, np.random.default_rng(0))


def test_depths_have_the_precision_that_was_asked_for(tuning):
    assert (tuning.depths**2).sum() == pytest.approx(2.0)


def test_features_follow_the_intention_on_average(tuning):
    rng, u = np.random.default_rng(1), np.array([0.6, -0.3])
    mean = np.mean([tuning.features(u, rng) for _ in range(4000)], axis=0)
    assert np.allclose(mean, tuning.baseline + tuning.depths @ u, atol=0.1)


def test_a_rotation_turns_what_a_fixed_decoder_reads(tuning):
    drift = TuningDriftConfig(kind="rotation", size=np.pi / 2)
    turned = tuning.drifted(drift, 0, 0)
    read = np.linalg.pinv(tuning.depths) @ turned.depths
    assert np.allclose(read, rotation(-np.pi / 2))


def test_a_gain_changes_depth_and_a_shift_changes_baselines_only(tuning):
    weak = tuning.drifted(TuningDriftConfig(kind="gain", size=0.5), 0, 0)
    shifted = tuning.drifted(TuningDriftConfig(kind="shift", size=1.0), 0, 0)
    assert np.allclose(weak.depths, 0.5 * tuning.depths)
    assert np.array_equal(shifted.depths, tuning.depths)
    assert np.std(shifted.baseline - tuning.baseline) == pytest.approx(1.0, abs=0.4)


def test_dead_and_recapped_features_are_as_many_as_said(tuning):
    dead = tuning.drifted(TuningDriftConfig(kind="channel_death", size=0.25), 0, 3)
    assert (np.abs(dead.depths).sum(axis=1) == 0).sum() == 6
    mixed = tuning.drifted(TuningDriftConfig(kind="abrupt_recap", size=0.5), 0, 3)
    assert (np.abs(mixed.depths - tuning.depths).sum(axis=1) > 0).sum() == 12
    assert np.allclose((mixed.depths**2).sum(axis=1), (tuning.depths**2).sum(axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_drift_has_not_begun_before_its_onset_and_is_whole_after_its_trials(tuning, kind):
    drift = TuningDriftConfig(kind=kind, size=0.5, onset=5, trials=4)
    assert tuning.drifted(drift, 4, 0) is tuning
    late, later = tuning.drifted(drift, 8, 0), tuning.drifted(drift, 50, 0)
    assert np.array_equal(late.depths, later.depths)
    assert np.array_equal(late.baseline, later.baseline)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "wobble"},
        {"onset": -1},
        {"kind": "gain", "size": 0.0},
        {"kind": "rotation", "size": float("nan")},
        {"kind": "channel_death", "size": 1.5},
    ],
)
def test_a_drift_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        TuningDriftConfig(**wrong)
