"""Onsets: found to a fraction of a sample, whatever the sensor, its polarity and its flicker."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.timing_onsets import OnsetConfig, find_onsets, two_levels

WITHIN_MS = 0.2


def flashes(n=40, seed=0, shortest=0.25, longest=0.5):
    return 0.3 + np.cumsum(np.random.default_rng(seed).uniform(shortest, longest, n))


def channel(rate_hz, onsets_s, seed=0, **config):
    simulated = SimulatedPhotodiode(PhotodiodeConfig(**config), rate_hz, onsets_s, seed)
    return simulated.samples(0, round((onsets_s[-1] + 0.5) * rate_hz))


def errors_ms(found, onsets_s, rate_hz):
    assert len(found.samples) == len(onsets_s)
    return (found.samples / rate_hz - onsets_s) * 1e3


@settings(max_examples=25)
@given(
    rate_hz=st.sampled_from([250.0, 256.0, 500.0, 512.0, 1000.0, 2048.0, 5000.0]),
    rise_s=st.sampled_from([0.0, 0.0003, 0.001]),
    on_s=st.sampled_from([0.05, 0.1]),
    noise=st.sampled_from([0.0, 2.0, 10.0]),
    seed=st.integers(0, 1000),
)
def test_the_median_of_many_onsets_is_right_at_every_rate(rate_hz, rise_s, on_s, noise, seed):
    at_s = flashes(seed=seed)
    signal = channel(rate_hz, at_s, seed, rise_s=rise_s, on_s=on_s, noise=noise)
    off = errors_ms(find_onsets(signal, rate_hz), at_s, rate_hz)
    assert abs(np.median(off)) < WITHIN_MS
    assert np.abs(off).max() < 0.15e3 / rate_hz + WITHIN_MS


def test_at_30_khz_each_onset_is_right_to_a_sample():
    at_s = flashes(8)
    off = errors_ms(find_onsets(channel(30_000.0, at_s, rise_s=0.0005), 30_000.0), at_s, 30_000.0)
    assert np.abs(off).max() < 0.034


@pytest.mark.parametrize("flicker_hz", [60.0, 120.0, 240.0])
def test_a_flickering_screen_has_one_onset_for_each_flash(flicker_hz):
    at_s = flashes(20)
    signal = channel(2000.0, at_s, flicker_hz=flicker_hz, on_s=0.2)
    assert np.abs(errors_ms(find_onsets(signal, 2000.0), at_s, 2000.0)).max() < WITHIN_MS


@pytest.mark.parametrize("polarity", ["auto", "falling"])
def test_a_sensor_that_goes_down_in_the_light_is_read_the_other_way_round(polarity):
    at_s = flashes()
    signal = channel(1000.0, at_s, rest=500.0, on=-500.0)
    found = find_onsets(signal, 1000.0, OnsetConfig(polarity=polarity))
    assert np.abs(np.median(errors_ms(found, at_s, 1000.0))) < WITHIN_MS
    assert found.rest == pytest.approx(500, abs=5)
    assert found.on == pytest.approx(-500, abs=25)


def test_of_a_toggling_patch_both_edges_count():
    edges = np.arange(200, 4000, 200)
    wave = np.zeros(4200)
    for number, at in enumerate(edges):
        wave[at:] = (number + 1) % 2
    found = find_onsets(wave, 1000.0, OnsetConfig(kind="trigger", polarity="both"))
    np.testing.assert_allclose(found.samples, edges - 0.5)


def test_of_a_tone_the_size_counts_and_not_the_sign():
    rng, rate_hz, at_s = np.random.default_rng(3), 8000.0, flashes(20)
    time_s = np.arange(round((at_s[-1] + 0.5) * rate_hz)) / rate_hz
    since_s = time_s - at_s[np.maximum(np.searchsorted(at_s, time_s, side="right") - 1, 0)]
    lasts = (since_s >= 0) & (since_s < 0.1)
    tone = np.where(lasts, np.sin(2 * np.pi * 1000 * since_s), 0) + rng.normal(0, 0.01, len(time_s))
    found = find_onsets(7 + tone, rate_hz, OnsetConfig(kind="audio"))
    assert np.abs(errors_ms(found, at_s, rate_hz)).max() < 0.25  # a quarter of the tone's period


def test_creeping_levels_are_followed():
    at_s = flashes(100)
    signal = channel(1000.0, at_s, drift_per_s=10.0)
    assert abs(np.median(errors_ms(find_onsets(signal, 1000.0), at_s, 1000.0))) < WITHIN_MS


def test_glitches_can_be_told_from_flashes_by_their_length():
    at_s = flashes(20)
    signal = channel(1000.0, at_s)
    signal[np.round(at_s * 1000 - 100).astype(int)] += 1000
    assert len(find_onsets(signal, 1000.0).samples) == 40
    found = find_onsets(signal, 1000.0, OnsetConfig(shortest_s=0.02))
    assert np.abs(errors_ms(found, at_s, 1000.0)).max() < 0.3


def test_a_flash_that_begins_where_samples_were_lost_is_no_onset():
    at_s = flashes(10)
    signal = channel(1000.0, at_s)
    lost = round(at_s[4] * 1000)
    signal[lost - 20 : lost + 20] = np.nan
    found = find_onsets(signal, 1000.0)
    np.testing.assert_allclose(found.samples / 1000, np.delete(at_s, 4), atol=5e-4)


def test_what_is_on_from_the_beginning_began_before():
    signal = channel(1000.0, flashes(10))
    first = round(flashes(10)[0] * 1000) + 5
    assert len(find_onsets(signal[first:], 1000.0).samples) == 9


def test_indices_count_from_where_the_signal_begins():
    at_s = flashes(10)
    whole = find_onsets(channel(1000.0, at_s), 1000.0)
    later = find_onsets(channel(1000.0, at_s), 1000.0, first_sample=5000)
    np.testing.assert_allclose(later.samples, whole.samples + 5000)


def test_the_two_levels_are_those_of_the_plateaus():
    values = np.concatenate((np.zeros(900), np.linspace(0, 10, 5), np.full(95, 10.0)))
    assert two_levels(values)[:2] == (0.0, 10.0)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(5000),
        np.random.default_rng(0).normal(0, 20, 5000),
        np.cumsum(np.random.default_rng(1).normal(0, 1, 20000)) * 0 + 1e-9,
        np.full(5000, np.nan),
    ],
)
def test_a_channel_without_two_levels_is_refused_with_what_to_check(signal):
    with pytest.raises(RecordingError, match=r"does not go between two levels.*plugged in"):
        find_onsets(signal, 250.0)


@pytest.mark.parametrize("signal", [np.zeros((2, 5)), np.zeros(0)])
def test_one_channel_with_samples_is_needed(signal):
    with pytest.raises(RecordingError, match="One channel with samples"):
        find_onsets(signal, 250.0)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"kind": "lamp"}, "photodiode, audio, trigger, got 'lamp'"),
        ({"polarity": "up"}, "got 'up'"),
        ({"quiet_s": -1.0}, "quiet_s must be in"),
        ({"shortest_s": float("nan")}, "shortest_s must be in"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings_, words):
    with pytest.raises(ConfigError, match=words):
        OnsetConfig(**settings_)
