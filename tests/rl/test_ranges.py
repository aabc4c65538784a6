"""Settings out of their range are refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from diverloop.rl.ranges import changed, require
from diverloop.runtime.errors import ConfigError


@pytest.mark.parametrize("value", [-0.1, 2.1, float("nan"), float("inf")])
def test_what_is_out_of_range_is_named_with_what_is_allowed(value):
    with pytest.raises(ConfigError, match=f"rate must be from 0 to 2, got {value}"):
        require(SimpleNamespace(rate=value), rate=(0, 2))


def test_both_ends_are_allowed():
    assert require(SimpleNamespace(a=0.0, b=2.0), a=(0, 2), b=(0, 2)) is None


@dataclass(frozen=True)
class Config:
    rate: float = 1.0
    steps: int = 2


def test_settings_are_replaced_by_name_and_an_unknown_one_is_told_with_those_there_are():
    assert changed(Config(), {"steps": 3}, "A walk") == Config(steps=3)
    with pytest.raises(ConfigError, match="A walk has no 'step'; known are rate, steps"):
        changed(Config(), {"step": 3}, "A walk")
