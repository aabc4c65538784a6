from __future__ import annotations

import numpy as np
import pytest
from pyriemann.estimation import Covariances, Shrinkage
from pyriemann.tangentspace import TangentSpace

from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

N_BANDS, N_CHANNELS, N_TIMES = 3, 6, 80


def mixed(n_windows: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(N_BANDS, N_CHANNELS, N_CHANNELS)) * 5
    sources = rng.normal(size=(n_windows, N_BANDS, N_CHANNELS, N_TIMES))
    return (mixing @ sources).reshape(n_windows, -1, N_TIMES)


def config(**fields) -> FilterbankCovarianceConfig:
    return FilterbankCovarianceConfig(**{"n_bands": N_BANDS, "n_components": 4} | fields)


def window(samples: np.ndarray) -> Window:
    return Window(samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0)


def spec(n_rows: int = N_BANDS * N_CHANNELS) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=160.0, channels=channels)


def opened(encoder: FilterbankCovariance) -> FilterbankCovariance:
    encoder.open(spec(), N_TIMES)
    return encoder


@pytest.mark.parametrize("shrinkage", [None, 0.1])
def test_all_channels_give_the_tangent_space_of_pyriemann(shrinkage):
    windows, unseen = mixed(), mixed(5, seed=9)
    encoder = FilterbankCovariance.fit(
        windows, None, config(n_components=None, shrinkage=shrinkage)
    )
    expected = []
    for band in range(N_BANDS):
        rows = slice(band * N_CHANNELS, (band + 1) * N_CHANNELS)
        known = np.concatenate([windows[:, rows], unseen[:, rows]])
        if shrinkage is None:
            matrices = Covariances("oas", assume_centered=True).transform(known)
        else:
            raw = known @ known.swapaxes(1, 2) / N_TIMES
            matrices = Shrinkage(shrinkage=shrinkage).fit_transform(raw)
        space = TangentSpace(metric="riemann").fit(matrices[: len(windows)])
        expected.append(space.transform(matrices[len(windows) :]))
    np.testing.assert_allclose(encoder.encode_many(unseen), np.hstack(expected), atol=1e-6)


@pytest.mark.parametrize("n_components", [None, 1, 4])
def test_serving_one_window_and_encoding_many_agree(n_components):
    windows = mixed()
    encoder = opened(FilterbankCovariance.fit(windows, None, config(n_components=n_components)))
    many = encoder.encode_many(windows)
    assert many.shape == (20, encoder.n_features)
    for row, samples in zip(many, windows, strict=True):
        np.testing.assert_allclose(encoder.encode(window(samples)).values, row, atol=1e-10)


def test_a_view_into_a_ring_encodes_like_a_copy_and_is_left_alone():
    ring = np.concatenate(list(mixed(4)), axis=1)
    encoder = opened(FilterbankCovariance.fit(mixed(), None, config()))
    view = ring[:, 33 : 33 + N_TIMES]
    view.flags.writeable = False
    before = view.copy()
    from_view = encoder.encode(window(view)).values
    np.testing.assert_array_equal(view, before)
    np.testing.assert_allclose(from_view, encoder.encode(window(before)).values, atol=1e-12)


def test_values_are_the_receivers_own():
    windows = mixed()
    encoder = opened(FilterbankCovariance.fit(windows, None, config()))
    first = encoder.encode(window(windows[0])).values
    kept = first.copy()
    encoder.encode(window(windows[1]))
    np.testing.assert_array_equal(first, kept)


def test_the_reference_is_the_mean_so_training_features_balance_out():
    windows = mixed()
    features = FilterbankCovariance.fit(windows, None, config()).encode_many(windows)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-6)


def test_features_do_not_depend_on_the_units_of_the_signal():
    # The geometry is affine invariant: volts and microvolts see the same brain.
    windows = mixed()
    features = FilterbankCovariance.fit(windows, None, config()).encode_many(windows)
    scaled = FilterbankCovariance.fit(windows * 1e-3, None, config()).encode_many(windows * 1e-3)
    np.testing.assert_allclose(scaled, features, atol=1e-7)


def test_doubling_a_window_moves_only_the_diagonal_by_the_logarithm_of_four():
    windows = mixed()
    encoder = FilterbankCovariance.fit(windows, None, config(n_components=1))
    moved = encoder.encode_many(2 * windows) - encoder.encode_many(windows)
    np.testing.assert_allclose(moved, np.log(4), atol=1e-10)


def test_components_are_a_ceiling_and_a_reference_takes_one_away():
    windows = mixed().reshape(20, N_BANDS, N_CHANNELS, N_TIMES)
    windows = (windows - windows.mean(axis=2, keepdims=True)).reshape(20, -1, N_TIMES)
    encoder = FilterbankCovariance.fit(windows, None, config(n_components=99))
    assert encoder.n_features == N_BANDS * 5 * 6 // 2
    assert np.isfinite(encoder.encode_many(windows)).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    windows = mixed()
    encoder = opened(FilterbankCovariance.fit(windows, None, config()))
    broken = windows[0].copy()
    broken[:N_CHANNELS] = value
    embedding = encoder.encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()
    many = encoder.encode_many(np.stack([windows[0], broken, windows[1]]))
    assert np.isnan(many).all(axis=1).tolist() == [False, True, False]
    assert encoder.encode(window(windows[0])).quality == 1


@pytest.mark.parametrize("n_components", [None, 4])
def test_what_a_bundle_keeps_rebuilds_the_encoder(n_components):
    windows = mixed()
    chosen = config(n_components=n_components)
    encoder = FilterbankCovariance.fit(windows, None, chosen)
    again = FilterbankCovariance.from_arrays(chosen, encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))


def test_arrays_that_do_not_fit_the_config_are_refused():
    arrays = FilterbankCovariance.fit(mixed(), None, config()).to_arrays()
    with pytest.raises(BundleError, match="2 bands"):
        FilterbankCovariance.from_arrays(config(n_bands=2), arrays)
    with pytest.raises(BundleError, match="whiteners"):
        FilterbankCovariance.from_arrays(config(), {"filters": arrays["filters"]})
    cut = arrays | {"filters": arrays["filters"][:, :2]}
    with pytest.raises(BundleError, match="do not fit"):
        FilterbankCovariance.from_arrays(config(), cut)


def test_a_stream_or_window_of_another_shape_is_refused():
    encoder = FilterbankCovariance.fit(mixed(), None, config())
    assert isinstance(encoder, Encoder)
    with pytest.raises(SchemaMismatch, match="17 rows"):
        encoder.open(spec(17), N_TIMES)
    opened(encoder)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(mixed()[0][:, :-1]))
    encoder.close()
    encoder.close()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(mixed()[0]))


def test_training_windows_must_be_there_finite_and_not_silent():
    with pytest.raises(ConfigError, match="0 windows"):
        FilterbankCovariance.fit(mixed()[:0], None, config())
    for value in (0.0, np.nan):
        windows = mixed()
        windows[7, N_CHANNELS : 2 * N_CHANNELS] = value
        with pytest.raises(ConfigError, match="Window 7"):
            FilterbankCovariance.fit(windows, None, config())


@pytest.mark.parametrize(
    "fields", [{"n_bands": 0}, {"n_components": 0}, {"shrinkage": 0.0}, {"shrinkage": 1.1}]
)
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        config(**fields)
