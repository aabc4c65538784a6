from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.common_spatial_patterns import (
    CommonSpatialPatterns,
    CommonSpatialPatternsConfig,
)
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

N_BANDS, N_CHANNELS, N_TIMES = 2, 5, 200
MIXING = np.random.default_rng(5).normal(size=(N_CHANNELS, N_CHANNELS))


def imagery(classes=("left", "right"), n_each: int = 20, seed: int = 0):
    """Class number c has its c-th source three times as strong, in band 0 only."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(classes, n_each)
    sources = rng.normal(size=(len(labels), N_BANDS, N_CHANNELS, N_TIMES))
    for place, name in enumerate(classes):
        sources[labels == name, 0, place] *= 3
    return (MIXING @ sources).reshape(len(labels), -1, N_TIMES), labels


def config(**fields) -> CommonSpatialPatternsConfig:
    return CommonSpatialPatternsConfig(**{"n_bands": N_BANDS, "n_pairs": 1} | fields)


def window(samples: np.ndarray) -> Window:
    return Window(samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0)


def spec(n_rows: int = N_BANDS * N_CHANNELS) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=160.0, channels=channels)


def test_the_filters_find_the_sources_that_differ():
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config(shrinkage=1e-6))
    seen = np.abs(encoder.to_arrays()["filters"][0] @ MIXING)
    # Ascending share of the first class: its own source comes last, the other's first.
    assert seen.argmax(axis=1).tolist() == [1, 0]
    assert (np.sort(seen, axis=1)[:, -2] < 0.2 * seen.max(axis=1)).all()


def test_features_tell_classes_apart_where_they_differ_and_only_there():
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config())
    unseen, truth = imagery(seed=1)
    features = encoder.encode_many(unseen).reshape(len(truth), N_BANDS, 2)
    contrast = features[:, :, 1] - features[:, :, 0]
    gap = contrast[truth == "left"].mean(axis=0) - contrast[truth == "right"].mean(axis=0)
    assert gap[0] > 3
    assert abs(gap[1]) < 0.3
    assert ((contrast[:, 0] > 0) == (truth == "left")).all()


def test_more_classes_are_each_set_against_the_rest():
    windows, labels = imagery(("feet", "left", "right"))
    encoder = CommonSpatialPatterns.fit(windows, labels, config(n_pairs=2, shrinkage=1e-6))
    assert encoder.n_features == N_BANDS * 3 * 4
    seen = np.abs(encoder.to_arrays()["filters"][0] @ MIXING).argmax(axis=1)
    assert seen[[3, 7, 11]].tolist() == [0, 1, 2]


def test_a_feature_is_the_logarithm_of_the_power_behind_its_filter():
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config())
    filters = encoder.to_arrays()["filters"]
    by_hand = np.log(np.mean((filters[1, 0] @ windows[3, N_CHANNELS:]) ** 2))
    assert encoder.encode_many(windows)[3, 2] == pytest.approx(by_hand, abs=1e-12)


def test_serving_one_window_and_encoding_many_agree():
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config(n_pairs=2))
    encoder.open(spec(), N_TIMES)
    for row, samples in zip(encoder.encode_many(windows), windows, strict=True):
        embedding = encoder.encode(window(samples))
        assert embedding.quality == 1
        np.testing.assert_allclose(embedding.values, row, atol=1e-10)


def test_a_common_reference_does_no_harm():
    windows, labels = imagery()
    by_band = windows.reshape(len(windows), N_BANDS, N_CHANNELS, N_TIMES)
    flat = (by_band - by_band.mean(axis=2, keepdims=True)).reshape(windows.shape)
    encoder = CommonSpatialPatterns.fit(flat, labels, config())
    assert np.isfinite(encoder.encode_many(flat)).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config())
    encoder.open(spec(), N_TIMES)
    broken = windows[0].copy()
    broken[N_CHANNELS:] = value
    embedding = encoder.encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()
    assert np.isnan(encoder.encode_many(broken[None])).all()


def test_what_a_bundle_keeps_rebuilds_the_encoder():
    windows, labels = imagery()
    encoder = CommonSpatialPatterns.fit(windows, labels, config())
    again = CommonSpatialPatterns.from_arrays(config(), encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    with pytest.raises(BundleError, match="7 bands"):
        CommonSpatialPatterns.from_arrays(config(n_bands=7), encoder.to_arrays())


def test_a_stream_or_window_of_another_shape_is_refused():
    encoder = CommonSpatialPatterns.fit(*imagery(), config())
    assert isinstance(encoder, Encoder)
    with pytest.raises(SchemaMismatch, match="3 rows"):
        encoder.open(spec(3), N_TIMES)
    encoder.open(spec(), N_TIMES)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(np.ones((N_BANDS * N_CHANNELS, 9))))
    encoder.close()
    encoder.close()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(np.ones((N_BANDS * N_CHANNELS, N_TIMES))))


def test_a_fit_refuses_one_class_too_many_pairs_and_bad_windows():
    windows, labels = imagery()
    with pytest.raises(ConfigError, match="at least 2 classes"):
        CommonSpatialPatterns.fit(windows[:20], labels[:20], config())
    with pytest.raises(ConfigError, match="n_pairs must be at most"):
        CommonSpatialPatterns.fit(windows, labels, config(n_pairs=3))
    windows[4, 0, 0] = np.nan
    with pytest.raises(ConfigError, match="Window 4"):
        CommonSpatialPatterns.fit(windows, labels, config())


@pytest.mark.parametrize("fields", [{"n_bands": 0}, {"n_pairs": 0}, {"shrinkage": 0.0}])
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        config(**fields)
