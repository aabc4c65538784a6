"""What the research guards find and miss, on simulated signal and on real recordings, as JSON.

    DIVERLOOP_DATA=/path/to/recordings python tests/bench/guards.py [--minutes 60] [--first 100]

Simulated signal (`ictal.py`): seeds from 100 on; those below 100 were used to choose thresholds.
Real recordings: all that can be read, apart from EEGMMIDB runs 1 to 6, which were used to choose
thresholds too (``--tuning`` reports on those, and no others). Nobody has marked spikes in any of
them: what a guard says there is counted as false where the participant is healthy, and only as
said where he is not. One recording with a marked seizure onset exists, and it lasts 22 s. That
the seizure guard needs a mains notch was learnt on it, so it is no held-out figure.

A spike is found if the span to avoid covers its peak. A seizure is found if the guard spoke
between its begin and its end. Intervals are exact: Poisson for rates, Clopper-Pearson for shares.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ictal
import numpy as np
from scipy import stats

from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.signal.blocks import block_length
from diverloop.runtime.signal.monitors import Finding, Monitor
from diverloop.runtime.signal.ripples import RippleConfig, RippleGuard
from diverloop.runtime.signal.seizures import SeizureConfig, SeizureGuard
from diverloop.runtime.signal.spikes import SpikeConfig, SpikeGuard

TUNING_RUNS = tuple(f"eegmmidb_S001_R{run:02d}" for run in range(1, 7))
GROUPS = {
    "eegmmidb": "mi/eegmmidb_*.npz",
    "openbmi": "*/openbmi_*.npz",
    "gtec": "p300/gtec_*.npz",
    "emotiv": "p300/emotiv_*.npz",
    "emotiv speech": "speech/feis_*.npz",
    "muse": "*/muse_*.npz",
    "exoskeleton": "ssvep/exo_*.npz",
}


def step_of(rate_hz: float) -> int:
    """About 64 ms in whole blocks."""
    block = block_length(rate_hz)
    return max(1, round(0.064 * rate_hz / block)) * block


def made_spec(made: ictal.Simulated) -> StreamSpec:
    """Rows called LA1, LA2 and so on."""
    channels = tuple(Channel(name=f"LA{i + 1}", kind=made.kind) for i in range(len(made.samples)))
    return StreamSpec(name="simulated", rate_hz=made.rate_hz, channels=channels)


def run(
    guard: Monitor, samples: np.ndarray, step: int, usable: np.ndarray | None = None
) -> list[tuple[int, Finding]]:
    """All findings, each with the sample at which it was said."""
    every = np.ones(len(samples), bool) if usable is None else usable
    found = []
    for first in range(0, samples.shape[1] - step + 1, step):
        found += [
            (first + step, f) for f in guard.look(samples[:, first : first + step], first, every)
        ]
    return found


def rate_of(count: int, hours: float) -> dict[str, Any]:
    """Events an hour with the exact 95 % interval."""
    low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(0.975, 2 * count + 2) / 2
    if not hours:
        return {"count": count, "hours": 0.0}
    return {
        "count": count,
        "hours": round(hours, 3),
        "per_hour": round(count / hours, 2),
        "interval": [round(low / hours, 2), round(high / hours, 2)],
    }


def share_of(hits: int, total: int) -> dict[str, Any]:
    """A share with the exact 95 % interval."""
    low = stats.beta.ppf(0.025, hits, total - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, total - hits) if hits < total else 1.0
    share = round(hits / total, 3) if total else None
    return {"hits": hits, "of": total, "share": share, "interval": [round(low, 3), round(high, 3)]}


def delays(values_s: list[float]) -> dict[str, Any]:
    """Median and worst."""
    if not values_s:
        return {}
    return {"median_s": round(float(np.median(values_s)), 3), "max_s": round(max(values_s), 3)}


def spikes(
    kind: str, n_channels: int, rate_hz: float, minutes: float, seeds: range
) -> dict[str, Any]:
    """Spikes every eight seconds, and the same signal without any."""
    step, wrong, clean, late_s = step_of(rate_hz), 0, 0, []
    hits: tuple[list[bool], list[bool]] = ([], [])
    for seed in seeds:
        for every_s in (8.0, None):
            made = ictal.background(kind, n_channels, 60 * minutes / len(seeds), rate_hz, seed)
            if every_s:
                ictal.with_spikes(made, every_s, seed)
            found = run(SpikeGuard(SpikeConfig(), made_spec(made), step), made.samples, step)
            if not every_s:
                clean += len(found)
                continue
            for peak_s, height in zip(made.spikes_s, made.heights, strict=True):
                at = round(peak_s * rate_hz)
                said = [when for when, f in found if f.first <= at < f.stop]
                hits[height >= 4].append(bool(said))
                late_s += [(min(said) - at) / rate_hz] if said else []
            peaks = np.array(made.spikes_s) * rate_hz
            wrong += sum(
                not ((f.first <= peaks + 0.3 * rate_hz) & (peaks < f.stop)).any() for _, f in found
            )
    return {
        "sensitivity": share_of(sum(hits[0] + hits[1]), len(hits[0] + hits[1])),
        "sensitivity, 4 sd and higher": share_of(sum(hits[1]), len(hits[1])),
        "false beside spikes": rate_of(wrong, minutes / 60),
        "false without spikes": rate_of(clean, minutes / 60),
        "delay": delays(late_s),
    }


def seizures(
    kind: str, n_channels: int, rate_hz: float, minutes: float, seeds: range
) -> dict[str, Any]:
    """A seizure every 200 s among interictal spikes."""
    step, wrong, late_s, found_by = step_of(rate_hz), 0, [], {}
    for seed in seeds:
        length_s = 60 * minutes / len(seeds)
        made = ictal.background(kind, n_channels, length_s, rate_hz, seed)
        ictal.with_spikes(made, 20.0, seed)
        begins = np.arange(100.0, length_s - 100, 200.0)
        ictal.with_seizures(made, list(begins), seed)
        said_s = [
            when / rate_hz
            for when, _ in run(
                SeizureGuard(SeizureConfig(), made_spec(made), step), made.samples, step
            )
        ]
        wrong += sum(not any(a <= t < b + 10 for a, b, _ in made.seizures_s) for t in said_s)
        for begin_s, end_s, onset in made.seizures_s:
            late = [t - begin_s for t in said_s if begin_s <= t < end_s]
            found_by.setdefault(onset, []).append(bool(late))
            late_s += late[:1]
    every = [hit for hits in found_by.values() for hit in hits]
    return {
        "sensitivity": share_of(sum(every), len(every)),
        "by onset": {onset: share_of(sum(hits), len(hits)) for onset, hits in found_by.items()},
        "false": rate_of(wrong, minutes / 60),
        "delay": delays(late_s),
    }


def ripples(n_channels: int, rate_hz: float, minutes: float, seeds: range) -> dict[str, Any]:
    """Ripples every two seconds; then sharp waves and steps, which are none."""
    step, hits, wrong, ringing, late_s = step_of(rate_hz), Counter(), 0, 0, []
    totals: Counter[str] = Counter()
    for seed in seeds:
        length_s = 60 * minutes / len(seeds)
        made = ictal.with_ripples(
            ictal.background("seeg", n_channels, length_s, rate_hz, seed), 2.0, seed
        )
        found = run(RippleGuard(RippleConfig(), made_spec(made), step), made.samples, step)
        near = np.array([at_s for at_s, _ in made.ripples_s]) * rate_hz
        for at_s, band in made.ripples_s:
            said = [
                when
                for when, f in found
                if f.first - 0.03 * rate_hz <= at_s * rate_hz < f.stop + 0.03 * rate_hz
            ]
            totals[band] += 1
            hits[band] += bool(said)
            late_s += [min(said) / rate_hz - at_s] if said else []
        wrong += sum(
            (np.abs(near - (f.first + f.stop) / 2) > 0.06 * rate_hz).all() for _, f in found
        )
        made = ictal.with_sharp_waves(
            ictal.background("seeg", n_channels, length_s, rate_hz, seed), 2.0, seed
        )
        ringing += len(run(RippleGuard(RippleConfig(), made_spec(made), step), made.samples, step))
    return {
        "sensitivity": {band: share_of(hits[band], totals[band]) for band in totals},
        "false beside ripples": rate_of(int(wrong), minutes / 60),
        "false among sharp waves": rate_of(ringing, minutes / 60),
        "delay": delays(late_s),
    }


def recordings(
    root: Path, *, tuning: bool
) -> Iterator[tuple[str, str, np.ndarray, float, list[Channel]]]:
    """Group, name, microvolts, rate and channels of every recording of a healthy participant."""
    for group, pattern in GROUPS.items():
        for path in sorted(root.glob(pattern)):
            if (path.stem in TUNING_RUNS) != tuning:
                continue
            with np.load(path, allow_pickle=False) as file:
                brain = np.isin(file["ch_types"], ("eeg", "ecog", "lfp"))
                brain &= ~np.isin(file["ch_names"], ("AUX", "Right AUX"))
                samples = (file["data"] * file["scale"][:, None] + file["offset"][:, None])[brain]
                names = [str(n) for n in file["ch_names"][brain]]
                rate_hz = float(file["fs"])
            kept = [Channel(name=name) for name in names]
            yield group, path.stem, np.nan_to_num(samples), rate_hz, kept


def healthy(root: Path, *, tuning: bool) -> dict[str, Any]:
    """False alarms in healthy participants."""
    hours, counts = Counter(), {}
    each: dict[str, Any] = {}
    for group, name, samples, rate_hz, channels in recordings(root, tuning=tuning):
        spec = StreamSpec(name=name, rate_hz=rate_hz, channels=tuple(channels))
        step = step_of(rate_hz)
        guards = (SpikeGuard(SpikeConfig(), spec, step), SeizureGuard(SeizureConfig(), spec, step))
        found = [f.kind for guard in guards for _, f in run(guard, samples, step)]
        hours[group] += samples.shape[1] / rate_hz / 3600
        counts.setdefault(group, Counter()).update(found)
        each[name] = [found.count(EventKind.SPIKE), found.count(EventKind.SEIZURE)]
    answer: dict[str, Any] = {
        group: {
            "spikes": rate_of(counts[group][EventKind.SPIKE], hours[group]),
            "seizures": rate_of(counts[group][EventKind.SEIZURE], hours[group]),
        }
        for group in counts
    }
    total = sum(counts.values(), Counter())
    answer["all"] = {
        "spikes": rate_of(total[EventKind.SPIKE], sum(hours.values())),
        "seizures": rate_of(total[EventKind.SEIZURE], sum(hours.values())),
    }
    return {**answer, "each, spikes and seizures": each} if tuning else answer


def edf(path: Path) -> tuple[np.ndarray, float, list[str], list[tuple[float, str]]]:
    """Microvolts, rate, names and annotations."""
    import mne

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    notes = [(float(a["onset"]), str(a["description"])) for a in raw.annotations]
    return raw.get_data() * 1e6, float(raw.info["sfreq"]), list(raw.ch_names), notes


def intracranial(path: Path) -> dict[str, Any]:
    """What is said about a patient's recording; it is too short for more than 6 s of baseline."""
    samples, rate_hz, names, notes = edf(path)
    keep = [i for i, name in enumerate(names) if np.ptp(samples[i]) > 1]
    samples, names = samples[keep], [names[i] for i in keep]
    spec = StreamSpec(
        name=path.stem, rate_hz=rate_hz, channels=tuple(Channel(name=n, kind="seeg") for n in names)
    )
    step = step_of(rate_hz)
    answer: dict[str, Any] = {
        "seconds": round(samples.shape[1] / rate_hz, 1),
        "channels": len(names),
        "annotations": [[at, what] for at, what in notes if "sz" in what.lower()],
    }
    short = SeizureConfig(learn_s=6.0, line_hz=60.0)
    guards: dict[str, Callable[[], Monitor]] = {
        "spikes": lambda: SpikeGuard(SpikeConfig(line_hz=60.0), spec, step),
        "seizures, baseline of 6 s": lambda: SeizureGuard(short, spec, step),
    }
    if rate_hz >= 1000:
        guards["ripples"] = lambda: RippleGuard(RippleConfig(line_hz=60.0), spec, step)
    for name, make in guards.items():
        found = run(make(), samples, step)
        answer[name] = {
            "said": len(found),
            "said_at_s": [round(when / rate_hz, 2) for when, _ in found][:20],
            "channels": max((len(f.rows) for _, f in found), default=0),
        }
    return answer


def cost(n_channels: int = 128, rate_hz: float = 2000.0, n_steps: int = 300) -> dict[str, Any]:
    """Milliseconds of CPU a step; wall time would measure the other work on the machine."""
    made = ictal.background("seeg", n_channels, n_steps * 0.064, rate_hz, 1)
    spec, step = made_spec(made), step_of(rate_hz)
    usable, answer = np.ones(n_channels, bool), {}
    guards: tuple[tuple[str, Monitor], ...] = (
        ("spikes", SpikeGuard(SpikeConfig(), spec, step)),
        ("seizures", SeizureGuard(SeizureConfig(), spec, step)),
        ("ripples", RippleGuard(RippleConfig(), spec, step)),
    )
    for name, guard in guards:
        spent = []
        for first in range(0, made.samples.shape[1] - step + 1, step):
            part = np.ascontiguousarray(made.samples[:, first : first + step])
            began = time.thread_time_ns()
            guard.look(part, first, usable)
            spent.append((time.thread_time_ns() - began) / 1e6)
        p50, p90 = np.percentile(spent[20:], [50, 90])
        answer[name] = {"p50_ms": round(p50, 3), "p90_ms": round(p90, 3)}
    return {"channels": n_channels, "rate_hz": rate_hz, "step_ms": 1e3 * step / rate_hz, **answer}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="simulated, for each case")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--tuning", action="store_true", help="the real recordings used for tuning")
    parser.add_argument("--only", default="", help="spikes, seizures, ripples, real or cost")
    asked = parser.parse_args()
    seeds, minutes = range(asked.first, asked.first + 3), asked.minutes
    cases: dict[str, Callable[[], Any]] = {
        "cost": cost,
        "spikes scalp": lambda: spikes("eeg", 12, 250.0, minutes / 2, seeds),
        "spikes intracranial": lambda: spikes("seeg", 12, 500.0, minutes / 2, seeds),
        "seizures scalp": lambda: seizures("eeg", 12, 250.0, minutes, seeds),
        "seizures intracranial": lambda: seizures("seeg", 12, 250.0, minutes, seeds),
        "ripples 2 kHz": lambda: ripples(8, 2000.0, minutes / 20, seeds),
    }
    root = Path(os.environ.get("DIVERLOOP_DATA", ""))
    if os.environ.get("DIVERLOOP_DATA"):
        cases["real healthy"] = lambda: healthy(root, tuning=asked.tuning)
        for name in ("ecog/mne_sample_ecog_ictal.edf", "seeg/mne_sample_seeg.edf"):
            if (root / name).is_file() and not asked.tuning:
                cases[f"real {name}"] = lambda name=name: intracranial(root / name)
    found = {}
    for name, measure in cases.items():
        if name.startswith(asked.only):
            began = time.perf_counter()
            found[name] = measure()
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
