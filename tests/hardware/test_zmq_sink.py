"""Commands over ZeroMQ: who hears them, who does not, and who is told of it."""

from __future__ import annotations

import time

import pytest

from diverloop.hardware.command_listener import CommandListener
from diverloop.hardware.zmq_sink import ZmqSink, ZmqSinkConfig
from diverloop.runtime.access import Role
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.people import People

from .sink_turns import CHOSEN, CLASSES, LEFT, LIMIT_S, NEUTRAL, SPEC, decision

ANY = "tcp://127.0.0.1:*"
WAIT_MS = 20


class House:
    """A sink and one person with a key."""

    def __init__(self, folder, **config):
        self.key = new_curve_key()
        People(folder).enrol("v1", Role.VIEWER, self.key.public)
        self.sink = ZmqSink(ZmqSinkConfig(address=ANY, folder=str(folder), **config))
        self.sink.open(SPEC, CLASSES)
        self.events = []

    def listener(self, key=None, server=None):
        server = self.sink.server if server is None else server
        return CommandListener(self.sink.address, key=key or self.key, server=server)

    def act(self, command=NEUTRAL):
        done = self.sink.act(decision(), command)
        self.events += self.sink.take_events()
        return done

    def until(self, so):
        limit_s = time.monotonic() + LIMIT_S
        while not so():
            assert time.monotonic() < limit_s, [event.text for event in self.events]
            self.act()

    def told(self, words):
        return any(words in event.text for event in self.events)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.sink.close()


def test_somebody_with_a_key_hears_every_command_and_the_last_is_neutral(house):
    listener = house.listener()
    house.until(lambda: listener.poll(WAIT_MS))
    while listener.poll(WAIT_MS):
        pass
    for command in (LEFT, CHOSEN):
        assert house.act(command) is command
    house.sink.close()
    heard = [listener.poll(2000) for _ in range(3)]
    assert [one.record["label"] for one in heard] == ["left", "left", None]
    assert [one.record["selected"] for one in heard] == [False, True, False]
    assert heard[0].record["sent_ns"] <= heard[0].came_ns
    assert listener.lost == 0
    assert not house.events
    listener.close()


def test_a_key_that_nobody_has_hears_nothing_and_is_told_of(house):
    stranger = house.listener(new_curve_key())
    house.until(lambda: stranger.poll(WAIT_MS) is None and house.told("unknown key"))
    assert stranger.poll(WAIT_MS) is None
    stranger.close()


def test_without_a_key_nobody_hears_anything(house):
    nobody = CommandListener(house.sink.address)
    house.until(lambda: nobody.poll(WAIT_MS) is None and house.told("no key"))
    assert nobody.poll(WAIT_MS) is None
    nobody.close()


def test_who_is_revoked_while_listening_is_shown_out_and_told_of(house, tmp_path):
    listener = house.listener()
    house.until(lambda: listener.poll(WAIT_MS))
    People(tmp_path).revoke("v1")
    house.until(lambda: listener.poll(WAIT_MS) is None and house.told("revoked key"))
    assert listener.poll(WAIT_MS) is None
    listener.close()


def test_a_listener_that_goes_and_returns_costs_nothing_and_counts_what_it_missed(house):
    first = house.listener()
    house.until(lambda: first.poll(WAIT_MS))
    first.close()
    assert house.act(LEFT) is LEFT
    second = house.listener()
    house.until(lambda: second.poll(WAIT_MS))
    assert second.lost == 0
    second._next -= 5
    house.until(lambda: second.poll(WAIT_MS))
    assert second.lost == 5
    second.close()


def test_a_sink_that_is_open_to_all_needs_no_key(tmp_path):
    sink = ZmqSink(ZmqSinkConfig(address=ANY, open_to_all=True, folder=str(tmp_path)))
    sink.open(SPEC, CLASSES)
    listener = CommandListener(sink.address)
    limit_s = time.monotonic() + LIMIT_S
    while not (heard := listener.poll(WAIT_MS)) and time.monotonic() < limit_s:
        sink.act(decision(), LEFT)
    assert heard.record["label"] == "left"
    assert sink.server == ""
    assert list(tmp_path.iterdir()) == []
    listener.close()
    sink.close()


def test_it_conforms_and_is_neutral_when_closed(tmp_path):
    sink = ZmqSink(ZmqSinkConfig(address=ANY, folder=str(tmp_path)))
    check_sink(sink, SPEC)
    assert sink.act(decision(), LEFT).reason == "the output is not open"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"address": "tcp://0.0.0.0:5512"}, "say sinks.remote = true"),
        ({"address": "tcp://0.0.0.0:5512", "open_to_all": True}, "for this machine only"),
        ({"address": "tcp://*:1", "open_to_all": True, "remote": True}, "for this machine only"),
        ({"address": "5512"}, "sinks.address must look like"),
    ],
)
def test_an_address_that_reaches_too_far_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        ZmqSinkConfig(**config)


def test_an_address_that_somebody_has_is_refused(house):
    second = ZmqSink(ZmqSinkConfig(address=house.sink.address, open_to_all=True))
    with pytest.raises(ConfigError, match="cannot be bound"):
        second.open(SPEC, CLASSES)
    second.close()
