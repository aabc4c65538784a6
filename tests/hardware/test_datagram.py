from __future__ import annotations

import pytest

from diverloop.hardware.datagram import DatagramLine, check_receiver
from diverloop.hardware.udp_peer import UdpPeer
from diverloop.runtime.errors import ConfigError, SinkError

from .sink_turns import LIMIT_S


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 0, "sinks.port must be 1 to 65535, got 0"),
        ("127.0.0.1", 70_000, "got 70000"),
        ("", 5000, "sinks.host must be a name or an address"),
        ("a b", 5000, "sinks.host must be a name or an address"),
        ("192.168.1.7", 5000, "say sinks.remote = true"),
        ("lab-2", 5000, "say sinks.remote = true"),
    ],
)
def test_a_receiver_that_cannot_be_meant_is_refused(host, port, words):
    with pytest.raises(ConfigError, match=words):
        check_receiver(host, port, remote=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_no_leave(host):
    assert check_receiver(host, 5000, remote=False) is None


def test_another_machine_is_reached_only_if_that_was_said():
    assert check_receiver("192.168.1.7", 5000, remote=True) is None


def test_a_name_without_an_address_is_refused_when_it_is_opened():
    with pytest.raises(ConfigError, match="has no address"):
        DatagramLine("no such host.invalid", 5000)


def test_a_receiver_that_is_gone_is_no_error_and_one_that_returns_is_served():
    first = UdpPeer()
    line = DatagramLine("127.0.0.1", first.port)
    line.send(b"1")
    assert first.arrivals.wait_for(1, LIMIT_S)[0].data == b"1"
    first.close()
    for _ in range(20):
        line.send(b"lost")
    second = UdpPeer(first.port)
    line.send(b"2")
    assert second.arrivals.wait_for(1, LIMIT_S)[0].data == b"2"
    line.close(b"last")
    line.close(b"not sent twice")
    assert [one.data for one in second.arrivals.wait_for(2, LIMIT_S)] == [b"2", b"last"]
    second.close()
    second.close()


def test_two_sessions_do_not_send_to_one_receiver():
    peer = UdpPeer()
    line = DatagramLine("127.0.0.1", peer.port)
    with pytest.raises(ConfigError, match="Another session on this machine sends"):
        DatagramLine("127.0.0.1", peer.port)
    line.close()
    DatagramLine("127.0.0.1", peer.port).close()
    peer.close()


def test_what_this_machine_cannot_send_is_one_sentence():
    line = DatagramLine("127.0.0.1", 5000)
    with pytest.raises(
        SinkError, match=r"Nothing can be sent to 127.0.0.1:5000 \(Message too long"
    ):
        line.send(b"x" * 100_000)
    line.close()
