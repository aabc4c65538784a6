from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import oas

from diverloop.decoders.bands import check_stream, embed, scatter, shrink, split_bands
from diverloop.runtime.bundle import take
from diverloop.runtime.errors import BundleError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec


def test_rows_are_band_major_and_nothing_is_copied():
    ring = np.arange(6 * 50.0).reshape(6, 50)
    window = ring[:, 7:27]
    by_band = split_bands(window, 2)
    assert np.shares_memory(by_band, ring)
    np.testing.assert_array_equal(by_band[1, 2], window[1 * 3 + 2])


def test_rows_that_do_not_divide_into_bands_are_refused():
    with pytest.raises(SchemaMismatch, match="7 rows"):
        split_bands(np.zeros((7, 5)), 2)


def test_a_stream_with_another_number_of_rows_is_refused():
    spec = StreamSpec(name="cap", rate_hz=100.0, channels=(Channel(name="C3"),))
    check_stream(spec, 1)
    with pytest.raises(SchemaMismatch, match="1 rows, the model was fitted on 8"):
        check_stream(spec, 8)


@pytest.mark.parametrize("n_times", [3, 20, 500])
def test_shrinkage_left_to_the_data_is_the_one_of_scikit_learn(n_times):
    signal = np.random.default_rng(n_times).normal(size=(2, 6, n_times)) * 10
    signal[1, 3:] += signal[1, :3]
    got = shrink(scatter(signal, np.empty((2, 6, 6))), n_times, None)
    for band in range(2):
        expected, _ = oas(signal[band].T, assume_centered=True)
        np.testing.assert_allclose(got[band], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shrinkage", [None, 0.0, 0.3, 1.0])
def test_shrinkage_keeps_the_total_power(shrinkage):
    signal = np.random.default_rng(0).normal(size=(3, 4, 30))
    raw = scatter(signal, np.empty((3, 4, 4)))
    power = np.einsum("bii->b", raw)
    shrunk = shrink(raw.copy(), 30, shrinkage)
    np.testing.assert_allclose(np.einsum("bii->b", shrunk), power, rtol=1e-12)


def test_full_shrinkage_leaves_the_identity_and_none_changes_nothing():
    raw = scatter(np.random.default_rng(0).normal(size=(1, 3, 9)), np.empty((1, 3, 3)))
    np.testing.assert_array_equal(shrink(raw.copy(), 9, 0.0), raw)
    np.testing.assert_allclose(shrink(raw.copy(), 9, 1.0)[0], np.eye(3) * np.trace(raw[0]) / 3)


def test_one_channel_cannot_be_shrunk():
    raw = np.array([[[4.0]]])
    np.testing.assert_allclose(shrink(raw.copy(), 10, None), raw)


def test_a_window_that_could_not_be_encoded_says_so():
    lost = embed(None, 4)
    assert lost.quality == 0
    assert lost.values.shape == (4,)
    assert np.isnan(lost.values).all()
    assert embed(np.ones(4), 4).quality == 1
    assert embed(np.ones(4), 4, 0.7).quality == 0.7
    assert embed(None, 4, 0.7).quality == 0


def test_arrays_of_a_bundle_are_copied_and_checked():
    stored = {"filters": np.ones((2, 3), dtype=np.float32)}
    taken = take(stored, "filters", 2)
    assert taken.dtype == np.float64
    taken[0, 0] = 7
    assert stored["filters"][0, 0] == 1
    with pytest.raises(BundleError, match="no such array"):
        take(stored, "means", 2)
    with pytest.raises(BundleError, match="2 dimensions"):
        take(stored, "filters", 3)
