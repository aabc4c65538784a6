"""What stands in for masked rows is known by its laws; encoders never look at what is masked."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest

from diverloop.decoders.common_spatial_patterns import (
    CommonSpatialPatterns,
    CommonSpatialPatternsConfig,
)
from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.decoders.missing import MissingChannels, shared_references, stand_in
from diverloop.runtime.errors import BundleError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window

N_BANDS, N_CHANNELS, N_TIMES = 2, 12, 160


def average(n: int) -> np.ndarray:
    return np.eye(n) - 1 / n


def covariance_of(n: int, rank: int | None = None, seed: int = 0) -> np.ndarray:
    mixing = np.random.default_rng(seed).normal(size=(n, rank or n))
    return mixing @ mixing.T


def mask(n: int, *lost: int) -> np.ndarray:
    usable = np.ones(n, bool)
    usable[list(lost)] = False
    return usable


def imagery(n_each: int = 15, seed: int = 0, referenced: bool = True):
    """Six sources seen by twelve channels, a little noise; classes differ in the first two."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(N_CHANNELS, 6))
    labels = np.repeat(["left", "right"], n_each)
    sources = rng.normal(size=(len(labels), N_BANDS, 6, N_TIMES))
    sources[labels == "left", 0, 0] *= 3
    sources[labels == "right", 0, 1] *= 3
    signal = 10 * mixing @ sources
    signal += 0.2 * rng.normal(size=signal.shape)
    if referenced:
        signal -= signal.mean(axis=2, keepdims=True)
    return signal.reshape(len(labels), -1, N_TIMES), labels


def spec() -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(N_BANDS * N_CHANNELS))
    return StreamSpec(name="conditioned", rate_hz=160.0, channels=channels)


@functools.cache
def fitted(name: str, referenced: bool = True):
    """An open encoder, made once; `open` and `encode` are all that may be done to it."""
    windows, labels = imagery(referenced=referenced)
    if name == "csp":
        config = CommonSpatialPatternsConfig(n_bands=N_BANDS, n_pairs=1)
        encoder = CommonSpatialPatterns.fit(windows, labels, config)
    else:
        config = FilterbankCovarianceConfig(
            n_bands=N_BANDS, n_components=None if name == "all channels" else 5
        )
        encoder = FilterbankCovariance.fit(windows, None, config)
    encoder.open(spec(), N_TIMES)
    return encoder


def window(samples: np.ndarray, usable: np.ndarray | None = None) -> Window:
    if usable is not None:
        usable = np.tile(usable, N_BANDS)
    return Window(samples=samples, first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=usable)


def lose(samples: np.ndarray, usable: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    """The window with other things in masked rows, referenced to the rows that are left."""
    by_band = samples.reshape(N_BANDS, N_CHANNELS, N_TIMES).copy()
    by_band -= by_band[:, usable].mean(axis=1, keepdims=True)
    by_band[:, ~usable] = value
    return by_band.reshape(samples.shape)


ENCODERS = ["csp", "components", "all channels"]


def test_an_average_reference_shows_in_the_covariance_whole_or_by_shaft():
    plain = covariance_of(9)
    assert shared_references(plain) == []
    whole = average(9) @ plain @ average(9)
    assert [rows.tolist() for rows in shared_references(whole)] == [list(range(9))]
    shafts = np.eye(9)
    shafts[:4, :4] = average(4)
    shafts[5:, 5:] = average(4)
    found = shared_references(shafts @ plain @ shafts)
    assert [rows.tolist() for rows in found] == [[0, 1, 2, 3], [5, 6, 7, 8]]


def test_a_channel_that_repeats_another_is_no_reference():
    doubled = covariance_of(6)
    doubled[5] = doubled[4]
    doubled[:, 5] = doubled[:, 4]
    assert shared_references(doubled) == []
    referenced = average(6) @ doubled @ average(6)
    assert [len(rows) for rows in shared_references(referenced)] == [6]


def test_without_a_reference_it_is_the_conditional_mean_of_a_gaussian():
    covariance, usable = covariance_of(7), mask(7, 1, 5)
    matrix = stand_in(covariance, usable, [], ridge=0.0)
    textbook = covariance[np.ix_(~usable, usable)] @ np.linalg.inv(
        covariance[np.ix_(usable, usable)]
    )
    np.testing.assert_allclose(matrix[np.ix_(~usable, usable)], textbook, atol=1e-9)
    np.testing.assert_allclose(matrix[np.ix_(usable, usable)], np.eye(5), atol=1e-12)
    assert (matrix[:, ~usable] == 0).all()


def test_with_a_reference_its_error_has_nothing_to_do_with_what_is_known():
    # That is what makes an estimate the best linear one.
    covariance, usable = average(8) @ covariance_of(8) @ average(8), mask(8, 0, 3)
    groups = shared_references(covariance)
    matrix = stand_in(covariance, usable, groups, ridge=1e-12)
    known = np.zeros((8, 8))
    known[np.ix_(usable, usable)] = average(6)
    error = np.eye(8) - matrix @ known
    np.testing.assert_allclose(error @ covariance @ known, 0, atol=1e-7)


def test_signal_of_few_sources_comes_back_whole_though_its_reference_moved():
    rng = np.random.default_rng(1)
    mixing = average(10) @ rng.normal(size=(10, 4))
    usable = mask(10, 2, 7, 9)
    signal = mixing @ rng.normal(size=(4, 50))
    matrix = stand_in(mixing @ mixing.T, usable, [np.arange(10)], ridge=1e-12)
    moved = signal - signal[usable].mean(axis=0)
    assert np.abs(moved - signal)[usable].max() > 0.1
    np.testing.assert_allclose(matrix @ moved, signal, atol=1e-6)
    # A window that began before the loss has both references in it.
    moved[:, :20] = signal[:, :20]
    np.testing.assert_allclose(matrix @ moved, signal, atol=1e-6)


def test_a_shaft_that_is_lost_whole_is_told_from_the_others():
    rng = np.random.default_rng(2)
    reference = np.kron(np.eye(2), average(4))
    mixing = reference @ rng.normal(size=(8, 2))
    usable = mask(8, 0, 1, 2, 3)
    matrix = stand_in(mixing @ mixing.T, usable, shared_references(reference), ridge=1e-12)
    signal = mixing @ rng.normal(size=(2, 20))
    np.testing.assert_allclose(matrix @ signal, signal, atol=1e-6)


def test_a_mask_with_nothing_in_it_changes_nothing():
    covariance = average(6) @ covariance_of(6) @ average(6)
    signal = average(6) @ np.random.default_rng(0).normal(size=(6, 30))
    for groups in ([], shared_references(covariance)):
        matrix = stand_in(covariance, mask(6), groups)
        np.testing.assert_allclose(matrix @ signal, signal, atol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_what_masked_rows_hold_does_not_matter_to_the_last_bit(name):
    encoder, usable = fitted(name), mask(N_CHANNELS, 0, 4, 5)
    samples = imagery(seed=3)[0][0]
    expected = encoder.encode(window(lose(samples, usable, 0.0), usable))
    assert np.isfinite(expected.values).all()
    noise = np.random.default_rng(0).normal(size=(N_BANDS, 3, N_TIMES))
    for value in (1e6, 1e200, np.inf, np.nan, noise):
        got = encoder.encode(window(lose(samples, usable, value), usable))
        np.testing.assert_array_equal(got.values, expected.values)
        assert got.quality == expected.quality


@pytest.mark.parametrize("name", ENCODERS)
def test_a_mask_in_which_all_is_good_is_no_mask(name):
    encoder, samples = fitted(name), imagery(seed=3)[0][0]
    whole = encoder.encode(window(samples, mask(N_CHANNELS)))
    np.testing.assert_array_equal(whole.values, encoder.encode(window(samples)).values)
    assert whole.quality == 1


@pytest.mark.parametrize("referenced", [True, False])
@pytest.mark.parametrize("name", ["csp", "components"])
def test_features_hardly_move_when_channels_that_others_tell_are_masked(name, referenced):
    encoder, usable = fitted(name, referenced=referenced), mask(N_CHANNELS, 1, 6, 11)
    windows, _ = imagery(seed=3, referenced=referenced)
    spread = encoder.encode_many(windows).std(axis=0).mean()
    for samples in windows[::7]:
        clean = encoder.encode(window(samples)).values
        lost = lose(samples, usable, np.nan)
        if not referenced:
            lost = samples
        masked = encoder.encode(window(lost, usable))
        assert np.abs(masked.values - clean).max() < 0.3 * spread
        assert 0.98 < masked.quality < 1


@pytest.mark.parametrize("name", ENCODERS)
def test_quality_falls_with_what_is_lost_and_too_little_is_not_encoded(name):
    encoder, samples = fitted(name), imagery(seed=3)[0][0]
    found = [encoder.encode(window(samples, mask(N_CHANNELS, *range(lost)))) for lost in range(13)]
    quality = [embedding.quality for embedding in found]
    assert quality[0] == 1
    assert all(a >= b - 1e-3 for a, b in pairwise(quality))
    assert quality[8] < 0.9 * quality[1]
    # A third of 12 may be left, not less.
    assert [np.isnan(embedding.values).all() for embedding in found] == [False] * 9 + [True] * 4
    assert quality[9:] == [0.0] * 4


def test_fewer_than_three_channels_are_never_enough():
    missing = MissingChannels(covariance_of(4)[None], None)
    assert missing.filters_for(mask(4, 0)) is not None
    assert missing.filters_for(mask(4, 0, 1)) is None


def test_a_channel_masked_in_one_band_is_masked_in_all():
    covariance = np.stack([covariance_of(5), covariance_of(5, seed=1)])
    missing = MissingChannels(covariance, None)
    in_one = missing.filters_for(np.r_[mask(5, 2), mask(5)])
    in_both = missing.filters_for(np.r_[mask(5, 2), mask(5, 2)])
    np.testing.assert_array_equal(in_one.filters, in_both.filters)
    assert in_one.runs == ((0, 2, 0), (2, 4, 3))


def test_filters_are_made_once_a_mask_and_old_ones_are_forgotten():
    missing = MissingChannels(covariance_of(12)[None], None)
    first = missing.filters_for(mask(12, 0))
    assert missing.filters_for(mask(12, 0)) is first
    for lost in range(1, 9):
        missing.filters_for(mask(12, lost))
    again = missing.filters_for(mask(12, 0))
    assert again is not first
    np.testing.assert_array_equal(again.filters, first.filters)


def test_a_mask_of_another_length_is_refused():
    encoder = fitted("csp")
    odd = Window(
        samples=imagery()[0][0], first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=mask(5, 1)
    )
    with pytest.raises(SchemaMismatch, match="24 rows"):
        encoder.encode(odd)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_bundle_keeps_what_a_mask_needs(name):
    encoder, usable = fitted(name), mask(N_CHANNELS, 3)
    arrays = encoder.to_arrays()
    again = type(encoder).from_arrays(encoder.config, arrays)
    again.open(spec(), N_TIMES)
    masked = window(imagery(seed=3)[0][0], usable)
    np.testing.assert_array_equal(again.encode(masked).values, encoder.encode(masked).values)
    del arrays["scatter"]
    with pytest.raises(BundleError, match=r"'scatter'.*fit the model again"):
        type(encoder).from_arrays(encoder.config, arrays)


def test_a_covariance_that_does_not_fit_the_filters_is_refused():
    with pytest.raises(BundleError, match="fit the model again"):
        MissingChannels(np.ones((2, 3, 3)), np.ones((2, 2, 4)))
    with pytest.raises(BundleError, match="not finite"):
        MissingChannels(np.full((1, 3, 3), np.nan), None)


def test_picking_needs_an_open_encoder():
    missing = MissingChannels(covariance_of(4)[None], None)
    masked = missing.filters_for(mask(4, 0))
    with pytest.raises(RuntimeError, match="before open"):
        missing.pick(np.ones((1, 4, 3)), masked)
    missing.open(3)
    picked = missing.pick(np.arange(12.0).reshape(1, 4, 3), masked)
    np.testing.assert_array_equal(picked[0], np.arange(3.0, 12.0).reshape(3, 3))
