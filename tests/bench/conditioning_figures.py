"""The figures of the documentation's page on conditioning, from real recordings.

    DIVERLOOP_DATA=FOLDER python tests/bench/conditioning_figures.py --out docs/images

Every picture shows one element of the product's own `StreamConditioner` on a recording: EEG of the
motor-imagery data set EEGMMIDB (Schalk et al. 2004), ECoG and sEEG of MNE's miscellaneous data.
Also prints, as JSON, what each element delays and does, as far as it can be told in a number.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy import signal

from diverloop.cleaning import learn_to_clean
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.runtime.conditioned import Conditioned
from diverloop.runtime.messages import Chunk, EventKind, StreamSpec
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.filters import band_pass, high_pass, notch
from diverloop.runtime.signal.seizures import SeizureConfig
from diverloop.runtime.signal.spikes import SpikeConfig
from diverloop.training_sources import recordings

mpl.use("Agg")
from matplotlib import pyplot

BEFORE, AFTER, THIRD = "#a7adb5", "#0072B2", "#D55E00"
WIDTH_IN = 7.6
mpl.rcParams.update({
    "font.size": 8.5, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "lines.linewidth": 1.0, "savefig.dpi": 130,
})  # fmt: skip

Found = dict[str, Any]


def load(name: str, kind: str | None = None) -> Recording:
    """A recording; an intracranial file that does not say so is told what its rows are."""
    recording = read_recording(Path(os.environ["DIVERLOOP_DATA"]) / name)
    if kind is None:
        return recording
    rows = [r for r, c in enumerate(recording.spec.channels) if is_contact(c.name)]
    channels = tuple(replace(recording.spec.channels[r], kind=kind) for r in rows)
    spec = replace(recording.spec, channels=channels)
    return replace(recording, spec=spec, samples=recording.samples[rows])


def is_contact(name: str) -> bool:
    """Not an ECG, a trigger or a reference."""
    return name[-1:].isdigit() and not name.upper().startswith(("DC", "EKG", "ECG", "EMG", "EVENT"))


def conditioned(
    config: ConditionConfig, spec: StreamSpec, samples: np.ndarray, arrays: Any = None
) -> tuple[np.ndarray, list[Conditioned], StreamConditioner]:
    """Through the product, in pieces of 20 ms."""
    conditioner = StreamConditioner(config, arrays)
    conditioner.open(spec)
    piece, out = max(1, round(0.02 * spec.rate_hz)), []
    for at in range(0, samples.shape[1], piece):
        part = np.ascontiguousarray(samples[:, at : at + piece], np.float32)
        out.append(conditioner.process(Chunk(samples=part, first_sample=at, arrived_ns=0)))
    return np.concatenate([one.samples for one in out], axis=1), out, conditioner


def spectrum_db(samples: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Median over channels, in decibels."""
    f_hz, power = signal.welch(samples, rate_hz, nperseg=int(4 * rate_hz))
    return f_hz, 10 * np.log10(np.median(power, axis=0) + 1e-12)


def save(figure: Any, folder: Path, name: str) -> None:
    figure.savefig(folder / f"conditioning-{name}.png")
    pyplot.close(figure)


# ------------------------------------------------------------------------------------- filters


def filters(folder: Path) -> Found:
    """What the usual bands delay, and a band-passed trace beside what came in."""
    run = load("mi/eegmmidb_S001_R04.npz")
    rate_hz, row = run.spec.rate_hz, run.spec.channel_names.index("C3")
    config = ConditionConfig(bands_hz=((8.0, 30.0),), order=2)
    after, _, conditioner = conditioned(config, run.spec, run.samples)
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(WIDTH_IN, 2.6), layout="constrained", width_ratios=(3, 2)
    )
    here = slice(int(20 * rate_hz), int(22 * rate_hz))
    at_s = np.arange(run.n_times)[here] / rate_hz
    left.plot(at_s, run.samples[row, here] - run.samples[row, here].mean(), color=BEFORE)
    left.plot(at_s, after[row, here], color=AFTER)
    left.set(title="C3 as it came, and its 8-30 Hz", xlabel="s", ylabel="µV")
    designs = {
        "8-13 Hz": band_pass(8, 13, 2, 250),
        "8-30 Hz": band_pass(8, 30, 2, 250),
        "0.5-40 Hz": band_pass(0.5, 40, 2, 250),
        "notch 50 Hz": notch(50, 1.8, 250, 60),
        "high-pass 0.5 Hz": high_pass(0.5, 2, 250),
    }
    f_hz = np.linspace(1, 60, 1200)
    for (name, sos), line in zip(
        designs.items(), ("-", "--", "-.", ":", (0, (5, 1, 1, 1))), strict=True
    ):
        _, response = signal.sosfreqz(sos, f_hz, fs=250)
        delay_ms = -1e3 * np.gradient(np.unwrap(np.angle(response)), 2 * np.pi * f_hz)
        delay_ms[np.abs(response) < 0.3] = np.nan
        right.plot(f_hz, delay_ms, linestyle=line, label=name)
    right.set(title="group delay, order 2, 250 Hz", xlabel="Hz", ylabel="ms", ylim=(0, 200))
    right.legend(fontsize=7)
    save(figure, folder, "filters")
    return {"delay_8_30_ms": round(1e3 * conditioner.delay_s, 1)}


def line(folder: Path) -> Found:
    """Mains hum in the sEEG, before and behind the notch and the learnt projection."""
    run = load("seeg/mne_sample_seeg.edf", "seeg")
    rate_hz = run.spec.rate_hz
    f_hz, raw_db = spectrum_db(run.samples, rate_hz)
    near = (f_hz > 45) & (f_hz < 65)
    line_hz = float(np.round(f_hz[near][raw_db[near].argmax()] / 10) * 10)
    after, _, conditioner = conditioned(ConditionConfig(line_hz=line_hz), run.spec, run.samples)
    skip = int(3 * rate_hz)
    _, notched_db = spectrum_db(after[:, skip:], rate_hz)
    figure, panel = pyplot.subplots(figsize=(WIDTH_IN, 2.4), layout="constrained")
    panel.plot(f_hz, raw_db, color=BEFORE, label="as it came")
    panel.plot(f_hz, notched_db, color=AFTER, label="notched")
    panel.set(
        title=f"sEEG, {run.spec.n_channels} contacts: mains at {line_hz:g} Hz and harmonics",
        xlabel="Hz", ylabel="dB, µV²/Hz", xlim=(0, 260),
    )  # fmt: skip
    panel.legend()
    save(figure, folder, "line")
    at = np.abs(f_hz - line_hz) < 0.3
    beside = (np.abs(f_hz - line_hz) > 2) & (np.abs(f_hz - line_hz) < 5)
    return {
        "line_hz": line_hz,
        "line_reduced_db": round(float((raw_db - notched_db)[at].max()), 1),
        "beside_changed_db": round(float(np.abs(raw_db - notched_db)[beside].max()), 2),
        "delay_ms": round(1e3 * conditioner.delay_s, 2),
    }


def reference(folder: Path) -> Found:
    """A shaft of the sEEG: as it came, averaged, bipolar."""
    run = load("seeg/mne_sample_seeg.edf", "seeg")
    shaft = run.spec.channel_names[:1][0].rstrip("0123456789")
    rows = [r for r, n in enumerate(run.spec.channel_names) if n.rstrip("0123456789") == shaft][:6]
    figure, panels = pyplot.subplots(1, 3, figsize=(WIDTH_IN, 2.6), layout="constrained")
    shares = {}
    for panel, (name, config) in zip(panels, {
        "as it came": ConditionConfig(high_pass_hz=0.5),
        "average by shaft": ConditionConfig(
            high_pass_hz=0.5, reference="average", reference_by="shaft"
        ),
        "bipolar": ConditionConfig(high_pass_hz=0.5, reference="bipolar"),
    }.items(), strict=True):  # fmt: skip
        picked = replace(run.spec, channels=tuple(run.spec.channels[r] for r in rows))
        out, _, _ = conditioned(config, picked, run.samples[rows])
        here = slice(int(10 * run.spec.rate_hz), int(11.5 * run.spec.rate_hz))
        step = 300.0
        for place, trace in enumerate(out[:, here]):
            panel.plot(np.arange(trace.size) / run.spec.rate_hz, trace - place * step, color=AFTER)
        panel.set(title=name, xlabel="s", yticks=[], ylim=(-6 * step, step))
        correlation = np.corrcoef(out[:, here])
        upper = np.triu_indices(len(out), 1)
        shares[name] = round(float(np.median(np.abs(correlation[upper]))), 2)
    save(figure, folder, "reference")
    return {"median_correlation": shares}


def blinks(folder: Path) -> Found:
    """Blinks of one run, with what was learnt on others taken out."""
    calibration = recordings([Path(os.environ["DIVERLOOP_DATA"]) / f"mi/eegmmidb_S001_{r}.npz"
                              for r in ("R01", "R04")])  # fmt: skip
    config = ConditionConfig(high_pass_hz=0.5, order=2, clean=("eye",), max_changed=1.0)
    arrays = learn_to_clean(calibration, config, lambda *_: None)
    run = load("mi/eegmmidb_S001_R10.npz")
    before, _, _ = conditioned(replace(config, clean=()), run.spec, run.samples)
    after, _, _ = conditioned(config, run.spec, run.samples, arrays)
    names, rate_hz = run.spec.channel_names, run.spec.rate_hz
    front = names.index("Fp1")
    slow = signal.sosfilt(band_pass(1, 10, 2, rate_hz), before[front])
    peaks, _ = signal.find_peaks(
        slow, height=4 * np.median(np.abs(slow)) / 0.6745, distance=rate_hz
    )
    middle = peaks[len(peaks) // 2] if len(peaks) else before.shape[1] // 2
    here = slice(int(middle - 3 * rate_hz), int(middle + 3 * rate_hz))
    figure, panels = pyplot.subplots(
        1, 3, figsize=(WIDTH_IN, 2.2), sharey=True, layout="constrained"
    )
    for panel, name in zip(panels, ("Fp1", "C3", "O1"), strict=True):
        row = names.index(name)
        at_s = np.arange(here.stop - here.start) / rate_hz
        panel.plot(at_s, before[row, here], color=BEFORE, label="before")
        panel.plot(at_s, after[row, here], color=AFTER, label="behind")
        panel.set(title=name, xlabel="s")
    panels[0].set_ylabel("µV")
    panels[0].legend()
    save(figure, folder, "blinks")
    return {"blinks": len(peaks), "sources": int(arrays["eye.mixing"].shape[1])}


def bad_channels(folder: Path) -> Found:
    """Electrodes of an EEG come off, hum and hiss; what is masked, and when."""
    run = load("mi/eegmmidb_S001_R10.npz")
    rng, rate_hz = np.random.default_rng(5), run.spec.rate_hz
    spoilt = run.samples.copy()
    faults = {"C4": "flat", "T8": "noise", "O1": "mains", "Fz": "steps"}
    start, stop = int(20 * rate_hz), int(45 * rate_hz)
    at = np.arange(start, stop)
    for name, fault in faults.items():
        row = run.spec.channel_names.index(name)
        spoilt[row, start:stop] = {
            "flat": np.zeros(at.size),
            "noise": spoilt[row, start:stop] + rng.normal(0, 300, at.size),
            "mains": spoilt[row, start:stop] + 200 * np.sin(2 * np.pi * 60 * at / rate_hz),
            "steps": spoilt[row, start:stop]
            + 500 * np.sign(np.sin(2 * np.pi * 1.7 * at / rate_hz)),
        }[fault]
    config = ConditionConfig(high_pass_hz=0.5, bad_channels=BadChannelConfig())
    _, out, _ = conditioned(config, run.spec, spoilt)
    masks = [mask for one in out for mask in one.masks]
    seen = np.ones((run.spec.n_channels, run.n_times), bool)
    for first, usable in masks:
        seen[:, first:] = usable[:, None]
    shown = [run.spec.channel_names.index(n) for n in (*faults, "C3", "Cz", "Pz", "O2")]
    figure, panel = pyplot.subplots(figsize=(WIDTH_IN, 2.6), layout="constrained")
    at_s = np.arange(run.n_times) / rate_hz
    for place, row in enumerate(shown):
        trace = spoilt[row] - np.median(spoilt[row])
        panel.plot(at_s, np.clip(trace / 400, -0.6, 0.6) - place, color=BEFORE, linewidth=0.4)
        panel.fill_between(at_s, -place - 0.45, -place + 0.45, where=~seen[row], color=THIRD,
                           alpha=0.35, linewidth=0)  # fmt: skip
    panel.set_yticks(-np.arange(len(shown)), [run.spec.channel_names[r] for r in shown])
    panel.axvline(20, color="k", linewidth=0.6)
    panel.axvline(45, color="k", linewidth=0.6)
    panel.set(title="masked (orange); faults between the lines", xlabel="s", xlim=(10, 60))
    save(figure, folder, "bad-channels")
    delays = {
        name: round(float((np.flatnonzero(~seen[run.spec.channel_names.index(name), start:])[0])
                          / rate_hz), 2)
        for name in faults
        if (~seen[run.spec.channel_names.index(name), start:]).any()
    }  # fmt: skip
    return {"masked_after_s": delays}


def high_gamma(folder: Path) -> Found:
    """The strength of 70-150 Hz in the ECoG, at 100 Hz."""
    run = load("ecog/mne_sample_ecog_ictal.edf", "ecog")
    config = ConditionConfig(
        reference="average", line_hz=60.0, envelopes_hz=((70.0, 150.0),), rate_hz=100.0
    )
    after, _, conditioner = conditioned(config, run.spec, run.samples)
    band = signal.sosfilt(band_pass(70, 150, 4, run.spec.rate_hz), run.samples[10])
    figure, panel = pyplot.subplots(figsize=(WIDTH_IN, 2.2), layout="constrained")
    at_s = np.arange(run.n_times) / run.spec.rate_hz
    panel.plot(at_s, band, color=BEFORE, linewidth=0.4, label="70-150 Hz")
    panel.plot(np.arange(after.shape[1]) / 100, after[10], color=AFTER, label="strength, 100 Hz")
    panel.set(title=f"ECoG, {run.spec.channel_names[10]}", xlabel="s", ylabel="µV", xlim=(1, 6),
              ylim=(-40, 40))  # fmt: skip
    panel.legend(ncols=2)
    save(figure, folder, "high-gamma")
    return {"delay_ms": round(1e3 * conditioner.delay_s, 1)}


def guards(folder: Path) -> Found:
    """The ictal ECoG: spikes that are marked, the seizure that stops output."""
    run = load("ecog/mne_sample_ecog_ictal.edf", "ecog")
    config = ConditionConfig(
        high_pass_hz=0.5, line_hz=60.0, spikes=SpikeConfig(), seizures=SeizureConfig()
    )
    _, out, _ = conditioned(config, run.spec, run.samples)
    events = [event for one in out for event in one.events]
    shut = [span for one in out for span in one.shut]
    rate_hz = run.spec.rate_hz
    figure, panel = pyplot.subplots(figsize=(WIDTH_IN, 3.0), layout="constrained")
    spread = run.samples.std(axis=1)
    at_s = np.arange(run.n_times) / rate_hz
    for place, row in enumerate(np.argsort(-spread)[:8]):
        trace = run.samples[row] - np.median(run.samples[row])
        panel.plot(at_s, trace / (6 * spread[row]) - place, color=AFTER, linewidth=0.5)
    for span in shut:
        panel.axvspan(
            span.first / rate_hz, span.stop / rate_hz, color=THIRD, alpha=0.2, linewidth=0
        )
    for marker in run.markers:
        panel.axvline(marker.sample / rate_hz, color="k", linewidth=0.8)
    title = "ictal ECoG: stretches shut by the spike guard (orange), annotated onset (line)"
    panel.set(title=title, xlabel="s", yticks=[])
    save(figure, folder, "guards")
    kinds = [str(event.kind) for event in events]
    seizures = [event.sample / rate_hz for event in events if event.kind is EventKind.SEIZURE]
    return {
        "annotated_s": [round(m.sample / rate_hz, 1) for m in run.markers],
        "spikes": kinds.count("spike"),
        "seizure_flagged_s": [round(at, 1) for at in seizures],
    }


def rates(folder: Path) -> Found:
    """Spectra before and behind resampling, and the delay of the usual rates."""
    delays = {}
    for rate_hz in (250.0, 256.0, 512.0, 1000.0, 1024.0, 2000.0, 2048.0, 4096.0, 30000.0):
        channel = load("mi/eegmmidb_S001_R01.npz").spec.channels[:2]
        spec = StreamSpec(name="rate", rate_hz=rate_hz, channels=channel)
        conditioner = StreamConditioner(ConditionConfig(rate_hz=500.0))
        conditioner.open(spec)
        delays[f"{rate_hz:g}"] = round(1e3 * conditioner.delay_s, 1)
    run = load("seeg/mne_sample_seeg.edf", "seeg")
    after, _, _ = conditioned(ConditionConfig(rate_hz=500.0), run.spec, run.samples)
    figure, panel = pyplot.subplots(figsize=(WIDTH_IN, 2.2), layout="constrained")
    panel.plot(*spectrum_db(run.samples, run.spec.rate_hz), color=BEFORE, label="1000 Hz")
    panel.plot(*spectrum_db(after[:, 500:], 500.0), color=AFTER, label="500 Hz")
    panel.set(title="sEEG, resampled", xlabel="Hz", ylabel="dB, µV²/Hz", xlim=(0, 500))
    panel.legend()
    save(figure, folder, "rates")
    return {"delay_to_500_hz_ms": delays}


FIGURES = (filters, line, reference, blinks, bad_channels, high_gamma, guards, rates)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", default="", help="names with commas between")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    wanted = [one for one in FIGURES if not asked.only or one.__name__ in asked.only.split(",")]
    print(json.dumps({one.__name__: one(asked.out) for one in wanted}, indent=1))


if __name__ == "__main__":
    main()
