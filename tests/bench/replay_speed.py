"""How fast a recorded session is replayed, in multiples of real time, as JSON.

    python tests/bench/replay_speed.py [--seconds 300] [--live-s 60] [--rounds 3]

A simulated participant with 64 channels at 250 Hz and one with 128 at 1 kHz, each decoded ten
times a second by the standard motor-imagery model (four bands, covariances, linear). Each is
recorded twice: on a clock that jumps, and live, because the pieces in which a live stream comes
are what a replay has to go through. Then each recording is replayed exactly, compared turn by
turn, and by the plain offline path, ``diverloop replay``. A figure is the best round's: other
work on the machine can only make it smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diverloop.assembly import open_model
from diverloop.calibration import fit_model
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan
from diverloop.hardware.montage import MONTAGES, ecog_grid, montage
from diverloop.hardware.replay import ReplayConfig
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.proving import replay_exact, verify
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.record.entries import ChunkEntry
from diverloop.runtime.record.reading import TapeReader, open_record
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

MONTAGES["ecog8x16"] = lambda: ecog_grid(8, 16)
CASES = {"64 channels, 250 Hz": ("eeg64", 250.0, 100), "128 channels, 1 kHz": ("ecog8x16", 1e3, 20)}
"""Montage, rate, and the multiple of real time that is aimed at."""


def fitted(settings: SimulatorConfig, seconds: float) -> Bundle:
    """The standard model for such a participant."""
    own = replace(settings, duration_s=seconds, seed=settings.seed + 1)
    source = TrainingSource(
        name="simulated", data_id="benchmark", make=lambda clock: SimulatedParticipant(own, clock)
    )
    return fit_model([source], FitPlan(span=SPAN))


def record(settings: SimulatorConfig, bundle: Bundle, folder: Path, *, live: bool) -> Path:
    """Run a session to its end and keep it."""
    session = SessionConfig(
        name="speed",
        source=PartConfig(kind="simulator", settings=settings),
        model=folder / "model.bundle",
    )
    options = RunOptions(live=live, armed=True, recordings=folder)
    kept = run_session(session, options, open_model(bundle)).kept
    assert kept is not None
    return kept


def replay_plainly(kept: Path, bundle: Bundle) -> float:
    """Run the recorded signal through a new session offline; seconds without opening the file."""
    settings = ReplayConfig(path=str(kept / "recording.xdf"), stream="EEG")
    session = SessionConfig(
        name="offline",
        source=PartConfig(kind="replay", settings=settings),
        model=kept / "model.bundle",
    )
    return run_session(session, RunOptions(live=False, armed=True), open_model(bundle)).wall_s


def best_s(act: Callable[[], Any], rounds: int) -> float:
    """Shortest of several."""
    spent = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began_s)
    return min(spent)


def pieces(kept: Path) -> dict[str, float]:
    """In how many pieces the signal came, and how long the longest was."""
    entries = [e for e in TapeReader(kept, signal=False) if isinstance(e, ChunkEntry) and e.rows]
    sizes = [sum(stop - first for first, stop in entry.rows) for entry in entries]
    return {"n": len(sizes), "samples": sum(sizes), "longest": max(sizes)}


def measure(kept: Path, bundle: Bundle, settings: SimulatorConfig, rounds: int) -> dict[str, Any]:
    """Both ways of replaying a recording."""
    comparison, report = replay_exact(kept)
    cut = pieces(kept)
    signal_s = cut["samples"] / settings.rate_hz
    exact_s = best_s(lambda: replay_exact(kept), rounds)
    plain_s = min(replay_plainly(kept, bundle) for _ in range(rounds))
    proof_s = best_s(lambda: verify(kept), 1)
    return {
        "signal_s": round(signal_s, 2),
        "samples_missing": round(settings.duration_s * settings.rate_hz) - cut["samples"],
        "events": dict(Counter(str(event.kind) for event in open_record(kept).events)),
        "pieces_a_second": round(cut["n"] / signal_s, 1),
        "windows_decoded": report.decoded,
        "equal": comparison.ok,
        "said": comparison.sentence(),
        "exact_times_real_time": round(signal_s / exact_s, 1),
        "verify_times_real_time": round(signal_s / proof_s, 1),
        "plain_times_real_time": round(signal_s / plain_s, 1),
    }


def main() -> int:
    """Measure and print; 0 if every replay was the recorded run, and whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="signal on the jumping clock")
    parser.add_argument("--live-s", type=float, default=60.0, help="live session; 0 leaves it out")
    parser.add_argument("--fit-s", type=float, default=120.0, help="calibration block")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=128, help="leave out cases with more channels")
    asked = parser.parse_args()
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    found["blas_threads"] = os.environ.get("OPENBLAS_NUM_THREADS", "all cores")
    equal = []
    for name, (cap, rate_hz, target) in CASES.items():
        if len(montage(cap)) > asked.most:
            continue
        settings = SimulatorConfig(montage=cap, rate_hz=rate_hz, classes=CLASSES, seed=3)
        bundle = fitted(settings, asked.fit_s)
        found[name] = {"target": target}
        for live, seconds in ((False, asked.seconds), (True, asked.live_s)):
            if not seconds:
                continue
            with tempfile.TemporaryDirectory() as folder:
                os.environ["DIVERLOOP_HOME"] = folder  # a key of its own signs the logs
                own = replace(settings, duration_s=seconds)
                kept = record(own, bundle, Path(folder), live=live)
                case = measure(kept, bundle, own, asked.rounds)
            found[name]["recorded live" if live else "recorded on a jumping clock"] = case
            equal.append(case["equal"] and not case["samples_missing"])
    print(json.dumps(found, indent=1))
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
