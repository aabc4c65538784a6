from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal

from diverloop.adapters.individual_peak import ALPHA, SMR, PeakConfig, individual_peak
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.errors import ConfigError

from ..data import recording_path

RATE_HZ = 160.0


def fall(seed: int, n_channels: int = 2, seconds: float = 60.0) -> np.ndarray:
    """Noise whose power falls like 1 / f ** 1.2, about 10 uV."""
    n_times = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((n_channels, n_times)))
    shape = np.maximum(np.fft.rfftfreq(n_times, 1 / RATE_HZ), 0.5) ** -0.6
    noise = np.fft.irfft(spectrum * shape, n_times)
    return 10 * noise / noise.std()


def rhythm(seed: int, centre_hz: float, amplitude_uv: float, width_hz: float = 1.0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(60 * RATE_HZ))
    edges = (centre_hz - width_hz / 2, centre_hz + width_hz / 2)
    sos = signal.butter(1, edges, "bandpass", output="sos", fs=RATE_HZ)
    raw = signal.sosfilt(sos, noise)
    return amplitude_uv * raw / raw.std()


@pytest.mark.parametrize("centre_hz", [8.0, 9.3, 10.6, 12.0])
def test_a_rhythm_is_found_where_it_is(centre_hz):
    found = individual_peak(fall(1) + rhythm(2, centre_hz, 6), RATE_HZ)
    assert found.found
    assert found.peak_hz == pytest.approx(centre_hz, abs=0.5)
    assert found.gravity_hz == pytest.approx(centre_hz, abs=0.3)
    assert found.confidence > 0.99
    low, high = found.band_hz
    assert high - low == pytest.approx(2 * ALPHA.half_width_hz)
    assert f"{found.gravity_hz:.1f} Hz" in found.text


def test_the_fall_alone_is_no_peak_and_the_standard_band_is_used():
    outcomes = [individual_peak(fall(seed), RATE_HZ) for seed in range(20)]
    assert sum(found.found for found in outcomes) <= 1
    one = next(found for found in outcomes if not found.found)
    assert one.band_hz == ALPHA.standard_hz
    assert math.isnan(one.peak_hz)
    assert "There is no alpha peak between 7 and 13 Hz" in one.text
    assert "8 to 12 Hz is used" in one.text


def test_the_fall_is_measured():
    exponents = [individual_peak(fall(seed), RATE_HZ).exponent for seed in range(5)]
    assert np.mean(exponents) == pytest.approx(1.2, abs=0.1)


def test_the_fall_does_not_pull_the_peak_to_lower_frequencies():
    steep = fall(3) * 1.5 + rhythm(4, 12.0, 4)
    assert individual_peak(steep, RATE_HZ).gravity_hz == pytest.approx(12.0, abs=0.3)


def test_the_flank_of_alpha_is_not_taken_for_smr():
    samples = fall(5) + rhythm(6, 10.5, 10, width_hz=1.5)
    assert not individual_peak(samples, RATE_HZ, SMR).found
    both = individual_peak(samples + rhythm(7, 13.6, 4), RATE_HZ, SMR)
    assert both.found
    assert both.peak_hz == pytest.approx(13.6, abs=0.5)


def test_one_loud_electrode_does_not_speak_for_all():
    samples = fall(8, n_channels=4) + rhythm(9, 10.0, 6)
    samples[0] = 50 * fall(10, n_channels=1)[0]
    assert individual_peak(samples, RATE_HZ).gravity_hz == pytest.approx(10.0, abs=0.3)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "match"),
    [
        (np.ones((1, 9600)), RATE_HZ, "silent"),
        (np.full((1, 9600), np.nan), RATE_HZ, "finite"),
        (np.zeros((0, 9600)), RATE_HZ, "finite"),
        (fall(0, seconds=10), RATE_HZ, "must last 18 s"),
        (fall(0), 50.0, "must be above 60 Hz"),
    ],
)
def test_a_recording_that_cannot_tell_is_refused(samples, rate_hz, match):
    with pytest.raises(ConfigError, match=match):
        individual_peak(samples, rate_hz)


@pytest.mark.parametrize(
    "fields",
    [
        {"search_hz": (13.0, 7.0)},
        {"fall_hz": (8.0, 30.0)},
        {"half_width_hz": 0.1},
        {"segment_s": 60.0},
        {"least_confidence": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(fields):
    with pytest.raises(ConfigError):
        PeakConfig(**fields)


@pytest.mark.data
def test_closed_eyes_have_an_alpha_peak_and_both_halves_agree():
    recording = read_recording(recording_path("mi/eegmmidb_S001_R02.npz"))
    names = [name.strip(".").lower() for name in recording.spec.channel_names]
    rows = [names.index(name) for name in ("o1", "oz", "o2", "poz")]
    half = recording.samples.shape[1] // 2
    first, second = (
        individual_peak(recording.samples[rows][:, part], recording.spec.rate_hz)
        for part in (slice(0, half), slice(half, None))
    )
    assert first.found
    assert second.found
    assert first.height_db > 10
    assert first.gravity_hz == pytest.approx(second.gravity_hz, abs=0.5)
