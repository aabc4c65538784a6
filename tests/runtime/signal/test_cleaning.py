"""Cleaning by fixed matrices: its laws, and what missing rows change."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.signal.cleaning import (
    Projection,
    muscle_band_hz,
    muscle_index,
    share_changed,
)

N = 12
ALL = np.ones(N, dtype=bool)


def scene(seed=3, n_times=20000, n_eyes=2):
    """Brain with correlated rows, and eyes on top, loud in the first rows."""
    rng = np.random.default_rng(seed)
    brain = rng.normal(size=(N, N)) @ rng.normal(size=(N, n_times)) * 5
    weights = np.exp(-np.arange(N)[:, None] / 3) * rng.uniform(0.5, 1.5, (N, n_eyes))
    eyes = rng.laplace(size=(n_eyes, n_times)) * 40
    return brain, weights, eyes


def projection(seed=3, n_eyes=2):
    """The projection that somebody would fit who knows the scene."""
    brain, weights, _ = scene(seed, n_eyes=n_eyes)
    inverse = np.linalg.inv(np.cov(brain))
    unmixing = np.linalg.solve(weights.T @ inverse @ weights, weights.T @ inverse)
    return Projection(weights, unmixing, np.cov(brain))


def test_with_every_row_good_the_matrix_is_exactly_identity_less_mixing_times_unmixing():
    step = projection()
    arrays = step.to_arrays()
    expected = np.eye(N) - arrays["mixing"] @ arrays["unmixing"]
    assert np.array_equal(step.matrix(ALL), expected)


def test_sources_are_gone_and_applying_it_twice_changes_nothing_more():
    _, weights, _ = scene()
    matrix = projection().matrix(ALL)
    np.testing.assert_allclose(matrix @ weights, 0, atol=1e-12)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-10)


def test_no_source_leaves_the_signal_as_it_is():
    step = Projection(np.zeros((N, 0)), np.zeros((0, N)), np.eye(N))
    some = ALL.copy()
    some[2] = False
    assert np.array_equal(step.matrix(ALL), np.eye(N))
    assert np.array_equal(step.matrix(some), np.eye(N))


@pytest.mark.parametrize("lost", [(0,), (1, 5), (0, 2, 7, 11)])
def test_without_some_rows_the_sources_are_still_taken_out_of_the_others(lost):
    brain, weights, eyes = scene()
    usable = ALL.copy()
    usable[list(lost)] = False
    matrix = projection().matrix(usable)
    left = (matrix @ (weights @ eyes))[usable]
    assert left.std() < 0.05 * (weights @ eyes)[usable].std()
    assert (matrix @ brain)[usable].std() < 1.05 * brain[usable].std()


def test_a_masked_row_neither_gives_nor_takes():
    usable = ALL.copy()
    usable[[1, 6]] = False
    matrix = projection().matrix(usable)
    for row in (1, 6):
        assert np.array_equal(matrix[row], np.eye(N)[row])
        assert np.array_equal(matrix[:, row], np.eye(N)[:, row])


def test_what_a_masked_row_holds_does_not_reach_the_others():
    brain, weights, eyes = scene()
    usable = ALL.copy()
    usable[4] = False
    signal = brain + weights @ eyes
    broken = signal.copy()
    broken[4] = 1e6
    matrix = projection().matrix(usable)
    np.testing.assert_array_equal((matrix @ signal)[usable], (matrix @ broken)[usable])


def test_a_source_that_the_good_rows_do_not_see_is_left_alone():
    rng = np.random.default_rng(0)
    weights = np.zeros((N, 1))
    weights[0], weights[5] = 1.0, 1e-4
    unmixing = np.zeros((1, N))
    unmixing[0, 0] = 1.0
    step = Projection(weights, unmixing, np.cov(rng.normal(size=(N, 4000))))
    usable = ALL.copy()
    usable[0] = False
    np.testing.assert_allclose(step.matrix(usable), np.eye(N), atol=1e-3)


def test_nothing_usable_means_nothing_is_done():
    assert np.array_equal(projection().matrix(~ALL), np.eye(N))


def test_arrays_of_a_bundle_give_the_same_matrices_back():
    step = projection()
    arrays = {**step.to_arrays("eyes."), **projection(seed=4).to_arrays("line.")}
    again = Projection.from_arrays(arrays, "eyes.")
    usable = ALL.copy()
    usable[3] = False
    assert np.array_equal(again.matrix(ALL), step.matrix(ALL))
    assert np.array_equal(again.matrix(usable), step.matrix(usable))
    assert all(array.dtype == np.float64 for array in arrays.values())


def test_a_bundle_without_an_array_or_with_a_wrong_one_is_refused():
    arrays = projection().to_arrays()
    with pytest.raises(BundleError, match="'mixing'"):
        Projection.from_arrays({"unmixing": arrays["unmixing"]})
    with pytest.raises(BundleError, match="fit it again"):
        Projection.from_arrays({**arrays, "covariance": np.eye(3)})


def test_shapes_that_do_not_fit_and_nan_are_refused():
    with pytest.raises(ConfigError, match="unmixing"):
        Projection(np.zeros((N, 2)), np.zeros((1, N)), np.eye(N))
    with pytest.raises(ConfigError, match="finite"):
        Projection(np.full((N, 1), np.nan), np.zeros((1, N)), np.eye(N))


def test_the_share_changed_is_that_of_the_samples():
    brain, weights, eyes = scene()
    signal = brain + weights @ eyes
    signal -= signal.mean(axis=1, keepdims=True)
    matrix = projection().matrix(ALL)
    taken = signal - matrix @ signal
    expected = (taken**2).sum() / (signal**2).sum()
    assert share_changed(matrix, np.cov(signal)) == pytest.approx(expected, rel=1e-9)
    assert share_changed(np.eye(N), np.cov(signal)) == 0.0
    assert share_changed(np.zeros((N, N)), np.cov(signal)) == pytest.approx(1.0)
    assert np.isnan(share_changed(matrix, np.zeros((N, N))))


def test_muscle_is_told_from_brain():
    rng = np.random.default_rng(5)
    rate_hz, n_times = 500.0, 500
    white = rng.normal(size=(2, n_times * 4))
    spectrum = np.fft.rfft(white[0]) / np.maximum(np.fft.rfftfreq(white.shape[1], 1 / rate_hz), 1)
    brain = np.fft.irfft(spectrum)[:n_times]
    index = muscle_index(np.array([brain, white[1, :n_times]]), rate_hz)
    assert index[0] < 0.2
    assert 0.5 < index[1] < 2.0


def test_mains_does_not_pass_for_muscle():
    rng = np.random.default_rng(6)
    rate_hz, times = 500.0, np.arange(500) / 500.0
    quiet = rng.normal(size=(1, 500))
    humming = quiet + 50 * np.sin(2 * np.pi * 120 * times)
    assert muscle_index(humming, rate_hz)[0] > 10
    assert muscle_index(humming, rate_hz, 60.0)[0] < 2


def test_the_muscle_index_does_not_depend_on_gain_and_is_nan_for_silence():
    samples = np.random.default_rng(7).normal(size=(3, 400))
    index = muscle_index(samples, 400.0)
    np.testing.assert_allclose(muscle_index(1e3 * samples + 77, 400.0), index, rtol=1e-9)
    assert np.isnan(muscle_index(np.zeros((1, 400)), 400.0)[0])


def test_the_muscle_band_goes_as_high_as_the_rate_allows():
    assert muscle_band_hz(1000.0) == (110.0, 140.0)
    assert muscle_band_hz(160.0) == (45.0, 72.0)
    with pytest.raises(ConfigError, match="rate of at least 118 Hz"):
        muscle_band_hz(100.0)
    with pytest.raises(ConfigError, match="half a second"):
        muscle_index(np.ones((1, 8)), 500.0)
