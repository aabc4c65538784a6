import numpy as np
import pytest
from scipy import signal

from diverloop.hardware.simulated_rhythms import (
    Blinks,
    Bursts,
    Coloured,
    Mains,
    Wander,
    band_sections,
    pink_sections,
    resonator_sections,
    smooth_step,
)

RATES_HZ = [100.0, 250.0, 1000.0, 4096.0, 30_000.0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_background_falls_off_along_its_slope_at_every_rate(rate_hz):
    grid_hz = np.geomspace(2.0, 0.15 * rate_hz, 200)
    _, response = signal.sosfreqz(pink_sections(rate_hz, 1.2), worN=grid_hz, fs=rate_hz)
    power_db = 20 * np.log10(np.abs(response))
    slope, offset = np.polyfit(np.log10(grid_hz), power_db, 1)
    assert slope == pytest.approx(-12, abs=0.8)
    assert np.abs(power_db - offset - slope * np.log10(grid_hz)).max() < 1.0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_background_is_one_rms_over_its_band(rate_hz):
    grid_hz = np.linspace(0.5, min(100.0, rate_hz / 2), 50_000)
    _, response = signal.sosfreqz(pink_sections(rate_hz), worN=grid_hz, fs=rate_hz)
    power = np.trapezoid(np.abs(response) ** 2, grid_hz) / (rate_hz / 2)
    assert power == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("rate_hz", [100.0, 1000.0, 30_000.0])
def test_a_rhythm_peaks_where_it_should_and_is_one_rms(rate_hz):
    sections = resonator_sections(rate_hz, 11.0, 2.0)
    impulse = np.zeros(round(8 * rate_hz))
    impulse[0] = 1.0
    answer = signal.sosfilt(sections, impulse)
    assert np.sum(answer**2) == pytest.approx(1.0, rel=1e-6)
    grid_hz = np.linspace(5, 20, 1501)
    _, response = signal.sosfreqz(sections, worN=grid_hz, fs=rate_hz)
    assert grid_hz[np.abs(response).argmax()] == pytest.approx(11.0, abs=0.05)


def test_band_noise_is_one_rms():
    impulse = np.zeros(20_000)
    impulse[0] = 1.0
    answer = signal.sosfilt(band_sections(1000.0, 70, 150), impulse)
    assert np.sum(answer**2) == pytest.approx(1.0, rel=1e-3)


def test_coloured_noise_has_no_seam_between_blocks():
    sections = resonator_sections(250.0, 10.0, 2.0)
    maker, rng = Coloured(sections, 2), np.random.default_rng(0)
    got = np.concatenate([maker.block(rng, 25) for _ in range(4)], axis=1)
    rng = np.random.default_rng(0)
    white = np.concatenate([rng.standard_normal((2, 25)) for _ in range(4)], axis=1)
    np.testing.assert_allclose(got, signal.sosfilt(sections, white, axis=-1), atol=1e-12)


def test_a_wander_is_continuous_and_one_rms_in_the_long_run():
    maker, rng = Wander(50, 1.0, 0.1), np.random.default_rng(0)
    maker_blocks = np.concatenate([maker.block(rng, 5) for _ in range(1000)], axis=1)
    assert maker_blocks[:, 100:].std() == pytest.approx(1.0, rel=0.05)
    assert np.abs(np.diff(maker_blocks, axis=1)).max() < 0.5


def test_bursts_are_one_on_average_and_never_negative():
    maker, rng = Bursts(20), np.random.default_rng(0)
    gain = np.concatenate([maker.block(rng, 5) for _ in range(500)], axis=1)
    assert gain.min() >= 0
    assert gain.mean() == pytest.approx(1.0, abs=0.05)
    assert gain.max() > 3


@pytest.mark.parametrize("line_hz", [50.0, 60.0])
def test_hum_sits_at_the_mains_frequency(line_hz):
    maker, rng = Mains(line_hz, 1000.0, 0.1), np.random.default_rng(0)
    hum = np.concatenate([maker.block(rng, 100) for _ in range(100)], axis=1)[0]
    power = np.abs(np.fft.rfft(hum * np.hanning(hum.size)))
    assert np.fft.rfftfreq(hum.size, 1e-3)[power.argmax()] == pytest.approx(line_hz, abs=0.2)
    assert np.sqrt(np.mean(hum**2)) == pytest.approx(1.0, rel=0.2)


def test_blinks_come_at_their_rate_and_are_smooth():
    maker, rng = Blinks(20.0, 250.0, 0.1), np.random.default_rng(0)
    trace = np.concatenate([maker.block(rng, 25) for _ in range(6000)], axis=1)[0]
    starts = np.count_nonzero((trace[1:] > 0.3) & (trace[:-1] <= 0.3))
    assert 150 < starts < 220
    assert np.abs(np.diff(trace)).max() < 0.25
    assert 0.7 <= trace.max() <= 1.31


def test_no_blinks_when_none_are_wanted():
    maker, rng = Blinks(0.0, 250.0, 0.1), np.random.default_rng(0)
    assert not any(maker.block(rng, 25).any() for _ in range(500))


def test_a_smooth_step_goes_from_nothing_to_all():
    np.testing.assert_allclose(
        smooth_step(np.array([-1.0, 0, 0.25, 0.5, 9]), 0.5), [0, 0, 0.5, 1, 1]
    )
