from __future__ import annotations

import json
import time

import pytest

from diverloop.hardware.command_form import read_binary_form
from diverloop.hardware.udp_peer import UdpPeer
from diverloop.hardware.udp_sink import UdpSink, UdpSinkConfig
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError

from .sink_turns import CHOSEN, CLASSES, LEFT, LIMIT_S, NEUTRAL, SPEC, decision


@pytest.fixture
def peer():
    peer = UdpPeer()
    yield peer
    peer.close()


def opened(peer, **config):
    sink = UdpSink(UdpSinkConfig(port=peer.port, **config))
    sink.open(SPEC, CLASSES)
    return sink


def test_every_decision_arrives_in_order_and_the_last_is_neutral(peer):
    sink = opened(peer)
    for command in (NEUTRAL, LEFT, CHOSEN):
        assert sink.act(decision(), command) is command
    sink.close()
    records = [json.loads(one.data) for one in peer.arrivals.wait_for(4, LIMIT_S)]
    assert [record["sequence"] for record in records] == [0, 1, 2, 3]
    assert [record["label"] for record in records] == [None, "left", "left", None]
    assert [record["selected"] for record in records] == [False, False, True, False]
    assert records[-1]["reason"] == "the session is over"


def test_the_moment_of_sending_lies_between_asking_and_arriving(peer):
    sink = opened(peer)
    before_ns = time.monotonic_ns()
    sink.act(decision(), LEFT)
    (arrival,) = peer.arrivals.wait_for(1, LIMIT_S)
    assert before_ns <= json.loads(arrival.data)["sent_ns"] <= arrival.came_ns
    sink.close()


def test_small_devices_get_bytes(peer):
    sink = opened(peer, form="binary")
    sink.act(decision(), LEFT)
    sink.close()
    records = [read_binary_form(one.data) for one in peer.arrivals.wait_for(2, LIMIT_S)]
    assert [record["label"] for record in records] == [0, -1]
    assert records[1]["strength"] == 0


def test_it_conforms_and_is_neutral_before_and_after_a_session(peer):
    sink = UdpSink(UdpSinkConfig(port=peer.port))
    assert sink.act(decision(), LEFT).reason == "the output is not open"
    check_sink(sink, SPEC)
    assert sink.act(decision(), LEFT).velocity == (0.0, 0.0)


def test_a_form_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"sinks.form must be one of json, binary, got 'xml'"):
        UdpSinkConfig(form="xml")
