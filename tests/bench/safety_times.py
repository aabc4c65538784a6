"""How fast outputs are safe when something goes wrong, as JSON.

    python tests/bench/safety_times.py [--only stop,block] [--n 200] [--presses 500] [--idle]

The real loop of `safety_victim` (128 channels at 1 kHz, a step of 50 ms, armed, a command in every
step) speaks LSL through the watchdog's process. This process listens to that stream as a device
would, and measures from the fault to the arrival of the first neutral command:

``freeze``   SIGSTOP of the loop's process (then SIGCONT)
``kill``     SIGKILL of the loop's process
``spin``     an endless loop inside the encoder, which holds the interpreter
``block``    a call that does not come back, as of a GPU that has stalled
``press``    the emergency stop, told on a thread of the loop's process
``cut``      the source falls silent; from the arrival of the last sample

Unless ``--idle`` is given, as many processes as there are cores compute without a pause meanwhile,
at the same priority. Targets: 200 ms for the first four, each time; 100 ms for the 99th percentile
of presses; 250 ms and one step for a cut, each time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
from counting_sender import speak_here_only

LIMITS_MS = {"freeze": 200, "kill": 200, "spin": 200, "block": 200, "press": 100, "cut": 300}
COMMANDED, NEUTRAL = 4, -1  # channel of the decision stream, and what it holds then


class Victim:
    """The loop's process and the stream that comes out of it."""

    def __init__(self) -> None:
        import pylsl

        self._name = f"safety-{uuid.uuid4().hex[:8]}"
        command = [sys.executable, str(Path(__file__).with_name("safety_victim.py")), self._name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        found = pylsl.resolve_byprop("name", self._name, timeout=60)
        self._inlet = pylsl.StreamInlet(found[0], max_buflen=10)
        self._inlet.open_stream(timeout=20)
        self.flows()

    def order(self, what: str) -> int:
        """Give an order; when it took effect."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def flows(self, limit_s: float = 60.0) -> None:
        """Return when commands come, ten in a row."""
        until_s, row = time.monotonic() + limit_s, 0
        while row < 10:
            values, _ = self._inlet.pull_sample(timeout=1.0)
            row = row + 1 if values and values[COMMANDED] != NEUTRAL else 0
            if time.monotonic() > until_s:
                raise RuntimeError("The victim does not command anything.")

    def safe_after_ms(self, since_ns: int, limit_s: float = 2.0) -> float:
        """From a moment to the arrival of the first neutral command; infinite if none comes."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            values, _ = self._inlet.pull_sample(timeout=0.2)
            now_ns = time.monotonic_ns()
            if values and values[COMMANDED] == NEUTRAL and now_ns > since_ns:
                return (now_ns - since_ns) / 1e6
        return float("inf")

    def drain(self) -> None:
        while self._inlet.pull_sample(timeout=0.0)[0]:
            pass

    def close(self) -> None:
        self._inlet.close_stream()
        self.process.kill()
        self.process.wait()


def try_fault(victim: Victim, fault: str) -> float:
    """One fault; milliseconds until the outputs were safe."""
    victim.drain()
    if fault in ("freeze", "kill"):
        since_ns = time.monotonic_ns()
        os.kill(victim.process.pid, signal.SIGSTOP if fault == "freeze" else signal.SIGKILL)
    else:
        since_ns = victim.order(fault)
    took_ms = victim.safe_after_ms(since_ns)
    if fault == "freeze":
        os.kill(victim.process.pid, signal.SIGCONT)
    return took_ms


def measure(fault: str, n: int) -> list[float]:
    """A fault so many times."""
    rng, victim, found = Random(0), Victim(), []
    try:
        for _ in range(n):
            time.sleep(rng.uniform(0, 0.05))  # at any moment of a step
            found.append(try_fault(victim, fault))
            if fault == "kill":
                victim.close()
                victim = Victim()
            elif fault != "cut":
                if fault in ("spin", "block"):
                    time.sleep(1.1)
                victim.order("free")
            victim.flows()
    finally:
        victim.close()
    return found


def burn() -> None:
    """Compute without a pause."""
    while True:
        sum(range(10_000))


@contextmanager
def load(wanted: bool):
    hogs = [multiprocessing.Process(target=burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for hog in hogs if wanted else []:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs if wanted else []:
            hog.terminate()


def summary(fault: str, found: list[float]) -> dict[str, object]:
    """Figures of one fault."""
    times = np.array(found)
    return {
        "n": len(found),
        "median_ms": round(float(np.median(times)), 1),
        "p99_ms": round(float(np.percentile(times, 99, method="higher")), 1),
        "max_ms": round(float(times.max()), 1),
        "limit_ms": LIMITS_MS[fault],
        "within": int((times <= LIMITS_MS[fault]).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(LIMITS_MS))
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--presses", type=int, default=500)
    parser.add_argument("--idle", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speak_here_only(Path(folder))
        found = {}
        with load(not chosen.idle):
            for fault in chosen.only.split(","):
                n = chosen.presses if fault == "press" else chosen.n
                found[fault] = summary(fault, measure(fault, n))
                print(fault, found[fault], file=sys.stderr)
    print(json.dumps({"loaded": not chosen.idle, "cores": os.cpu_count(), "faults": found}))


if __name__ == "__main__":
    main()
