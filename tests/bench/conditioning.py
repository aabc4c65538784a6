"""What conditioning costs per second of signal, beside other runtimes' filters, as JSON.

    python tests/bench/conditioning.py [--seconds 20] [--rounds 5]

Two parts:

- ``beside``: the same work, on the same pieces of 5 ms, in one run, rounds interleaved: average
  reference, high-pass at 0.5 Hz, notches at 50, 100 and 150 Hz, band-pass from 1 to 120 Hz. Ours is
  the whole `StreamConditioner`. MNE-LSL's is what its acquisition does to a piece (reference, then
  its own filters through ``scipy.signal.sosfilt``), without its ring or its stream. ezmsg-sigproc's
  are its transformers, called one after the other, without its graph. Both are left out where they
  are not installed. ``times_as_fast`` says of each by how much ours is faster: its time over ours.
  ``differs`` is the largest difference from ours, behind two seconds of settling, relative to the
  largest value: it shows that the work is the same.
- ``full``: everything at once at 128 channels and 2 kHz: bad electrodes, the three research
  guards, reference, notches, a filter bank, high gamma, and 500 Hz out; the time of each call of
  `process`, the share of a core, and the loop around it in real time (pieces of 5 ms as they are
  due, a window every 50 ms, an encoder that does nothing): from the arrival of a window's last
  sample to the sink. ``at_once`` is the same with all samples of a step taken in when they are due,
  which is the most that can be on the way of one window. ``without_guards_share`` is the share of a
  core without the search for bad electrodes and the guards.

Milliseconds of work per second of signal. One BLAS thread, unless the environment says otherwise:
what is left of a core is what matters in a loop. Run it on a machine that is otherwise idle.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from diverloop.runtime.benchmark import BenchmarkCase, run_case
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.feedback import EvidenceFeedback
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Channel, Chunk, Decision, Embedding, StreamSpec
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.condition_config import LINE_WIDTH_HZ, ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.ripples import RippleConfig
from diverloop.runtime.signal.seizures import SeizureConfig
from diverloop.runtime.signal.spikes import SpikeConfig
from diverloop.runtime.windows import WindowConfig

CASES = ((64, 1000.0), (128, 2000.0), (256, 2000.0))
PIECE_S = 0.005
HIGH_PASS_HZ, NOTCHES_HZ, BAND_HZ = 0.5, (50.0, 100.0, 150.0), (1.0, 120.0)
SAME_WORK = ConditionConfig(
    reference="average", high_pass_hz=HIGH_PASS_HZ, line_hz=50.0, bands_hz=(BAND_HZ,), order=2
)
FULL = ConditionConfig(
    reference="average",
    high_pass_hz=0.5,
    line_hz=50.0,
    bands_hz=((0.5, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 70.0)),
    envelopes_hz=((70.0, 150.0),),
    rate_hz=500.0,
    order=2,
    bad_channels=BadChannelConfig(),
    spikes=SpikeConfig(),
    seizures=SeizureConfig(),
    ripples=RippleConfig(),
)

Pieces = list[np.ndarray]
Way = Callable[[Pieces], list[np.ndarray]]


def stream(n_channels: int, rate_hz: float, seconds: float) -> tuple[StreamSpec, Pieces]:
    """Pink-ish noise with an offset and mains hum, in pieces (n_channels, n_times)."""
    rng = np.random.default_rng(n_channels)
    n_times, piece = round(seconds * rate_hz), round(PIECE_S * rate_hz)
    signal = np.cumsum(rng.normal(0, 2, (n_channels, n_times)), axis=1) * 0.2
    signal += 10 * np.sin(2 * np.pi * 50 * np.arange(n_times) / rate_hz) + 100
    signal += rng.normal(0, 5, signal.shape)
    channels = tuple(Channel(name=f"L{row + 1}", kind="seeg") for row in range(n_channels))
    spec = StreamSpec(name="bench", rate_hz=rate_hz, channels=channels)
    whole = signal.astype(np.float32)
    return spec, [whole[:, at : at + piece].copy() for at in range(0, n_times, piece)]


def ours(spec: StreamSpec, config: ConditionConfig = SAME_WORK) -> Way:
    """The product's conditioner."""

    def run(pieces: Pieces) -> list[np.ndarray]:
        conditioner = StreamConditioner(config)
        conditioner.open(spec)
        at, out = 0, []
        for piece in pieces:
            chunk = Chunk(samples=piece, first_sample=at, arrived_ns=0)
            out.append(conditioner.process(chunk).samples)
            at += piece.shape[1]
        return out

    return run


def mne_lsl(spec: StreamSpec) -> Way | None:
    """What MNE-LSL's acquisition does to every piece, with its own filters."""
    try:
        from mne_lsl.stream._filters import create_filter
    except ImportError:
        return None
    from scipy.signal import sosfilt

    butter = {"order": 2, "ftype": "butter", "output": "sos"}
    half = LINE_WIDTH_HZ / 2
    edges = [
        (HIGH_PASS_HZ, None),
        *((line_hz + half, line_hz - half) for line_hz in NOTCHES_HZ),
        BAND_HZ,
    ]
    picks = np.arange(spec.n_channels)

    def run(pieces: Pieces) -> list[np.ndarray]:
        filters = [create_filter(spec.rate_hz, low, high, dict(butter)) for low, high in edges]
        out = []
        for piece in pieces:
            data = piece.T.astype(np.float64)
            data[:, picks] -= data[:, picks].mean(axis=1, keepdims=True)
            for one in filters:
                if one["zi"] is None:
                    one["zi"] = one["zi_unit"] * np.mean(data[:, picks], axis=0)
                filtered, one["zi"] = sosfilt(one["sos"], data[:, picks], zi=one["zi"], axis=0)
                data[:, picks] = filtered
            out.append(data.T)
        return out

    return run


def ezmsg(spec: StreamSpec) -> Way | None:
    """ezmsg-sigproc's transformers, one after the other."""
    try:
        from ezmsg.sigproc.affinetransform import (
            CommonRereferenceSettings,
            CommonRereferenceTransformer,
        )
        from ezmsg.sigproc.butterworthfilter import (
            ButterworthFilterSettings,
            ButterworthFilterTransformer,
        )
        from ezmsg.util.messages.axisarray import AxisArray
    except ImportError:
        return None

    def band(cuton: float | None, cutoff: float | None) -> Any:
        settings = ButterworthFilterSettings(
            axis="time", coef_type="sos", order=2, cuton=cuton, cutoff=cutoff
        )
        return ButterworthFilterTransformer(settings)

    half = LINE_WIDTH_HZ / 2

    def run(pieces: Pieces) -> list[np.ndarray]:
        chain = [
            CommonRereferenceTransformer(CommonRereferenceSettings(axis="ch")),
            band(HIGH_PASS_HZ, None),
            *(band(line_hz + half, line_hz - half) for line_hz in NOTCHES_HZ),
            band(*BAND_HZ),
        ]
        at, out = 0, []
        for piece in pieces:
            axes = {"time": AxisArray.TimeAxis(fs=spec.rate_hz, offset=at / spec.rate_hz)}
            message = AxisArray(piece.T.astype(np.float64), dims=["time", "ch"], axes=axes)
            for one in chain:
                message = one(message)
            out.append(np.asarray(message.data).T)
            at += piece.shape[1]
        return out

    return run


def beside(n_channels: int, rate_hz: float, seconds: float, rounds: int) -> dict[str, Any]:
    """Everybody on the same pieces, in turn."""
    spec, pieces = stream(n_channels, rate_hz, seconds)
    ways = {"diverloop": ours(spec), "mne-lsl": mne_lsl(spec), "ezmsg-sigproc": ezmsg(spec)}
    there = {name: way for name, way in ways.items() if way}
    spent: dict[str, list[float]] = {name: [] for name in there}
    results = {}
    for _ in range(rounds):
        for name, way in there.items():
            began_s = time.perf_counter()
            results[name] = way(pieces)
            spent[name].append(1e3 * (time.perf_counter() - began_s) / seconds)
    settled = round(2 * rate_hz)
    joined = {name: np.concatenate(parts, axis=1)[:, settled:] for name, parts in results.items()}
    best_ms = {name: min(times) for name, times in spent.items()}
    return {
        "ms_per_s": {name: round(best, 2) for name, best in best_ms.items()},
        "median_ms_per_s": {n: round(float(np.median(times)), 2) for n, times in spent.items()},
        "times_as_fast": {
            name: round(best / best_ms["diverloop"], 1) for name, best in best_ms.items()
        },
        "differs": {
            name: float(np.abs(rows - joined["diverloop"]).max() / np.abs(rows).max())
            for name, rows in joined.items()
        },
        "missing": [name for name, way in ways.items() if way is None],
    }


def full(seconds: float) -> dict[str, Any]:
    """Every element at once, call by call, then inside the loop."""
    spec, pieces = stream(128, 2000.0, seconds)
    conditioner = StreamConditioner(FULL)
    conditioner.open(spec)
    spent_ms, at = [], 0
    for piece in pieces:
        chunk = Chunk(samples=piece, first_sample=at, arrived_ns=0)
        began_s = time.perf_counter()
        conditioner.process(chunk)
        spent_ms.append(1e3 * (time.perf_counter() - began_s))
        at += piece.shape[1]
    found = {f"p{q}": round(float(np.percentile(spent_ms, q)), 3) for q in (50, 95, 99, 99.9)}
    case = BenchmarkCase(n_channels=128, rate_hz=2000.0, n_windows=round(seconds / 0.05))
    loop = run_case(case, FULL)
    return {
        "process_ms": {**found, "max": round(max(spent_ms), 3)},
        "share_of_a_core": round(sum(spent_ms) / 1e3 / seconds, 4),
        "loop_ms": live(spec, pieces),
        "at_once_ms": {key: round(loop[f"{key}_us"] / 1e3, 3) for key in ("p50", "p99")},
        "delays_ms": {n: round(1e3 * d, 1) for n, d in conditioner.delays_s().items()},
        "without_guards_share": round(_share(spec, pieces, seconds), 4),
    }


class Paced:
    """A source that gives each piece when it is due."""

    def __init__(self, spec: StreamSpec, pieces: Pieces) -> None:
        self.spec, self._pieces, self._clock = spec, pieces, MonotonicClock()
        self._taken = 0

    @property
    def ended(self) -> bool:
        return self._taken >= len(self._pieces)

    def open(self) -> None:
        self._began_ns = self._clock.now_ns()

    def close(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        size, period_ns = self._pieces[0].shape[1], round(PIECE_S * 1e9)
        stop = min(self._taken + -(-wanted // size), len(self._pieces))
        due_ns = self._began_ns + stop * period_ns
        self._clock.wait_until(min(due_ns, until_ns))
        there = min((self._clock.now_ns() - self._began_ns) // period_ns, len(self._pieces))
        if there <= self._taken:
            return None
        first, parts = self._taken * size, self._pieces[self._taken : there]
        self._taken = there
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return Chunk(samples=samples, first_sample=first, arrived_ns=self._clock.now_ns())


class Idle:
    """An encoder and adapter without work of their own."""

    classes, epoch = ("yes", "no"), 0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        pass

    def encode(self, window: Any) -> Embedding:
        return Embedding(values=np.zeros(1))

    def decide(self, embedding: Embedding, window: Any) -> Decision:
        probabilities = np.array([0.6, 0.4])
        return Decision(classes=self.classes, probabilities=probabilities, label="yes")

    def close(self) -> None:
        pass


def live(spec: StreamSpec, pieces: Pieces) -> dict[str, float]:
    """The loop in real time: from a window's last sample in this process to the sink."""
    idle = Idle()
    stages = Stages(
        source=Paced(spec, pieces),
        conditioner=StreamConditioner(FULL),
        encoder=idle,
        adapter=idle,
        feedback=EvidenceFeedback(),
    )
    loop = Loop(stages, clock=MonotonicClock(), window=WindowConfig(length_s=1.0, step_s=0.05))
    with realtime(RealtimeConfig()):
        report = loop.run().to_json()
    row = next(stage for stage in report["stages"] if stage["name"] == "loop")
    counts = {name: report[name] for name in ("decoded", "missed_deadlines", "skipped_late")}
    return {**{key: round(row[f"{key}_ms"], 3) for key in ("p50", "p99")}, **counts}


def _share(spec: StreamSpec, pieces: Pieces, seconds: float) -> float:
    plain = replace(FULL, bad_channels=None, spikes=None, seizures=None, ripples=None)
    began_s = time.perf_counter()
    ours(spec, plain)(pieces)
    return (time.perf_counter() - began_s) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="signal in every round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "blas_threads": os.environ["OPENBLAS_NUM_THREADS"],
        "beside": {
            f"{n_channels} channels, {rate_hz:g} Hz": beside(
                n_channels, rate_hz, asked.seconds, asked.rounds
            )
            for n_channels, rate_hz in CASES
        },
        "full": full(asked.seconds),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
