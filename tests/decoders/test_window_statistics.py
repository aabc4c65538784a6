from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.window_statistics import COUPLING, PATTERN_BANDS_HZ, WindowStatistics
from diverloop.runtime.errors import ConfigError

RATE_HZ, N_TIMES = 500.0, 1000
TIME_S = np.arange(N_TIMES) / RATE_HZ


def noise(n: int = 6, seed: int = 0) -> np.ndarray:
    return 10 * np.random.default_rng(seed).standard_normal((n, N_TIMES))


def measure(samples: np.ndarray):
    statistics = WindowStatistics(RATE_HZ, samples.shape[1])
    return statistics.measure(samples), statistics.names


def value(samples: np.ndarray, name: str) -> float:
    found, names = measure(samples)
    return float(found.channels[0, names.index(name)])


def test_a_wave_has_its_power_in_its_band_and_nowhere_else():
    wave = 8 * np.sin(2 * np.pi * 10 * TIME_S)[None]
    assert value(wave, "RMS") == pytest.approx(np.log(8 / np.sqrt(2)), abs=0.01)
    assert value(wave, "power 4-12 Hz") == pytest.approx(np.log(8 / np.sqrt(2)), abs=0.1)
    for other in ("power 1-4 Hz", "power 12-30 Hz", "power 30-45 Hz", "power 70-150 Hz"):
        assert value(wave, other) < np.log(0.2)


def test_the_slope_is_the_exponent_of_the_spectrum():
    rng = np.random.default_rng(1)
    frequency_hz = np.fft.rfftfreq(N_TIMES, 1 / RATE_HZ)
    for exponent in (0.0, 1.0, 2.0):
        shape = np.maximum(frequency_hz, 0.5) ** (-exponent / 2)
        spectrum = np.fft.rfft(rng.standard_normal((200, N_TIMES)), axis=1) * shape
        found, names = measure(100 * np.fft.irfft(spectrum, axis=1))
        slope = found.channels[:, names.index("slope")].mean()
        assert slope == pytest.approx(-exponent, abs=0.15)


def test_flat_spectra_and_single_peaks_are_told_from_the_usual():
    wave, spike = np.sin(2 * np.pi * 10 * TIME_S)[None], np.zeros((1, N_TIMES))
    spike[0, 500] = 100.0
    assert value(noise(1), "flatness") > value(wave, "flatness") + 2
    assert value(spike, "peak") > value(noise(1), "peak") + 1 > value(wave, "peak") + 1.5


def test_ten_times_the_signal_moves_size_and_nothing_else():
    small, names = measure(noise())
    large, _ = measure(10 * noise())
    moved = large.channels - small.channels
    sized = [name == "RMS" or name.startswith("power") for name in names]
    assert np.allclose(moved[:, sized], np.log(10), atol=0.01)
    assert np.allclose(moved[:, ~np.array(sized)], 0, atol=0.01)
    assert np.allclose(large.coupling, small.coupling, atol=1e-6)
    assert np.allclose(large.covariances, 100 * small.covariances)


def test_coupling_tells_one_source_from_many():
    many = measure(noise())[0].coupling
    one = measure(np.ones((6, 1)) * noise(1) + 0.1 * noise())[0].coupling
    by_name = {name: (a, b) for name, a, b in zip(COUPLING, one, many, strict=True)}
    assert by_name["correlation"][0] > 0.9 > 0.2 > by_name["correlation"][1]
    assert by_name["first share"][0] > by_name["first share"][1] + 1
    assert by_name["effective rank"][0] < 0.2 < 0.9 < by_name["effective rank"][1]


def test_the_order_of_channels_moves_with_them():
    order = [3, 0, 5, 1, 4, 2]
    found, _ = measure(noise())
    moved, _ = measure(noise()[order])
    assert np.allclose(moved.channels, found.channels[order])
    assert np.allclose(moved.covariances, found.covariances[:, order][:, :, order])
    assert np.allclose(moved.coupling, found.coupling)


def test_covariance_in_a_band_is_that_of_the_signal_there():
    wave = np.outer([1.0, -2.0], np.sin(2 * np.pi * 5 * TIME_S))
    covariances = measure(wave)[0].covariances
    place = PATTERN_BANDS_HZ.index((1.0, 8.0))
    shape = covariances[place] / covariances[place, 0, 0]
    assert np.allclose(shape, [[1, -2], [-2, 4]], atol=1e-6)


@pytest.mark.parametrize("samples", [np.zeros((4, N_TIMES)), np.full((1, N_TIMES), 1e5)])
def test_silence_and_a_single_channel_still_have_numbers(samples):
    found, _ = measure(samples)
    for values in (found.channels, found.coupling, found.covariances):
        assert np.isfinite(values).all()


def test_a_slow_amplifier_has_fewer_bands():
    assert "power 70-150 Hz" in WindowStatistics(500.0, 1000).names
    assert "power 70-150 Hz" not in WindowStatistics(250.0, 500).names


@pytest.mark.parametrize(("rate_hz", "n_times"), [(500.0, 100), (50.0, 500)])
def test_windows_too_short_or_too_slow_are_refused(rate_hz, n_times):
    with pytest.raises(ConfigError, match=f"A window of {n_times} samples at {rate_hz:g} Hz"):
        WindowStatistics(rate_hz, n_times)
