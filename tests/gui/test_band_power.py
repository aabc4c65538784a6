"""Power of rhythms: right in size, and honest where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.band_power import BANDS, BandPower, decibels
from diverloop.runtime.messages import Chunk

ALPHA, BETA, HIGH_GAMMA = BANDS[2], BANDS[3], BANDS[5]


def fed(samples, rate_hz=500.0, cut=25, first=0) -> BandPower:
    power = BandPower(samples.shape[0], rate_hz)
    for start in range(0, samples.shape[1], cut):
        piece = samples[:, start : start + cut].astype(np.float32)
        power.take(Chunk(samples=piece, first_sample=first + start, arrived_ns=0))
        power.update()
    return power


def tone(hz, amplitude, seconds=4.0, rate_hz=500.0):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize(("rate_hz", "hz", "band"), [(500, 10, ALPHA), (4000, 140, HIGH_GAMMA)])
def test_a_tone_has_the_power_of_its_amplitude(rate_hz, hz, band):
    power = fed(tone(hz, 20.0, rate_hz=rate_hz)[None], rate_hz, cut=rate_hz // 20)
    counted = np.count_nonzero(
        (power.frequencies_hz >= band.low_hz) & (power.frequencies_hz < band.high_hz)
        & (np.abs(power.frequencies_hz - 100) >= 2) & (np.abs(power.frequencies_hz - 120) >= 2)
        & (np.abs(power.frequencies_hz - 150) >= 2)
    )  # fmt: skip
    total = power.of(band)[0] * counted * power.frequencies_hz[1]
    assert total == pytest.approx(20.0**2 / 2, rel=0.05)


def test_noise_has_the_density_that_it_was_made_with():
    noise = np.random.default_rng(0).normal(0, 3, (40, 5000))
    density = fed(noise).of(BETA)
    assert density.mean() == pytest.approx(3**2 / 250, rel=0.05)
    assert decibels(density).mean() == pytest.approx(10 * np.log10(9 / 250), abs=0.5)


def test_mains_hum_is_in_no_band():
    with_hum = fed((tone(50, 100.0) + tone(60, 100.0) + tone(10, 1.0))[None])
    assert with_hum.of(BANDS[4])[0] < 1e-3


def test_an_offset_is_no_rhythm():
    assert fed((tone(10, 1.0) + 5000.0)[None]).of(BANDS[0])[0] < 1e-2


def test_a_gap_begins_anew_instead_of_reaching_across():
    power = fed(tone(10, 20.0)[None])
    before = power.of(ALPHA)[0]
    power.take(Chunk(samples=np.zeros((1, 25), np.float32), first_sample=9000, arrived_ns=0))
    assert not power.update()
    assert power.of(ALPHA)[0] == before


def test_a_channel_that_was_not_a_number_comes_back_and_spoils_no_other():
    samples = np.vstack([tone(10, 20.0, 8.0)] * 2)
    samples[0, :100] = np.nan
    power = fed(samples[:, :1000])
    assert np.isnan(power.of(ALPHA)[0])
    assert np.isfinite(power.of(ALPHA)[1])
    for start in range(1000, 4000, 50):
        piece = samples[:, start : start + 50].astype(np.float32)
        power.take(Chunk(samples=piece, first_sample=start, arrived_ns=0))
        power.update()
    assert np.isfinite(power.of(ALPHA)).all()


def test_a_band_above_what_the_rate_can_hold_is_not_known():
    assert HIGH_GAMMA.within(200) is None
    assert np.isnan(fed(tone(10, 1.0, rate_hz=200.0)[None], 200.0).of(HIGH_GAMMA)[0])
    assert HIGH_GAMMA.within(250).high_hz == pytest.approx(112.5)


def test_nothing_is_known_before_two_seconds_and_another_shape_is_passed_over():
    power = fed(tone(10, 1.0, seconds=1.0)[None])
    assert np.isnan(power.of(ALPHA)).all()
    power.take(Chunk(samples=np.zeros((3, 500), np.float32), first_sample=500, arrived_ns=0))
    assert not power.update()


def test_a_chunk_longer_than_all_that_is_kept_is_taken():
    power = fed(tone(10, 20.0, seconds=20.0)[None], cut=10_000)
    assert np.isfinite(power.of(ALPHA)[0])
