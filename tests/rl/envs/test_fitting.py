"""Fitting finds in simulated people the numbers that they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.drift import Directions, Recorded, drift_of
from diverloop.rl.envs.features import Body
from diverloop.rl.envs.fitting import Run, fit_person
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.prototype_head import PrototypeHead

CLASSES = ("left", "right", "feet")
APART = np.array([[0.0, 2, 3], [2, 0, 2.5], [3, 2.5, 0]])
FROM = {"task": "motor imagery", "data_set": "simulated", "licence": "none"}


def fitted(drift, *, seed=100, n_trials=120, tail=30.0):
    rng = np.random.default_rng(seed)
    body = Body.grown(APART, np.full(3, 1 / 3), 8, rng, correlation=0.4, tail=tail)
    to = Directions.drawn(body.means, 8, rng)

    def run(change):
        labels = [np.full(4, number % 3) for number in range(n_trials)]
        return Run.of([body.draw(one, 1.0, change, rng) for one in labels], labels)

    calm = drift_of(None).change(0, to)
    calibration, first, later = run(calm), run(calm), run(drift.change(0, to))
    names = np.array(CLASSES)[calibration.labels]
    head = PrototypeHead.fit(calibration.features, names, CLASSES)
    return fit_person("S", head, [first, later], **FROM)


def test_a_person_is_found_again():
    traits = fitted(drift_of(None), n_trials=300)
    assert traits.apart == pytest.approx(APART, abs=0.3)
    assert traits.correlation == pytest.approx(0.4, abs=0.06)
    assert traits.common < 0.25
    assert traits.own < 0.25


def test_drift_between_runs_is_found_again():
    traits = fitted(Recorded(common=1.5, own=1.0, over=1))
    assert traits.common == pytest.approx(1.5, abs=0.3)
    assert traits.own == pytest.approx(1.0, abs=0.3)


def test_heavy_tails_are_told_from_light_ones():
    assert fitted(drift_of(None), tail=5.0).tail < fitted(drift_of(None), tail=60.0).tail


def test_a_run_without_a_class_is_no_basis_for_anything():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    features = rng.standard_normal((30, 6))
    head = PrototypeHead.fit(features, np.array(CLASSES)[labels], CLASSES)
    run = Run(features=features, labels=np.zeros(30, dtype=np.int64), trials=np.arange(30))
    with pytest.raises(RecordingError, match="every class"):
        fit_person("S", head, [run], **FROM)
