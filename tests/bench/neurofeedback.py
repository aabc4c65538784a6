"""Neurofeedback measured: does the reward rate hold, does a person learn, does the measure measure?

    DIVERLOOP_DATA=/path/to/recordings .venv/bin/python tests/bench/neurofeedback.py

Prints one JSON object; takes some 80 s of one core (PERSONS=2 for a quick look).

``learner``: simulated persons, closed loop, the product's own encoder and adapter. Alpha is
narrow-band noise behind the conditioner's filter, times ``exp(gain)``; spread and slowness of the
measure are about those of EEGMMIDB S001 runs 1 and 2. The gain drifts (spread 0.1, time constant
5 min), wanders as the person tries this and that (spread 0.15, 3 s), and has a part that is
learnt: ``skill += rate * (reward - usual reward) * try``, so that it can only grow if reward
follows what was tried. Learning from reward is thus assumed, not shown: what is tested is that
the adapter passes the contingency on in one arm and not in the other. The gain is applied behind
the filter, which is right for gains that change slowly against its delay. Thresholds start 3 dB
too high or too low (every other person), or from the baseline of the session. Persons are the same
in both arms, drift included, so gains in dB are to be compared as pairs.

``real_blocks``: real recordings run through the adapter as blocks, open loop: does the reward
rate hold on real alpha? EEGMMIDB S001 runs 3 to 10 (a run a block, first 120 s) and OpenBMI O1
(12.5 min, cut into 2 min). Start wrong by 3 dB either way, relative to the first minute.

``eyes``: EEGMMIDB S001, individual peak from the first half of the run with eyes closed; effect
size and AUC of eyes closed against eyes open from the second halves of both runs. d from windows
that do not overlap, AUC from all. One person, and no interval is worth much. OpenBCI file: it has
no markers, so only the peak is looked for, in the two channels that show one (chosen by looking).

``age``: what the delay should be by `FeedbackAge`, and what it is: the time at which the measured
power has come half of its way (in dB) after the true one was stepped up and down by 6 dB.

A block counts as held if its reward rate is in [0.6, 0.7].

The step within a block (``gain``) was 0.5 at first, held too few blocks in simulation and on the
recordings of ``real_blocks`` alike, and was then chosen anew by other simulated persons (seeds
1000 to 1007) alone. Electrodes are the usual ones. Nothing else was chosen by what is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal, stats

from diverloop.adapters.individual_peak import ALPHA, SMR, individual_peak
from diverloop.adapters.neurofeedback import NeurofeedbackAdapter
from diverloop.adapters.neurofeedback_config import NeurofeedbackConfig
from diverloop.adapters.reward_threshold import ThresholdConfig
from diverloop.decoders.band_power import BandPower, BandPowerConfig
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.messages import Channel, Chunk, Embedding, StreamSpec, Window
from diverloop.runtime.paradigms.neurofeedback import FeedbackAge, NeurofeedbackPlan, phases_of
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.filters import SosFilter, band_pass

RATE_HZ = 160.0
STEP = 40  # 0.25 s
STEP_S = STEP / RATE_HZ
WINDOW = 160  # 1 s
BAND_HZ = (8.0, 12.0)
THREE_DB = float(np.log(10) * 0.3)
TRY = 0.15
REST = 360  # steps
PERSONS = int(os.environ.get("PERSONS", "8"))
PLAN = NeurofeedbackPlan(
    lead_in_s=2.0, baselines=("eyes_open",), n_blocks=15, pause_s=10.0, transfer_every=5
)
BACK_OF_THE_HEAD = ("O1", "Oz", "O2", "PO3", "POz", "PO4")


def ornstein(rng: np.random.Generator, n: int, spread: float, tau_steps: float) -> np.ndarray:
    keep = np.exp(-1 / tau_steps)
    noise = rng.standard_normal(n) * spread * np.sqrt(1 - keep**2)
    noise[0] = rng.standard_normal() * spread
    return signal.lfilter([1], [1, -keep], noise)


def rhythm(rng: np.random.Generator, n: int) -> np.ndarray:
    """Alpha of about 8 uV with a width of 1.5 Hz, which comes and goes within a second."""
    raw = signal.sosfilt(signal.butter(1, (9.25, 10.75), "bandpass", output="sos", fs=RATE_HZ),
                         rng.standard_normal(n + 2000))[2000:]  # fmt: skip
    return 8 * raw / raw.std()


def background(rng: np.random.Generator, n: int) -> np.ndarray:
    """Noise that falls with frequency, about 10 uV."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    noise = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 1) ** 0.75, n)
    return 10 * noise / noise.std()


class Person:
    """Somebody whose alpha gain follows reward, if reward follows it."""

    def __init__(self, seed: int, n_steps: int) -> None:
        rng = np.random.default_rng(seed)
        sos = band_pass(*BAND_HZ, 2, RATE_HZ)
        self._alpha = SosFilter(sos).process(rhythm(rng, n_steps * STEP)[None])[0]
        self._rest = SosFilter(sos).process(background(rng, n_steps * STEP)[None])[0]
        self._drift = ornstein(rng, n_steps, 0.1, 300 / STEP_S)
        self._try = ornstein(rng, n_steps, TRY, 3 / STEP_S)
        self.skill, self._usual = 0.0, 0.65

    def live(self, step: int, doing: bool) -> np.ndarray:
        """The next step behind the filter; the skill shows where it is used."""
        gain = self._drift[step] + self._try[step] + (self.skill if doing else 0.0)
        part = slice(step * STEP, (step + 1) * STEP)
        return np.exp(gain) * self._alpha[part] + self._rest[part]

    def see(self, step: int, rewarded: bool) -> None:
        """What is seen now was done about half a window ago."""
        tried = self._try[max(0, step - 2)]
        self.skill += 2.5e-4 * (rewarded - self._usual) * tried / TRY
        self.skill = float(np.clip(self.skill, -0.5, 1.0))
        self._usual += (rewarded - self._usual) / 120


def run_person(seed: int, arm: str, adapt: str, start: str) -> tuple[dict[str, Any], float]:
    """One whole session; the adapter's record and the skill at its end."""
    n_steps = int(phases_of(PLAN)[-1].start_s / STEP_S) + 10
    person = Person(seed, n_steps)
    encoder = BandPower(BandPowerConfig(n_bands=1), np.zeros((1, 1)))
    spec = StreamSpec(name="alpha", rate_hz=RATE_HZ, channels=(Channel(name="Oz"),))
    encoder.open(spec, WINDOW)
    config = NeurofeedbackConfig(
        rate_hz=RATE_HZ, plan=PLAN, arm=arm, participant=f"p{seed}", study="bench",
        start="baseline" if start == "baseline" else "saved",
        threshold=ThresholdConfig(adapt=adapt), step_s=STEP_S,
    )  # fmt: skip
    adapter = rested(config, Person(seed + 10_000, REST), encoder, start)
    recent = np.zeros((1, WINDOW))
    doing = rewarded = False
    for step in range(n_steps):
        recent = np.concatenate([recent[:, STEP:], person.live(step, doing)[None]], axis=1)
        stop = (step + 1) * STEP
        if stop < WINDOW:
            continue
        window = Window(samples=recent, first_sample=stop - WINDOW, stop_sample=stop, due_ns=0)
        decision = adapter.decide(encoder.encode(window), window)
        doing = decision.label is not None or decision.reason.startswith("transfer")
        if decision.label is not None:
            rewarded = decision.label == "reward"
            person.see(step, rewarded)
    return adapter.record(), person.skill


def rested(
    config: NeurofeedbackConfig, other: Person, encoder: BandPower, start: str
) -> NeurofeedbackAdapter:
    """An adapter from a rest of the same kind of signal, its threshold moved as asked."""
    signal_uv = np.concatenate([other.live(step, False) for step in range(REST)])
    cuts = range(WINDOW, len(signal_uv), STEP)
    features = encoder.encode_many(np.stack([signal_uv[None, c - WINDOW : c] for c in cuts]))
    return moved(NeurofeedbackAdapter.fit(features, config), start)


def moved(adapter: NeurofeedbackAdapter, start: str) -> NeurofeedbackAdapter:
    shift = {"high": THREE_DB, "low": -THREE_DB}.get(start, 0.0)
    arrays = adapter.to_arrays()
    arrays["threshold"] = arrays["threshold"] + shift
    return NeurofeedbackAdapter.from_arrays(adapter.config, arrays)


def blocks_of(record: dict[str, Any], kind: str = "block") -> list[dict[str, Any]]:
    return [part for part in record["parts"] if part["part"].startswith(kind)]


def held(records: list[dict[str, Any]]) -> dict[str, Any]:
    """How well the reward rate keeps to 60 to 70 %."""
    rates = np.array([[b["reward_rate"] for b in blocks_of(record)] for record in records])
    inside = (rates >= 0.6) & (rates <= 0.7)
    return {
        "blocks": int(rates.size),
        "within_60_to_70": round(float(inside.mean()), 3),
        "within_without_first_block": round(float(inside[:, 1:].mean()), 3),
        "within_57_to_73": round(float(((rates >= 0.57) & (rates <= 0.73)).mean()), 3),
        "rate_mean": round(float(rates.mean()), 3),
        "rate_sd": round(float(rates[:, 1:].std()), 3),
        "first_block": [round(float(r), 2) for r in rates[:, 0]],
    }


def gained_db(record: dict[str, Any]) -> float:
    """Measured alpha in the last three blocks above the first three."""
    means = [block["measure"] for block in blocks_of(record)]
    return 10 / np.log(10) * float(np.mean(means[-3:]) - np.mean(means[:3]))


def learner() -> dict[str, Any]:
    found: dict[str, Any] = {"persons": PERSONS}
    for adapt in ("between", "within"):
        gains: dict[str, np.ndarray] = {}
        for arm in ("real", "sham"):
            outcomes = [
                run_person(seed, arm, adapt, ("high", "low")[seed % 2]) for seed in range(PERSONS)
            ]
            gains[arm] = np.array([gained_db(record) for record, _ in outcomes])
            skills = np.array([skill for _, skill in outcomes])
            found[f"{adapt}, {arm}, start wrong by 3 dB"] = {
                **held([record for record, _ in outcomes]),
                "gain_db": mean_of(gains[arm]),
                "learnt": mean_of(skills),
            }
            say(f"learner: {adapt}, {arm}")
        found[f"{adapt}, real less sham, gain_db"] = mean_of(gains["real"] - gains["sham"])
        record = [run_person(seed, "real", adapt, "baseline")[0] for seed in range(PERSONS)]
        found[f"{adapt}, real, start from baseline"] = held(record)
    return found


def mean_of(values: np.ndarray) -> dict[str, Any]:
    """Mean with an interval (t, 95 %), and every person."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    mean = values.mean()
    return {
        "mean": round(float(mean), 3),
        "interval": [round(float(mean - half), 3), round(float(mean + half), 3)],
        "each": [round(float(value), 2) for value in values],
    }


def conditioned(samples: np.ndarray, rate_hz: float, band_hz: tuple[float, float]) -> Any:
    """Signal behind the conditioner, and the conditioner."""
    names = tuple(Channel(name=f"c{row}") for row in range(len(samples)))
    conditioner = StreamConditioner(ConditionConfig(bands_hz=(band_hz,), order=2))
    conditioner.open(StreamSpec(name="x", rate_hz=rate_hz, channels=names))
    chunk = Chunk(samples=samples, first_sample=0, arrived_ns=0)
    settled = conditioner.settle_samples
    return np.asarray(conditioner.process(chunk).samples)[:, settled:], conditioner


def powers(samples: np.ndarray, length: int, step: int) -> np.ndarray:
    """Log band power of sliding windows."""
    encoder = BandPower(BandPowerConfig(n_bands=1), np.zeros((1, len(samples))))
    cuts = range(length, samples.shape[1] + 1, step)
    return encoder.encode_many(np.stack([samples[:, c - length : c] for c in cuts]))[:, 0]


def real_blocks(root: Path) -> dict[str, Any]:
    tasks = {
        "EEGMMIDB S001, back of the head": [
            pick(root / f"mi/eegmmidb_S001_R{run:02d}.npz", BACK_OF_THE_HEAD)
            for run in range(3, 11)
        ],
        "OpenBMI O1, all three channels": [pick(root / "mi/openbmi_O1_first50.npz", ())],
    }
    found: dict[str, Any] = {}
    for name, parts in tasks.items():
        measures = []
        for samples, rate_hz in parts:
            step, length = round(0.1 * rate_hz), round(rate_hz)
            values = powers(conditioned(samples, rate_hz, BAND_HZ)[0], length, step)
            whole = len(values) // 1180
            measures += [values[b * 1180 : (b + 1) * 1180] for b in range(whole)]
        for adapt in ("between", "within"):
            records = [open_loop(measures, adapt, start) for start in ("high", "low", "right")]
            found[f"{name}, {adapt}"] = held(records)
    return found


def open_loop(measures: list[np.ndarray], adapt: str, start: str) -> dict[str, Any]:
    """Blocks of given measures through the adapter; a sample of it is a step."""
    plan = NeurofeedbackPlan(
        lead_in_s=0, baselines=(), n_blocks=len(measures), block_s=118, pause_s=2, transfer_every=0
    )
    config = NeurofeedbackConfig(
        rate_hz=10.0, plan=plan, start="saved", threshold=ThresholdConfig(adapt=adapt)
    )
    adapter = moved(NeurofeedbackAdapter.fit(measures[0][:600, None], config), start)
    for block, values in enumerate(measures):
        # Two seconds of pause follow each block, so that it is closed.
        for step, value in enumerate(np.append(values, np.full(20, values[-1]))):
            at = block * 1200 + step
            window = Window(samples=np.zeros((1, 1)), first_sample=at, stop_sample=at + 1, due_ns=0)
            adapter.decide(Embedding(values=np.array([value])), window)
    return adapter.record()


def pick(path: Path, names: tuple[str, ...]) -> tuple[np.ndarray, float]:
    recording = read_recording(path)
    known = [channel.strip(".").lower() for channel in recording.spec.channel_names]
    rows = [known.index(name.lower()) for name in names] or list(range(len(known)))
    return recording.samples[rows].astype(np.float64), recording.spec.rate_hz


def eyes(root: Path) -> dict[str, Any]:
    opened, rate_hz = pick(root / "mi/eegmmidb_S001_R01.npz", BACK_OF_THE_HEAD)
    closed, _ = pick(root / "mi/eegmmidb_S001_R02.npz", BACK_OF_THE_HEAD)
    half = closed.shape[1] // 2
    peak = individual_peak(closed[:, :half], rate_hz, ALPHA)
    found: dict[str, Any] = {
        "individual_peak": peak.text,
        "on the other half": individual_peak(closed[:, half:], rate_hz, ALPHA).text,
        "eyes open": individual_peak(opened, rate_hz, ALPHA).text,
        "SMR at C3, Cz, C4, eyes open": individual_peak(
            pick(root / "mi/eegmmidb_S001_R01.npz", ("C3", "Cz", "C4"))[0], rate_hz, SMR
        ).text,
    }
    for name, band_hz in (("individual band", peak.band_hz), ("8 to 12 Hz", (8.0, 12.0))):
        for window_s in (0.25, 0.5, 1.0):
            length = round(window_s * rate_hz)
            both = [
                powers(conditioned(x[:, half:], rate_hz, band_hz)[0], length, round(0.1 * rate_hz))
                for x in (opened, closed)
            ]
            apart = [values[:: max(1, round(window_s / 0.1))] for values in both]
            found[f"{name}, window {window_s:g} s"] = {
                "d": round(effect(*apart), 2),
                "auc": round(auc(*both), 3),
                "difference_db": round(10 / np.log(10) * float(both[1].mean() - both[0].mean()), 1),
            }
    return found


def effect(low: np.ndarray, high: np.ndarray) -> float:
    pooled = np.sqrt((low.var(ddof=1) + high.var(ddof=1)) / 2)
    return float((high.mean() - low.mean()) / pooled)


def auc(low: np.ndarray, high: np.ndarray) -> float:
    return float((high[:, None] > low[None]).mean())


def openbci(root: Path) -> str:
    path = root / "formats/openbci_v6_blinks_jawclench_alpha.txt"
    if not path.is_file():
        return "not there"
    table = np.genfromtxt(path, delimiter=",", skip_header=5, usecols=range(1, 9)).T
    samples = table[6:8] - table[6:8, :1]
    return individual_peak(samples[:, 8 * 250 : 80 * 250], 250.0, ALPHA).text


def age() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for window_s in (0.25, 0.5, 1.0):
        length = round(window_s * RATE_HZ)
        _, conditioner = conditioned(np.zeros((1, 320)), RATE_HZ, BAND_HZ)
        up, down = (half_way_s(length, rises) for rises in (True, False))
        predicted = FeedbackAge(
            half_window_s=window_s / 2,
            filter_delay_s=conditioner.delay_s,
            processing_s=processing_s(length),
        )
        found[f"window {window_s:g} s"] = {
            "sentence": predicted.sentence(),
            "seen_after_rise_s": round(up, 3),
            "seen_after_fall_s": round(down, 3),
            "mean_of_both_s": round((up + down) / 2, 3),
        }
    return found


def half_way_s(length: int, rises: bool) -> float:
    """Mean over phases of the time at which the measure is half way, in dB."""
    late = []
    for phase in np.linspace(0, np.pi, 8, endpoint=False):
        time_s = np.arange(1600) / RATE_HZ
        level = np.where((time_s >= 5) == rises, 2.0, 1.0)
        wave = level * np.sin(2 * np.pi * 10 * time_s + phase)
        filtered = SosFilter(band_pass(*BAND_HZ, 2, RATE_HZ)).process(wave[None])
        values = powers(filtered, length, 1)[800 - length :]
        middle = (values[0] + values[-1]) / 2
        late.append(int(np.argmax((values > middle) == rises)) / RATE_HZ)
    return float(np.mean(late))


def processing_s(length: int) -> float:
    """Median time for conditioning a step, encoding and deciding, on this machine."""
    rng = np.random.default_rng(0)
    names = tuple(Channel(name=name) for name in BACK_OF_THE_HEAD)
    conditioner = StreamConditioner(ConditionConfig(bands_hz=(BAND_HZ,), order=2))
    spec = conditioner.open(StreamSpec(name="x", rate_hz=RATE_HZ, channels=names))
    encoder = BandPower(BandPowerConfig(n_bands=1), np.zeros((1, len(names))))
    encoder.open(spec, length)
    plan = NeurofeedbackPlan(lead_in_s=0, baselines=())
    config = NeurofeedbackConfig(rate_hz=RATE_HZ, plan=plan, start="saved")
    adapter = NeurofeedbackAdapter.fit(rng.standard_normal((100, 1)), config)
    recent, took = rng.standard_normal((len(names), length)), []
    for step in range(600):
        chunk = Chunk(
            samples=rng.standard_normal((len(names), STEP)), first_sample=step * STEP, arrived_ns=0
        )
        begun = time.perf_counter()
        new = conditioner.process(chunk).samples
        recent = np.concatenate([recent[:, new.shape[1] :], new], axis=1)
        at = step * STEP
        window = Window(samples=recent, first_sample=at, stop_sample=at + length, due_ns=0)
        adapter.decide(encoder.encode(window), window)
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    root = Path(os.environ["DIVERLOOP_DATA"]) if os.environ.get("DIVERLOOP_DATA") else None
    found: dict[str, Any] = {"age": age(), "learner": learner()}
    if root is not None:
        found |= {"eyes": eyes(root), "openbci": openbci(root), "real_blocks": real_blocks(root)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
