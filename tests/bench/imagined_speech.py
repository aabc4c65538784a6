"""A negative control: sounds that must not be decodable, through everything that fits. As JSON.

    DIVERLOOP_DATA=... python tests/bench/imagined_speech.py

FEIS, one person, 14 scalp electrodes, 16 sounds of 10 trials each, one second before articulation:
no published or own decoder is above chance on it, so a pipeline that is has a leak. Three decoders
of the product (covariances in the tangent space, common spatial patterns, log band power of every
electrode) in four bands, from 0.2 to 1.0 s after the onset, because the epochs are strung together
and what lies before is another trial's. Conditioning is causal; encoder, cost and weights are
fitted again in each of five blocks of time (`adapters.cross_validation`). ``p_value`` is the share
of 2000 shufflings of the truth that do at least as well, ``passed`` asks that the 95 % interval of
the accuracy holds 1/16 and that p is above 0.05. Three decoders are looked at and nothing was
chosen on this set, so that one false alarm in seven such runs would be chance too.

``planted`` is the proof that the control can fail: the same, with a weak oscillation for every
sound, at an electrode or a frequency of its own, must be found (p at most 0.05) by every decoder.
(A single trace that grew with the number of the sound was tried first: band power, a linear
decoder, did not find it, because sixteen steps of one feature are not sixteen linear classes.)
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.folds import Trials, contiguous_folds
from diverloop.adapters.permutation import permute_accuracy
from diverloop.adapters.scores import wilson_interval
from diverloop.decoders.band_power import BandPower, BandPowerConfig
from diverloop.decoders.common_spatial_patterns import (
    CommonSpatialPatterns,
    CommonSpatialPatternsConfig,
)
from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.runtime.messages import Chunk
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

BANDS_HZ = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
START_S, STOP_S = 0.2, 1.0
PLANTED_HZ, PLANTED = (10.0, 20.0), 3.0
"""Amplitude in median steps of its electrode from sample to sample: rms 0.3 to 2 of its alpha."""


def with_a_trace(recording: Recording) -> Recording:
    """The same with an oscillation for every sound, at a place or a frequency of its own."""
    sounds = sorted({marker.label for marker in recording.markers})
    samples, rate_hz = recording.samples.copy(), recording.spec.rate_hz
    usual = np.median(np.abs(np.diff(recording.samples, axis=1)), axis=1)
    for marker in recording.markers:
        turn, row = divmod(sounds.index(marker.label), len(samples))
        stop = min(marker.sample + round(rate_hz), recording.n_times)
        times_s = np.arange(stop - marker.sample) / rate_hz
        wave = np.sin(2 * np.pi * PLANTED_HZ[turn] * times_s)
        samples[row, marker.sample : stop] += (PLANTED * usual[row] * wave).astype(np.float32)
    return replace(recording, samples=samples)


def cut(recording: Recording) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Windows (n_windows, n_bands * n_channels, n_times), and which sound each is."""
    conditioner = StreamConditioner(ConditionConfig(reference="none", bands_hz=BANDS_HZ))
    spec = conditioner.open(recording.spec)
    chunk = Chunk(samples=recording.samples, first_sample=0, arrived_ns=0)
    signal = np.asarray(conditioner.process(chunk).samples, dtype=np.float64)
    windows, labels = [], []
    for marker in recording.markers:
        first, stop = (marker.sample + round(s * spec.rate_hz) for s in (START_S, STOP_S))
        if first >= conditioner.settle_samples and stop <= signal.shape[1]:
            windows.append(signal[:, first:stop])
            labels.append(marker.label)
    return np.stack(windows), np.array(labels)


def decoders(n_channels: int) -> dict[str, Any]:
    """Name -> fit of the encoder, and the classifier that goes with it."""
    n_bands = len(BANDS_HZ)
    alone = tuple((row,) for row in range(n_channels))
    tangent = FilterbankCovarianceConfig(n_bands=n_bands, n_components=12)
    patterns = CommonSpatialPatternsConfig(n_bands=n_bands)
    power = BandPowerConfig(n_bands=n_bands, regions=alone)
    return {
        "tangent": (lambda x, y: FilterbankCovariance.fit(x, y, tangent), "logistic"),
        "csp": (lambda x, y: CommonSpatialPatterns.fit(x, y, patterns), "lda"),
        "band power": (lambda x, y: BandPower.fit(x, y, power), "logistic"),
    }


def judged(recording: Recording) -> dict[str, Any]:
    """Accuracy of every decoder on trials that it has not seen."""
    windows, labels = cut(recording)
    trials = Trials.of(labels, np.arange(len(labels)), None, n_windows=len(labels))
    folds, found = contiguous_folds(trials.labels, 5), {}
    for name, (fit_encoder, classifier) in decoders(recording.spec.n_channels).items():
        config = FitConfig(classifier=classifier, costs=(1e-3, 1e-2))
        scores = CrossValidation(windows, trials, fit_encoder, config).predict(folds)
        guesses = np.array(trials.classes)[np.argmax(scores, axis=1)]
        right = int((guesses == trials.labels).sum())
        low, high = wilson_interval(right, len(guesses))
        test = permute_accuracy(trials.labels, guesses, n_permutations=2000)
        chance = 1 / len(trials.classes)
        found[name] = {
            "n_trials": len(guesses),
            "accuracy": round(right / len(guesses), 4),
            "interval": [round(low, 4), round(high, 4)],
            "chance": round(chance, 4),
            "p_value": round(test.p_value, 4),
            "at_chance": low <= chance <= high and test.p_value > 0.05,
        }
        print(name, found[name], file=sys.stderr)
    return found


def main() -> None:
    """Print both controls."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    data = Path(os.environ["DIVERLOOP_DATA"]) / "speech"
    recording = read_recording(data / "feis_F01_articulators.npz")
    as_recorded, planted = judged(recording), judged(with_a_trace(recording))
    print(
        json.dumps(
            {
                "as_recorded": as_recorded,
                "planted": planted,
                "passed": all(one["at_chance"] for one in as_recorded.values()),
                "can_fail": all(one["p_value"] <= 0.05 for one in planted.values()),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
