"""Trigger bytes on a real serial line of the kernel's: a pseudo-terminal at the other end."""

from __future__ import annotations

import sys
import time
from itertools import pairwise

import pytest

from diverloop.hardware import serial_sink as subject
from diverloop.hardware.pty_peer import PtyPeer
from diverloop.hardware.serial_sink import SerialSink, SerialSinkConfig, loop_back_ns
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError, SinkError

from .sink_turns import CHOSEN, CHOSEN_RIGHT, CLASSES, LEFT, LIMIT_S, NEUTRAL, SPEC, decision

pytest.importorskip("serial", reason="needs the extra serial")
CODES = {"left": 1, "right": 2}


@pytest.fixture
def peer():
    peer = PtyPeer()
    yield peer
    peer.unplug()


def opened(path, **config):
    sink = SerialSink(SerialSinkConfig(port=path, codes=CODES, **config))
    sink.open(SPEC, CLASSES)
    return sink


def write_until_it_is_full(sink, times_s):
    for _ in range(200_000):
        sink.act(decision(), NEUTRAL)
        times_s.append(time.monotonic())


def wait_for_bytes(peer, wanted):
    limit_s = time.monotonic() + LIMIT_S
    while (got := peer.bytes_so_far()) != wanted:
        assert time.monotonic() < limit_s, got
        peer.arrivals.wait_for(len(peer.arrivals.all()) + 1, 0.05)
    return peer.arrivals.all()


def test_a_selection_is_two_bytes_as_far_apart_as_the_pulse_is_long(peer):
    sink = opened(peer.path, pulse_s=0.02)
    assert sink.act(decision(), NEUTRAL) is NEUTRAL
    assert sink.act(decision(), LEFT) is LEFT
    began_ns = time.monotonic_ns()
    assert sink.act(decision(), CHOSEN) is CHOSEN
    arrivals = wait_for_bytes(peer, [0, 0, 1, 0])
    assert arrivals[-1].came_ns - began_ns >= 20_000_000
    sink.close()


def test_at_the_end_the_line_is_neutral(peer):
    sink = opened(peer.path, when="held")
    sink.act(decision(), CHOSEN_RIGHT)
    sink.close()
    sink.close()
    wait_for_bytes(peer, [0, 2, 0])
    assert sink.act(decision(), CHOSEN).reason == "the output is not open"


def test_it_conforms_with_a_level_for_each_class(peer):
    codes = {"yes": 7, "no": 8}
    check_sink(SerialSink(SerialSinkConfig(port=peer.path, codes=codes, when="held")), SPEC)
    wait_for_bytes(peer, [0, 7, 0, 8, 0])


def test_a_cable_that_is_pulled_is_one_sentence_and_nothing_counts_as_done(peer):
    sink = opened(peer.path)
    peer.unplug()
    with pytest.raises(SinkError, match=r"takes no byte .* is it unplugged"):
        sink.act(decision(), NEUTRAL)
    with pytest.raises(SinkError, match="is gone: plug it in again"):
        sink.act(decision(), CHOSEN)
    sink.close()


def test_a_port_that_is_back_begins_with_rest(peer, tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "_AGAIN_NS", 0)
    place = tmp_path / "port"
    place.symlink_to(peer.path)
    sink = opened(str(place))
    peer.unplug()
    with pytest.raises(SinkError, match="takes no byte"):
        sink.act(decision(), NEUTRAL)
    place.unlink()
    with pytest.raises(SinkError, match=r"is not back: The serial port .* is not there"):
        sink.act(decision(), CHOSEN)
    second = PtyPeer()
    place.symlink_to(second.path)
    back = sink.act(decision(), CHOSEN)
    assert (back.label, back.reason) == (None, "the output is back, and begins with rest")
    assert sink.act(decision(), CHOSEN_RIGHT) is CHOSEN_RIGHT
    wait_for_bytes(second, [0, 2, 0])
    sink.close()
    second.unplug()


def test_a_device_that_takes_nothing_holds_up_a_command_for_a_moment_only():
    deaf = PtyPeer(deaf=True)
    sink = opened(deaf.path)
    times_s = [time.monotonic()]
    with pytest.raises(SinkError, match="takes no byte"):
        write_until_it_is_full(sink, times_s)
    times_s.append(time.monotonic())
    assert max(after - before for before, after in pairwise(times_s)) < 0.5
    sink.close()
    deaf.unplug()


def test_a_port_that_another_program_has_is_refused(peer):
    sink = opened(peer.path)
    with pytest.raises(ConfigError, match="is in use by another program: end that first"):
        opened(peer.path)
    sink.close()


def test_a_port_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"/dev/no-such is not there: plug .* There (are|is)"):
        opened("/dev/no-such")


def test_a_port_without_the_right_to_it_names_the_group(monkeypatch):
    import serial

    def refused(*_, **__):
        raise serial.SerialException(13, "could not open port")

    monkeypatch.setattr(serial, "Serial", refused)
    with pytest.raises(ConfigError, match="often dialout"):
        opened("/dev/ttyUSB0")


def test_a_file_that_is_no_port_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened"):
        opened(str(tmp_path / "file"))


def test_a_code_of_no_class_gives_the_port_back(peer):
    sink = SerialSink(SerialSinkConfig(port=peer.path, codes={"feet": 1}))
    with pytest.raises(ConfigError, match="the class 'feet'"):
        sink.open(SPEC, CLASSES)
    opened(peer.path).close()


def test_the_way_out_and_back_is_measured():
    peer = PtyPeer(echo=True)
    times_ns = loop_back_ns(peer.path, 115_200, 20)
    assert times_ns.shape == (20,)
    assert 0 < times_ns.min() <= times_ns.max() < 200_000_000
    peer.unplug()


def test_a_port_without_a_wire_back_is_told(peer):
    with pytest.raises(SinkError, match="connect its output with its input"):
        loop_back_ns(peer.path, 115_200, 1, wait_s=0.05)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"port": ""}, "sinks.port is empty"),
        ({"port": "COM3", "baud": 1}, "sinks.baud must be one of 9600"),
        ({"port": "COM3", "codes": {"left": -1}}, "sinks.codes.left must be"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        SerialSinkConfig(**config)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ConfigError, match=r'pip install "diverloop\[serial\]"'):
        opened("COM3")
