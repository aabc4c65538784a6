"""How patient the loop may be told to be."""

from __future__ import annotations

import dataclasses
import math

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.loop_config import LoopConfig


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("deadline_s", -0.1, "[0, 60] s"), ("deadline_s", 61.0, "[0, 60] s"),
        ("deadline_s", math.nan, "[0, 60] s"),
        ("stale_s", 0.09, "[0.1, 1] s"), ("stale_s", 1.1, "[0.1, 1] s"),
        ("stale_s", math.nan, "[0.1, 1] s"),
        ("lead_s", -0.001, "[0, 1] s"), ("lead_s", 1.1, "[0, 1] s"),
        ("lead_s", math.nan, "[0, 1] s"),
        ("history_s", 0.4, "[0.5, 600] s"), ("history_s", 601.0, "[0.5, 600] s"),
        ("history_s", math.inf, "[0.5, 600] s"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_name(key, value, allowed):
    with pytest.raises(ConfigError) as caught:
        LoopConfig(**{key: value})
    assert f"loop.{key} must be in {allowed}, got {value} s" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [("deadline_s", 0, 60), ("stale_s", 0.1, 1), ("lead_s", 0, 1), ("history_s", 0.5, 600)],
)
def test_the_ends_of_the_ranges_are_allowed(key, low, high):
    for edge in (low, high):
        assert getattr(LoopConfig(**{key: edge}), key) == edge


def test_the_defaults_are_those_that_the_manual_names():
    assert dataclasses.asdict(LoopConfig()) == {
        "deadline_s": 0.0, "stale_s": 0.25, "lead_s": 0.005, "look_s": 0.05, "history_s": 2.0
    }  # fmt: skip


def test_it_is_frozen_and_takes_keywords_alone():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LoopConfig().stale_s = 0.5
    with pytest.raises(TypeError):
        LoopConfig(0.1)
