"""Settings of a stream beside the signal are checked, each with one sentence."""

from __future__ import annotations

import pytest

from diverloop.runtime.beside_config import BesideConfig
from diverloop.runtime.errors import ConfigError


def test_a_role_is_all_that_is_needed():
    config = BesideConfig(role="gaze")
    assert (config.append, config.fill, config.stale_s, config.delay_s) == ((), "hold", 0.25, 0.0)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("role", "Gaze/1", "got 'Gaze/1'"),
        ("role", "", "got ''"),
        ("fill", "spline", "must be one of hold, linear, got 'spline'"),
        ("stale_s", 0.0, r"in \[0.005, 10\] s, got 0.0 s"),
        ("delay_s", 2.0, r"in \[-1, 1\] s, got 2.0 s"),
        ("append", ("x", "x"), "each channel once, got 'x, x'"),
    ],
)
def test_what_cannot_be_used_is_refused(field, value, said):
    with pytest.raises(ConfigError, match=said):
        BesideConfig(**{"role": "gaze", field: value})
