"""The same stream, the same windows, the same decode function: our loop beside others, as JSON.

    python tests/bench/peers.py [--peers diverloop,floor,pylsl,mne-lsl,...] [--case 64x1000]
        [--precision float64] [--seconds 20] [--rounds 3] [--priority 20]
        [--python mne-lsl=/path/to/python ...]

A process sends packets of 5 ms over LSL; a runtime, in a process of its own, decodes a window of
1 s every 50 ms; this process hears its decisions. Entries and the task are in ``peer_entries/``.
Each round runs every entry once, and begins with another one. A peer that needs another interpreter
than this one is given it with ``--python``; its library is to be there, and numpy.

**Latency** is from the push of the packet that holds a window's last sample to the arrival of the
decision here, in milliseconds. Every sample carries its number, so each decision says which window
it is about: windows that are lost, double, spliced, or off the grid of the first one are counted,
and up to 60 of a run are decoded once more from the known signal and compared. A window that was
refused is no wrong one. The first two seconds do not count. ``floor`` decodes nothing: what LSL
itself takes.

The stream is float32. ``--precision`` is what the decode function computes in: float64, as numpy
does if nobody asks for less, or float32. Our loop keeps windows in float64 and hands them on so.

``--priority N`` puts sender, runtime and this process under SCHED_FIFO (as root), which shields a
run from other work. ``others_percent`` and ``stolen_percent`` say how much of the machine went
elsewhere.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from diverloop.tests.bench.counting_sender import LSL_CONFIG
from diverloop.tests.bench.machine_load import Machine
from diverloop.tests.bench.peer_entries.decoding import N_SCORES, Decoder, Signal, Task

ENTRIES = {
    "floor": ("floor.py", ("pylsl",)),
    "pylsl": ("pylsl_pull.py", ("pylsl",)),
    "diverloop": ("diverloop_loop.py", ("pylsl",)),
    "mne-lsl": ("mne_lsl_callback.py", ("mne-lsl",)),
    "dareplane": ("dareplane_watcher.py", ("dareplane-utils",)),
    "timeflux": ("timeflux_graph.py", ("timeflux",)),
    "ezmsg": ("ezmsg_graph.py", ("ezmsg", "ezmsg-lsl", "ezmsg-sigproc")),
}
"""Name -> program in ``peer_entries``, and the packages without which it is left out."""
WINDOW_S, STEP_S, PACKET_S, WARM_S = 1.0, 0.05, 0.005, 2.0
START_LIMIT_S = 60.0
MOST_CHECKED = 60
FOLDER = Path(__file__).parent / "peer_entries"


def task_of(case: str, precision: str = "float64") -> Task:
    """The task of a case such as ``64x1000``, with streams of its own."""
    n_channels, rate_hz = (int(part) for part in case.split("x"))
    tag = uuid.uuid4().hex[:8]
    return Task(
        stream=f"peer-in-{tag}", out=f"peer-out-{tag}", n_channels=n_channels, rate_hz=rate_hz,
        n_window=round(WINDOW_S * rate_hz), n_step=round(STEP_S * rate_hz),
        precision=precision,
    )  # fmt: skip


def send(task: Task, seconds: float, path: Path) -> None:
    """The sending process; leaves the moment at which each packet was pushed."""
    import pylsl

    packet = round(PACKET_S * task.rate_hz)
    info = pylsl.StreamInfo(
        task.stream, "EEG", task.n_channels, task.rate_hz, "float32", task.stream
    )
    channels = info.desc().append_child("channels")
    for number in range(task.n_channels):
        row = channels.append_child("channel")
        for key, value in (("label", f"E{number}"), ("unit", "microvolts"), ("type", "EEG")):
            row.append_child_value(key, value)
    outlet, signal_ = pylsl.StreamOutlet(info, packet, 10), Signal(task)
    if not outlet.wait_for_consumers(START_LIMIT_S):
        raise SystemExit("nobody listens")
    # Who listens may have more to set up before the first sample.
    pushed_s, begun_s, pace = [], time.monotonic() + 1.0, threading.Event()
    for number in range(round(seconds / PACKET_S)):
        rows = signal_.rows(number * packet, (number + 1) * packet)
        pace.wait(max(0.0, begun_s + number * PACKET_S - time.monotonic()))
        pushed_s.append(time.monotonic())
        outlet.push_chunk(rows)
    pace.wait(0.5)
    np.save(path, np.array(pushed_s))


class Hearing:
    """Takes decisions in, with the moment at which each came."""

    def __init__(self, name: str) -> None:
        self.rows: list[tuple[float, ...]] = []
        self._name, self._over = name, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> np.ndarray:
        """All that came, shape (n, 9): moment in seconds, then the eight numbers."""
        self._over.set()
        self._thread.join()
        return np.array(self.rows, dtype=float).reshape(-1, 1 + N_SCORES + 4)

    def _run(self) -> None:
        import pylsl

        found: list[Any] = []
        while not found and not self._over.is_set():
            found = pylsl.resolve_byprop("name", self._name, timeout=0.2)
        if not found:
            return
        inlet = pylsl.StreamInlet(found[0], max_buflen=10, processing_flags=0)
        while not self._over.is_set():
            row, _ = inlet.pull_sample(timeout=0.2)
            if row is not None:
                self.rows.append((time.monotonic(), *row))


def judged(task: Task, rows: np.ndarray, pushed_s: np.ndarray, decodes: bool) -> dict[str, Any]:
    """What a run was worth.

    A window is due from the end of the first two seconds on, whether or not it is the first heard.

    Parameters
    ----------
    task : Task
        What was asked for.
    rows : ndarray, shape (n, 9)
        What was heard: moment in seconds, scores, first and last sample, begin and end of decoding.
    pushed_s : ndarray, shape (n_packets,)
        When each packet was pushed.
    decodes : bool
        False where scores mean nothing.
    """
    packet = round(PACKET_S * task.rate_hz)
    rows = rows[rows[:, 6] >= WARM_S * task.rate_hz]
    if not len(rows):
        return {"windows_due": 0, "heard": 0}
    last = rows[:, 6].astype(int)
    on_grid = (last - last[0]) % task.n_step == 0
    counts = Counter(last[on_grid].tolist())
    first_due = max(round(WARM_S * task.rate_hz), task.n_window - 1)
    n_before = (last[0] - first_due) // task.n_step
    due = (len(pushed_s) * packet - 1 - last[0]) // task.n_step + 1 + n_before
    refused = np.isnan(rows[:, 1])
    came_ms = 1e3 * (rows[:, 0] - pushed_s[np.minimum(last // packet, len(pushed_s) - 1)])
    quantiles = np.percentile(came_ms[~refused], (50, 95, 99)) if (~refused).any() else [np.nan] * 3
    return {
        "windows_due": int(due), "heard": len(counts), "refused": int(refused.sum()),
        "lost": int(due) - len(counts), "doubled": sum(counts.values()) - len(counts),
        "off_grid": int((~on_grid).sum()),
        "spliced": int((rows[:, 6] - rows[:, 5] != task.n_window - 1).sum()),
        "wrong": wrong(task, rows[~refused]) if decodes else None,
        **{
            f"{name}_ms": round(float(value), 3)
            for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True)
        },
        "decode_ms": round(1e3 * float(np.median(rows[:, 8] - rows[:, 7])), 3),
    }  # fmt: skip


def wrong(task: Task, rows: np.ndarray) -> int:
    """How many of up to 60 decisions are not what the window that they name gives."""
    decoder, known = Decoder(task), Signal(task)
    found = 0
    for row in rows[:: max(1, math.ceil(len(rows) / MOST_CHECKED))]:
        last = int(row[6])
        window = known.rows(last - task.n_window + 1, last + 1)
        found += not np.allclose(row[1 : 1 + N_SCORES], decoder.scores(window), rtol=1e-3)
    return found


@contextmanager
def started(
    command: Sequence[object], task: Task, priority: int, words: IO[str] | int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen]:
    """A process with the task in its environment, which complains to `words`.

    Afterwards it is ended, with all that it started: what goes on would slow down the next run.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        env={"OMP_NUM_THREADS": "1", **os.environ, "PEER_TASK": json.dumps(asdict(task))},
        preexec_fn=(lambda: in_front(priority)) if priority else None,
        stdout=subprocess.DEVNULL, stderr=words,
    )  # fmt: skip
    try:
        yield process
    finally:
        others = family(process.pid)[1:]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def in_front(priority: int) -> None:
    """Put this process under SCHED_FIFO, where that is allowed."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def measure(
    program: Sequence[object], task: Task, seconds: float, priority: int, decodes: bool = True
) -> dict[str, Any]:
    """One run of one entry.

    Parameters
    ----------
    program : sequence
        Its command.
    task : Task
        Given to it in the environment.
    seconds : float
        For how long is sent.
    priority : int
        Under SCHED_FIFO; 0 for none.
    decodes : bool
        False where scores mean nothing.

    Returns
    -------
    found : dict
        As `judged`, with the processor time of the entry and of the rest of the machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pushed.npy"
        sending = (sys.executable, __file__, "--send", path, "--seconds", seconds)
        hearing = Hearing(task.out)
        try:
            with (
                # A pipe that nobody reads would stop an entry that complains at length.
                open(Path(folder) / "words.txt", "w+", encoding="utf-8") as words,
                started(program, task, priority, words) as runtime,
                started(sending, task, priority) as sender,
            ):
                machine = settled(hearing, runtime)
                if machine is not None:
                    sender.wait(seconds + START_LIMIT_S)
                    spent = machine.spent()
        finally:
            rows = hearing.stop()
        if machine is None:
            said = (Path(folder) / "words.txt").read_text(encoding="utf-8", errors="replace")
            return {"failed": said[-800:] or "It decided nothing."}
        found = judged(task, rows, np.load(path), decodes)
    cpu = spent["cpu_percent_of_a_core"]
    return {
        **found, "cpu_percent": round(sum(cpu[name] for name in cpu if name.isdigit()), 2),
        "others_percent": spent["others_percent"], "stolen_percent": spent["stolen_percent"],
    }  # fmt: skip


def settled(hearing: Hearing, runtime: subprocess.Popen) -> Machine | None:
    """Counts processor time from the first decision on; None if there was none in time."""
    until_s, pace = time.monotonic() + START_LIMIT_S, threading.Event()
    while time.monotonic() < until_s and runtime.poll() is None:
        if hearing.rows:
            return Machine({str(pid): pid for pid in family(runtime.pid)})
        pace.wait(0.05)
    return None


def family(pid: int) -> list[int]:
    """A process and all that it has started, each before those that it started."""
    with suppress(OSError):
        listed = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [pid, *(of for child in " ".join(listed).split() for of in family(int(child)))]
    return [pid]


def compare(chosen: argparse.Namespace) -> dict[str, Any]:
    """Every entry in every round."""
    pythons = dict(pair.split("=", 1) for pair in chosen.python)
    wanted, left_out = present(chosen.peers.split(","), pythons)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    for number in range(chosen.rounds):
        turn = number % max(1, len(wanted))
        for name in wanted[turn:] + wanted[:turn]:
            program = (pythons.get(name, sys.executable), FOLDER / ENTRIES[name][0])
            task = task_of(chosen.case, chosen.precision)
            run = measure(program, task, chosen.seconds, chosen.priority, name != "floor")
            print(json.dumps({name: run}), file=sys.stderr, flush=True)
            runs[name].append(run)
    return {
        "case": chosen.case,
        "precision": chosen.precision, "priority": chosen.priority,
        "medians": {name: medians(each) for name, each in runs.items()},
        "runs": runs, "left_out": left_out,
    }  # fmt: skip


def present(names: Sequence[str], pythons: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Entries whose library is there, and why the others are left out."""
    left_out = {
        name: f"{' and '.join(missing)} missing here: pip install {' '.join(missing)}, or name an "
        f"interpreter that has it with --python {name}=/path/to/python"
        for name in names
        if name not in pythons and (missing := absent(ENTRIES[name][1]))
    }
    return [name for name in names if name not in left_out], left_out


def absent(packages: Sequence[str]) -> list[str]:
    """Those that this interpreter lacks."""
    here = {found.name.lower().replace("_", "-") for found in importlib.metadata.distributions()}
    return [package for package in packages if package not in here]


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of what was measured in the runs that were not broken off."""
    keys = ("p50_ms", "p95_ms", "p99_ms", "decode_ms", "cpu_percent")
    whole = [run for run in runs if "p50_ms" in run]
    return {key: round(float(np.median([run[key] for run in whole])), 3) for key in keys if whole}


def main() -> None:
    """Send, or measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(ENTRIES))
    parser.add_argument("--case", default="64x1000", help="channels x rate in Hz")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--priority", type=int, default=0, help="under SCHED_FIFO")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--send", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.send:
        send(Task(**json.loads(os.environ["PEER_TASK"])), chosen.seconds, chosen.send)
        return
    if unknown := set(chosen.peers.split(",")) - set(ENTRIES):
        parser.error(f"unknown peers {', '.join(sorted(unknown))}: there are {', '.join(ENTRIES)}")
    with lsl_alone():
        if chosen.priority:
            in_front(chosen.priority)
        print(json.dumps(compare(chosen), indent=1))


@contextmanager
def lsl_alone() -> Iterator[None]:
    """Streams of this run are seen by this run alone."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "lsl_api.cfg"
        config.write_text(LSL_CONFIG.format(run=uuid.uuid4().hex[:8]), encoding="utf-8")
        os.environ["LSLAPICFG"] = str(config)
        yield


if __name__ == "__main__":
    main()
