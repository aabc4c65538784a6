"""A publisher without keys; those with keys are tested beside the doorkeeper."""

from __future__ import annotations

import pytest
import zmq

from diverloop.runtime.publishing import Publisher

ANY = "tcp://127.0.0.1:*"
LIMIT_MS = 20_000


def opened(address=ANY):
    return Publisher(address, None, domain="test", high_water=10, linger_ms=100)


def test_who_subscribes_is_noticed_and_gets_what_is_sent():
    publisher = opened()
    context = zmq.Context()
    listener = context.socket(zmq.SUB)
    listener.setsockopt(zmq.SUBSCRIBE, b"a")
    listener.connect(publisher.address)
    assert publisher.socket.poll(LIMIT_MS)
    assert publisher.notices() == {b"\x01a"}
    publisher.send([b"a", b"1"])
    publisher.send([b"b", b"2"])
    publisher.show_out()
    assert listener.poll(LIMIT_MS)
    assert listener.recv_multipart() == [b"a", b"1"]
    publisher.close()
    publisher.close()
    assert publisher.closed
    context.destroy(linger=0)


def test_sending_to_nobody_does_not_wait():
    publisher = opened()
    for _ in range(100):
        publisher.send([b"a", b"x" * 1000])
    assert publisher.notices() == set()
    publisher.close()


def test_an_address_that_somebody_has_is_refused_and_leaves_nothing_behind():
    first = opened()
    with pytest.raises(zmq.ZMQError):
        opened(first.address)
    first.close()
    second = opened(first.address)
    assert second.address == first.address
    second.close()
