"""What repeats from trial to trial is found and told apart; what does not repeat is not."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.sub_bands import SubBands
from diverloop.decoders.trca import TaskRelatedComponents, TaskRelatedComponentsConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

RATE_HZ, N_CHANNELS, N_TIMES = 250.0, 6, 250
CLASSES = ("10", "12", "8")
TOPOGRAPHY = np.array([1.0, 0.6, 0.3, 0.0, -0.2, 0.1])[:, None]


def trials(
    n: int = 3, seed: int = 0, *, strength: float = 1.0, locked: bool = True, classes=CLASSES
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of shared noise with a response that keeps its phase, or does not."""
    rng, labels = np.random.default_rng(seed), np.array(classes * n)
    # The head is the same whoever draws the trials.
    mixing = np.random.default_rng(99).standard_normal((N_CHANNELS, N_CHANNELS))
    windows = []
    for label in labels:
        windows.append(mixing @ rng.standard_normal((N_CHANNELS, N_TIMES)))
        if label != "rest":
            shift = 0.0 if locked else rng.random()
            angle = 2 * np.pi * (float(label) * np.arange(N_TIMES) / RATE_HZ + shift)
            windows[-1] += strength * TOPOGRAPHY * (np.sin(angle) + 0.6 * np.sin(2 * angle + 1))
    return np.array(windows), labels


def config(**fields) -> TaskRelatedComponentsConfig:
    return TaskRelatedComponentsConfig(**{"rate_hz": RATE_HZ} | fields)


def spec(n_rows: int = N_CHANNELS, rate_hz: float = RATE_HZ) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=rate_hz, channels=channels)


def window(samples: np.ndarray, usable=None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def fitted(**fields) -> TaskRelatedComponents:
    return TaskRelatedComponents.fit(*trials(), config(**fields))


def opened() -> TaskRelatedComponents:
    encoder = fitted()
    encoder.open(spec(), N_TIMES)
    return encoder


def share_right(encoder: TaskRelatedComponents, windows: np.ndarray, labels: np.ndarray) -> float:
    found = np.array(sorted(set(labels) - {"rest"}))[encoder.encode_many(windows).argmax(axis=1)]
    return float((found == labels).mean())


@pytest.mark.parametrize("ensemble", [True, False])
def test_it_keeps_the_protocol(ensemble):
    encoder = fitted(ensemble=ensemble)
    assert isinstance(encoder, Encoder)
    check_encoder(encoder, spec(), N_TIMES)


@pytest.mark.parametrize("ensemble", [True, False])
def test_three_locked_trials_of_each_class_are_enough(ensemble):
    unseen = trials(20, seed=1)
    assert share_right(fitted(ensemble=ensemble), *unseen) > 0.9


def test_two_trials_of_each_class_will_do():
    encoder = TaskRelatedComponents.fit(*trials(2), config())
    assert share_right(encoder, *trials(20, seed=1)) > 0.8


def test_responses_that_do_not_keep_their_phase_are_at_chance():
    encoder = TaskRelatedComponents.fit(*trials(8, locked=False), config())
    assert share_right(encoder, *trials(40, seed=1, locked=False)) < 0.5


@pytest.mark.parametrize("ensemble", [True, False])
def test_a_feature_is_the_weighted_correlation_with_the_mean_response(ensemble):
    windows, labels = trials()
    encoder, bands = fitted(ensemble=ensemble), SubBands(config(), N_TIMES)
    filters, sample = encoder.to_arrays()["filters"], trials(1, seed=5)[0][0]
    expected = []
    for place, name in enumerate(CLASSES):
        mean, total = windows[labels == name].mean(axis=0), 0.0
        for band, weight in enumerate(config().weights):
            chosen = filters[band] if ensemble else filters[band, place : place + 1]
            one, other = (
                (chosen @ bands.of(bands.coefficients(each), band)).ravel()
                for each in (mean, sample)
            )
            correlation = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            total += weight * correlation * abs(correlation)
        expected.append(total)
    np.testing.assert_allclose(encoder.encode_many(sample[None])[0], expected, atol=1e-9)


def test_a_filter_lets_more_of_what_repeats_through_than_any_electrode_or_random_mixture():
    windows, labels = trials(6, strength=0.4)
    encoder = TaskRelatedComponents.fit(windows, labels, config())
    mine = windows[labels == "10"]
    bands = SubBands(config(), N_TIMES)
    parts = np.array([bands.of(bands.coefficients(one), 0) for one in mine])

    def repeats(weights: np.ndarray) -> float:
        seen = np.einsum("c,wck->wk", weights, parts)
        total = seen.sum(axis=0)
        return float((total @ total - (seen**2).sum()) / (seen**2).sum())

    rivals = [*np.eye(N_CHANNELS), *np.random.default_rng(2).standard_normal((100, N_CHANNELS))]
    # The ridge costs a little of the optimum.
    assert repeats(encoder.to_arrays()["filters"][0, 0]) > max(map(repeats, rivals)) * 0.999


def test_rest_has_no_response_and_so_no_feature():
    windows, labels = trials(classes=(*CLASSES, "rest"))
    encoder = TaskRelatedComponents.fit(windows, labels, config())
    assert encoder.n_features == 3


def test_serving_one_window_and_encoding_many_agree():
    windows = trials(seed=4)[0]
    encoder = opened()
    for row, samples in zip(encoder.encode_many(windows), windows, strict=True):
        np.testing.assert_array_equal(encoder.encode(window(samples)).values, row)


def test_features_do_not_depend_on_the_units_of_the_signal():
    windows, labels = trials()
    volts = TaskRelatedComponents.fit(windows * 1e-6, labels, config())
    np.testing.assert_allclose(
        volts.encode_many(windows * 1e-6), fitted().encode_many(windows), atol=1e-9
    )


def test_masked_channels_are_stood_in_for_and_cost_quality():
    windows, labels = trials(20, seed=1)
    usable, encoder = np.arange(N_CHANNELS) != 3, opened()
    found = [encoder.encode(window(one, usable)) for one in windows]
    assert 0 < found[0].quality < 1
    guesses = np.array(CLASSES)[[one.values.argmax() for one in found]]
    assert (guesses == labels).mean() > 0.7
    lost = encoder.encode(window(windows[0], np.arange(N_CHANNELS) < 1))
    assert lost.quality == 0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    broken = trials()[0][0]
    broken[:] = value
    embedding = opened().encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()


def test_what_a_bundle_keeps_rebuilds_the_encoder():
    windows = trials(seed=2)[0]
    encoder = fitted()
    again = TaskRelatedComponents.from_arrays(config(), encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    with pytest.raises(BundleError, match="do not fit"):
        TaskRelatedComponents.from_arrays(config(n_bands=3), encoder.to_arrays())
    with pytest.raises(BundleError, match="n_times"):
        TaskRelatedComponents.from_arrays(
            config(), {k: v for k, v in encoder.to_arrays().items() if k != "n_times"}
        )


def test_another_stream_window_or_rate_is_refused():
    encoder = fitted()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(trials()[0][0]))
    with pytest.raises(SchemaMismatch, match="7 rows"):
        encoder.open(spec(7), N_TIMES)
    with pytest.raises(SchemaMismatch, match="256 Hz"):
        encoder.open(spec(rate_hz=256.0), N_TIMES)
    with pytest.raises(SchemaMismatch, match="251 samples"):
        encoder.open(spec(), 251)
    encoder.open(spec(), N_TIMES)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(trials()[0][0][:, :-1]))


def test_too_few_classes_or_trials_and_broken_windows_are_refused():
    windows, labels = trials()
    with pytest.raises(ConfigError, match="at least 2 classes besides rest"):
        TaskRelatedComponents.fit(windows, np.array(["8", "rest", "8"] * 3), config())
    with pytest.raises(ConfigError, match="advised 3"):
        TaskRelatedComponents.fit(windows[:4], labels[:4], config())
    windows[5] = np.nan
    with pytest.raises(ConfigError, match="Window 5"):
        TaskRelatedComponents.fit(windows, labels, config())
