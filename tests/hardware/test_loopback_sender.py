"""What the loop-back's senders agree on before anything is sent."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diverloop.hardware.loopback_sender import LoopbackConfig, table_of
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.timing_onsets import find_onsets


def test_both_processes_read_the_same_schedule_from_their_command_line():
    config = LoopbackConfig(seconds=20.0, seed=5)
    again = LoopbackConfig(**json.loads(config.to_json()))
    assert again == config
    np.testing.assert_array_equal(again.schedule_s, config.schedule_s)


def test_the_schedule_is_uneven_and_fits_into_the_run():
    at_s = LoopbackConfig(seconds=60.0).schedule_s
    assert at_s[0] > 1.0
    assert at_s[-1] < 59.5
    assert np.diff(at_s).min() > 0.24
    assert np.diff(at_s).std() > 0.05


@pytest.mark.parametrize("rate_hz", [250.0, 1000.0])
def test_the_signal_goes_up_at_the_scheduled_moments(rate_hz):
    config = LoopbackConfig(seconds=20.0, rate_hz=rate_hz, n_channels=3)
    table = table_of(config)
    assert table.shape == (20 * rate_hz, 3)
    found = find_onsets(table[:, 0], rate_hz).samples / rate_hz
    np.testing.assert_allclose(found, config.schedule_s, atol=0.06 / rate_hz)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", 1.0), ("rate_hz", 10.0), ("n_channels", 0), ("chunk_s", 0.5)],
)
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be in"):
        LoopbackConfig(**{name: value})
