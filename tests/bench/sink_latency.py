"""How long a command takes from `act` to whoever is at the other end, for each sink, as JSON.

    python tests/bench/sink_latency.py [--n 500] [--only udp,lsl]

One sink after the other, one command every 5 ms or when the one before has arrived. Both ends are
threads of one process on one machine and read the same monotonic clock, so what is measured is the
sink, the operating system and the waking of a reader: no cable, no switch, no device. The serial
line is a pseudo-terminal, without the 87 us that a byte takes at 115200 baud. ``plug:udp`` goes
through the watchdog's process, as in a live session. A sink whose library is not installed is named
under ``left_out``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from counting_sender import speak_here_only

from diverloop.hardware.command_listener import CommandListener
from diverloop.hardware.osc_sink import OscSink, OscSinkConfig
from diverloop.hardware.pty_peer import PtyPeer
from diverloop.hardware.serial_sink import SerialSink, SerialSinkConfig
from diverloop.hardware.udp_peer import UdpPeer
from diverloop.hardware.udp_sink import UdpSink, UdpSinkConfig
from diverloop.hardware.zmq_sink import ZmqSink, ZmqSinkConfig
from diverloop.runtime.access import Role
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec
from diverloop.runtime.people import People
from diverloop.runtime.plug import Plug
from diverloop.runtime.session import part_of
from diverloop.runtime.stages import Sink
from diverloop.runtime.watchdog_config import WatchdogConfig

SPEC = StreamSpec(name="bench", rate_hz=1000.0, channels=(Channel(name="C3"),))
CLASSES = ("left", "right")
DECISION = Decision(
    classes=CLASSES, probabilities=np.array([0.9, 0.1]), label="left", stop_sample=200
)
COMMANDS = [Command(label=label, strength=0.9, velocity=(0.5,)) for label in CLASSES]
REST = Command(label=None, reason="at rest")
APART_S, LIMIT_S = 0.005, 2.0

Came = Callable[[int], int]
"""Waits for so many arrivals; gives the time of the last in nanoseconds."""
Ends = Iterator[tuple[Sink, Came]]


class Polled(threading.Thread):
    """Reads in a thread what has to be asked for."""

    def __init__(self, poll: Callable[[], int | None]) -> None:
        super().__init__(daemon=True)
        self._poll, self._over = poll, False
        self.times_ns: list[int] = []
        self.news = threading.Condition()

    def run(self) -> None:
        while not self._over:
            if (came_ns := self._poll()) is not None:
                with self.news:
                    self.times_ns.append(came_ns)
                    self.news.notify_all()

    def came(self, count: int) -> int:
        with self.news:
            if not self.news.wait_for(lambda: len(self.times_ns) >= count, LIMIT_S):
                raise TimeoutError(f"{count} commands were sent, {len(self.times_ns)} came")
            return self.times_ns[count - 1]

    def finish(self) -> None:
        self._over = True
        self.join()


def noted(peer: UdpPeer | PtyPeer) -> Came:
    """Arrivals at a stand-in."""

    def came(count: int) -> int:
        found = peer.arrivals.wait_for(count, LIMIT_S)
        if len(found) < count:
            raise TimeoutError(f"{count} commands were sent, {len(found)} came")
        return found[count - 1].came_ns

    return came


@contextmanager
def udp(form: str) -> Ends:
    peer = UdpPeer()
    sink = UdpSink(UdpSinkConfig(port=peer.port, form=form))
    sink.open(SPEC, CLASSES)
    yield sink, noted(peer)
    sink.close()
    peer.close()


@contextmanager
def osc() -> Ends:
    peer = UdpPeer()
    sink = OscSink(OscSinkConfig(port=peer.port))
    sink.open(SPEC, CLASSES)
    yield sink, noted(peer)
    sink.close()
    peer.close()


@contextmanager
def zmq(open_to_all: bool) -> Ends:
    with tempfile.TemporaryDirectory() as folder:
        key = new_curve_key()
        People(Path(folder)).enrol("bench", Role.VIEWER, key.public)
        config = ZmqSinkConfig(address="tcp://127.0.0.1:*", open_to_all=open_to_all, folder=folder)
        sink = ZmqSink(config)
        sink.open(SPEC, CLASSES)
        known = {} if open_to_all else {"key": key, "server": sink.server}
        listener = CommandListener(sink.address, **known)
        while listener.poll(20) is None:
            sink.act(DECISION, REST)
        while listener.poll(200):
            pass
        heard = Polled(lambda: (one := listener.poll(100)) and one.came_ns)
        heard.start()
        yield sink, heard.came
        heard.finish()
        listener.close()
        sink.close()


@contextmanager
def serial() -> Ends:
    peer = PtyPeer()
    codes = {"left": 1, "right": 2}
    sink = SerialSink(SerialSinkConfig(port=peer.path, codes=codes, when="held"))
    sink.open(SPEC, CLASSES)
    peer.arrivals.wait_for(1, LIMIT_S)
    came = noted(peer)
    yield sink, lambda count: came(count + 1)  # the first byte is the neutral one
    sink.close()
    peer.unplug()


@contextmanager
def lsl() -> Ends:
    import pylsl

    from diverloop.hardware.lsl_outlet import LslSink, LslSinkConfig

    name = f"bench-{uuid.uuid4().hex[:8]}"
    sink = LslSink(LslSinkConfig(name=name))
    sink.open(SPEC, CLASSES)
    inlet = pylsl.StreamInlet(pylsl.resolve_byprop("name", name, timeout=20)[0])
    inlet.open_stream(20)

    def poll() -> int | None:
        return None if inlet.pull_sample(0.1)[0] is None else time.monotonic_ns()

    heard = Polled(poll)
    heard.start()
    yield sink, heard.came
    heard.finish()
    inlet.close_stream()
    sink.close()


@contextmanager
def plugged_udp() -> Ends:
    peer = UdpPeer()
    part = part_of("sink", {"kind": "udp", "port": peer.port}, "sinks[0]")
    plug = Plug([part], WatchdogConfig(), disarm=lambda: None, tell=lambda event: None)
    plug.open(SPEC, CLASSES)
    plug.act(DECISION, REST)

    def came(count: int) -> int:
        """The watchdog may send neutral commands of its own in between."""
        until_s = time.monotonic() + LIMIT_S
        while time.monotonic() < until_s:
            plug.beat()
            found = [one for one in peer.arrivals.all() if json.loads(one.data)["label"]]
            if len(found) >= count:
                return found[count - 1].came_ns
            peer.arrivals.wait_for(len(peer.arrivals.all()) + 1, 0.02)
        raise TimeoutError(f"{count} commands were sent, {len(found)} came")

    yield plug, came
    plug.close()
    peer.close()


WAYS: dict[str, Callable[[], object]] = {
    "lsl": lsl,
    "udp:json": lambda: udp("json"),
    "udp:binary": lambda: udp("binary"),
    "osc": osc,
    "zmq:curve": lambda: zmq(False),
    "zmq:open": lambda: zmq(True),
    "serial:pty": serial,
    "plug:udp": plugged_udp,
}


def measure(way: str, n: int) -> dict[str, float]:
    """Median, 99th percentile and longest of `n` commands, and how long `act` itself took."""
    tick = threading.Event()
    with WAYS[way]() as (sink, came):
        arriving_ns, acting_ns = np.zeros(n), np.zeros(n)
        for place in range(n):
            began_ns = time.monotonic_ns()
            sink.act(DECISION, COMMANDS[place % 2])
            acting_ns[place] = time.monotonic_ns() - began_ns
            arriving_ns[place] = came(place + 1) - began_ns
            tick.wait(APART_S)
    return {
        "n": n,
        "median_ms": round(float(np.median(arriving_ns)) / 1e6, 4),
        "p99_ms": round(float(np.quantile(arriving_ns, 0.99)) / 1e6, 4),
        "max_ms": round(float(arriving_ns.max()) / 1e6, 4),
        "act_median_ms": round(float(np.median(acting_ns)) / 1e6, 4),
        "act_p99_ms": round(float(np.quantile(acting_ns, 0.99)) / 1e6, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--only", default="", help="for example udp,lsl")
    asked = parser.parse_args()
    wanted = [way for way in WAYS if way.startswith(tuple(asked.only.split(",")))]
    with tempfile.TemporaryDirectory() as folder:
        speak_here_only(Path(folder))
        os.environ["XDG_CONFIG_HOME"] = folder
        found, left_out = {}, {}
        for way in wanted:
            try:
                found[way] = measure(way, asked.n)
            except ConfigError as error:
                left_out[way] = str(error)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    told = {"cores": os.cpu_count(), "load": load, "sinks": found, "left_out": left_out}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
