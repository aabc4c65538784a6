"""Correlations are those of the textbook, and need neither training nor masked channels."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.fbcca import FilterBankCca, FilterBankCcaConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

RATE_HZ, N_CHANNELS, N_TIMES = 250.0, 6, 500
CLASSES = ("8", "10.5", "13")


def seen(label: str, rng: np.random.Generator, strength: float = 0.8) -> np.ndarray:
    """A window of noise that all electrodes share in part, with a response of unknown phase."""
    noise = rng.standard_normal((N_CHANNELS, N_CHANNELS)) @ rng.standard_normal(
        (N_CHANNELS, N_TIMES)
    )
    if label == "rest":
        return noise
    angle = 2 * np.pi * (float(label) * np.arange(N_TIMES) / RATE_HZ + rng.random())
    wave = np.sin(angle) + 0.5 * np.sin(2 * angle + 1)
    return noise + strength * rng.standard_normal((N_CHANNELS, 1)) * wave


def trials(n: int = 12, seed: int = 0, classes=CLASSES) -> tuple[np.ndarray, np.ndarray]:
    rng, labels = np.random.default_rng(seed), np.array(classes * n)
    return np.array([seen(label, rng) for label in labels]), labels


def config(**fields) -> FilterBankCcaConfig:
    return FilterBankCcaConfig(**{"rate_hz": RATE_HZ} | fields)


def spec(n_rows: int = N_CHANNELS, rate_hz: float = RATE_HZ) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=rate_hz, channels=channels)


def window(samples: np.ndarray, usable=None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def fitted(**fields) -> FilterBankCca:
    return FilterBankCca.fit(*trials(1), config(**fields))


def opened(**fields) -> FilterBankCca:
    encoder = fitted(**fields)
    encoder.open(spec(), N_TIMES)
    return encoder


@pytest.mark.parametrize("fields", [{}, {"per_band": True}, {"neighbour_hz": 1.0}])
def test_it_keeps_the_protocol(fields):
    encoder = fitted(**fields)
    assert isinstance(encoder, Encoder)
    check_encoder(encoder, spec(), N_TIMES)


@pytest.mark.parametrize("n_harmonics", [1, 2, 5])
def test_each_sub_band_gives_the_canonical_correlation_of_the_band_limited_window(n_harmonics):
    samples = trials(1)[0][1]
    features = fitted(per_band=True, n_harmonics=n_harmonics).encode_many(samples[None])
    time_s, bins_hz = np.arange(N_TIMES) / RATE_HZ, np.fft.rfftfreq(N_TIMES, 1 / RATE_HZ)
    expected = []
    for band in range(1, 6):
        inside = (bins_hz >= 8 * band - 1e-6) & (bins_hz <= 88 + 1e-6)
        limited = np.fft.irfft(np.where(inside, np.fft.rfft(samples, axis=1), 0), N_TIMES, axis=1)
        brain = np.linalg.qr(limited.T)[0]
        for label in ("8", "10.5", "13"):
            angles = np.outer(np.arange(1, n_harmonics + 1) * 2 * np.pi * float(label), time_s)
            waves = np.linalg.qr(np.vstack([np.sin(angles), np.cos(angles)]).T)[0]
            expected.append(np.linalg.svd(brain.T @ waves, compute_uv=False)[0] ** 2)
    np.testing.assert_allclose(features[0], expected, atol=1e-5)


def test_sums_over_sub_bands_are_weighted():
    windows = trials(2)[0]
    per_band = fitted(per_band=True).encode_many(windows).reshape(len(windows), 5, 3)
    summed = np.einsum("b,wbf->wf", config().weights, per_band)
    np.testing.assert_allclose(fitted().encode_many(windows), summed, atol=1e-12)


def test_without_training_it_finds_what_is_attended_to():
    windows, labels = trials(20)
    encoder = FilterBankCca.untrained(config(frequencies_hz=(8.0, 10.5, 13.0)), N_CHANNELS)
    found = np.array(CLASSES)[encoder.encode_many(windows).argmax(axis=1)]
    assert (found == labels).mean() > 0.9


def test_frequencies_come_from_the_labels_from_low_to_high_and_rest_names_none():
    windows, _ = trials(1)
    labels = np.array(["flicker:13", "rest", "8Hz"])
    assert FilterBankCca.fit(windows, labels, config()).frequencies_hz.tolist() == [8.0, 13.0]
    chosen = FilterBankCca.fit(windows, labels, config(frequencies_hz=(12.0, 9.0)))
    assert chosen.frequencies_hz.tolist() == [12.0, 9.0]


@pytest.mark.parametrize("labels", [np.array(["rest", "left", "8"]), None])
def test_labels_without_two_frequencies_are_refused(labels):
    with pytest.raises(ConfigError, match="at least 2 frequencies"):
        FilterBankCca.fit(trials(1)[0], labels, config())


def test_the_second_feature_of_a_frequency_is_near_zero_at_rest_and_large_when_attended():
    windows, labels = trials(20, classes=(*CLASSES, "rest"))
    extra = fitted(neighbour_hz=1.0).encode_many(windows)[:, 3:].max(axis=1)
    rest = labels == "rest"
    assert np.median(extra[~rest]) > 3 * np.median(extra[rest])


def test_any_mixture_of_the_electrodes_scores_the_same():
    windows = trials(2)[0]
    mixing = np.eye(N_CHANNELS) + 0.2 * np.random.default_rng(3).random((N_CHANNELS, N_CHANNELS))
    plain, mixed = (fitted().encode_many(one) for one in (windows, 1e-3 * mixing @ windows))
    np.testing.assert_allclose(mixed, plain, atol=1e-4)


def test_an_average_reference_takes_a_direction_away_and_nothing_else():
    windows = trials(2)[0]
    referenced = windows - windows.mean(axis=1, keepdims=True)
    dropped = FilterBankCca.untrained(config(frequencies_hz=(8.0, 10.5, 13.0)), N_CHANNELS - 1)
    np.testing.assert_allclose(
        fitted().encode_many(referenced), dropped.encode_many(referenced[:, 1:]), atol=1e-4
    )


def test_serving_one_window_and_encoding_many_agree():
    windows = trials(3)[0]
    encoder = opened(neighbour_hz=1.0)
    many = encoder.encode_many(windows)
    assert many.shape == (len(windows), encoder.n_features)
    for row, samples in zip(many, windows, strict=True):
        np.testing.assert_array_equal(encoder.encode(window(samples)).values, row)


def test_masked_channels_are_left_out_and_the_quality_says_how_many_are_left():
    samples = trials(1)[0][0]
    usable = np.array([True, False, True, True, False, True])
    embedding = opened().encode(window(samples, usable))
    fewer = FilterBankCca.untrained(config(frequencies_hz=(8.0, 10.5, 13.0)), 4)
    np.testing.assert_allclose(embedding.values, fewer.encode_many(samples[None, usable])[0])
    assert embedding.quality == pytest.approx(4 / 6)
    lost = opened().encode(window(samples, np.arange(N_CHANNELS) < 1))
    assert lost.quality == 0
    assert np.isnan(lost.values).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    encoder, broken = opened(), trials(1)[0][0]
    broken[:] = value
    embedding = encoder.encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()


def test_harmonics_above_half_the_rate_are_left_out():
    windows = trials(1)[0]
    high = config(frequencies_hz=(50.0, 60.0), n_harmonics=2)
    higher = config(frequencies_hz=(50.0, 60.0), n_harmonics=8)
    one, other = (FilterBankCca.untrained(each, N_CHANNELS) for each in (high, higher))
    np.testing.assert_allclose(one.encode_many(windows), other.encode_many(windows), atol=1e-12)


def test_what_a_bundle_keeps_rebuilds_the_encoder():
    windows, labels = trials(2)
    encoder = FilterBankCca.fit(windows, labels, config())
    again = FilterBankCca.from_arrays(config(), encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    with pytest.raises(BundleError, match="its card says"):
        FilterBankCca.from_arrays(config(frequencies_hz=(8.0, 9.0)), encoder.to_arrays())
    with pytest.raises(BundleError, match="n_channels"):
        FilterBankCca.from_arrays(config(), {"frequencies_hz": np.array([8.0, 9.0])})


def test_a_stream_or_window_of_another_shape_is_refused():
    encoder = fitted()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(trials(1)[0][0]))
    with pytest.raises(SchemaMismatch, match="7 rows"):
        encoder.open(spec(7), N_TIMES)
    with pytest.raises(SchemaMismatch, match="256 Hz"):
        encoder.open(spec(rate_hz=256.0), N_TIMES)
    encoder.open(spec(), N_TIMES)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(trials(1)[0][0][:, :-1]))


@pytest.mark.parametrize(
    "fields",
    [
        {"frequencies_hz": (8.0, 8.0)}, {"frequencies_hz": (8.0, 125.0)}, {"n_harmonics": 0},
        {"neighbour_hz": -1.0},
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must"):
        config(**fields)
