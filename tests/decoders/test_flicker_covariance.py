"""Which electrodes follow a flicker."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from diverloop.decoders.flicker_covariance import FlickerCovariance, FlickerCovarianceConfig
from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.session import build

RATE_HZ, N_CHANNELS, N_TIMES = 128.0, 4, 128
CONFIG = FlickerCovarianceConfig(rate_hz=RATE_HZ)
SPEC = StreamSpec(
    name="made", rate_hz=RATE_HZ, channels=tuple(Channel(name=f"E{n}") for n in range(N_CHANNELS))
)


def watched(n: int = 40, seed: int = 0, gain: float = 0.6):
    """Electrode 0 follows 10 Hz and electrode 1 follows 12 Hz, in any phase; all else is noise."""
    rng = np.random.default_rng(seed)
    labels = np.array(["10", "12"])[np.arange(n) % 2]
    windows = rng.standard_normal((n, N_CHANNELS, N_TIMES))
    time_s = np.arange(N_TIMES) / RATE_HZ
    for one, label in zip(windows, labels, strict=True):
        phase = rng.uniform(0, 2 * np.pi)
        one[int(label == "12")] += gain * np.sin(2 * np.pi * float(label) * time_s + phase)
    return windows, labels


def window(samples, usable=None) -> Window:
    return Window(samples=samples, first_sample=0, stop_sample=N_TIMES, due_ns=0, usable=usable)


@pytest.fixture(scope="module")
def encoder() -> FlickerCovariance:
    return FlickerCovariance.fit(*watched(), CONFIG)


def test_flicker_on_another_electrode_is_told_apart(encoder):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    windows, labels = watched(80)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model.fit(encoder.encode_many(windows), labels)
    unseen, truth = watched(60, seed=1)
    assert (model.predict(encoder.encode_many(unseen)) == truth).mean() > 0.9


def test_what_lies_far_from_every_flicker_is_not_seen(encoder):
    windows, _ = watched(3, seed=2)
    time_s = np.arange(N_TIMES) / RATE_HZ
    hummed = windows + 50 * np.sin(2 * np.pi * 50 * time_s)
    np.testing.assert_allclose(encoder.encode_many(hummed), encoder.encode_many(windows), atol=1e-9)


def test_one_window_is_encoded_as_many_are(encoder):
    windows, _ = watched(5, seed=3)
    encoder.open(SPEC, N_TIMES)
    one_by_one = [encoder.encode(window(samples)).values for samples in windows]
    np.testing.assert_array_equal(one_by_one, encoder.encode_many(windows))


def test_what_a_masked_electrode_holds_does_not_matter(encoder):
    windows, _ = watched(1, seed=4)
    usable = np.arange(N_CHANNELS) != 3
    encoder.open(SPEC, N_TIMES)
    found = []
    for value in (0.0, np.nan):
        held = windows[0].copy()
        held[3] = value
        found.append(encoder.encode(window(held, usable)))
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert np.isfinite(found[0].values).all()
    assert 0 < found[0].quality < 1


def test_garbage_is_not_encoded(encoder):
    windows, _ = watched(3)
    windows[0, 0, 0], windows[1] = np.inf, 0.0
    found = np.isfinite(encoder.encode_many(windows)).all(axis=1)
    assert found.tolist() == [False, False, True]


def test_harmonics_that_cannot_be_sampled_are_left_out():
    windows, _ = watched()
    labels = np.array(["20", "40"])[np.arange(len(windows)) % 2]
    encoder = FlickerCovariance.fit(windows, labels, CONFIG)
    # 20, 40 and twice 20 Hz, but not 80: three bands of ten features.
    assert encoder.n_features == 30


def test_a_card_and_its_arrays_give_the_same_encoder_back(encoder):
    settings = json.loads(json.dumps(dataclasses.asdict(encoder.config)))
    config = build(FlickerCovarianceConfig, settings, "card.encoder_config")
    again = FlickerCovariance.from_arrays(config, encoder.to_arrays())
    windows, _ = watched(4, seed=5)
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))


def test_a_stream_of_another_rate_is_refused(encoder):
    with pytest.raises(SchemaMismatch, match=r"256 Hz, .* 128 Hz"):
        encoder.open(dataclasses.replace(SPEC, rate_hz=256.0), N_TIMES)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rate_hz": 0.0}, "rate_hz must be positive"),
        ({"n_harmonics": 0}, "n_harmonics"),
        ({"half_width_hz": -1.0}, "half_width_hz"),
        ({"shrinkage": 0.0}, "shrinkage"),
        ({"frequencies_hz": (10.0, 70.0)}, "frequencies_hz"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        FlickerCovarianceConfig(**{"rate_hz": RATE_HZ, **settings})


def test_labels_that_name_no_flicker_are_refused():
    with pytest.raises(ConfigError, match="at least 2 frequencies"):
        FlickerCovariance.fit(watched()[0], np.array(["rest", "10"] * 20), CONFIG)
