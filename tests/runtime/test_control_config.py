from __future__ import annotations

import math

import pytest

from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.errors import ConfigError


def test_a_session_stays_on_its_machine_unless_it_says_otherwise():
    assert ControlConfig().address.startswith("tcp://127.0.0.1:")
    assert not ControlConfig().remote


@pytest.mark.parametrize("name", ["address", "watch"])
def test_an_address_beyond_this_machine_needs_remote_said(name):
    far = {name: "tcp://0.0.0.0:5555"}
    with pytest.raises(ConfigError, match=f"control.{name} reaches .* control.remote = true"):
        ControlConfig(**far)
    assert getattr(ControlConfig(**far, remote=True), name) == far[name]


@pytest.mark.parametrize("asked", [{"required": True}, {"remote": True}, {"watch": "ipc://x"}])
def test_a_link_that_is_off_cannot_be_required(asked):
    with pytest.raises(ConfigError, match="enabled is false"):
        ControlConfig(enabled=False, **asked)


@pytest.mark.parametrize(
    "given",
    [
        {"lock_s": 59.0}, {"lock_s": 901.0}, {"lock_s": math.nan}, {"permission_s": 0.0},
        {"permission_s": 3601.0}, {"silence_s": 0.2}, {"silence_s": math.inf},
    ],
)  # fmt: skip
def test_a_time_out_of_its_range_is_refused(given):
    with pytest.raises(ConfigError, match=f"control.{next(iter(given))} must be"):
        ControlConfig(**given)


def test_what_is_no_address_is_refused():
    with pytest.raises(ConfigError, match=r"control.address must look like"):
        ControlConfig(address="")
