from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.signal.channel_statistics import StepSums

RATE_HZ, STEP = 1000.0, 64
SECOND = 16 * STEP  # as near to a second as steps come


def seen(samples: np.ndarray, mains_hz: tuple[float, ...] = (50.0,), alike=None) -> StepSums:
    n_channels = len(samples)
    alike = np.zeros(n_channels, bool) if alike is None else alike
    sums = StepSums(n_channels, RATE_HZ, STEP, mains_hz, alike)
    for first in range(0, samples.shape[1] - STEP + 1, STEP):
        sums.add(samples[:, first : first + STEP].astype(np.float32))
    sums.correlate()
    sums.measure_mains()
    return sums


def white(n_channels: int = 4, n_times: int = 2 * SECOND, sd: float = 20.0) -> np.ndarray:
    return np.random.default_rng(0).normal(300, sd, (n_channels, n_times))


def test_deviations_are_those_of_the_last_second():
    samples = white()
    samples[:, SECOND:] *= np.array([[1], [2], [3], [4]])
    found = seen(samples).statistics()
    last = samples[:, -SECOND:]
    np.testing.assert_allclose(found.whole_sd_uv, last.std(axis=1), rtol=0.02)
    np.testing.assert_allclose(found.recent_sd_uv, last[:, SECOND // 2 :].std(axis=1), rtol=0.02)
    assert (found.sd_uv <= found.recent_sd_uv + 1e-9).all()


def test_hum_is_measured_at_the_mains_and_against_what_is_beside_it():
    samples = white()
    samples[2] += 80 * np.sin(2 * np.pi * 50 * np.arange(samples.shape[1]) / RATE_HZ)
    found = seen(samples).statistics()
    assert found.hum_uv[2] == pytest.approx(80, rel=0.1)
    assert found.hum_ratio[2] > 5 * np.delete(found.hum_ratio, 2).max()


def test_a_rail_is_counted_and_a_natural_extreme_is_not():
    samples = white()
    samples[1] = np.clip(samples[1], 280, 320)
    share = max((samples[1, -SECOND:] == rail).mean() for rail in (280, 320))
    clipped = seen(samples).statistics().clipped
    assert clipped[1] == pytest.approx(share, rel=0.1)
    assert np.delete(clipped, 1).max() == 0


def test_channels_that_share_a_rhythm_are_alike_and_a_stranger_is_not():
    rng = np.random.default_rng(1)
    slow = np.cumsum(rng.normal(0, 3, 2 * SECOND))
    samples = np.vstack([slow + rng.normal(0, 1, slow.size) for _ in range(5)])
    samples[4] = np.cumsum(rng.normal(0, 3, slow.size))
    found = seen(samples, alike=np.ones(5, bool)).statistics()
    assert found.correlation[:4].min() > 0.8
    assert found.correlation[4] < 0.5


def test_a_straight_line_is_a_trend():
    samples = white()
    samples[3] += 0.4 * np.arange(samples.shape[1])
    trend = seen(samples).statistics().trend
    assert trend[3] > 10
    assert np.delete(trend, 3).max() < 3


def test_after_a_restart_only_what_follows_counts():
    sums = seen(white(sd=500.0))
    sums.restart()
    quiet = white(sd=1.0)
    for first in range(0, SECOND, STEP):
        sums.add(quiet[:, first : first + STEP].astype(np.float32))
    assert sums.statistics().whole_sd_uv.max() < 1.2


def test_a_rate_at_which_no_mains_fits_is_looked_at_all_the_same():
    found = seen(white(), mains_hz=()).statistics()
    np.testing.assert_allclose(found.whole_sd_uv, 20.0, rtol=0.1)
