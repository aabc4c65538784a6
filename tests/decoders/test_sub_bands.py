"""Sub-bands are projections of the window: sums over coefficients are sums over time."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.sub_bands import SubBandConfig, SubBands
from diverloop.runtime.errors import ConfigError

RATE_HZ = 256.0


def tone(frequency_hz: float, n_times: int = 256) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(n_times) / RATE_HZ)[None]


@pytest.mark.parametrize("n_times", [256, 255, 300])
def test_products_are_those_of_the_band_limited_signal_over_time(n_times):
    config = SubBandConfig(rate_hz=RATE_HZ, n_bands=3)
    signal = np.random.default_rng(0).standard_normal((4, n_times))
    bins_hz = np.fft.rfftfreq(n_times, 1 / RATE_HZ)
    bands = SubBands(config, n_times)
    coefficients = bands.coefficients(signal)
    found = bands.products(coefficients, coefficients[:2])
    for band in range(3):
        inside = (bins_hz >= 8 * (band + 1) - 1e-6) & (bins_hz <= 88 + 1e-6)
        limited = np.fft.irfft(np.where(inside, np.fft.rfft(signal, axis=1), 0), n_times, axis=1)
        np.testing.assert_allclose(found[band], limited @ limited[:2].T, atol=1e-9)
        part = bands.of(coefficients, band)
        np.testing.assert_allclose(part @ part[:2].T, found[band], atol=1e-9)


@pytest.mark.parametrize(("frequency_hz", "held_by"), [(5, 0), (8, 1), (20, 2), (45, 5), (88, 5)])
def test_a_tone_is_in_the_sub_bands_that_reach_down_to_it(frequency_hz, held_by):
    bands = SubBands(SubBandConfig(rate_hz=RATE_HZ), 256)
    coefficients = bands.coefficients(tone(frequency_hz))
    power = bands.products(coefficients, coefficients)[:, 0, 0]
    np.testing.assert_allclose(power, np.where(np.arange(5) < held_by, 128.0, 0.0), atol=1e-9)


def test_a_slow_stream_gets_fewer_sub_bands():
    config = SubBandConfig(rate_hz=64.0)
    assert config.n_sub_bands == 2
    assert config.end_hz < 32
    assert len(config.weights) == 2
    assert SubBands(config, 64).coefficients(tone(10)[:, :64]).shape[0] == 1


def test_weights_fall():
    weights = SubBandConfig(rate_hz=RATE_HZ).weights
    assert len(weights) == 5
    assert (np.diff(weights) < 0).all()


def test_a_window_too_short_for_its_sub_bands_is_refused():
    with pytest.raises(ConfigError, match="too short"):
        SubBands(SubBandConfig(rate_hz=RATE_HZ), 20)


@pytest.mark.parametrize(
    "fields", [{"rate_hz": 10.0}, {"n_bands": 0}, {"step_hz": 1.0}, {"top_hz": 9.0}]
)
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        SubBandConfig(**{"rate_hz": RATE_HZ} | fields)
