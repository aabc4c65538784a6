from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import pytest

from diverloop.hardware.osc_sink import OscSink, OscSinkConfig
from diverloop.hardware.udp_peer import UdpPeer
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError

from .sink_turns import CHOSEN, CLASSES, LEFT, LIMIT_S, NEUTRAL, SPEC, decision

osc_bundle = pytest.importorskip("pythonosc.osc_bundle", reason="needs the extra osc")


@pytest.fixture
def peer():
    peer = UdpPeer()
    yield peer
    peer.close()


def heard(peer, *commands, **config):
    """The bundles that a receiver with another reader of OSC gets."""
    sink = OscSink(OscSinkConfig(port=peer.port, **config))
    sink.open(SPEC, CLASSES)
    for command in commands:
        assert sink.act(decision(), command) is command
    sink.close()
    arrivals = peer.arrivals.wait_for(len(commands) + 1, LIMIT_S)
    return [osc_bundle.OscBundle(one.data) for one in arrivals]


def test_each_decision_is_a_bundle_with_one_message(peer):
    messages = [bundle.content(0) for bundle in heard(peer, NEUTRAL, LEFT, CHOSEN)]
    assert {message.address for message in messages} == {"/diverloop/decision"}
    assert [message.params[0] for message in messages] == ["neutral", "left", "left", "neutral"]
    assert messages[1].params[1:] == pytest.approx([0.5, 0, -0.4, 0.3, 0, 1])
    assert messages[2].params[1:] == [1.0, 1, 0, 0, 0, 2]


def test_the_bytes_are_those_of_the_specification(peer):
    heard(peer, LEFT, address="/a")
    data = peer.arrivals.all()[0].data
    assert data[:8] == b"#bundle\0"
    assert int.from_bytes(data[16:20], "big") == len(data) - 20
    assert data[20:44] == b"/a\0\0,sfifffi\0\0\0\0left\0\0\0\0"
    assert data[44:52] == bytes.fromhex("3f000000 00000000")  # 0.5 and 0


def test_the_time_tag_is_the_moment_of_sending(peer):
    before_s = datetime.now(UTC).timestamp()
    (bundle, _) = heard(peer, LEFT)
    assert before_s - 0.001 <= bundle.timestamp <= datetime.now(UTC).timestamp() + 0.001


def test_the_time_tag_may_say_at_once(peer):
    heard(peer, LEFT, immediately=True)
    assert peer.arrivals.all()[0].data[8:16] == (1).to_bytes(8, "big")


def test_it_conforms_and_is_neutral_when_closed(peer):
    sink = OscSink(OscSinkConfig(port=peer.port))
    check_sink(sink, SPEC)
    assert sink.act(decision(), LEFT).label is None


@pytest.mark.parametrize("address", ["", "decision", "/a b", "/a*", "/", "/{x}"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match=r"sinks.address must be an OSC address"):
        OscSinkConfig(address=address)


def test_a_class_that_is_called_neutral_is_refused():
    with pytest.raises(ConfigError, match="rename it"):
        OscSink().open(SPEC, ("neutral", "left"))


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonosc.osc_bundle_builder", None)
    with pytest.raises(ConfigError, match=r'pip install "diverloop\[osc\]"'):
        OscSink().open(SPEC, CLASSES)


def test_sending_takes_no_time_to_speak_of(peer):
    sink = OscSink(OscSinkConfig(port=peer.port))
    sink.open(SPEC, CLASSES)
    began_s = time.monotonic()
    for _ in range(200):
        sink.act(decision(), LEFT)
    assert time.monotonic() - began_s < 1
    sink.close()
