"""What the dashboard costs, how often it draws, and how old a sample is when it is painted.

    python -m diverloop.tests.bench.screens [--seconds 20] [--case 64x1000] [--piece-ms 50]
    python -m diverloop.tests.bench.screens --loop [--seconds 20] [--pairs 4] [--priority 20]

A process sends what a session sends, at its real rate, through a real `TelemetryPublisher`; another
is the dashboard, 1280 by 900, in its first layout: what lies behind another tab is not drawn.
Offscreen: Qt draws each pixel, and nobody shows it. The traces are painted once for each piece of
signal that came (``--piece-ms``), sixty times a second at most.

**From sample to pixel** is the time from `Chunk.arrived_ns`, at which the chunk's last sample
was in the session's process, to the end of the paint of the traces that first has this sample in
it. Both are read from the machine's one monotonic clock, in two processes. What a screen adds, up
to a frame and its own delay, is not in it.

``--loop`` runs a loop of 64 channels at 1 kHz, a decision every 50 ms, with the dashboard beside it
and without, in turns, and compares the 99th percentiles of its latencies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.telemetry import TelemetryPublisher, TelemetrySubscriber
from diverloop.runtime.windows import WindowConfig
from diverloop.tests.bench.safety_victim import CLASSES, Sure

WIDTH, HEIGHT = 1280, 900
CASES = {"64x1000": (64, 1000.0), "256x2000": (256, 2000.0)}
STEP_S = 0.05
SETTLE_S = 3.0
N_FEATURES = 64
_NOISE_S = 8


def stream(n_channels: int, rate_hz: float) -> StreamSpec:
    """What the sender promises; the electrodes lie on a head, so that maps can be drawn."""
    angle = np.arange(n_channels) * 2.4
    far = 0.09 * np.sqrt((np.arange(n_channels) + 0.5) / n_channels)
    places = np.stack([far * np.cos(angle), far * np.sin(angle), np.sqrt(0.0082 - far**2)], axis=1)
    return StreamSpec(
        name="bench",
        rate_hz=rate_hz,
        channels=tuple(
            Channel(name=f"E{n + 1}", position_m=(float(x), float(y), float(z)))
            for n, (x, y, z) in enumerate(places)
        ),
    )


class Ticking:
    """A source of noise and a rhythm in real time, with a marker every two seconds."""

    ended = False

    def __init__(self, n_channels: int, rate_hz: float, clock: MonotonicClock) -> None:
        self.spec, self._clock = stream(n_channels, rate_hz), clock
        at_s = np.arange(int(_NOISE_S * rate_hz)) / rate_hz
        noise = np.random.default_rng(0).normal(0, 10, (n_channels, len(at_s)))
        self._noise = (noise + 15 * np.sin(2 * np.pi * 10 * at_s)).astype(np.float32)
        self._sent = 0

    def open(self) -> None:
        """Time begins."""
        self._began_ns = self._clock.now_ns()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """What has come by when that many samples were due."""
        rate_hz = self.spec.rate_hz
        due_ns = self._began_ns + round((self._sent + wanted) / rate_hz * 1e9)
        self._clock.wait_until(min(due_ns, until_ns))
        now_ns = self._clock.now_ns()
        there = int((now_ns - self._began_ns) / 1e9 * rate_hz)
        if there <= self._sent:
            return None
        first, self._sent = self._sent, there
        every = round(2 * rate_hz)
        marks = range(-(-first // every) * every, there, every)
        return Chunk(
            samples=self._noise[:, np.arange(first, there) % self._noise.shape[1]],
            first_sample=first,
            arrived_ns=now_ns,
            markers=tuple(Marker(label=CLASSES[n // every % 2], sample=n) for n in marks),
        )

    def close(self) -> None:
        """Nothing to release."""


def tell(n_channels: int, rate_hz: float, piece_s: float) -> None:
    """The sending process: prints its address, and sends until standard input ends."""
    publisher, clock = TelemetryPublisher(), MonotonicClock()
    print(publisher.address, flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    source = Ticking(n_channels, rate_hz, clock)
    publisher.watch(source.spec)
    source.open()
    step, n, turns = round(piece_s * rate_hz), 0, round(STEP_S / piece_s)
    while not ended.is_set():
        chunk = source.read(step, clock.now_ns() + 1_000_000_000)
        if chunk is None:
            continue
        publisher.watch(chunk)
        if n % max(turns, 1) == 0:
            publisher.watch(_turn(chunk, n))
        if n % round(1 / piece_s) == 0:
            publisher.watch(_quality(source.spec, chunk))
        n += 1
    publisher.close()


def _turn(chunk: Chunk, n: int) -> Turn:
    """A decision that abstains for a second out of four."""
    p_left = 0.5 if n // 20 % 4 == 3 else 0.5 + 0.4 * float(np.sin(n / 10))
    label = None if p_left == 0.5 else CLASSES[int(p_left < 0.5)]
    reason = "" if label else "too close to call"
    times = {
        f"{stage}_ns": chunk.arrived_ns + 200_000 * place
        for place, stage in enumerate(
            ("due", "arrived", "conditioned", "cut", "encoded", "decided", "fed_back", "acted")
        )
    }
    return Turn(
        decision=Decision(
            classes=CLASSES,
            probabilities=np.array([p_left, 1 - p_left]),
            label=label,
            reason=reason,
            first_sample=max(chunk.stop_sample - 500, 0),
            stop_sample=chunk.stop_sample,
        ),
        command=Command(label=label, strength=abs(p_left - 0.5) * 2, reason=reason),
        times=StageTimes(**times),
        embedding=Embedding(values=np.random.default_rng(n).normal(size=N_FEATURES)),
    )


def _quality(spec: StreamSpec, chunk: Chunk) -> Quality:
    bad = np.arange(spec.n_channels) % 30 == 7
    return Quality(
        channels=spec.channel_names,
        scores=np.where(bad, 0.1, 0.95),
        causes=tuple("mains hum" if is_bad else "" for is_bad in bad),
        usable=~bad,
        sample=chunk.stop_sample,
        at_ns=chunk.arrived_ns,
    )


def run_loop(n_channels: int, rate_hz: float, priority: int) -> None:
    """The process with a real loop: prints its address, and its latencies in the end."""
    publisher, clock = TelemetryPublisher(), MonotonicClock()
    print(publisher.address, flush=True)
    loop = Loop(
        Stages(
            source=Ticking(n_channels, rate_hz, clock),
            conditioner=StreamConditioner(ConditionConfig()),
            encoder=_Weights(),
            adapter=Sure(),
            feedback=EvidenceFeedback(FeedbackConfig(memory_s=0.0)),
        ),
        clock=clock,
        window=WindowConfig(length_s=1.0, step_s=STEP_S),
        fanout=FanOut((publisher,)),
    )
    threading.Thread(target=lambda: (sys.stdin.read(), loop.stop()), daemon=True).start()
    with realtime(RealtimeConfig(fifo_priority=priority)):
        report = loop.run()
    print(json.dumps(report.to_json()), flush=True)


class _Weights:
    """An encoder of a few milliseconds: power through a matrix."""

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Make the matrix."""
        self._matrix = np.random.default_rng(1).normal(size=(N_FEATURES, spec.n_channels))

    def encode(self, window: Any) -> Embedding:
        """Logarithm of the power of mixtures."""
        return Embedding(values=np.log(np.var(self._matrix @ window.samples, axis=1) + 1e-9))

    def close(self) -> None:
        """Nothing to release."""


class Watch:
    """Takes the time of what the window does, from outside.

    Parameters
    ----------
    shown : list
        Panels.
    """

    def __init__(self, shown: list[Any]) -> None:
        self.drawn_ms: dict[str, list[float]] = {panel.name: [] for panel in shown}
        self.to_pixel_ms: list[float] = []
        self.n_painted = 0
        self._waiting: deque[tuple[int, int]] = deque()
        for panel in shown:
            panel.draw = self._timed(panel.name, panel.draw)
            if panel.name == "traces":
                panel.take = self._noticed(panel.take)
                panel.canvas.painted.connect(self._painted)

    def forget(self) -> None:
        """Begin to count: everything has settled."""
        for times in (*self.drawn_ms.values(), self.to_pixel_ms):
            times.clear()
        self.n_painted = 0

    def _timed(self, name: str, draw: Callable[[], None]) -> Callable[[], None]:
        def timed() -> None:
            began = time.perf_counter()
            draw()
            self.drawn_ms[name].append(1e3 * (time.perf_counter() - began))

        return timed

    def _noticed(self, take: Callable[[Any], None]) -> Callable[[Any], None]:
        def noticed(message: Any) -> None:
            take(message)
            if isinstance(message, Chunk):
                self._waiting.append((message.stop_sample, message.arrived_ns))

        return noticed

    def _painted(self, stop_sample: int) -> None:
        now_ns = time.monotonic_ns()
        self.n_painted += 1
        while self._waiting and self._waiting[0][0] <= stop_sample:
            self.to_pixel_ms.append((now_ns - self._waiting.popleft()[1]) / 1e6)


def show(address: str, seconds: float, picture: str) -> dict[str, Any]:
    """The window's process: draw for a while, then say what it cost."""
    from PySide6.QtCore import QTimer

    from diverloop.gui.application import application, step_back
    from diverloop.gui.controls import Controls
    from diverloop.gui.dashboard import Dashboard
    from diverloop.gui.look import DARK
    from diverloop.screen_commands import panels

    step_back()  # as `diverloop monitor` does
    qt, controls = application(), Controls()
    shown = panels(DARK, controls, frozenset())
    watch = Watch(shown)
    window = Dashboard(shown, TelemetrySubscriber(address), controls, session="bench")
    window.resize(WIDTH, HEIGHT)
    window.show()
    feed = window.feed
    begun: dict[str, float] = {}

    def begin() -> None:
        watch.forget()
        begun.update(wall=time.perf_counter(), cpu=time.process_time(), frames=feed.frames)

    def end() -> None:
        begun.update(
            wall=time.perf_counter() - begun["wall"], cpu=time.process_time() - begun["cpu"]
        )
        begun.update(frames=feed.frames - begun["frames"])
        qt.quit()

    QTimer.singleShot(round(SETTLE_S * 1e3), begin)
    QTimer.singleShot(round((SETTLE_S + seconds) * 1e3), end)
    window.start()
    qt.exec()
    if picture:
        window.grab().save(picture)
    window.close()
    controls.close()
    if not watch.to_pixel_ms:
        raise SystemExit("Nothing came from the sender: what it said is above.")
    return {
        "seconds": round(begun["wall"], 1),
        "frames_per_s": round(begun["frames"] / begun["wall"], 1),
        "paints_of_traces_per_s": round(watch.n_painted / begun["wall"], 1),
        "share_of_a_core": round(begun["cpu"] / begun["wall"], 3),
        "sample_to_pixel_ms": _figures(watch.to_pixel_ms),
        "draw_ms": {name: _figures(times) for name, times in watch.drawn_ms.items()},
        "messages_lost": feed.teller.lost,
    }


def _figures(times_ms: list[float]) -> dict[str, float | int]:
    if not times_ms:
        return {"n": 0}
    median, p99 = np.percentile(times_ms, (50, 99))
    return {
        "n": len(times_ms),
        "median": round(float(median), 3),
        "p99": round(float(p99), 3),
        "worst": round(float(max(times_ms)), 3),
    }


class _Child:
    """This program again, in another part."""

    def __init__(self, *arguments: str) -> None:
        environment = {"QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1", **os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "diverloop.tests.bench.screens", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def line(self) -> str:
        """What it says next."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> str:
        """Have it end; what it said last."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        last = self.line()
        self._process.wait(30)
        return last


def measure(case: str, seconds: float, piece_ms: float, picture: str = "") -> dict[str, Any]:
    """One window beside one sender."""
    sender = _Child("--part", "tell", "--case", case, "--piece-ms", str(piece_ms))
    address = sender.line()
    window = _Child(
        "--part", "show", "--address", address, "--seconds", str(seconds),
        "--picture", picture,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(window.line())
    window.end()
    sender.end()
    return said


def compare(case: str, seconds: float, pairs: int, priority: int) -> dict[str, Any]:
    """The loop with a dashboard beside it, and without, in turns."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    for turn in range(2 * pairs):
        # The one that goes first changes from pair to pair: load that grows favours neither.
        with_window = (turn % 2 == 1) != (turn // 2 % 2 == 1)
        loop = _Child("--part", "loop", "--case", case, "--priority", str(priority))
        address = loop.line()
        if with_window:
            window = _Child("--part", "show", "--address", address, "--seconds", str(seconds))
            window.line()
            window.end()
        else:
            threading.Event().wait(seconds + SETTLE_S)
        stages = {row["name"]: row for row in json.loads(loop.end())["stages"]}
        row = {f"{name}_{q}": stages[name][q] for name in ("loop", "total") for q in _QUANTILES}
        found["with" if with_window else "without"].append(row)
    ratio = {
        key: round(_middle(found["with"], key) / _middle(found["without"], key), 3)
        for key in found["with"][0]
    }
    return {
        "case": case,
        "seconds": seconds,
        "priority": priority,
        **found,
        "ratio_of_medians": ratio,
    }


_QUANTILES = ("p50_ms", "p99_ms")


def _middle(runs: list[dict[str, float]], key: str) -> float:
    return float(np.median([run[key] for run in runs]))


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--piece-ms", type=float, default=50.0)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--priority", type=int, default=0, help="of the loop, under SCHED_FIFO")
    parser.add_argument("--picture", default="", help="where to save how it looked in the end")
    parser.add_argument("--part", choices=("tell", "show", "loop"), help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    parts: dict[str | None, Callable[[], Any]] = {
        "tell": lambda: tell(*CASES[chosen.case], chosen.piece_ms / 1e3),
        "loop": lambda: run_loop(*CASES[chosen.case], chosen.priority),
        "show": lambda: print(
            json.dumps(show(chosen.address, chosen.seconds, chosen.picture)),
            flush=True,
        ),
        None: lambda: print(json.dumps(_everything(chosen), indent=2)),
    }
    parts[chosen.part]()


def _everything(chosen: argparse.Namespace) -> dict[str, Any]:
    if chosen.loop:
        return compare(chosen.case or "64x1000", chosen.seconds, chosen.pairs, chosen.priority)
    cases = [chosen.case] if chosen.case else list(CASES)
    found = {case: measure(case, chosen.seconds, chosen.piece_ms, chosen.picture) for case in cases}
    return {"load_average": os.getloadavg()[0], **found}


if __name__ == "__main__":
    main(sys.argv[1:])
