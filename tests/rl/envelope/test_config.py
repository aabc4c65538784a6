"""Limits that make no sense are refused in one sentence."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.runtime.errors import ConfigError


@pytest.mark.parametrize(
    "setting",
    [
        {"confidence": 1.5}, {"confidence": 0.05}, {"kl_per_update": 0.0}, {"shadow_trials": 0},
        {"least_gap_s": -1.0}, {"temperature_factor": 0.5}, {"least_quality": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_a_limit_out_of_range_is_refused_with_its_name_and_default(setting):
    name = next(iter(setting))
    with pytest.raises(ConfigError, match=rf"envelope\.{name} must be .*the default is"):
        EnvelopeConfig(**setting)


def test_rules_cannot_look_at_more_than_is_kept():
    with pytest.raises(ConfigError, match="raise it to at least 60"):
        EnvelopeConfig(kept_trials=10)
    for count in ("collapse_trials", "rollback_trials"):
        with pytest.raises(ConfigError, match="raise it to at least 150"):
            EnvelopeConfig(**{count: 150})
    with pytest.raises(ConfigError, match="exchange them"):
        EnvelopeConfig(doubtful_from=0.7)


def test_a_learner_cannot_be_asked_for_more_trials_than_count():
    with pytest.raises(ConfigError, match="nothing would ever be promoted: lower it"):
        EnvelopeConfig(shadow_trials=31)


def test_limits_cannot_be_changed_while_they_hold():
    with pytest.raises(FrozenInstanceError):
        EnvelopeConfig().kl_per_update = 9.0
    assert not EnvelopeConfig.off().holds
