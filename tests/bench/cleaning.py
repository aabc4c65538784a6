"""What artefact removal takes out and what it costs, on real recordings, as JSON.

    DIVERLOOP_DATA=DIR python tests/bench/cleaning.py [--resamples 1000]

Blinks: EEGMMIDB S001, 64 channels at 160 Hz. Fitted on runs 1, 3 and 4, judged on runs 7 to 10;
the rules and defaults were chosen on runs 5 and 6, which are in neither. Blinks are peaks over
100 uV of the mean of Fp1 and Fp2 at 1-10 Hz, found before cleaning. ``frontal_cut`` is one less
the ratio, after to before, of the largest deflection of the blink-locked average (1-40 Hz, causal,
-0.15 to 0.3 s, against -0.6 to -0.3 s) at Fp1, Fpz, Fp2, AF7 and AF8, mean of the five; its 95 %
interval is by bootstrap over blinks. ``posterior_rms_difference`` is the RMS of what was changed
over the RMS of the signal, at parietal and occipital channels, at least 0.5 s from every blink;
interval by bootstrap over stretches of 5 s. ``other_rms_difference`` is the same at all channels
but the five. ASR is calibrated on run 1, and each of its matrices is used from the end of its step.

``masked`` repeats it with channels lost that the fit had. ``asr_step_ms`` is ASR's time for a step.

Mains: the first half of a recording is fitted on, the second judged: change of the power within
0.5 Hz of mains, and 2 Hz below and above it, in decibels, median over channels and its quartiles;
no notch. ``muscle``: index of 1 s windows of a recording with blinks, jaw clenches and closed
eyes, in quantiles over time of the median channel. It has no labels, so nothing is judged by it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from diverloop.decoders.asr_fit import fit_asr
from diverloop.decoders.cleaning_fit import fit_eog_regression, fit_eye_ica
from diverloop.decoders.line_projection import fit_line_projection, line_excess_db
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.cleaning import muscle_index

FIT, JUDGED = (1, 3, 4), (7, 8, 9, 10)
FRONT = ("Fp1", "Fpz", "Fp2", "AF7", "AF8")
STEP, STRETCH_S, SETTLE_S = 10, 5.0, 3.0
Floats = NDArray[np.float64]


def run(folder: Path, number: int) -> tuple[Floats, StreamSpec]:
    found = read_recording(folder / f"mi/eegmmidb_S001_R{number:02d}.npz")
    return found.samples.astype(np.float64), found.spec


def banded(samples: Floats, low_hz: float, high_hz: float, rate_hz: float) -> Floats:
    sos = signal.butter(2, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    return np.asarray(signal.sosfilt(sos, samples, axis=1))


def blinks_in(samples: Floats, spec: StreamSpec) -> Floats:
    rows = [spec.channel_names.index(name) for name in ("Fp1", "Fp2")]
    front = banded(samples[rows], 1, 10, spec.rate_hz).mean(axis=0)
    front[: round(SETTLE_S * spec.rate_hz)] = 0
    peaks, _ = signal.find_peaks(front, height=100, distance=round(0.4 * spec.rate_hz))
    return np.array([p for p in peaks if 100 < p < samples.shape[1] - 80])


def by_asr(asr: Any, samples: Floats, band: Floats) -> tuple[Floats, list[float], list[int]]:
    """Clean a run; how long each step took, and how many directions went."""
    usable, matrix = np.ones(len(samples), dtype=bool), np.eye(len(samples))
    cleaned, took_ms, removed = band.copy(), [], []
    asr.restart()
    for start in range(0, samples.shape[1] - STEP + 1, STEP):
        times = slice(start, start + STEP)
        cleaned[:, times] = matrix @ band[:, times]
        begun = time.perf_counter()
        matrix = asr.look(samples[:, times], start, usable)
        took_ms.append(1e3 * (time.perf_counter() - begun))
        removed.append(asr.n_removed)
    return cleaned, took_ms, removed


def judge(pairs: list[tuple[Floats, Floats, Floats]], spec: StreamSpec, resamples: int) -> Any:
    """Figures of one method; each pair is band before, band after, and where the blinks are."""
    names = spec.channel_names
    front = [names.index(name) for name in FRONT]
    back = [k for k, name in enumerate(names) if name[0] in "PO" or name == "Iz"]
    other = [k for k in range(len(names)) if k not in front]
    rate = spec.rate_hz
    epochs = [
        np.array([part[front, p - round(0.6 * rate) : p + round(0.3 * rate)] for p in blinks])
        for part, blinks in (
            *((before, blinks) for before, _, blinks in pairs),
            *((after, blinks) for _, after, blinks in pairs),
        )
    ]
    before = np.concatenate(epochs[: len(pairs)])
    after = np.concatenate(epochs[len(pairs) :])

    def cut(chosen: Any) -> Floats:
        size = []
        for part in (before, after):
            mean = part[chosen].mean(axis=0)
            mean = mean - mean[:, : round(0.3 * rate)].mean(axis=1, keepdims=True)
            size.append(np.abs(mean[:, round(0.45 * rate) :]).max(axis=1))
        return 1 - size[1] / size[0]

    stretches = []
    for one, two, blinks in pairs:
        away = np.ones(one.shape[1], dtype=bool)
        away[: round(SETTLE_S * rate)] = False
        for p in blinks:
            away[max(0, p - round(rate / 2)) : p + round(rate / 2)] = False
        for start in range(0, one.shape[1], round(STRETCH_S * rate)):
            times = np.flatnonzero(away[start : start + round(STRETCH_S * rate)]) + start
            if len(times):
                power = (one[:, times] ** 2).sum(axis=1)
                stretches.append((((two - one)[:, times] ** 2).sum(axis=1), power))
    changed, power = (np.array(part) for part in zip(*stretches, strict=True))

    def difference(chosen: Any, rows: list[int]) -> float:
        share = np.sqrt(changed[chosen].sum(axis=0) / power[chosen].sum(axis=0))
        return float(share[rows].mean())

    rng = np.random.default_rng(0)
    n, m = len(before), len(changed)
    cuts = [cut(rng.integers(0, n, n)).mean() for _ in range(resamples)]
    backs = [difference(rng.integers(0, m, m), back) for _ in range(resamples)]
    return {
        "blinks": n,
        "frontal_cut": round(float(cut(slice(None)).mean()), 3),
        "frontal_cut_ci95": np.percentile(cuts, (2.5, 97.5)).round(3).tolist(),
        "frontal_cut_by_channel": dict(zip(FRONT, cut(slice(None)).round(3).tolist(), strict=True)),
        "posterior_rms_difference": round(difference(slice(None), back), 4),
        "posterior_rms_difference_ci95": np.percentile(backs, (2.5, 97.5)).round(4).tolist(),
        "other_rms_difference": round(difference(slice(None), other), 4),
    }


def measure_blinks(folder: Path, resamples: int) -> Any:
    first, spec = run(folder, FIT[0])
    calibration = np.concatenate([first, *(run(folder, number)[0] for number in FIT[1:])], axis=1)
    judged = [run(folder, number)[0] for number in JUDGED]
    bands = [banded(samples, 1, 40, spec.rate_hz) for samples in judged]
    blinks = [blinks_in(samples, spec) for samples in judged]
    found: dict[str, Any] = {}
    usable = np.ones(spec.n_channels, dtype=bool)
    lost = usable.copy()
    lost[np.random.default_rng(0).choice(len(lost), 6, replace=False)] = False
    lost[[spec.channel_names.index(name) for name in FRONT]] = True
    for name, fit in (("ica", fit_eye_ica), ("frontal_regression", fit_eog_regression)):
        begun = time.perf_counter()
        step = fit(calibration, spec)
        fitted_s = round(time.perf_counter() - begun, 2)
        for label, rows in ((name, usable), (f"{name}_six_masked", lost)):
            matrix = step.matrix(rows)
            pairs = [(b, matrix @ b, p) for b, p in zip(bands, blinks, strict=True)]
            found[label] = judge(pairs, spec, resamples)
        found[name] |= {"fit_s": fitted_s, "notes": step.notes}
    for cutoff in (10.0, 20.0, 30.0):
        asr = fit_asr(first, spec, cutoff)
        done = [by_asr(asr, s, b) for s, b in zip(judged, bands, strict=True)]
        pairs = [(b, d[0], p) for b, d, p in zip(bands, done, blinks, strict=True)]
        took = np.concatenate([d[1] for d in done])
        removed = np.concatenate([d[2] for d in done])
        found[f"asr_{cutoff:g}"] = judge(pairs, spec, resamples) | {
            "asr_step_ms": {f"p{q}": round(float(np.percentile(took, q)), 3) for q in (50, 99)},
            "steps_with_removal": round(float((removed > 0).mean()), 3),
        }
    return found


def measure_mains(folder: Path, name: str) -> Any:
    """Fit on the first half, judge the second, at whichever of 50 and 60 Hz stands out more."""
    recording = read_recording(folder / name)
    half = recording.samples.shape[1] // 2
    live = [
        row
        for row, label in enumerate(recording.spec.channel_names)
        if not label.startswith(("DC", "EKG"))
        and min(recording.samples[row, :half].std(), recording.samples[row, half:].std()) > 0
    ]
    samples = recording.samples[live].astype(np.float64)
    rate = recording.spec.rate_hz
    channels = tuple(Channel(name=recording.spec.channel_names[row]) for row in live)
    spec = StreamSpec(name=name, rate_hz=rate, channels=channels)
    fitted, judged = samples[:, :half], samples[:, half:]
    excess = {hz: float(np.median(line_excess_db(fitted, rate, hz))) for hz in (50.0, 60.0)}
    line_hz = max(excess, key=lambda hz: excess[hz])
    step = fit_line_projection(fitted, spec, line_hz)
    cleaned = step.matrix(np.ones(len(samples), dtype=bool)) @ judged
    frequencies, before = signal.welch(judged, rate, nperseg=round(2 * rate))
    after = signal.welch(cleaned, rate, nperseg=round(2 * rate))[1]

    def change(centre_hz: float, half_width_hz: float) -> list[float]:
        near = np.abs(frequencies - centre_hz) <= half_width_hz
        decibels = 10 * np.log10(after[:, near].sum(axis=1) / before[:, near].sum(axis=1))
        return np.percentile(decibels, (25, 50, 75)).round(2).tolist()

    high = {"70-110_hz_db": change(90.0, 20.0)} if rate > 250 else {}
    return {
        "rate_hz": rate, "channels": len(live), "line_hz": line_hz, "directions": step.n_sources,
        "excess_before_db": round(float(np.median(line_excess_db(judged, rate, line_hz))), 1),
        "excess_after_db": round(float(np.median(line_excess_db(cleaned, rate, line_hz))), 1),
        "line_db": change(line_hz, 0.5), "2_hz_below_db": change(line_hz - 2, 0.5),
        "2_hz_above_db": change(line_hz + 2, 0.5), "8-30_hz_db": change(19.0, 11.0), **high,
    }  # fmt: skip


def measure_muscle(path: Path) -> Any:
    rows = np.loadtxt(path, delimiter=",", comments="%", skiprows=5, usecols=range(1, 9)).T
    rate = 250.0
    indices = [
        np.median(muscle_index(rows[:, start : start + 250], rate, 60.0))
        for start in range(1250, rows.shape[1] - 250, 250)
    ]
    return {f"p{q}": round(float(np.percentile(indices, q)), 3) for q in (5, 50, 90, 95, 99)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    folder = Path(os.environ["DIVERLOOP_DATA"])
    mains = (
        "mi/eegmmidb_S001_R03.npz", "ecog/mne_sample_ecog_ictal.edf", "seeg/mne_sample_seeg.edf",
    )  # fmt: skip
    found = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "blinks": measure_blinks(folder, given.resamples),
        "mains": {name: measure_mains(folder, name) for name in mains},
        "muscle": measure_muscle(folder / "formats/openbci_v6_blinks_jawclench_alpha.txt"),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
