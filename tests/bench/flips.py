"""How exact the markers of the participant's screen are, with a decoder running beside it, as JSON.

    python tests/bench/flips.py [--minutes 10] [--display xvfb] [--realtime] [--rate 60]

Four processes: a whole session (simulated motor imagery, decoded, telemetry), the screen that
shows it (paced clock, cues of its own, markers over LSL), an LSL inlet, and under Xvfb a witness
that watches the patch's pixel in the memory of the display, as a photodiode watches glass.

``marker_to_flip_ms``   stamp that came out of the inlet, less the flip in the log
``flip_to_due_ms``      flip less the time at which it was due on the simulated display
``pixel_to_marker_ms``  the patch's pixel turned white, less the stamp: an independent witness
``lost``                frames that nobody saw
``lost_in_a_stall``     of them, those about a time at which the machine did not let the witness,
                        at the highest priority, run for 5 ms: the fault of machine or host

Targets: a standard deviation of 1 ms at most for each of the three, and no frame lost in 10 min.
``--realtime`` asks for SCHED_FIFO for the screen, the witness and the X server. What a real
display adds is not in here: only a photodiode tells.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (1280, 800)
PRIORITY = {"screen": 50, "display": 55, "witness": 60}
STALL_NS = 5_000_000  # a witness that polls every 0.1 ms and did not get to run for so long
AROUND_NS = 34_000_000  # a frame is told as lost at the flip behind it
NEAR_NS = 100_000_000  # a pixel belongs to the marker that is no further away


def decode(seconds: float, pipe: Connection) -> None:
    """Process: a session with telemetry, until it is told to stop."""
    from diverloop.assembly import assemble, open_model
    from diverloop.demo import SEED, DemoPlan, _session, calibrate
    from diverloop.runtime.clock import MonotonicClock
    from diverloop.runtime.telemetry import TelemetryPublisher
    from diverloop.viewing import stopped_by

    plan = DemoPlan(calibration_s=120)
    model = open_model(calibrate(plan, lambda what, done, of: None))
    publisher = TelemetryPublisher()
    session = _session(plan, SEED + 1, seconds + 60)
    loop = assemble(session, clock=MonotonicClock(), watchers=[publisher], armed=True, model=model)
    pipe.send(publisher.address)
    with stopped_by(loop, seconds):
        report = loop.run()
    pipe.send(report.to_json())


def listen(name: str, pipe: Connection) -> None:
    """Process: pull markers with the stamps they were sent with, until told to stop."""
    import pylsl

    found = pylsl.resolve_byprop("name", name, timeout=30)
    inlet = pylsl.StreamInlet(found[0], max_buflen=60)
    inlet.open_stream(timeout=20)
    pipe.send("ready")
    heard: list[tuple[str, int]] = []
    while not pipe.poll():
        words, stamp_s = inlet.pull_sample(timeout=0.1)
        if words:
            heard.append((words[0], round(stamp_s * 1e9)))
    pipe.send(heard)


def watch(path: str, place: tuple[int, int], realtime: bool, pipe: Connection) -> None:
    """Process: when a pixel in the memory of Xvfb turns white, until told to stop."""
    from diverloop.runtime.realtime import RealtimeConfig
    from diverloop.runtime.realtime import realtime as punctual

    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        header = struct.unpack(">25I", memory[:100])
        at = header[0] + header[19] * 12 + place[1] * header[12] + place[0] * header[11] // 8
        config = RealtimeConfig(fifo_priority=PRIORITY["witness"] if realtime else 0)
        white: list[int] = []
        before, n_polls, began_s = 0, 0, time.monotonic()
        last_ns, stalls = time.monotonic_ns(), list[tuple[int, int]]()
        with punctual(config):
            pipe.send("ready")
            while n_polls % 1000 or not pipe.poll():
                now, now_ns = memory[at], time.monotonic_ns()
                if now > 200 >= before:
                    white.append(now_ns)
                if now_ns - last_ns > STALL_NS:
                    stalls.append((last_ns, now_ns))
                before, last_ns = now, now_ns
                n_polls += 1
                time.sleep(100e-6)
        pipe.send((white, n_polls / (time.monotonic() - began_s), stalls))


class Beside:
    """A process beside this one, and a pipe to it."""

    def __init__(self, work: Any, *arguments: Any) -> None:
        self.pipe, there = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self.process = spawn.Process(target=work, args=(*arguments, there), daemon=True)
        self.process.start()
        there.close()

    def hear(self, limit_s: float) -> Any:
        """What it says next."""
        if not self.pipe.poll(limit_s):
            raise RuntimeError(f"{self.process.name} said nothing for {limit_s} s.")
        return self.pipe.recv()

    def stop(self) -> Any:
        """Ask it to stop; what it found."""
        self.pipe.send("stop")
        found = self.hear(20)
        self.process.join(10)
        return found


def stolen_s() -> float:
    """Processor time that the host of this virtual machine has kept for itself, in seconds."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def memory_folder() -> str | None:
    """Where files lie in memory: the display's must not wait for a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def x_server(folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start Xvfb with its memory in a file, and point this process at it."""
    told, tells = os.pipe()
    command = ["Xvfb", "-displayfd", str(tells), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24",
               "-fbdir", str(folder), "-nolisten", "tcp"]  # fmt: skip
    server = subprocess.Popen(command, pass_fds=(tells,), stderr=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    os.close(tells)
    with os.fdopen(told) as line:
        os.environ["DISPLAY"] = f":{line.readline().strip()}"
    return server


def show(arguments: argparse.Namespace, address: str, log: Path, name: str) -> dict[str, Any]:
    """The screen, for so many minutes; what its record counted and how punctual it was."""
    import pylsl
    from PySide6.QtCore import QTimer

    from diverloop.gui.application import application
    from diverloop.gui.participant.flips import FlipRecord
    from diverloop.gui.participant.imagery import Imagery, ImageryConfig
    from diverloop.gui.participant.paced_clock import PacedClock
    from diverloop.gui.participant.stage import Stage
    from diverloop.gui.participant.trials import TrialsConfig
    from diverloop.runtime.realtime import RealtimeConfig, realtime
    from diverloop.runtime.telemetry import TelemetrySubscriber

    app = application()
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0.0, "string", name))
    listener = Beside(listen, name)
    listener.hear(60)
    to_lsl_s = pylsl.local_clock() - time.monotonic()

    def send(label: str, at_ns: int) -> None:
        outlet.push_sample([label], at_ns / 1e9 + to_lsl_s)

    trials = TrialsConfig(rest_s=(0.5, 0.8), cue_s=0.3, trial_s=0.5, per_class=200)
    picture = Imagery(ImageryConfig(style="ball", cues="own", trials=trials))
    clock = PacedClock(arguments.rate, lead_ms=arguments.lead_ms)
    late_ns: list[int] = []
    record = FlipRecord(log, send, about={"clock": clock.name, "rate_hz": clock.rate_hz})
    stage = Stage(picture, clock, record=record, teller=TelemetrySubscriber(address))
    told, n_turns = clock.start, [0]
    takes = picture.take

    def take(message: Any) -> None:
        n_turns[0] += type(message).__name__ == "Turn"
        takes(message)

    def start(draw: Any, flipped: Any) -> None:
        def noted(flip: Any) -> None:
            late_ns.append(flip.at_ns - flip.due_ns)
            flipped(flip)

        told(draw, noted)

    picture.take, clock.start = take, start  # type: ignore[method-assign]
    stage.closed.connect(app.quit)
    QTimer.singleShot(round(60_000 * arguments.minutes), stage.close)
    wish = RealtimeConfig(fifo_priority=PRIORITY["screen"], lock_memory=True)
    with realtime(wish) if arguments.realtime else nullcontext(()) as grants:
        stage.show(full_screen=True)
        app.exec()
    time.sleep(0.5)
    heard = listener.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    seen = [line for line in lines if line["what"] == "seen"]
    labelled = {line["frame"] + 1 for line in seen}
    missed = [line for line in lines if line["what"] == "lost"]
    stamps = [stamp - round(to_lsl_s * 1e9) for _, stamp in heard]
    same = [label for label, _ in heard] == [line["label"] for line in seen]
    return {
        "frames": record.frames, "lost": record.lost, "labels": record.labels,
        "lost_beside": ", ".join(str(line["beside"]) for line in missed[:30]),
        "lost_behind_a_label": sum(line["beside"] in labelled for line in missed),
        "missed": [(line["at_ns"], line["count"]) for line in missed],
        "turns_shown": n_turns[0], "in_order_and_once": same,
        "refused": [grant.name for grant in grants if not grant.obtained],
        "flip_to_due_ms": figures([ns / 1e6 for ns in late_ns[10:]]),
        "marker_to_flip_ms": figures(
            [(stamp - line["flip_ns"]) / 1e6 for stamp, line in zip(stamps, seen, strict=False)]
        ),
        "lit_ns": [stamp for stamp, line in zip(stamps, seen, strict=False) if line["lit"]],
    }  # fmt: skip


def figures(values: list[float]) -> dict[str, Any] | None:
    """Median, standard deviation, 99th percentile, largest."""
    if len(values) < 2:
        return None
    return {
        "n": len(values), "median": round(statistics.median(values), 4),
        "sd": round(statistics.stdev(values), 4), "p99": round(float(np.percentile(values, 99)), 4),
        "max": round(max(values), 4),
    }  # fmt: skip


def witnessed(lit_ns: list[int], white_ns: list[int]) -> list[float]:
    """Milliseconds from each marker to the pixel that belongs to it."""
    white = np.asarray(white_ns, dtype=np.int64)
    found = []
    for stamp in lit_ns:
        if white.size:
            off = int(white[np.abs(white - stamp).argmin()]) - stamp
            if abs(off) < NEAR_NS:
                found.append(off / 1e6)
    return found


def in_stalls(missed: list[tuple[int, int]], stalls: list[tuple[int, int]]) -> int:
    """Frames lost while the machine did not even let the witness run."""
    return sum(
        count
        for at_ns, count in missed
        if any(began - AROUND_NS <= at_ns <= ended + AROUND_NS for began, ended in stalls)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--lead-ms", type=float, default=10.0)
    parser.add_argument("--display", choices=("xvfb", "offscreen"), default="xvfb")
    parser.add_argument("--realtime", action="store_true")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    from diverloop.faults.lsl import confined

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory_folder())))
        stack.enter_context(confined(folder))
        os.environ["DIVERLOOP_HOME"] = str(folder / "home")
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        decoder = Beside(decode, 60 * arguments.minutes + 5)
        witness = None
        if arguments.display == "xvfb":
            server = x_server(folder, stack)
            os.environ["QT_QPA_PLATFORM"] = "xcb"
            if arguments.realtime:
                fifo = os.sched_param(PRIORITY["display"])
                os.sched_setscheduler(server.pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, fifo)
            pixel = (4, SIZE[1] - 5)
            path = str(folder / "Xvfb_screen0")
            witness = Beside(watch, path, pixel, arguments.realtime)
            witness.hear(30)
        address = decoder.hear(300)
        load, stolen = os.getloadavg()[0], stolen_s()
        # The log lies on a disk, as it would in a session.
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "flips.jsonl"
        found = show(arguments, address, log, "flips-screen")
        white, polls_hz, stalls = witness.stop() if witness else ([], 0.0, [])
        lit = found.pop("lit_ns")
        found["pixel_to_marker_ms"] = figures(witnessed(lit, white))
        found["witness_polls_hz"] = round(polls_hz)
        found["witness_stalls_ms"] = ", ".join(f"{(b - a) / 1e6:.1f}" for a, b in stalls[:30])
        found["lost_in_a_stall"] = in_stalls(found.pop("missed"), stalls)
        found["stolen_s"] = round(stolen_s() - stolen, 2)
        report = decoder.hear(30)
        found["decoder"] = {key: report.get(key) for key in ("decoded", "skipped_late")}
        found["load_average"] = [round(load, 1), round(os.getloadavg()[0], 1)]
        found["settings"] = vars(arguments)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
