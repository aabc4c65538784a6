"""What decoding loses when electrodes fail in mid-run, with and without a mask, as JSON.

    DIVERLOOP_DATA=... python tests/bench/lost_channels.py [--repeats 30] [--tuning]

In every repeat a random set of electrodes turns to garbage at a random moment in the first half of
what is judged, for good: flat zero, noise of 500 uV, or mains hum of 200 uV, by lot for each. The
same windows, those that reach beyond that moment, are then decoded three ways: with all electrodes
as they were (``clean``), with the mask given from the moment of the loss (``mask``), and without
one (``no_mask``), where the average reference, too, takes the garbage in. The mask is given, not
detected: what detection adds is another bench's subject.

Motor imagery goes through the product: `fit_model`, its encoder and its adapter; a window counts
as right if its class has the highest probability. Only the conditioning is done here, sample for
sample as the product does it, because both its reference and its mask are told what it would have
to find out. Of P300 only the signal is the product's: causal 1 to 12 Hz, windows of 0 to 0.8 s,
`stand_in` and a linear discriminant with shrinkage on the samples; judged by the area under the
curve (AUC) of single flashes.

Numbers are rounded up, so that at least the share named is lost. ``points`` is the mean of the
paired difference to ``clean`` in points of per cent, with a 95 % interval from a bootstrap over
repeats and trials (or flashes).

What was chosen, namely the ridge of `stand_in` and that the part which stays unknown is not put
back as mean power, was chosen on other data: EEGMMIDB S001 runs 5 and 9 (execution of fists and
feet), 3, 4, 7 and 8 (left and right), and Emotiv session D; ``--tuning`` shows those. Reported are
runs 6 and 10 (imagery of fists and feet), each judged by a model from the other, g.tec G1 to G3
(letters 1 to 3 to fit, 4 and 5 to judge), and Muse M1 (session 1 to fit, session 2 to judge).
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.adapters.rates import auc
from diverloop.assembly import Model, open_model
from diverloop.calibration import fit_model
from diverloop.decoders.missing import shared_references, stand_in
from diverloop.fit_plan import FitPlan
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.messages import StreamSpec, Window
from diverloop.runtime.signal.filters import SosFilter, band_pass
from diverloop.training_sources import recordings

Floats = NDArray[np.float64]

SHARES = (0.1, 0.2, 0.3)
ARMS = ("clean", "mask", "no_mask")
ENCODERS = ("filterbank_covariance", "csp")
IMAGERY = {
    "reported": [("06", "10", "both_fists", "both_feet"), ("10", "06", "both_fists", "both_feet")],
    "tuning": [
        ("05", "09", "both_fists", "both_feet"),
        ("09", "05", "both_fists", "both_feet"),
        ("03", "07", "left_fist", "right_fist"),
        ("04", "08", "left_fist", "right_fist"),
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Which electrodes fail, and when."""

    usable: NDArray[np.bool_]
    start: int

    @property
    def lost(self) -> NDArray[np.intp]:
        """Rows that fail."""
        return np.flatnonzero(~self.usable)


def draw(rng: np.random.Generator, n: int, share: float, first: int, stop: int) -> Loss:
    """A random loss, in the first half of samples `first` to `stop`."""
    usable = np.ones(n, bool)
    usable[rng.choice(n, math.ceil(share * n), replace=False)] = False
    return Loss(usable=usable, start=int(rng.integers(first, (first + stop) // 2)))


def garbage(rng: np.random.Generator, raw: Floats, loss: Loss, rate_hz: float) -> Floats:
    """What the lost electrodes deliver, good until the loss, shape (n_lost, n_times)."""
    found = raw[loss.lost]
    time_s = np.arange(raw.shape[1] - loss.start) / rate_hz
    for row in found:
        kind = rng.integers(3)
        if kind == 0:
            row[loss.start :] = 0.0
        elif kind == 1:
            row[loss.start :] = 500 * rng.standard_normal(len(time_s))
        else:
            hum = np.sin(2 * np.pi * (rng.choice([50, 60]) * time_s + rng.random()))
            row[loss.start :] += 200 * hum
    return found


def in_bands(raw: Floats, bands_hz: Any, order: int, rate_hz: float) -> Floats:
    """Causally filtered signal, shape (n_bands, n_channels, n_times)."""
    banks = [SosFilter(band_pass(low, high, order, rate_hz)) for low, high in bands_hz]
    return np.stack([bank.process(raw) for bank in banks])


def cut(filtered: Floats, bad: Floats, loss: Loss, arm: str, first: int, stop: int) -> Floats:
    """Average-referenced window of one arm; what is masked holds no number at all."""
    window = filtered[:, :, first:stop].copy()
    good = loss.usable if arm == "mask" else np.ones_like(loss.usable)
    at = max(loss.start - first, 0)
    if arm == "no_mask":
        window[:, loss.lost] = bad[:, :, first:stop]
    window[:, :, :at] -= window[:, :, :at].mean(axis=1, keepdims=True)
    window[:, :, at:] -= window[:, good, at:].mean(axis=1, keepdims=True)
    window[:, ~good] = np.nan
    return window


# --- motor imagery -----------------------------------------------------------------------------


def imagery(data: Path, runs: list[tuple[str, ...]], repeats: int) -> dict[str, Any]:
    """Every encoder on every pair of runs."""
    found = {}
    for encoder in ENCODERS:
        parts = [imagery_run(data, pair, encoder, repeats) for pair in runs]
        found[encoder] = {
            f"{share:.0%}": share_of(np.concatenate([part[share] for part in parts], axis=2))
            for share in SHARES
        }
    return found


def imagery_run(
    data: Path, pair: tuple[str, ...], encoder: str, repeats: int
) -> dict[float, Floats]:
    """Share of right windows, (n_arms, n_repeats, n_trials) for each share lost; NaN: none."""
    fit_on, judge_on, *classes = pair
    span = TrialSpan(classes=tuple(classes), start_s=0.5, stop_s=4.1)
    conditioning = replace(MU_BETA, bad_channels=None)
    plan = FitPlan(span=span, encoder=encoder, conditioning=conditioning)
    model = open_model(fit_model(recordings([_run(data, fit_on)]), plan))
    recording = read_recording(_run(data, judge_on))
    rate_hz, raw = recording.spec.rate_hz, recording.samples.astype(np.float64)
    filtered = in_bands(raw, conditioning.bands_hz, conditioning.order, rate_hz)
    n_times, step = model.window.n_times(rate_hz), round(plan.training_step_s * rate_hz)
    spec = _rows_of(recording.spec, len(filtered))
    model.encoder.open(spec, n_times)
    trials = [(mark.sample, mark.label) for mark in recording.markers if mark.label in classes]
    rng = np.random.default_rng(int(judge_on))
    found = {share: np.full((len(ARMS), repeats, len(trials)), np.nan) for share in SHARES}
    for share in SHARES:
        for repeat in range(repeats):
            loss = draw(rng, len(raw), share, trials[0][0], trials[-1][0])
            spoilt = garbage(rng, raw, loss, rate_hz)
            bad = in_bands(spoilt, conditioning.bands_hz, conditioning.order, rate_hz)
            for place, (cue, label) in enumerate(trials):
                begin, end = (cue + round(s * rate_hz) for s in (span.start_s, span.stop_s))
                firsts = range(begin, end - n_times + 1, step)
                firsts = [first for first in firsts if first + n_times > loss.start]
                for row, arm in enumerate(ARMS):
                    windows = (cut(filtered, bad, loss, arm, a, a + n_times) for a in firsts)
                    right = [decode(model, one, loss, arm) == label for one in windows]
                    found[share][row, repeat, place] = np.mean(right) if right else np.nan
    return found


def decode(model: Model, by_band: Floats, loss: Loss, arm: str) -> str | None:
    """The class with the highest probability; None where there is none."""
    samples = by_band.reshape(-1, by_band.shape[2])
    usable = np.tile(loss.usable, len(by_band)) if arm == "mask" else None
    n_times = samples.shape[1]
    window = Window(samples=samples, first_sample=0, stop_sample=n_times, due_ns=0, usable=usable)
    decision = model.adapter.decide(model.encoder.encode(window), window)
    if np.isnan(decision.probabilities).any():
        return None
    return decision.classes[int(np.argmax(decision.probabilities))]


def share_of(right: Floats) -> dict[str, Any]:
    """Accuracy of each arm and differences to clean; `right` is (n_arms, n_repeats, n_trials)."""
    rng = np.random.default_rng(0)
    n_repeats, n_trials = right.shape[1:]
    draws = [
        right[:, rng.integers(n_repeats, size=n_repeats)][
            :, :, rng.integers(n_trials, size=n_trials)
        ]
        for _ in range(2000)
    ]
    return compared(np.nanmean(right, axis=(1, 2)), [np.nanmean(d, axis=(1, 2)) for d in draws])


def compared(score: Floats, draws: list[Floats]) -> dict[str, Any]:
    """Scores in per cent, and the differences to clean with their intervals."""
    found: dict[str, Any] = {
        arm: round(100 * value, 1) for arm, value in zip(ARMS, score, strict=True)
    }
    boot = np.array(draws)
    for row, arm in enumerate(ARMS[1:], start=1):
        low, high = np.percentile(100 * (boot[:, row] - boot[:, 0]), (2.5, 97.5))
        points = 100 * (score[row] - score[0])
        found[f"{arm}_points"] = f"{points:+.1f} [{low:+.1f}, {high:+.1f}]"
    return found


def _run(data: Path, number: str) -> Path:
    return data / "mi" / f"eegmmidb_S001_R{number}.npz"


def _rows_of(spec: StreamSpec, n_bands: int) -> StreamSpec:
    """A stream with that many rows; encoders look at no names."""
    return replace(spec, channels=spec.channels * n_bands)


# --- P300 --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Flashes:
    """Signal in microvolts with the flashes to learn from or to judge."""

    raw: Floats
    rate_hz: float
    at: NDArray[np.int64]
    target: NDArray[np.bool_]

    def filtered(self, rows: NDArray[np.intp] | slice = slice(None)) -> Floats:
        """Between 1 and 12 Hz, causally."""
        return in_bands(self.raw[rows], ((1.0, 12.0),), 2, self.rate_hz)[0]


def flashes(path: Path) -> tuple[Flashes, Any]:
    """A recording of flashes, and its file for what is special to it."""
    file = np.load(path, allow_pickle=False)
    brain = (file["ch_types"] == "eeg") & (file["ch_names"] != "AUX")
    raw = file["data"] * file["scale"][:, None] + file["offset"][:, None]
    at, target = file["ev_sample"].astype(np.int64), file["ev_label"] == "target"
    whole = at + round(0.8 * float(file["fs"])) <= raw.shape[1]
    found = Flashes(raw=raw[brain], rate_hz=float(file["fs"]), at=at[whole], target=target[whole])
    return found, file


def letters(path: Path) -> tuple[list[Flashes], list[Flashes]]:
    """Fit on the first three of five letters, judge on the others."""
    whole, file = flashes(path)
    early = np.unique(file["letter_of_event"], return_inverse=True)[1][: len(whole.at)] < 3
    parts = [
        replace(whole, at=whole.at[keep], target=whole.target[keep]) for keep in (early, ~early)
    ]
    return parts[:1], parts[1:]


def sessions(fit_on: list[Path], judge_on: list[Path]) -> tuple[list[Flashes], list[Flashes]]:
    """Fit on some files, judge on others."""
    return [flashes(path)[0] for path in fit_on], [flashes(path)[0] for path in judge_on]


def p300_sets(data: Path, which: str) -> Iterator[tuple[str, tuple[list[Flashes], list[Flashes]]]]:
    """Name, and what to fit and to judge on."""
    folder = data / "p300"
    if which == "tuning":
        runs = [folder / f"emotiv_E1_sesD_run0{run}.npz" for run in (1, 2, 3, 4)]
        yield "Emotiv E1 session D, last run", sessions(runs[:3], runs[3:])
        yield "Emotiv E1 session D, first run", sessions(runs[1:], runs[:1])
        return
    for subject in (1, 2, 3):
        yield f"g.tec G{subject}", letters(folder / f"gtec_S{subject}.npz")
    muse = [sorted(folder.glob(f"muse_M1_ses{session}_run*.npz")) for session in (1, 2)]
    yield "Muse M1", sessions(*muse)


def p300(data: Path, which: str, repeats: int) -> dict[str, Any]:
    """Every set, with and without an average reference."""
    found: dict[str, Any] = {}
    for name, (fit_on, judge_on) in p300_sets(data, which):
        for reference in ("none", "average"):
            found[f"{name}, reference {reference}"] = p300_set(
                fit_on, judge_on, reference == "average", repeats
            )
    return found


def p300_set(
    fit_on: list[Flashes], judge_on: list[Flashes], average: bool, repeats: int
) -> dict[str, Any]:
    """AUC of single flashes for each share lost."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    signals = [_referenced(part.filtered(), average) for part in fit_on]
    covariance = np.mean([signal @ signal.T / signal.shape[1] for signal in signals], axis=0)
    groups = shared_references(covariance)
    windows = [epochs(s, part.at, part.rate_hz) for s, part in zip(signals, fit_on, strict=True)]
    judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    judge.fit(
        np.concatenate(windows).reshape(sum(map(len, windows)), -1),
        np.concatenate([part.target for part in fit_on]),
    )
    n_channels, rng, found = len(covariance), np.random.default_rng(3), {}
    clean = [part.filtered() for part in judge_on]
    for share in SHARES:
        rounds = []
        for _ in range(repeats):
            parts = []
            for part, filtered in zip(judge_on, clean, strict=True):
                loss = draw(rng, n_channels, share, int(part.at[0]), int(part.at[-1]))
                spoilt = replace(part, raw=garbage(rng, part.raw, loss, part.rate_hz))
                signal = filtered.copy()
                signal[loss.lost] = spoilt.filtered()
                matrix = stand_in(covariance, loss.usable, groups)
                kept = part.at + round(0.8 * part.rate_hz) > loss.start
                arms = (
                    _referenced(filtered, average),
                    matrix @ filtered if not average else matrix @ _good(filtered, loss),
                    _referenced(signal, average),
                )
                scores = [
                    judge.decision_function(epochs(one, part.at[kept], part.rate_hz, flat=True))
                    for one in arms
                ]
                parts.append((np.array(scores), part.target[kept]))
            rounds.append(tuple(np.concatenate(x, axis=-1) for x in zip(*parts, strict=True)))
        lost = math.ceil(share * n_channels)
        found[f"{lost} of {n_channels} ({share:.0%})"] = compare_auc(rounds)
    return found


def epochs(signal: Floats, at: NDArray[np.int64], rate_hz: float, flat: bool = False) -> Floats:
    """Windows of 0 to 0.8 s at about 25 Hz, (n_flashes, n_channels, n_times) or flattened."""
    steps = np.arange(0, round(0.8 * rate_hz), round(rate_hz / 25))
    cut_out = signal[:, at[:, None] + steps].swapaxes(0, 1)
    return cut_out.reshape(len(at), -1) if flat else cut_out


def compare_auc(rounds: list[tuple[Floats, NDArray[np.bool_]]]) -> dict[str, Any]:
    """AUC of each arm, mean over the repeats, with a bootstrap over repeats and flashes."""
    rng = np.random.default_rng(0)
    score = np.mean([[auc(arm, target) for arm in arms] for arms, target in rounds], axis=0)
    draws = []
    for _ in range(100):
        again = []
        for which in rng.integers(len(rounds), size=len(rounds)):
            arms, target = rounds[which]
            rows = rng.integers(len(target), size=len(target))
            again.append([auc(arm[rows], target[rows]) for arm in arms])
        draws.append(np.mean(again, axis=0))
    return compared(score, draws)


def _referenced(signal: Floats, average: bool) -> Floats:
    return signal - signal.mean(axis=0) if average else signal


def _good(signal: Floats, loss: Loss) -> Floats:
    return signal - signal[loss.usable].mean(axis=0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--tuning", action="store_true", help="show what was tuned on instead")
    asked = parser.parse_args()
    data = Path(os.environ["DIVERLOOP_DATA"])
    which = "tuning" if asked.tuning else "reported"
    tasks: dict[str, Callable[[], dict[str, Any]]] = {
        "motor_imagery": lambda: imagery(data, IMAGERY[which], asked.repeats),
        "p300": lambda: p300(data, which, asked.repeats),
    }
    found = {"data": which, "repeats": asked.repeats}
    print(json.dumps(found | {name: task() for name, task in tasks.items()}, indent=1))


if __name__ == "__main__":
    main()
