"""The simulated sensor: light where it was put, spread as an amplifier spreads it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.errors import ConfigError

QUIET = {"rest": 0.0, "on": 1.0, "noise": 0.0}


def light(rate_hz=1000.0, onsets_s=(0.5,), stop=1000, **config):
    made = PhotodiodeConfig(**{**QUIET, **config})
    return SimulatedPhotodiode(made, rate_hz, np.array(onsets_s)).samples(0, stop)


@given(at_s=st.floats(0.3, 0.7), rise_s=st.sampled_from([0.0, 0.001]))
def test_the_area_under_an_edge_tells_where_the_light_came_on(at_s, rise_s):
    # A comb filter passes constants, so the sum over an edge is exact at every phase; that of an
    # exponential lies at its time constant, its half at ln 2 of it.
    tau_s = rise_s / np.log(9)
    signal = light(onsets_s=(at_s,), on_s=5.0, rise_s=rise_s)
    mean_s = (1000 - signal.sum(dtype=np.float64) - 0.5) / 1000
    assert mean_s == pytest.approx(at_s + tau_s * (1 - np.log(2)), abs=2e-6)


def test_a_flash_is_dark_before_bright_within_and_dark_after():
    signal = light(on_s=0.1)
    assert np.abs(signal[:498]).max() < 1e-6
    assert signal[510:599].min() > 0.999
    assert np.abs(signal[620:]).max() < 1e-6


def test_the_light_is_half_way_up_at_its_onset():
    signal = light(rate_hz=20_000.0, onsets_s=(0.2,), stop=8000, rise_s=0.005)
    assert signal[4000] == pytest.approx(0.5, abs=0.001)


@settings(max_examples=20)
@given(cut=st.integers(1, 999), flicker_hz=st.sampled_from([0.0, 60.0]))
def test_any_cut_gives_the_same_channel(cut, flicker_hz):
    config = PhotodiodeConfig(**QUIET, flicker_hz=flicker_hz, drift_per_s=0.5)
    simulated = SimulatedPhotodiode(config, 1000.0, np.array([0.2, 0.55, 0.8]))
    parts = np.concatenate((simulated.samples(0, cut), simulated.samples(cut, 1000)))
    np.testing.assert_allclose(parts, simulated.samples(0, 1000), atol=1e-5)


def test_flicker_goes_dark_between_two_refreshes_and_only_then():
    signal = light(on_s=0.2, flicker_hz=50.0)
    assert signal[505] > 0.99
    assert abs(signal[516]) < 0.01
    assert light(on_s=0.2, flicker_hz=50.0, flicker_depth=0.3)[516] == pytest.approx(0.7, abs=0.01)


def test_without_flashes_there_is_only_rest_and_noise():
    made = SimulatedPhotodiode(PhotodiodeConfig(noise=2.0), 500.0, np.empty(0))
    signal = made.samples(0, 5000)
    assert signal.mean() == pytest.approx(100, abs=0.2)
    assert signal.std() == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"on_s": 0.0}, "on_s must be in"),
        ({"rise_s": 0.1}, "rise_s must be in"),
        ({"flicker_depth": 2.0}, "flicker_depth must be in"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        PhotodiodeConfig(**changes)
