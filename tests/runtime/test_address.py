from __future__ import annotations

import pytest

from diverloop.runtime.address import seen_from_here, stays_here
from diverloop.runtime.errors import ConfigError


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:*", "tcp://localhost:5", "tcp://[::1]:5", "ipc://x", "inproc://x"]
)
def test_loopback_stays_here(address):
    assert stays_here(address, "address")


@pytest.mark.parametrize(
    "address", ["tcp://*:5", "tcp://0.0.0.0:5", "tcp://10.0.0.1:5", "tcp://[::]:5", "tcp://host:5"]
)
def test_everything_else_does_not(address):
    assert not stays_here(address, "address")


@pytest.mark.parametrize("address", ["", "tcp://", "tcp://5", "udp://127.0.0.1:5", "ipc://"])
def test_what_is_no_address_is_refused_by_its_name(address):
    with pytest.raises(ConfigError, match="The door must look like"):
        stays_here(address, "door")


def test_a_server_on_all_addresses_is_reached_over_loopback():
    assert seen_from_here("tcp://0.0.0.0:77") == "tcp://127.0.0.1:77"
    assert seen_from_here("tcp://[::]:77") == "tcp://127.0.0.1:77"
    assert seen_from_here("tcp://10.0.0.1:77") == "tcp://10.0.0.1:77"
