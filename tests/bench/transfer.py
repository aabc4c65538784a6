"""What earlier sessions, other people and an early stop save of a calibration, as JSON.

    DIVERLOOP_DATA=/path/to/recordings python tests/bench/transfer.py [--part runs]

Parts are `runs`, `flicker`, `persons` and `guided`; all of them if none is named. The last two need
no recordings. One core and OMP_NUM_THREADS=1 do: `runs` 80 s, `flicker` 60 s, `persons` 80 s.

All signal passes through the product's causal conditioner first. Motor imagery: the task's own
four bands, windows of 2 s every 0.5 s from 0.5 to 4 s after the cue, a trial's score is the mean
over its windows, logistic regression of cost 0.01. Every centre is found without labels. *plain*
is `FilterbankCovariance`; the others are `AlignedCovariance`, centred on the session

- ``whole``: with all its windows, those that are judged too, as others report it: no causal system
  could know them;
- ``causal``: before each trial on the trials before it.

*runs*: EEGMMIDB S001 imagery, R04 and R08 (fists left and right), R06 and R10 (fists and feet),
each decoded with the other, and with ``k`` trials of each class of its own: alone, or beside the
other run. Own trials are drawn 4 times, the rest is judged, so 4 draws of one run are not 4 runs.
`PRIOR_WINDOWS` was looked at on the runs of executed movements alone (R03, R05, R07, R09: 4 to 20
did alike, 80 worse), cost likewise.

*flicker*: SSVEP-exo, X01 X03 X04 X07 X10 X12, four classes with rest, earlier runs to the last;
bands of 2 Hz around the three frequencies, window 2 to 5 s after the cue. Nothing was chosen here.

*persons*: 4 simulated persons (snr 0.7, skill 0.5), 32 trials to learn from and 32 others of the
same day to be judged on, two windows a trial. Others are the learning sessions of all other
persons. Heads of these persons differ in frequencies and hum alone; ``moved`` mixes the channels
of every session as well, ``x + 0.2 G x`` with Gaussian ``G`` over the root of the number of
channels, as another cap would: how much is assumed. ``reach`` is the least ``k`` whose mean
accuracy is within a point of that of a calibration of 15 a class by oneself.

*guided*: calibrations that end early, with outcomes drawn by chance. Accuracy when all 20 a class
are there is even between 0.5 and 1; with n a class it is ``0.5 + gain (1 - exp(-n / 8))`` scaled to
that: assumed. A verdict is wrong if it says enough and the decoder that there is then is below what
is needed, or gives up on one that would have been above. The confidence of the plan was chosen
among 0.8, 0.9 and 0.95 by other draws.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from diverloop.adapters.alignment import AlignmentConfig, SessionReference, align, moved
from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.adapters.scores import wilson_interval
from diverloop.decoders.aligned_covariance import AlignedCovariance
from diverloop.decoders.filterbank_covariance import FilterbankCovarianceConfig
from diverloop.hardware.recordings import read_recording
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import Chunk, Marker, StreamSpec
from diverloop.runtime.paradigms.guided import GuidedCalibration
from diverloop.runtime.paradigms.guided_plan import GuidedPlan, TrialQuality
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

Floats = NDArray[np.float64]

PAIRS = ((4, 8), (8, 4), (6, 10), (10, 6))
FLICKER_RUNS = {"X01": 2, "X03": 2, "X04": 2, "X07": 2, "X10": 4, "X12": 3}
BANDS_HZ = ((12.0, 14.0), (16.0, 18.0), (20.0, 22.0))
IMAGERY = FilterbankCovarianceConfig(n_bands=4, n_components=12)
FLICKER = FilterbankCovarianceConfig(n_bands=3, n_components=None)
COST = 0.01
N_PERSONS, N_SIMULATED, FULL, RATE_HZ = 4, 32, 15, 128.0


@dataclass(frozen=True, slots=True)
class Session:
    """Windows of one recording, and which trial each lies in, counted from 0."""

    windows: Floats
    labels: NDArray[np.str_]
    trials: NDArray[np.int64]

    def of(self, trials: Sequence[int] | NDArray[np.int64]) -> Session:
        """Some trials of it."""
        rows = np.isin(self.trials, trials)
        return Session(self.windows[rows], self.labels[rows], self.trials[rows])

    @property
    def truth(self) -> NDArray[np.str_]:
        """Label of each trial that is there."""
        return np.array([self.labels[self.trials == t][0] for t in np.unique(self.trials)])


# --- signal ------------------------------------------------------------------------------------


def conditioned(samples: Floats, spec: StreamSpec, config: ConditionConfig) -> Floats:
    conditioner = StreamConditioner(config)
    conditioner.open(spec)
    chunk = Chunk(samples=np.nan_to_num(samples), first_sample=0, arrived_ns=0)
    return conditioner.process(chunk).samples.astype(np.float64)


def cut(
    signal: Floats, markers: Sequence[Marker], rate_hz: float, *, start_s: float, length_s: float,
    n_steps: int = 1, step_s: float = 0.5, skip: tuple[str, ...] = (),
) -> Session:  # fmt: skip
    n_times, found = round(length_s * rate_hz), []
    cues = [marker for marker in markers if marker.label not in skip]
    for trial, cue in enumerate(cues):
        for step in range(n_steps):
            first = cue.sample + round((start_s + step_s * step) * rate_hz)
            if first + n_times <= signal.shape[1]:
                found.append((signal[:, first : first + n_times], cue.label, trial))
    windows, labels, trials = zip(*found, strict=True)
    return Session(np.stack(windows), np.array(labels), np.array(trials))


def imagery_run(data: Path, run: int) -> Session:
    recording = read_recording(data / f"mi/eegmmidb_S001_R{run:02d}.npz", assume_unit="uV")
    signal = conditioned(recording.samples, recording.spec, replace(MU_BETA, bad_channels=None))
    rate_hz = recording.spec.rate_hz
    return cut(
        signal, recording.markers, rate_hz, start_s=0.5, length_s=2.0, n_steps=4, skip=("rest",)
    )


@functools.cache
def lived(person: int, seed: int) -> tuple[Floats, tuple[Marker, ...], StreamSpec]:
    """One session of a simulated person, as the amplifier gives it."""
    told = SimulatorConfig(
        person=person, seed=seed, rate_hz=RATE_HZ, snr=0.7, skill=0.5,
        duration_s=8.05 * N_SIMULATED + 10,
    )  # fmt: skip
    source = SimulatedParticipant(told, VirtualClock())
    source.open()
    chunks = []
    while not source.ended:
        if (chunk := source.read(round(10 * RATE_HZ), 10**13)) is not None:
            chunks.append(chunk)
    raw = np.concatenate([chunk.samples for chunk in chunks], axis=1).astype(np.float64)
    return raw, tuple(marker for chunk in chunks for marker in chunk.markers), source.spec


def simulated(person: int, seed: int, *, moved_by: float, cap: int) -> Session:
    """The same under a cap of its own; sessions with the same cap mix alike."""
    raw, markers, spec = lived(person, seed)
    n = len(raw)
    noise = np.random.default_rng([cap, 9]).standard_normal((n, n)) / np.sqrt(n)
    mixed = (np.eye(n) + moved_by * noise) @ raw
    signal = conditioned(mixed, spec, replace(MU_BETA, bad_channels=None))
    session = cut(
        signal, markers, RATE_HZ, start_s=0.5, length_s=2.0, n_steps=2, step_s=1.5, skip=("rest",)
    )
    return session.of(range(N_SIMULATED))


# --- decoding ----------------------------------------------------------------------------------


def reader(features: Floats, labels: NDArray[np.str_]) -> Callable[[Floats], Floats]:
    """From features to scores of the classes in alphabetical order."""
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-12
    model = LogisticRegression(C=COST, class_weight="balanced", max_iter=300)
    model.fit((features - mean) / scale, labels)

    def read(others: Floats) -> Floats:
        scores = model.decision_function((others - mean) / scale)
        return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores

    return read


def right(scores: Floats, session: Session) -> NDArray[np.bool_]:
    """Whether each trial is right."""
    classes = np.unique(session.labels)
    trials = np.unique(session.trials)
    means = np.array([scores[session.trials == trial].mean(axis=0) for trial in trials])
    return classes[means.argmax(axis=1)] == session.truth


class Others:
    """Other sessions, plain or each from its own centre: encoder and features, fitted once."""

    def __init__(
        self, sessions: Sequence[Session], config: FilterbankCovarianceConfig, how: str
    ) -> None:
        windows = np.concatenate([one.windows for one in sessions])
        self._labels = np.concatenate([one.labels for one in sessions])
        places = np.repeat(np.arange(len(sessions)), [len(one.labels) for one in sessions])
        self._how, centred = how, None if how == "plain" else places
        self._encoder = AlignedCovariance.fit(windows, None, config, centred)
        self._features = self._encoder.encode_many(windows, centred)

    def decode(self, own: Session | None, judged: Session) -> NDArray[np.bool_]:
        """Decode with these and some labelled trials of the session itself."""
        encoder, features, labels = self._encoder, self._features, self._labels
        if self._how == "whole":
            encoder = encoder.recentred(judged.windows)
        elif self._how == "causal" and own is not None:
            encoder = encoder.recentred(own.windows)
        if own is not None:
            features = np.concatenate([features, encoder.encode_many(own.windows)])
            labels = np.concatenate([labels, own.labels])
        read = reader(features, labels)
        if self._how == "causal" and own is None:
            return right(read(_causally(encoder, judged)), judged)
        return right(read(encoder.encode_many(judged.windows)), judged)


def _causally(encoder: AlignedCovariance, session: Session) -> Floats:
    """Features of each trial, seen from the centre of the trials before it."""
    found = []
    for trial in np.unique(session.trials):
        past = session.windows[session.trials < trial]
        now = encoder.recentred(past) if len(past) else encoder
        found.append(now.encode_many(session.windows[session.trials == trial]))
    return np.concatenate(found)


def alone(own: Session, judged: Session) -> NDArray[np.bool_]:
    encoder = AlignedCovariance.fit(own.windows, None, IMAGERY)
    read = reader(encoder.encode_many(own.windows), own.labels)
    return right(read(encoder.encode_many(judged.windows)), judged)


def first_of_each(session: Session, k: int, rng: np.random.Generator | None = None) -> Session:
    """The first trials of each class, or some by chance."""
    trials, truth = np.unique(session.trials), session.truth
    order = np.arange(len(trials)) if rng is None else rng.permutation(len(trials))
    kept = [trials[[row for row in order if truth[row] == name][:k]] for name in np.unique(truth)]
    return session.of(np.concatenate(kept))


def share(found: Any) -> dict[str, Any]:
    found = np.asarray(found)
    low, high = wilson_interval(int(found.sum()), len(found))
    return {
        "accuracy": round(float(found.mean()), 3),
        "interval": [round(low, 3), round(high, 3)],
        "n": len(found),
    }


# --- parts -------------------------------------------------------------------------------------


def runs(data: Path) -> dict[str, Any]:
    sessions = {run: imagery_run(data, run) for run in (4, 6, 8, 10)}
    tasks = {"left_right": PAIRS[:2], "fists_feet": PAIRS[2:]}
    return {task: _runs(sessions, pairs) for task, pairs in tasks.items()}


def _runs(sessions: dict[int, Session], pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    kept: dict[str, list[Any]] = {"plain": [], "whole": [], "causal": [], "channels_causal": []}
    curve: dict[str, list[float]] = {}
    for source, target in pairs:
        other, judged = sessions[source], sessions[target]
        ways = {how: Others([other], IMAGERY, how) for how in ("plain", "whole", "causal")}
        for how, way in ways.items():
            kept[how] += way.decode(None, judged).tolist()
        kept["channels_causal"] += _by_channels(other, judged).tolist()
        for k in (2, 5):
            for draw in range(4):
                own = first_of_each(judged, k, np.random.default_rng([target, k, draw]))
                rest = judged.of(np.setdiff1d(judged.trials, own.trials))
                found = {"alone": alone(own, rest)}
                for how in ("plain", "causal"):
                    found[f"with_earlier_{how}"] = ways[how].decode(own, rest)
                for name, one in found.items():
                    curve.setdefault(f"{name}/k={k}", []).append(float(one.mean()))
    return {
        "no_own_trials": {name: share(found) for name, found in kept.items()},
        "own_trials_a_class": {name: round(float(np.mean(v)), 3) for name, v in curve.items()},
    }


def _by_channels(other: Session, judged: Session) -> NDArray[np.bool_]:
    """Windows aligned channel by channel before the plain encoder: `adapters.alignment`."""
    config = AlignmentConfig(n_bands=4)
    source = align(other.windows, np.zeros(len(other.labels)), config)
    encoder = AlignedCovariance.fit(source.windows, None, IMAGERY)
    read = reader(encoder.encode_many(source.windows), other.labels)
    reference, found = SessionReference(source.common, config), []
    for trial in np.unique(judged.trials):
        windows = judged.windows[judged.trials == trial]
        found.append(encoder.encode_many(moved(windows, reference.matrices())))
        for window in windows:
            reference.add(window)
    return right(read(np.concatenate(found)), judged)


def flicker(data: Path) -> dict[str, Any]:
    found: dict[str, list[float]] = {"plain": [], "whole": [], "causal": []}
    for subject, n_runs in FLICKER_RUNS.items():
        paths = sorted((data / "ssvep").glob(f"*{subject}*.npz"))
        assert len(paths) == n_runs, paths
        sessions = [_flicker_run(path) for path in paths]
        for how, values in found.items():
            guesses = Others(sessions[:-1], FLICKER, how).decode(None, sessions[-1])
            values.append(round(float(guesses.mean()), 3))
    return {how: {"mean": round(float(np.mean(v)), 3), "subjects": v} for how, v in found.items()}


def _flicker_run(path: Path) -> Session:
    recording = read_recording(path, assume_unit="uV")
    config = ConditionConfig(bands_hz=BANDS_HZ, order=2)
    signal = conditioned(recording.samples, recording.spec, config)
    return cut(signal, recording.markers, recording.spec.rate_hz, start_s=2.0, length_s=3.0)


def persons(moved_by: float) -> dict[str, Any]:
    learnt = [simulated(p, 100 + p, moved_by=moved_by, cap=100 + p) for p in range(N_PERSONS)]
    judged = [simulated(p, 200 + p, moved_by=moved_by, cap=100 + p) for p in range(N_PERSONS)]
    curve: dict[str, dict[int, list[float]]] = {}
    for person in range(N_PERSONS):
        others = [one for place, one in enumerate(learnt) if place != person]
        ways = {how: Others(others, IMAGERY, how) for how in ("plain", "causal")}
        for k in (0, 1, 2, 5, FULL):
            own = first_of_each(learnt[person], k) if k else None
            found = {f"others_{how}": way.decode(own, judged[person]) for how, way in ways.items()}
            if k > 1 and own is not None:
                found["alone"] = alone(own, judged[person])
            for name, one in found.items():
                curve.setdefault(name, {}).setdefault(k, []).append(float(one.mean()))
    means = {
        name: {k: round(float(np.mean(v)), 3) for k, v in by_k.items()}
        for name, by_k in curve.items()
    }
    full = means["alone"][FULL]
    reach = {
        name: next((k for k, one in by_k.items() if one >= full - 0.01), None)
        for name, by_k in means.items()
    }
    return {"accuracy_by_own_trials_a_class": means, "full": full, "reach": reach}


def guided(n: int = 1000) -> dict[str, Any]:
    rng, plan = np.random.default_rng(0), GuidedPlan()
    ends: dict[str, int] = {}
    saved, wrong = [], {"enough": 0, "below": 0}
    for person in range(n):
        at_last = rng.uniform(0.5, 1.0)
        gain = (at_last - 0.5) / (1 - np.exp(-plan.trials_per_class / 8))

        def accuracy(per_class: float, gain: float = gain) -> float:
            return 0.5 + gain * (1 - np.exp(-per_class / 8))

        session, kept = GuidedCalibration(plan, seed=person), 0
        luck = rng.random(plan.n_trials)
        while (trial := session.next_trial()) is not None:
            session.judge(trial, TrialQuality())
            kept += 1
            if session.at_a_check:  # cross-validated in five folds: learnt from four fifths
                session.tell(int((luck[:kept] < accuracy(0.8 * kept / 2)).sum()), kept)
        ended = session.ended
        ends[ended] = ends.get(ended, 0) + 1
        saved.append(1 - kept / plan.n_trials)
        wrong["enough"] += ended == "enough" and accuracy(kept / 2) < plan.needed_accuracy
        wrong["below"] += ended == "below" and at_last >= plan.needed_accuracy
    return {
        "needed": plan.needed_accuracy,
        "ends": {name: round(count / n, 3) for name, count in ends.items()},
        "trials_saved": round(float(np.mean(saved)), 3),
        "wrong_of_all": {name: round(count / n, 4) for name, count in wrong.items()},
        "wrong_of_such": {
            name: round(count / max(1, ends.get(name, 0)), 4) for name, count in wrong.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("runs", "flicker", "persons", "guided"))
    part = parser.parse_args().part
    data = Path(os.environ.get("DIVERLOOP_DATA", "."))
    parts: dict[str, Callable[[], Any]] = {
        "runs": lambda: runs(data),
        "flicker": lambda: flicker(data),
        "persons": lambda: {
            name: persons(size) for name, size in (("same_cap", 0.0), ("moved", 0.2))
        },
        "guided": guided,
    }
    report: dict[str, Any] = {}
    for name, run in parts.items():
        if part in (None, name):
            began = time.monotonic()
            report[name] = {**run(), "took_s": round(time.monotonic() - began, 1)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
