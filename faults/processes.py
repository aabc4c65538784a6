"""Faults of other processes, in real time: watchdog, viewers, the machine, LSL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from ..runtime.guard import Signal
from ..runtime.plug import Plug
from ..runtime.session import part_of
from ..runtime.telemetry import TelemetryPublisher
from ..runtime.watchdog_config import WatchdogConfig
from . import intruders, learner_process
from .rig import Rig

AT = 8
"""At which window something begins: of a session in real time, where each takes a tenth second."""

_HOG = """\
while True:
    kept = bytearray(200 << 20)
    kept[::4096] = b"x" * len(kept[::4096])
    del kept
"""
_BUSY = "while True: pass"


def _python(rig: Rig, code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)

    def end() -> None:
        process.kill()
        process.wait()

    rig.stack.callback(end)
    return process


def _outside(rig: Rig) -> Plug:
    """A watchdog with a sink that does nothing, beside the loop."""
    plug = Plug(
        [part_of("sink", {"kind": "null"}, "sinks[0]")],
        WatchdogConfig(),
        disarm=lambda: rig.guard.tell(Signal.WATCHDOG),
        tell=lambda event: rig.loop.tell(event),
    )
    rig.guard.alarms.append(plug.stop)
    rig.sinks.append(plug)
    rig.beat = plug.beat
    return plug


def _watchdog(number: int) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        plug = _outside(rig)
        rig.at[AT] = lambda: os.kill(plug.pid, number)

        def look() -> None:
            rig.extra["another watchdog"] = "" if plug.restarts == 1 else f"{plug.restarts} came"
            passed = [at for at, _, one in rig.witness.seen if one.label is not None]
            struck = rig.witness.seen[AT][0]
            late = [at for at in passed if at > struck + 1_000_000_000]
            rig.extra["disarmed"] = f"{len(late)} commands passed" if late else ""

        rig.after.append(look)

    return act


def _loop_hangs(rig: Rig) -> None:
    """The loop's thread computes for 0.6 s; the watchdog has to see it, and then the loop too."""
    _outside(rig)

    def hang() -> None:
        until_s = time.monotonic() + 0.6
        while time.monotonic() < until_s:
            pass

    rig.at[AT] = hang


def _stop_while_hanging(rig: Rig) -> None:
    _loop_hangs(rig)
    hang = rig.at[AT]
    pressed: list[int] = []

    def press() -> None:
        pressed.append(time.monotonic_ns())
        rig.guard.tell(Signal.EMERGENCY_STOP)

    def both() -> None:
        threading.Timer(0.2, press).start()
        hang()

    def look() -> None:
        late = [at for at, _, one in rig.witness.seen if at > pressed[0] and one.label is not None]
        rig.extra["nothing after the stop"] = f"{len(late)} commands passed" if late else ""

    rig.at[AT] = both
    rig.after.append(look)


def _kill_recorder(rig: Rig) -> None:
    link = rig.keeping.link
    rig.at[AT] = lambda: os.kill(link.recorder_pid, signal.SIGKILL)

    def look() -> None:
        rig.extra["another recorder"] = "" if link.restarts == 1 else f"{link.restarts} came"

    rig.after.append(look)


def _disk_full(rig: Rig) -> None:
    """The recorder may write no byte more, as on a full disk; a second later it may again."""
    import resource

    link, folder = rig.keeping.link, rig.keeping.folder

    def limit(n_bytes: int) -> None:
        hard = resource.prlimit(link.recorder_pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(link.recorder_pid, resource.RLIMIT_FSIZE, (n_bytes, hard))

    def fill() -> None:
        limit((folder / "recording.xdf").stat().st_size + 100)
        threading.Timer(1.5, limit, [resource.RLIM_INFINITY]).start()

    rig.at[AT] = fill


def _viewer(number: int) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        publisher = TelemetryPublisher()
        rig.watchers.append(publisher)
        command = [sys.executable, "-m", "diverloop", "watch", publisher.address]
        viewer = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        rig.extra["somebody watched"] = "" if publisher.wait_for_subscriber(30_000) else "nobody"

        def end() -> None:
            with suppress(ProcessLookupError):
                os.kill(viewer.pid, signal.SIGKILL)
            viewer.wait()

        rig.stack.callback(end)
        rig.at[AT] = lambda: os.kill(viewer.pid, number)

    return act


def _telemetry_flood(rig: Rig) -> None:
    """Somebody writes rubbish to the telemetry port as fast as it takes it."""
    import zmq

    publisher = TelemetryPublisher()
    rig.watchers.append(publisher)
    over = threading.Event()

    def flood() -> None:
        context = zmq.Context()
        socket = context.socket(zmq.XSUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(publisher.address)
        while not over.is_set():
            with suppress(zmq.ZMQError):
                socket.send(b"\x01" + os.urandom(200), zmq.NOBLOCK)
        context.destroy(linger=0)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    rig.stack.callback(end)


def _note_flood(rig: Rig) -> None:
    """Somebody writes rubbish to the recorder's port for notes, and a token that is wrong."""
    import json

    import zmq

    rig.extra["wrong token"] = "nobody answered"
    answers: list[str] = []

    def flood() -> None:
        card = json.loads((rig.keeping.folder / "recorder.json").read_text())
        context = zmq.Context()
        socket = context.socket(zmq.REQ)
        socket.connect(card["address"])
        wrong = json.dumps({"text": "x", "who": "y", "token": "0" * 32}).encode()
        for n in range(300):
            socket.send(wrong if n % 2 else os.urandom(500))
            if not socket.poll(2000):
                break
            answers.append(socket.recv_string())
        context.destroy(linger=0)

    thread = threading.Thread(target=flood, daemon=True)
    rig.at[2] = thread.start

    def look() -> None:
        noted = [answer for answer in answers if not answer.startswith("refused")]
        rig.extra["wrong token"] = f"{len(noted)} were taken" if noted or not answers else ""

    def end() -> None:
        if thread.is_alive():
            thread.join(20.0)

    rig.stack.callback(end)
    rig.after.append(look)


def _start(rig: Rig, code: str, count: int = 1) -> Callable[[], None]:
    def start() -> None:
        for _ in range(count):
            _python(rig, code)

    return start


def _memory_hog(rig: Rig) -> None:
    rig.at[AT] = _start(rig, _HOG)


def _cpu_hogs(rig: Rig) -> None:
    rig.at[AT] = _start(rig, _BUSY, os.cpu_count() or 2)


ACTS: Mapping[str, Callable[[Rig], None]] = {
    "watchdog-killed": _watchdog(signal.SIGKILL),
    "watchdog-frozen": _watchdog(signal.SIGSTOP),
    "loop-hangs": _loop_hangs,
    "stop-while-hanging": _stop_while_hanging,
    "recorder-killed": _kill_recorder,
    "disk-full": _disk_full,
    "viewer-killed": _viewer(signal.SIGKILL),
    "viewer-frozen": _viewer(signal.SIGSTOP),
    "telemetry-flood": _telemetry_flood,
    "note-flood": _note_flood,
    "memory-hog": _memory_hog,
    "cpu-hogs": _cpu_hogs,
    **intruders.ACTS,
    **learner_process.ACTS,
}
"""What is done to a rig that runs in real time."""
