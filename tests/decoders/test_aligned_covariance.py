from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.aligned_covariance import AlignedCovariance
from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec, Window

N_BANDS, N_CHANNELS, N_TIMES = 2, 6, 80


def mixed(n_windows: int = 30, seed: int = 0) -> np.ndarray:
    """Windows of one and the same person, whatever the seed."""
    mixing = np.random.default_rng(99).normal(size=(N_BANDS, N_CHANNELS, N_CHANNELS)) * 5
    sources = np.random.default_rng(seed).normal(size=(n_windows, N_BANDS, N_CHANNELS, N_TIMES))
    return (mixing @ sources).reshape(n_windows, -1, N_TIMES)


def recapped(windows: np.ndarray, size: float = 0.4, seed: int = 5) -> np.ndarray:
    """The same brain under another cap."""
    change = size * np.random.default_rng(seed).normal(size=(N_CHANNELS, N_CHANNELS))
    by_band = windows.reshape(len(windows), N_BANDS, N_CHANNELS, N_TIMES)
    return ((np.eye(N_CHANNELS) + change) @ by_band).reshape(windows.shape)


def config(**fields) -> FilterbankCovarianceConfig:
    settings = {"n_bands": N_BANDS, "n_components": 4, "shrinkage": 1e-6} | fields
    return FilterbankCovarianceConfig(**settings)


def all_channels() -> FilterbankCovarianceConfig:
    return config(n_components=None)


def spec() -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(N_BANDS * N_CHANNELS))
    return StreamSpec(name="conditioned", rate_hz=160.0, channels=channels)


def away(encoder: AlignedCovariance, windows: np.ndarray) -> float:
    """How far the mean of the features lies from the origin."""
    return float(np.linalg.norm(encoder.encode_many(windows).mean(axis=0)))


def test_it_is_an_encoder_like_any_other():
    encoder = AlignedCovariance.fit(mixed(), None, config())
    check_encoder(encoder, spec(), N_TIMES)


def test_with_one_recording_it_is_the_filter_bank_covariance():
    windows = mixed()
    aligned, plain = (
        one.fit(windows, None, config()) for one in (AlignedCovariance, FilterbankCovariance)
    )
    np.testing.assert_allclose(aligned.encode_many(windows), plain.encode_many(windows), atol=1e-10)


def test_each_recording_balances_out_around_its_own_centre():
    windows = np.concatenate([mixed(seed=1), recapped(mixed(seed=2))])
    recordings = np.repeat(["first", "second"], 30)
    encoder = AlignedCovariance.fit(windows, None, config(), recordings)
    features = encoder.encode_many(windows, recordings)
    for name in ("first", "second"):
        np.testing.assert_allclose(features[recordings == name].mean(axis=0), 0, atol=1e-6)
    plain = FilterbankCovariance.fit(windows, None, config()).encode_many(windows)
    assert np.linalg.norm(plain[:30].mean(axis=0)) > 0.5


def test_distances_between_windows_do_not_depend_on_the_cap():
    # Affine invariance: seen from its own centre a session is itself, up to a rotation.
    windows, cap = mixed(), recapped(mixed())
    features = []
    for one in (windows, cap):
        encoder = AlignedCovariance.fit(one, None, all_channels())
        values = encoder.encode_many(one)
        features.append(np.linalg.norm(values, axis=1))
    np.testing.assert_allclose(features[0], features[1], rtol=1e-3)


def test_the_last_recording_is_the_one_that_serves():
    windows = np.concatenate([mixed(seed=1), recapped(mixed(seed=2))])
    encoder = AlignedCovariance.fit(windows, None, config(), np.repeat([7, 3], 30))
    assert away(encoder, windows[30:]) < 1e-6 < away(encoder, windows[:30])


def test_a_recording_that_was_not_fitted_on_is_seen_from_the_centre_that_serves():
    encoder = AlignedCovariance.fit(mixed(), None, config(), np.zeros(30))
    others = recapped(mixed(5))
    np.testing.assert_array_equal(
        encoder.encode_many(others, np.full(5, 9)), encoder.encode_many(others)
    )


def test_recentring_brings_a_new_cap_home_and_more_so_the_more_it_hears():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config())
    today, later = recapped(mixed(200, seed=2)), recapped(mixed(200, seed=3))
    moved = [encoder.recentred(today[:n]) for n in (5, 20, 200)]
    left = [away(one, later) for one in (encoder, *moved)]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.25 * left[0]


def test_without_a_prior_the_new_centre_is_that_of_the_new_windows_alone():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config())
    today = recapped(mixed(seed=2))
    assert away(encoder.recentred(today, prior_windows=0), today) < 1e-6


def test_a_great_prior_leaves_everything_where_it_is():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config())
    today = recapped(mixed(seed=2))
    still = encoder.recentred(today, prior_windows=1e12)
    np.testing.assert_allclose(still.encode_many(today), encoder.encode_many(today), atol=1e-6)


def test_recentring_leaves_the_encoder_alone_and_drops_windows_that_say_nothing():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config())
    before = encoder.encode_many(mixed(3, seed=4))
    today = recapped(mixed(seed=2))
    broken = today[:3].copy()
    broken[0], broken[1, 0], broken[2] = 0.0, np.nan, np.inf
    mended = encoder.recentred(np.concatenate([broken, today]))
    np.testing.assert_array_equal(
        mended.encode_many(today), encoder.recentred(today).encode_many(today)
    )
    np.testing.assert_array_equal(encoder.encode_many(mixed(3, seed=4)), before)
    with pytest.raises(ConfigError, match="None of 3 windows"):
        encoder.recentred(broken)


def test_a_bundle_keeps_the_centre_that_was_found():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config()).recentred(
        recapped(mixed(seed=2))
    )
    again = AlignedCovariance.from_arrays(config(), encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(mixed(3)), encoder.encode_many(mixed(3)))


def test_masked_channels_are_not_looked_at_after_recentring_either():
    encoder = AlignedCovariance.fit(mixed(seed=1), None, config()).recentred(mixed(seed=2))
    encoder.open(spec(), N_TIMES)
    usable = np.ones(N_BANDS * N_CHANNELS, bool)
    usable[[2, 2 + N_CHANNELS]] = False
    found = []
    for value in (np.nan, 1e6):
        samples = mixed(1, seed=8)[0].copy()
        samples[~usable] = value
        window = Window(
            samples=samples, first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=usable
        )
        found.append(encoder.encode(window))
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert 0 < found[0].quality < 1


def test_a_classifier_of_another_cap_works_after_recentring():
    # Two classes differ in the power of one source; the new cap has no label.
    def session(seed: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(60) % 2
        windows = mixed(60, seed).reshape(60, N_BANDS, N_CHANNELS, N_TIMES)
        mixing = np.random.default_rng(99).normal(size=(N_BANDS, N_CHANNELS, N_CHANNELS)) * 5
        sources = np.linalg.solve(mixing, windows)
        sources[labels == 1, :, 0] *= 1.5
        return (mixing @ sources).reshape(60, -1, N_TIMES), labels

    windows, labels = session(1)
    encoder = AlignedCovariance.fit(windows, None, all_channels())
    features = encoder.encode_many(windows)
    direction = features[labels == 1].mean(axis=0) - features[labels == 0].mean(axis=0)
    new, truth = session(2)
    new = recapped(new, size=0.15)
    right = [
        ((one.encode_many(new[20:]) @ direction > 0) == truth[20:]).mean()
        for one in (encoder, encoder.recentred(new[:20], prior_windows=0))
    ]
    assert right[1] > 0.9
    assert right[1] > right[0] + 0.1


def test_wrong_requests_are_refused():
    encoder = AlignedCovariance.fit(mixed(), None, config())
    with pytest.raises(ConfigError, match="29"):
        AlignedCovariance.fit(mixed(), None, config(), np.zeros(29))
    with pytest.raises(ConfigError, match="prior_windows"):
        encoder.recentred(mixed(), prior_windows=-1)
    with pytest.raises(ConfigError, match="0 windows"):
        AlignedCovariance.fit(mixed()[:0], None, config())
