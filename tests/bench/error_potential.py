"""Detecting error potentials of simulated people, within a person and across people. As JSON.

    python tests/bench/error_potential.py [--tuning] [--snr 3] [--people 6] [--seconds 600]

Each person monitors feedback for ten minutes (a quarter of it wrong, a tenth overlooked, the
response fading). Signal passes through the task's own causal conditioner in one piece, windows
follow the markers, and the task's two ways to decode read them. ``within``: the first two thirds
of a person's trials teach, the last third judges. ``across``: everybody else's trials teach, the
person's last third judges, so both are judged on the same trials. Balanced accuracy is taken where
the calibrated probability exceeds the share of errors in training; the calibration rests on blocks
of the training trials that were held out in turn.

Published for people: a balanced accuracy of about 0.75 with a calibration of one's own and 0.65
without.

Chosen on persons 100 and up, which ``--tuning`` takes: the ``snr`` of the task's simulated
participant, and nothing else. Reported are persons 0 and up. What is simulated cannot tell how
well errors of people are detected; it tells that the parts fit together, and how a closed loop
fares with a detector that is about so good.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.calibration import platt
from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.error_potential import ERROR_POTENTIAL, SECONDS, SLOW, WRONG
from diverloop.adapters.folds import Trials, contiguous_folds
from diverloop.adapters.rates import auc
from diverloop.adapters.scores import bootstrap_ci
from diverloop.adapters.task import Way
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.catalog import find
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import Chunk
from diverloop.runtime.signal.conditioning import StreamConditioner

Floats = NDArray[np.float64]
PUBLISHED = {"within": 0.75, "across": 0.65}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Windows (n_trials, n_channels, n_times) and labels (n_trials,) of a session."""

    windows: Floats
    labels: NDArray[np.str_]
    rate_hz: float

    def part(self, start: float, stop: float) -> Person:
        """The trials between two shares of the session."""
        rows = slice(*(round(share * len(self.labels)) for share in (start, stop)))
        return replace(self, windows=self.windows[rows], labels=self.labels[rows])


def simulate(seed: int, snr: float, seconds: float) -> Person:
    settings = {**ERROR_POTENTIAL.simulator, "snr": snr}
    clock = VirtualClock()
    person = SimulatedParticipant(SimulatorConfig(seed=seed, duration_s=seconds, **settings), clock)
    person.open()
    clock.advance(round((seconds + 1) * 1e9))
    heard = person.read(1, clock.now_ns())
    assert heard is not None
    # Nothing breaks off here, and what looks for bad electrodes wants to see it piece by piece.
    conditioner = StreamConditioner(replace(SLOW, bad_channels=None))
    conditioner.open(person.spec)
    whole = Chunk(samples=heard.samples, first_sample=0, arrived_ns=0)
    done = conditioner.process(whole).samples
    length = round(SECONDS * person.spec.rate_hz)
    places = [
        place
        for place, mark in enumerate(heard.markers)
        if conditioner.settle_samples <= mark.sample <= done.shape[1] - length
    ]
    starts = [heard.markers[place].sample for place in places]
    labels = [ERROR_POTENTIAL.span.label(heard.markers, place) for place in places]
    return Person(
        windows=np.stack([done[:, at : at + length] for at in starts]).astype(np.float64),
        labels=np.array(labels),
        rate_hz=person.spec.rate_hz,
    )


def judge(way: Way, teachers: list[Person], judged: Person) -> tuple[float, float]:
    """Area under the curve and balanced accuracy on trials that taught nothing."""
    windows = np.concatenate([one.windows for one in teachers])
    labels = np.concatenate([one.labels for one in teachers])
    n = len(labels)
    trials = Trials.of(labels, np.arange(n), np.zeros(n, np.int64), n_windows=n)
    encoder = find("encoder", way.encoder)
    given = {"n_bands": 1, "rate_hz": judged.rate_hz}
    known = {field.name for field in fields(encoder.Config)}
    settings = encoder.Config(**{name: v for name, v in given.items() if name in known})
    # One cost, set beforehand: choosing it changes little and takes most of the time.
    config = FitConfig(classifier=way.classifier, priors="observed", costs=(1e-2,))
    validation = CrossValidation(
        windows, trials, lambda some, names: encoder.fit(some, names, settings), config
    )
    held_out = validation.predict(contiguous_folds(trials.labels, config.n_folds))
    taught = trials.labels == WRONG
    slope, offset = platt(held_out[:, 1] - held_out[:, 0], taught)
    fitted, weights = validation.fit(np.arange(n), validation.choose_readings(np.arange(n)))
    scores = weights.adapter(trials.classes, config).scores(fitted.encode_many(judged.windows))
    margins, real = scores[:, 1] - scores[:, 0], judged.labels == WRONG
    found = slope * margins + offset > np.log(taught.mean() / (1 - taught.mean()))
    balanced = (found[real].mean() + (~found[~real]).mean()) / 2
    return auc(margins, real), float(balanced)


def summary(found: list[tuple[float, float]]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for name, values in zip(("auc", "balanced_accuracy"), zip(*found, strict=True), strict=True):
        low, high = bootstrap_ci(np.array(values), list(range(len(values))), n_resamples=1000)
        report[name] = {
            "mean": round(float(np.mean(values)), 3),
            "interval": [round(low, 3), round(high, 3)],
            "each": [round(value, 2) for value in values],
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--snr", type=float, default=ERROR_POTENTIAL.simulator.get("snr", 1.0))
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--way", default="")
    asked = parser.parse_args()
    first = 100 if asked.tuning else 0
    people = [simulate(first + k, asked.snr, asked.seconds) for k in range(asked.people)]
    report: dict[str, Any] = {"snr": asked.snr, "persons": [first, first + asked.people - 1]}
    report["trials"] = [len(one.labels) for one in people]
    report["published_balanced_accuracy"] = PUBLISHED
    for way in ERROR_POTENTIAL.ways(ERROR_POTENTIAL.span.classes):
        if asked.way not in ("", way.encoder):
            continue
        within, across = [], []
        for place, one in enumerate(people):
            last = one.part(2 / 3, 1)
            within.append(judge(way, [one.part(0, 2 / 3)], last))
            across.append(judge(way, people[:place] + people[place + 1 :], last))
        report[way.encoder] = {"within": summary(within), "across": summary(across)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
