"""Hours of a whole session with everything on, as JSON: memory, losses, deadlines.

    python tests/bench/soak.py [--minutes 120] [--engine onnxruntime] [--keep DIR]

`diverloop run` is started as a person starts it: 128 channels at 1 kHz come over LSL from a process
of their own with three streams of markers, the compiled student decodes every 100 ms, the research
guards watch for spikes, commands leave through the watchdog's process, everything is recorded and
logged, and a live view is told. Every half minute the resident set of each of its processes is read
from ``/proc`` (Linux). The figure that counts is the slope of a straight line through the readings
after the first ten minutes, or the first third of a shorter run, in per cent of the mean per hour.

``lost`` is how many rows the session itself found missing: none may be. ``missed_share`` is the
share of windows that were decided late or skipped; ``counts`` also has those that were refused, as
the first ones are while filters settle.
``machine`` says how busy everything else was. On a busy one, run it as a bedside runs it, with a
real-time priority that all its processes inherit: ``chrt -f 10 python tests/bench/soak.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from counting_sender import Sender, Stream, speak_here_only
from machine_load import Machine
from student_loop import student_bundle

EVERY_S = 30.0
WARM_UP_S = 600.0
SESSION = """\
[session]
name = "soak"
[source]
kind = "lsl"
name = "{stream}"
[model]
bundle = "{bundle}"
engine = "{engine}"
[[sinks]]
kind = "lsl"
name = "{stream}-decisions"
[guard]
armed_at_most_s = 14400
[conditioning.spikes]
[conditioning.seizures]
"""


def processes_of(parent: int) -> dict[str, int]:
    """A process and all below it, by what they do."""
    found, frontier = {"loop": parent}, [parent]
    while frontier:
        for child in children_of(frontier.pop()):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            except OSError:  # it has ended
                continue
            name = next((w.rpartition(".")[2] for w in words if w.startswith("diverloop.")), "")
            found[name or ("view" if "watch" in words else f"process {child}")] = child
            frontier.append(child)
    return found


def children_of(pid: int) -> list[int]:
    """Numbers of the processes that a process has started; none of one that has ended."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def resident_mib(pid: int) -> float:
    """Resident set of a process; NaN of one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return float("nan")


def growth(readings: list[tuple[float, float]]) -> dict[str, float]:
    """Slope after the warm-up, with its standard error, in per cent of the mean per hour."""
    at_s, mib = np.array(readings).T
    warm = at_s >= min(WARM_UP_S, at_s[-1] / 3)
    hours, mib = at_s[warm] / 3600, mib[warm]
    if len(hours) < 4:
        return {"mean_mib": round(float(mib.mean()), 1), "percent_per_h": float("nan")}
    (slope, _), covariance = np.polyfit(hours, mib, 1, cov=True)
    return {
        "mean_mib": round(float(mib.mean()), 1),
        "first_mib": round(float(mib[:5].mean()), 1),
        "last_mib": round(float(mib[-5:].mean()), 1),
        "percent_per_h": round(float(100 * slope / mib.mean()), 3),
        "standard_error": round(float(100 * covariance[0, 0] ** 0.5 / mib.mean()), 3),
    }


def soak(stream: Stream, folder: Path, minutes: float, engine: str) -> dict[str, Any]:
    """One session of so long."""
    student_bundle(stream.n_channels, stream.rate_hz, folder / "soak.bundle")
    session = folder / "soak.toml"
    session.write_text(
        SESSION.format(stream=stream.name, bundle=folder / "soak.bundle", engine=engine)
    )
    sender, seconds = Sender(stream), 60 * minutes
    with (folder / "said.txt").open("w") as said:
        command = [
            sys.executable, "-m", "diverloop", "run", str(session), "--arm",
            "--seconds", str(seconds), "--recordings", str(folder / "recordings"),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            readings, spent = watch(process, sender.pid, seconds)
        except BaseException:
            process.send_signal(signal.SIGINT)
            raise
        finally:
            process.wait(120)
            sender.stop()
    if process.returncode:
        raise SystemExit((folder / "said.txt").read_text()[-2000:])
    (kept,) = (folder / "recordings").iterdir()
    report = json.loads((kept / "report.json").read_text())
    counts = report["counts"]
    late = counts["missed_deadlines"] + counts["skipped_late"]
    return {
        "minutes": minutes,
        "n_channels": stream.n_channels,
        "rate_hz": stream.rate_hz,
        "engine": report["engine"],
        "memory": {name: growth(values) for name, values in readings.items()},
        "counts": counts,
        "lost": counts["samples_lost"],
        "missed_share": late / max(1, counts["windows_due"]),
        "recording_mib": round(sum(f.stat().st_size for f in kept.iterdir()) / 2**20, 1),
        "machine": spent,
    }


def watch(
    process: subprocess.Popen[bytes], sender: int, seconds: float
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, Any]]:
    """Read what the session's processes hold, until it ends."""
    readings: dict[str, list[tuple[float, float]]] = {}
    began_s = time.monotonic()
    machine, spent = None, {}
    while process.poll() is None and time.monotonic() - began_s < seconds + 120:
        at_s = time.monotonic() - began_s
        if at_s < seconds:
            pids = processes_of(process.pid)
            spent = machine.spent() if machine else {}
            machine = machine or Machine({**pids, "sender": sender})
            for name, pid in pids.items():
                if (mib := resident_mib(pid)) > 0:
                    readings.setdefault(name, []).append((at_s, mib))
        try:
            process.wait(EVERY_S)
        except subprocess.TimeoutExpired:
            continue
    return readings, spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--keep", type=Path, help="folder that is left behind")
    asked = parser.parse_args()
    stream = Stream(name=f"soak-{uuid.uuid4().hex[:8]}", n_channels=128, rate_hz=1000.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        speak_here_only(folder)
        print(json.dumps(soak(stream, folder, asked.minutes, asked.engine), indent=1))


if __name__ == "__main__":
    main()
