"""Settings out of their range are refused in one sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from diverloop.rl.ranges import require
from diverloop.runtime.errors import ConfigError


@pytest.mark.parametrize("value", [-0.1, 2.1, float("nan"), float("inf")])
def test_what_is_out_of_range_is_named_with_what_is_allowed(value):
    with pytest.raises(ConfigError, match=f"rate must be from 0 to 2, got {value}"):
        require(SimpleNamespace(rate=value), rate=(0, 2))


def test_both_ends_are_allowed():
    assert require(SimpleNamespace(a=0.0, b=2.0), a=(0, 2), b=(0, 2)) is None
