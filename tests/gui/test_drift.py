"""Whether a session is like its calibration, as it goes on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.gui.drift import SETTLING_S, Drift, Verdict
from diverloop.gui.drift_reference import Reference

STEP_S = 0.05


def followed(drift: Drift, seconds: float, *, shift=0.0, first_s=0.0, d=12, seed=3) -> Drift:
    values = np.random.default_rng(seed).normal(shift, 1.0, (round(seconds / STEP_S), d))
    for n, row in enumerate(values):
        drift.take(row, ("left", None)[n % 2], first_s + n * STEP_S)
    return drift


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of_samples(np.random.default_rng(0).normal(size=(1200, 12)))


def test_the_same_distribution_is_like_the_calibration_from_the_start(reference):
    drift = followed(Drift(reference), 40)
    assert drift.verdict is Verdict.LIKE
    assert drift.sentence() == "Today's signal is like the calibration."


def test_a_shift_has_moved_and_the_sentence_says_what_to_do(reference):
    drift = followed(Drift(reference), 40, shift=2.0)
    assert drift.verdict is Verdict.MOVED
    assert "diverloop recentre" in drift.sentence()
    followed(drift, 90, first_s=40)
    assert drift.verdict is Verdict.LIKE


def test_without_a_calibration_the_first_minute_stands_for_it_and_it_says_so():
    drift = followed(Drift(), SETTLING_S / 2)
    assert drift.verdict is Verdict.WAITING
    assert drift.sentence() == "Learning what this session is like: 30 s to go."
    followed(drift, SETTLING_S, first_s=30.0, seed=4)
    assert drift.sentence() == "Today's signal is like the session's first minute."
    followed(drift, 60, first_s=90, shift=1.5)
    assert drift.verdict is Verdict.MOVED


def test_memory_is_bounded_however_long_and_fast_the_session(reference):
    drift = followed(Drift(reference, n_points=50, n_indices=20), 60)
    assert (len(drift.points), len(drift.indices)) == (50, 20)
    own = Drift()
    for n in range(5000):
        own.take(np.ones(3) * n, None, n * 0.01)
    assert len(own._settling) <= 241


def test_what_is_not_finite_is_passed_over(reference):
    drift = followed(Drift(reference), 20)
    index = drift.index
    drift.take(np.full(12, np.nan), "left", 30.0)
    assert (drift.index, len(drift.points)) == (index, 160)


def test_another_length_than_the_calibrations_is_said_and_nothing_is_compared(reference):
    drift = followed(Drift(reference), 20, d=7)
    assert math.isnan(drift.index)
    assert "7 features, the calibration's have 12" in drift.sentence()


def test_another_encoder_in_a_session_without_calibration_begins_anew():
    drift = followed(Drift(), 70)
    assert drift.reference is not None
    followed(drift, 1, first_s=70, d=5)
    assert drift.reference is None


def test_time_that_runs_backwards_begins_anew(reference):
    drift = followed(Drift(reference), 40, shift=2.0)
    followed(drift, 20, first_s=0.0)
    assert drift.verdict is Verdict.LIKE
    assert drift.indices[0][0] == 0.0


def test_nothing_is_said_before_anything_came(reference):
    assert Drift().sentence() == "No embedding has come yet."
    assert Drift(reference).verdict is Verdict.WAITING
