"""How many injected faults the bad-channel detection finds in real recordings, as JSON.

    DIVERLOOP_DATA=folder python tests/bench/bad_channels.py [--part report] [--rounds 4]

Part ``tune`` is what the thresholds were chosen on: EEGMMIDB runs 3 to 6 and the first halves of
the intracranial files. Part ``report`` is what is reported: runs 7 to 10, the second halves. In
each round 1 to 30 % of the channels, drawn at random, get the same fault for 5 s in one of three
severities drawn for each, at a random moment; another round mixes the faults. A fault counts as
found if the channel is masked within 2 s of its onset; channels that were masked before it are
counted apart. EEGMMIDB is cut into pieces of 20 s, so that its intervals rest on many draws.

Amplitudes are multiples of the recording's median standard deviation. The recording of
py_neuromodulation has no unit: it is scaled to a median standard deviation of 100 uV. What is no
brain, and the zeros at the end of EEGMMIDB runs, are left out. A half of an intracranial file is
played forwards and then backwards, because recovery needs more than its 10 s; specificity counts
the forward part only. Decisions that follow each other are not independent, so the intervals
of specificity are too narrow.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.hardware.recordings import read_recording
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.bad_channels import BadChannelConfig, BadChannels

NOT_BRAIN = ("EKG", "DC0", "ANALOG", "SQUARED", "EEG_AO")
KINDS = (
    "flat",
    "disconnected",
    "clipped",
    "mains",
    "noisy",
    "steps",
    "drift",
    "extreme",
)
SEVERITIES = ("mild", "medium", "severe")


@dataclass(frozen=True)
class Material:
    """A piece of a recording."""

    name: str
    samples: np.ndarray
    spec: StreamSpec
    line_hz: float
    real: int


def wilson(hits: int, n: int) -> list[float]:
    """Share, and its 95 % interval."""
    if not n:
        return [math.nan] * 3
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [
        round(v, 4)
        for v in (p, (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    ]


def load(root: Path, name: str, kind: str, part: str) -> Material:
    """Brain channels of one recording: the half that the part may see, or all of it."""
    whole = read_recording(root / name, assume_unit="uV")
    rows = [i for i, n in enumerate(whole.spec.channel_names) if not n.startswith(NOT_BRAIN)]
    samples, half = whole.samples[rows], whole.n_times // 2
    live = np.flatnonzero(np.abs(np.diff(samples, axis=1)).max(0) > 0)
    samples = samples[:, : live[-1] + 1]
    real = int(20 * whole.spec.rate_hz)
    if "berlin" in name:
        samples = samples * np.float32(100 / np.median(samples[:, :half].std(axis=1)))
    if kind != "eeg":
        samples = samples[:, :half] if part == "tune" else samples[:, half:]
        real = samples.shape[1]
        samples = np.hstack([samples, samples[:, -2::-1]])
    channels = tuple(replace(whole.spec.channels[i], kind=kind) for i in rows)
    spec = replace(whole.spec, channels=channels)
    return Material(name, samples, spec, 50.0 if "berlin" in name else 60.0, real)


def materials(root: Path, part: str, thin: int) -> Iterator[tuple[str, list[Material]]]:
    """Recordings of a part, each as its pieces."""
    for run in range(3, 7) if part == "tune" else range(7, 11):
        name = f"mi/eegmmidb_S001_R{run:02d}.npz"
        whole = load(root, name, "eeg", part)
        size = int(20 * whole.spec.rate_hz)
        cuts = range(0, whole.samples.shape[1] - size + 1, size)
        yield (
            "EEGMMIDB",
            [replace(whole, samples=whole.samples[:, c : c + size]) for c in cuts[::thin]],
        )
    yield "ECoG ictal", [load(root, "ecog/mne_sample_ecog_ictal.edf", "ecog", part)]
    yield "ECoG movement", [load(root, "ecog/berlin_B1_buttonpress.npz", "ecog", part)]
    yield "sEEG", [load(root, "seeg/mne_sample_seeg.edf", "seeg", part)]


def spoil(
    x: np.ndarray, kind: str, level: int, unit: float, rate: float, line: float, rng: Any
) -> np.ndarray:
    """One channel with a fault; `unit` is the usual standard deviation of the recording."""
    n = len(x)
    t = np.arange(n) / rate
    if kind == "flat":
        return np.full(n, x[0]) + (0, 0.02, 0.05)[2 - level] * rng.normal(size=n)
    if kind == "disconnected":
        return x[0] + unit * (0.1, 0.05, 0.03)[level] * rng.normal(size=n)
    if kind == "clipped":
        gain, rail = 1 + 2 * level, (1.3, 1.3, 1.0)[level] * x.std()
        return np.clip(gain * (x - x.mean()), -rail, rail) + x.mean()
    if kind == "mains":
        phase = 2 * np.pi * line * t + rng.uniform(0, 6.28)
        return x + unit * (3, 6, 15)[level] * (
            np.sin(phase) + (0.2 * np.sin(2 * phase) if 2.2 * line < rate / 2 else 0)
        )
    if kind == "noisy":
        white = rng.normal(size=n + 1)
        emg = (
            np.diff(white) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))
            if rate < 400
            else _band(white[1:], rate)
        )
        return x + unit * (1.5, 3, 6)[level] * emg / emg.std()
    if kind == "steps":
        every = rate / (2, 3, 4)[level]
        at = np.arange(rng.uniform(0, every), n, every).astype(int)
        jumps = np.zeros(n)
        jumps[at] = (
            rng.choice([-1, 1], len(at))
            * unit
            * (6, 10, 20)[level]
            * rng.uniform(0.7, 1.3, len(at))
        )
        decay = math.exp(-1 / (0.5 * rate))
        for i in range(1, n):
            jumps[i] += decay * jumps[i - 1]
        return x + jumps
    if kind == "drift":
        freq, size = rng.uniform(0.1, 0.3), unit * (30, 60, 120)[level]
        return x + size * np.sin(2 * np.pi * freq * t) * (0.5 * 0.2 / freq + 0.5)
    return x.mean() + (8, 15, 40)[level] * (x - x.mean())


def _band(white: np.ndarray, rate: float) -> np.ndarray:
    """Noise between 30 and 200 Hz, as muscles make."""
    spectrum = np.fft.rfft(white)
    freqs = np.fft.rfftfreq(len(white), 1 / rate)
    spectrum[(freqs < 30) | (freqs > 200)] = 0
    return np.fft.irfft(spectrum, len(white))


def injected(
    piece: Material,
    kinds: list[str],
    rows: np.ndarray,
    levels: np.ndarray,
    on: int,
    off: int,
    rng: Any,
) -> np.ndarray:
    """The piece with faults from sample `on` to `off`."""
    x = piece.samples.copy()
    unit = float(np.median(x.std(axis=1)))
    for row, kind, level in zip(rows, kinds, levels, strict=True):
        own = x[row, on:off].astype(float)
        x[row, on:off] = spoil(own, kind, level, unit, piece.spec.rate_hz, piece.line_hz, rng)
    return x


def watched(
    piece: Material, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, ...]], float]:
    """Verdicts after each step, the time each was reached, causes, and the mean cost in seconds."""
    rate = piece.spec.rate_hz
    step = round(0.064 * rate)
    detector = BadChannels(BadChannelConfig(), piece.spec, step, piece.line_hz)
    verdicts, causes = [], []
    begun = time.perf_counter()
    for k in range(samples.shape[1] // step):
        detector.look(samples[:, k * step : (k + 1) * step], k * step)
        verdicts.append(detector.usable)
        causes.append(detector.causes)
    spent = (time.perf_counter() - begun) / len(verdicts)
    return np.array(verdicts), np.arange(1, len(verdicts) + 1) * step / rate, causes, spent


class Tally:
    """What is counted for one recording."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], list[bool]] = defaultdict(list)
        self.delays: dict[str, list[float]] = defaultdict(list)
        self.back: list[float] = []
        self.named: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.decisions = self.clean = self.channels = self.never = 0
        self.false: dict[str, int] = defaultdict(int)
        self.masked_before = 0

    def look(
        self,
        piece: Material,
        kinds: list[str],
        rows: np.ndarray,
        levels: np.ndarray,
        on: int,
        off: int,
        rng: Any,
    ) -> None:
        """Inject, watch and count."""
        rate = piece.spec.rate_hz
        usable, at, causes, _ = watched(piece, injected(piece, kinds, rows, levels, on, off, rng))
        for row, kind, level in zip(rows, kinds, levels, strict=True):
            before = np.flatnonzero(at <= on / rate)
            if len(before) and not usable[before[-1], row]:
                self.masked_before += 1
                continue
            masked = np.flatnonzero(~usable[:, row] & (at > on / rate) & (at <= off / rate))
            delay = at[masked[0]] - on / rate if len(masked) else math.inf
            self.found[kind, SEVERITIES[level]].append(bool(delay <= 2.0))
            self.delays[kind].append(delay)
            if len(masked):
                self.named[kind][causes[masked[0]][row]] += 1
                again = np.flatnonzero(usable[:, row] & (at > off / rate))
                if at[-1] - off / rate > 7:
                    self.back.append(at[again[0]] - off / rate if len(again) else math.inf)
        others = np.setdiff1d(np.arange(len(piece.samples)), rows)
        every = max(1, round(0.25 / (at[1] - at[0])))
        usable = usable[at <= piece.real / rate]
        quarter = usable[every - 1 :: every][:, others]
        self.decisions += quarter.size
        self.clean += int(quarter.sum())
        self.channels += len(others)
        self.never += int(quarter.all(axis=0).sum())
        for row in others[~usable[:, others].all(axis=0)]:
            first = np.flatnonzero(~usable[:, row])[0]
            self.false[f"{piece.spec.channels[row].name}: {causes[first][row]}"] += 1

    def told(self) -> dict[str, Any]:
        """As JSON."""
        kinds = {}
        for kind in KINDS:
            hits = [h for (k, _), one in self.found.items() if k == kind for h in one]
            delays = np.array(self.delays[kind])
            if not hits:
                continue
            kinds[kind] = {
                "sensitivity": wilson(int(sum(hits)), len(hits)),
                "n": len(hits),
                "by_severity": {
                    s: [int(sum(self.found[kind, s])), len(self.found[kind, s])] for s in SEVERITIES
                },
                "delay_s": quantiles(delays),
                "called": dict(self.named[kind]),
            }
        everything = [h for one in self.found.values() for h in one]
        delays = np.concatenate([np.array(d) for d in self.delays.values()] or [np.zeros(0)])
        return {
            "sensitivity": wilson(int(sum(everything)), len(everything)),
            "n_faults": len(everything),
            "already_masked": int(self.masked_before),
            "specificity_of_decisions": wilson(self.clean, self.decisions),
            "channels_never_masked": wilson(self.never, self.channels),
            "delay_s": quantiles(delays),
            "recovery_s": quantiles(np.array(self.back)),
            "kinds": kinds,
            "wrongly_masked": dict(sorted(self.false.items(), key=lambda i: -i[1])[:12]),
        }


def quantiles(values: np.ndarray) -> dict[str, float | None]:
    """Median and 95th percentile; None where that many were never found."""
    if not len(values):
        return {}
    found = {f"p{q}": float(np.percentile(values, q, method="higher")) for q in (50, 95)}
    return {k: round(v, 2) if math.isfinite(v) else None for k, v in found.items()}


def run(root: Path, part: str, rounds: int, seed: int, thin: int) -> dict[str, Any]:
    """Every recording of the part."""
    rng = np.random.default_rng(seed)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for name, pieces in materials(root, part, thin):
        for piece in pieces:
            repeat = 1 if name == "EEGMMIDB" else rounds
            for _ in range(repeat):
                for kind in (*KINDS, "mixed"):
                    one_round(tallies[name], piece, kind, rng)
    told = {name: tally.told() for name, tally in tallies.items()}
    return {"part": part, "rounds": rounds, "seed": seed, "recordings": told, "cost": cost()}


def one_round(tally: Tally, piece: Material, kind: str, rng: Any) -> None:
    """One draw of channels, severities and moments."""
    n, n_times = piece.samples.shape
    rate = piece.spec.rate_hz
    rows = rng.choice(n, max(1, round(rng.uniform(0.01, 0.3) * n)), replace=False)
    kinds = list(rng.choice(KINDS, len(rows))) if kind == "mixed" else [kind] * len(rows)
    levels = rng.integers(0, 3, len(rows))
    on = int(rng.uniform(2, 4) * rate)
    off = min(on + int(5 * rate), n_times)
    tally.look(piece, kinds, rows, levels, on, off, rng)


def cost() -> dict[str, float]:
    """Milliseconds a 64 ms step, 128 channels at 2 kHz: of the clock, and of the processor.

    The clock also counts what other programs take away.
    """
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 50, (128, 76800)).astype(np.float32)
    channels = tuple(Channel(name=f"E{i}", kind="eeg") for i in range(128))
    spec = StreamSpec(name="cost", rate_hz=2000.0, channels=channels)
    detector, spent = BadChannels(BadChannelConfig(), spec, 128, 50.0), []
    for first in range(0, samples.shape[1], 128):
        begun, used = time.perf_counter(), time.thread_time()
        detector.look(samples[:, first : first + 128], first)
        spent.append((time.perf_counter() - begun, time.thread_time() - used))
    told = {}
    for name, column in zip(("wall", "cpu"), 1e3 * np.array(spent[20:]).T, strict=True):
        told[f"{name}_mean_ms"] = round(float(column.mean()), 3)
        for q in (50, 99, 100):
            told[f"{name}_p{q}_ms"] = round(float(np.percentile(column, q)), 3)
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=("tune", "report"), default="report")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thin", type=int, default=1, help="take every n-th piece of EEGMMIDB")
    given = parser.parse_args()
    root = Path(os.environ["DIVERLOOP_DATA"])
    print(json.dumps(run(root, given.part, given.rounds, given.seed, given.thin), indent=1))
