"""The loop's end of the watchdog, with a real process at the other end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from diverloop.hardware.pty_peer import PtyPeer
from diverloop.hardware.udp_peer import UdpPeer
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, Command, Decision, EventKind, StreamSpec
from diverloop.runtime.plug import LOST, SAFE_FIRST, Plug
from diverloop.runtime.session import part_of
from diverloop.runtime.watchdog_config import WatchdogConfig

SPEC = StreamSpec(name="made", rate_hz=250.0, channels=(Channel(name="C3"),))
DECISION = Decision(classes=("yes", "no"), probabilities=np.array([0.9, 0.1]), label="yes")
GO = Command(label="yes", strength=0.9, velocity=(0.5,))
PATIENCE_S = 20.0


class Rig:
    """A plug for a sink that does nothing, and what it tells."""

    def __init__(self, *sinks, **config):
        self.events, self.disarmed = [], threading.Event()
        self.plug = Plug(
            [part_of("sink", sink, "sinks[0]") for sink in sinks or ({"kind": "null"},)],
            WatchdogConfig(**config),
            disarm=self.disarmed.set,
            tell=self.events.append,
        )

    def opened(self):
        self.plug.open(SPEC, DECISION.classes)
        self.plug.act(DECISION, Command(label=None, reason="at rest"))
        return closing(self.plug)

    def until(self, so):
        """Give signs of life until something is so."""
        limit_s = time.monotonic() + PATIENCE_S
        tick = threading.Event()
        while not so():
            assert time.monotonic() < limit_s, [event.text for event in self.events]
            self.plug.beat()
            tick.wait(0.01)

    def told(self, words):
        return any(words in event.text for event in self.events)


def test_the_first_command_is_neutral_whatever_is_asked():
    rig = Rig()
    rig.plug.open(SPEC, DECISION.classes)
    with closing(rig.plug):
        first, second = (rig.plug.act(DECISION, GO) for _ in range(2))
    assert first == Command(label=None, reason=SAFE_FIRST, velocity=(0.0,))
    assert second is GO


def test_it_is_a_sink_like_any_other():
    rig = Rig()
    check_sink(rig.plug, SPEC)
    assert not rig.disarmed.is_set()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_watchdog_that_dies_or_hangs_is_replaced_and_nothing_passes_meanwhile(how):
    rig = Rig()
    with rig.opened():
        first = rig.plug.pid
        os.kill(first, how)
        rig.until(rig.disarmed.is_set)
        assert rig.plug.act(DECISION, GO).reason in (LOST, SAFE_FIRST)
        rig.until(lambda: rig.plug.pid not in (0, first))
        rig.until(lambda: rig.told("The watchdog is back"))
        assert rig.plug.restarts == 1
        assert rig.told("The watchdog was lost")
        assert {event.kind for event in rig.events} == {EventKind.WATCHDOG}
    assert rig.plug.pid == 0


def test_the_loop_does_not_wait_for_the_end_of_a_lost_watchdog(monkeypatch):
    rig = Rig()
    with rig.opened():
        ends = threading.Event()
        waited_by, wait = [], subprocess.Popen.wait

        def slow_wait(process, timeout=None):
            waited_by.append(threading.current_thread())
            if not ends.is_set():
                raise subprocess.TimeoutExpired("watchdog", timeout)
            return wait(process, timeout)

        with monkeypatch.context() as patched:
            patched.setattr(subprocess.Popen, "wait", slow_wait)
            os.kill(rig.plug.pid, signal.SIGSTOP)
            rig.until(rig.disarmed.is_set)
            rig.until(lambda: waited_by)
            assert rig.plug.pid == 0, "another must not open the outputs yet"
            assert rig.plug.act(DECISION, GO).reason == LOST
            ends.set()
            rig.until(lambda: rig.told("The watchdog is back"))
        assert threading.main_thread() not in waited_by


@pytest.mark.parametrize(("forgive_s", "disarms"), [(0.2, True), (10.0, False)])
def test_a_loop_that_comes_back_from_a_silence_begins_with_rest(forgive_s, disarms):
    rig = Rig(limit_s=0.1, forgive_s=forgive_s)
    with rig.opened():
        rig.plug.beat()
        threading.Event().wait(0.4)  # what is tested is that nothing is said for so long
        rig.until(lambda: rig.told("stood still"))
        assert rig.plug.act(DECISION, GO).reason == SAFE_FIRST
        assert rig.plug.act(DECISION, GO) is GO
        assert rig.disarmed.is_set() is disarms


def test_after_an_emergency_stop_the_next_command_is_neutral():
    rig = Rig()
    with rig.opened():
        assert rig.plug.act(DECISION, GO) is GO
        rig.plug.stop()
        assert rig.plug.act(DECISION, GO).label is None


def test_a_description_too_long_for_the_watchdog_is_refused():
    rig = Rig()
    spec = StreamSpec(name="made", rate_hz=250.0, channels=(Channel(name="C" * 70_000),))
    with pytest.raises(ConfigError, match="shorten the channels' names"):
        rig.plug.open(spec, DECISION.classes)


def test_before_it_is_open_a_sign_of_life_is_nobodys():
    rig = Rig()
    rig.plug.beat()
    rig.plug.stop()
    rig.plug.close()
    assert not rig.events


@pytest.fixture
def receiver():
    peer = UdpPeer()
    yield peer
    peer.close()


@pytest.fixture
def line():
    pytest.importorskip("serial", reason="needs the extra serial")
    peer = PtyPeer()
    yield peer
    peer.unplug()


def test_the_moment_of_sending_comes_back_from_the_other_process(receiver):
    rig = Rig({"kind": "udp", "port": receiver.port})
    with rig.opened():
        for _ in range(4):
            rig.plug.act(DECISION, GO)
        rig.until(lambda: len(rig.plug.sent.sent) == 5)
        arrivals = receiver.arrivals.wait_for(5, PATIENCE_S)
    left_ns = [json.loads(arrival.data)["sent_ns"] for arrival in arrivals]
    for known in rig.plug.sent.sent:
        assert any(known.handed_ns <= at_ns <= known.sent_ns for at_ns in left_ns)
    assert rig.told("Of 5 commands handed to the outputs 5 were done")


def test_a_sink_that_fails_leaves_the_watchdog_and_the_other_sinks_alone(receiver, line):
    serial = {"kind": "serial", "port": line.path, "codes": {"yes": 1}, "when": "held"}
    rig = Rig({"kind": "udp", "port": receiver.port}, serial)
    with rig.opened():
        pid = rig.plug.pid
        line.unplug()
        failed = "was asked for yes and did nothing (the sink failed)"
        rig.until(lambda: rig.plug.act(DECISION, GO) and rig.told(failed))
        assert rig.told("The sink SerialSink raised SinkError (The serial port")
        assert rig.plug.pid == pid
    assert "yes" in {json.loads(one.data)["label"] for one in receiver.arrivals.all()}
    kinds = {event.kind for event in rig.events}
    assert kinds == {EventKind.FAILED, EventKind.WATCHDOG, EventKind.SENT}


def test_a_loop_that_falls_silent_leaves_the_serial_line_neutral(line):
    held = {"kind": "serial", "port": line.path, "codes": {"yes": 1}, "when": "held"}
    rig = Rig(held, limit_s=0.1)
    with rig.opened():
        rig.until(lambda: rig.plug.act(DECISION, GO) and 1 in line.bytes_so_far())
        limit_s = time.monotonic() + PATIENCE_S
        while line.bytes_so_far()[-2:] != [0, 0] and time.monotonic() < limit_s:
            line.arrivals.wait_for(len(line.arrivals.all()) + 1, 0.1)
        assert line.bytes_so_far()[-2:] == [0, 0]


def test_an_output_that_cannot_be_opened_stops_the_session_before_it_begins():
    rig = Rig({"kind": "serial", "port": "/dev/no-such", "codes": {"yes": 1}})
    pytest.importorskip("serial", reason="needs the extra serial")
    with pytest.raises(ConfigError, match="The serial port /dev/no-such is not there"):
        rig.plug.open(SPEC, DECISION.classes)
