from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.signal.envelopes import (
    LogNormal,
    Runs,
    listing,
    mains_notch,
    muscle_band,
    muscle_share,
    thinned,
    thinning,
)


def test_the_model_of_the_background_agrees_with_all_it_has_seen():
    logs = np.random.default_rng(0).normal(2, 0.5, (3, 400))
    model = LogNormal(3, 1000)
    for first in range(0, 400, 20):
        model.learn(logs[:, first : first + 20], np.array([True, True, False]))
    np.testing.assert_allclose(model.mean[:2], logs[:2].mean(axis=1))
    np.testing.assert_allclose(model.deviation()[:2], logs[:2].std(axis=1))
    assert model.mean[2] == 0
    assert not model.known.any()


def test_the_model_of_the_background_forgets():
    model, every = LogNormal(1, 100), np.array([True])
    for level in (1.0, 3.0):
        for _ in range(100):
            model.learn(np.full((1, 10), level), every)
    assert model.known.all()
    assert model.mean[0] == pytest.approx(3, abs=0.001)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_runs_are_the_same_however_they_are_cut(size):
    above = np.random.default_rng(0).random((4, 48)) > 0.4
    runs, over = Runs(4, 2), []
    for first in range(0, 48, size):
        over += runs.ended(above[:, first : first + size], 2 * first)
    assert sorted(over) == sorted(Runs(4, 2).ended(above, 0))
    for row, first, stop in over:
        assert above[row, first // 2 : stop // 2].all()
        assert not above[row, stop // 2]


def test_thinning_divides_the_step_and_keeps_enough():
    assert thinning(2000, 128, 400) == 4
    assert thinning(2000, 130, 400) == 2
    assert thinning(160, 8, 400) == 1
    samples = np.arange(16.0).reshape(2, 8)
    np.testing.assert_array_equal(thinned(samples, 4), samples.reshape(2, 2, 4).mean(axis=2))


def test_mains_are_notched_and_muscle_is_heard_only_where_that_can_be():
    assert mains_notch(0.0, 400.0) == []
    assert len(mains_notch(50.0, 400.0)) == 1
    assert (muscle_band(140.0), muscle_share(140.0)) == ([], 0.0)
    assert len(muscle_band(400.0)) == 1
    assert muscle_share(400.0) == pytest.approx(0.5 * (115 / 50) ** 0.5)


def test_a_long_list_of_names_is_cut():
    assert listing(["A", "B"]) == "A, B"
    assert listing([f"A{i}" for i in range(9)]) == "A0, A1, A2, A3, A4, A5 and 3 more"
