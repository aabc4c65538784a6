"""The whole loop with the compiled student in it, on a live stream between processes, as JSON.

    python tests/bench/student_loop.py [--minutes 30] [--engine onnxruntime] [--only 128]

A process of its own sends 64 channels at 1 kHz, then 128 at 2 kHz, in pieces of 10 samples over
LSL. The product's loop conditions them to 500 Hz with an average reference and the detection of bad
electrodes, runs the shipped EEG student every 100 ms on 1 s windows, and decides. For each stream:

- ``compute``: from the moment at which a window's last samples are in the process to the act;
  ``due``: from the moment at which they were produced, as arrival times can tell. Milliseconds.
- ``missed``: decisions that came later than one step after they were due; ``skipped``: windows that
  were left out so as to catch up; ``missed_share`` is both among those due. ``samples_lost`` are
  samples that never came.
- ``held_up``: of conditioning, encoding and deciding, how often the loop's thread gave the
  processor up of its own accord, which is what waiting for the interpreter's lock, or any other,
  looks like; and how much longer they took than the thread's own processor time, which holds
  that, page faults, and other processes having the core. Linux only.

Run it on an idle machine: ``machine`` says how much of it went elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from counting_sender import CHUNK, Sender, Stream, load_names, speak_here_only
from machine_load import Machine

STREAMS = ((64, 1000.0), (128, 2000.0))
STEP_S = 0.1
WARM_UP_S = 2.0


class Watched:
    """A stage whose calls are timed on both clocks of the thread that makes them."""

    def __init__(self, stage: Any, method: str) -> None:
        self._stage, self._method = stage, method
        self.wall_ns: list[int] = []
        self.waited_ns: list[int] = []
        self.gave_up = 0
        setattr(self, method, self._timed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    def _timed(self, *given: Any) -> Any:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        own_ns, wall_ns = time.thread_time_ns(), time.monotonic_ns()
        result = getattr(self._stage, self._method)(*given)
        took_ns = time.monotonic_ns() - wall_ns
        self.waited_ns.append(took_ns - (time.thread_time_ns() - own_ns))
        self.wall_ns.append(took_ns)
        self.gave_up += resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before
        return result

    def figures(self) -> dict[str, float]:
        return {
            "calls": len(self.wall_ns),
            "gave_up": self.gave_up,
            **quantiles("wall_ms", self.wall_ns),
            **quantiles("waited_ms", self.waited_ns),
        }


class Times:
    """Watches decided windows, and whatever befell the loop."""

    lossless = True

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []
        self.events: dict[str, int] = {}

    def watch(self, message: Any) -> None:
        from diverloop.runtime.messages import Event, Turn

        if isinstance(message, Turn) and message.embedding is not None:
            at = message.times
            self.rows.append((at.acted_ns, at.arrived_ns, at.due_ns))
        elif isinstance(message, Event):
            self.events[str(message.kind)] = self.events.get(str(message.kind), 0) + 1

    def close(self) -> None:
        pass


def quantiles(name: str, values_ns: Any) -> dict[str, float]:
    """Median, p99, p99.9 and the largest, in milliseconds."""
    cut = np.percentile(np.asarray(values_ns) / 1e6, [50, 99, 99.9, 100])
    return {
        f"{name}_{q}": round(float(v), 3)
        for q, v in zip(("p50", "p99", "p999", "max"), cut, strict=True)
    }


def student_bundle(n_channels: int, rate_hz: float, folder: Path) -> Any:
    """The shipped student with a reader of random weights, compiled."""
    from dataclasses import asdict

    from diverloop.adapters.linear import LinearAdapter, LinearConfig
    from diverloop.adapters.task import BROADBAND
    from diverloop.decoders.engines.compiling import compile_bundle
    from diverloop.decoders.engines.opening import untaught
    from diverloop.decoders.student_encoder import StudentEncoderConfig
    from diverloop.hardware.montage import with_places
    from diverloop.runtime.bundle import Bundle, join_parts, load_bundle, save_bundle
    from diverloop.runtime.card import Card, CardInput, CardWindow
    from diverloop.runtime.messages import Channel, StreamSpec
    from diverloop.runtime.signal.conditioning import StreamConditioner

    channels = tuple(Channel(name=name) for name in load_names(n_channels))
    spec = StreamSpec(name="bench", rate_hz=rate_hz, channels=channels)
    conditioned = StreamConditioner(BROADBAND).open(spec)
    encoder = untaught(StudentEncoderConfig.for_stream(with_places(conditioned)))
    classes, n = ("left", "right"), encoder.n_features
    rng = np.random.default_rng(0)
    adapter = LinearAdapter(
        LinearConfig(classes=classes),
        mean=np.zeros(n),
        scale=np.ones(n),
        weights=rng.standard_normal((1, n)) / np.sqrt(n),
        bias=np.zeros(1),
        temperature=1.0,
    )
    card = Card(
        task="motor_imagery",
        classes=classes,
        encoder="student",
        adapter="linear",
        encoder_config=asdict(encoder.config),
        adapter_config=asdict(adapter.config),
        conditioning=asdict(BROADBAND),
        input=CardInput.of(spec),
        conditioned_rows=conditioned.channel_names,
        window=CardWindow(length_s=1.0, step_s=STEP_S, n_times=500),
        reference="average",
        band=(0.3, 250.0),
        trained_on=(),
        scores={},
        versions={},
        created_utc="",
    )
    arrays = join_parts(encoder=encoder.to_arrays(), adapter=adapter.to_arrays())
    save_bundle(Bundle(card=card, arrays=arrays), folder)
    bundle = load_bundle(folder)
    compile_bundle(encoder, bundle)
    return bundle


def run(stream: Stream, bundle: Any, engine: str, seconds: float) -> dict[str, Any]:
    """One live session of so long."""
    from dataclasses import replace

    from diverloop.assembly import assemble, open_model
    from diverloop.hardware.lsl_inlet import LslConfig
    from diverloop.runtime.clock import MonotonicClock
    from diverloop.runtime.realtime import RealtimeConfig, realtime
    from diverloop.runtime.session import PartConfig, SessionConfig

    session = SessionConfig(
        name="bench",
        source=PartConfig(kind="lsl", settings=LslConfig(name=stream.name, markers="")),
        model=Path("student.bundle"),
        realtime=RealtimeConfig(lock_memory=True),
    )
    model = open_model(bundle, engine=engine, fallback=False)
    encoder, adapter = Watched(model.encoder, "encode"), Watched(model.adapter, "decide")
    model = replace(model, encoder=encoder, adapter=adapter)
    times, sender = Times(), Sender(stream)
    loop = assemble(session, clock=MonotonicClock(), watchers=[times], model=model)
    stages = loop._stages  # the conditioner is made for the session, inside
    conditioner = Watched(stages.conditioner, "process")
    loop._stages = replace(stages, conditioner=conditioner)
    machine = Machine({"loop process": os.getpid(), "sender": sender.pid})
    with ExitStack() as stack:
        stack.callback(sender.stop)
        timer = threading.Timer(seconds, loop.stop)
        timer.start()
        grants = stack.enter_context(realtime(session.realtime))
        report = loop.run()
        spent = machine.spent()
    acted, arrived, due = np.array(times.rows, np.int64).reshape(-1, 3).T
    warm = acted > acted[:1] + WARM_UP_S * 1e9
    if not warm.any():
        raise SystemExit(f"No window was decided after {WARM_UP_S:g} s: give more --minutes.")
    late = report.missed_deadlines + report.skipped_late
    return {
        "n_channels": stream.n_channels,
        "rate_hz": stream.rate_hz,
        "engine": str(encoder.engine.about),
        "seconds": seconds,
        "windows_due": report.windows_due,
        "decoded": report.decoded,
        "missed": report.missed_deadlines,
        "skipped": report.skipped_late,
        "samples_lost": report.samples_lost,
        "missed_share": late / max(1, report.windows_due),
        **quantiles("compute_ms", (acted - arrived)[warm]),
        **quantiles("due_ms", (acted - due)[warm]),
        "held_up": {
            name: stage.figures()
            for name, stage in (
                ("condition", conditioner),
                ("encode", encoder),
                ("decide", adapter),
            )
        },
        "events": times.events,
        "real_time": [f"{one.name}: {'yes' if one.obtained else 'no'}" for one in grants],
        "machine": spent,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--only", type=int, default=0, help="the stream of so many channels")
    asked = parser.parse_args()
    key = uuid.uuid4().hex[:8]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        speak_here_only(Path(folder))
        for n_channels, rate_hz in STREAMS:
            if asked.only in (0, n_channels):
                name = f"student-{key}-{n_channels}"
                stream = Stream(name=name, n_channels=n_channels, rate_hz=rate_hz)
                bundle = student_bundle(n_channels, rate_hz, Path(folder) / f"{name}.bundle")
                found.append(run(stream, bundle, asked.engine, 60 * asked.minutes))
    print(json.dumps({"piece": CHUNK, "streams": found}, indent=1))


if __name__ == "__main__":
    main()
