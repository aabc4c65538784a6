from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.signal.ripples import RippleConfig, RippleGuard

RATE_HZ = 2000.0
STEP = 128
N_CHANNELS = 8
ALL = np.ones(N_CHANNELS, bool)


def spec(rate_hz: float = RATE_HZ) -> StreamSpec:
    channels = tuple(Channel(name=f"RH{i + 1}", kind="seeg") for i in range(N_CHANNELS))
    return StreamSpec(name="x", rate_hz=rate_hz, channels=channels)


def guard(rate_hz: float = RATE_HZ, **settings) -> RippleGuard:
    return RippleGuard(RippleConfig(**settings), spec(rate_hz), STEP)


def noise(seconds: float = 16.0, rate_hz: float = RATE_HZ, seed: int = 0) -> np.ndarray:
    white = np.random.default_rng(seed).normal(0, 1, (N_CHANNELS, round(seconds * rate_hz)))
    coloured = lfilter([1], [1, -0.98], white, axis=1)
    return coloured * (40 / coloured.std())


def oscillation(frequency_hz: float, cycles: float, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Under a bell, so many cycles above half its height."""
    half_s = cycles / frequency_hz
    times = np.arange(-half_s, half_s, 1 / rate_hz)
    bell = np.exp(-4 * np.log(2) * (times / half_s) ** 2)
    return bell * np.sin(2 * np.pi * frequency_hz * times)


def added(samples, rows, at_s: float, wave, height_uv: float, rate_hz: float = RATE_HZ) -> None:
    first = round(at_s * rate_hz) - len(wave) // 2
    samples[rows, first : first + len(wave)] += height_uv * wave


def findings(online: RippleGuard, samples: np.ndarray, usable=ALL, step: int = STEP):
    """With the sample at which each was said."""
    return [
        (first + step, finding)
        for first in range(0, samples.shape[1] - step + 1, step)
        for finding in online.look(samples[:, first : first + step], first, usable)
    ]


@pytest.mark.parametrize(
    ("frequency_hz", "said"),
    [(120, "ripple-like"), (200, "ripple-like"), (370, "fast-ripple-like")],
)
@pytest.mark.parametrize("at_s", [13.0, 13.027])
def test_a_handful_of_cycles_is_a_ripple_of_its_band(frequency_hz, said, at_s):
    samples = noise()
    added(samples, [3], at_s, oscillation(frequency_hz, 8), 60)
    ((when, finding),) = findings(guard(), samples)
    assert finding.kind is EventKind.RIPPLE
    assert finding.rows == (3,)
    assert finding.text == f"Research guard, not a diagnosis: {said} activity in RH4."
    assert abs((finding.first + finding.stop) / 2 - at_s * RATE_HZ) < 0.03 * RATE_HZ
    assert when - at_s * RATE_HZ <= 2 * STEP + 0.05 * RATE_HZ


def test_background_alone_is_no_ripple():
    assert findings(guard(), noise(30, seed=5)) == []


def test_two_cycles_are_not_enough():
    samples = noise()
    added(samples, [3], 13.0, oscillation(150, 1.5), 80)
    assert findings(guard(), samples) == []


@pytest.mark.parametrize("width_s", [0.002, 0.005, 0.012, 0.03])
def test_a_sharp_wave_only_makes_the_filter_ring(width_s):
    samples = noise()
    times = np.arange(-0.1, 0.1, 1 / RATE_HZ)
    added(samples, [3], 13.0, np.exp(-0.5 * (times / width_s) ** 2), 800)
    assert findings(guard(), samples) == []


def test_a_step_only_makes_the_filter_ring():
    samples = noise()
    samples[3, round(13 * RATE_HZ) :] += 1500
    samples[5, round(14 * RATE_HZ) :] -= 400
    assert findings(guard(), samples) == []


def test_what_all_channels_show_at_once_is_an_artefact():
    samples = noise()
    added(samples, slice(None), 13.0, oscillation(150, 8), 60)
    assert findings(guard(), samples) == []
    assert len(findings(guard(share=1.0), samples)) == 1


def test_a_bad_channel_says_nothing():
    samples, usable = noise(), ALL.copy()
    usable[3] = False
    added(samples, [3], 13.0, oscillation(150, 8), 60)
    assert findings(guard(), samples, usable) == []


def test_mains_can_be_taken_out_first():
    samples = noise()
    times = np.arange(samples.shape[1]) / RATE_HZ
    samples += 200 * np.sin(2 * np.pi * 150 * times)
    added(samples, [3], 13.0, oscillation(190, 8), 60)
    assert findings(guard(), samples) == []
    assert [f.rows for _, f in findings(guard(line_hz=50.0), samples)] == [(3,)]


def test_after_lost_samples_the_filters_start_anew_without_a_false_ripple():
    samples, online = noise(), guard()
    half = 100 * STEP
    assert findings(online, samples[:, :half]) == []
    online.restart()
    later = samples[:, half:] + 5000
    assert findings(online, later[:, : later.shape[1] // STEP * STEP]) == []


def test_below_two_kilohertz_only_ripples_are_looked_for():
    samples = noise(rate_hz=1000.0)
    added(samples, [2], 13.0, oscillation(120, 8, 1000.0), 60, 1000.0)
    added(samples, [2], 14.0, oscillation(350, 8, 1000.0), 60, 1000.0)
    ((_, finding),) = findings(guard(1000.0), samples)
    assert "ripple-like" in finding.text
    assert abs(finding.first - 13_000) < 60


def test_four_kilohertz_are_thinned():
    samples = noise(14.0, rate_hz=4096.0)
    added(samples, [2], 13.0, oscillation(300, 8, 4096.0), 60, 4096.0)
    ((_, finding),) = findings(guard(4096.0), samples)
    assert finding.first <= 13 * 4096 < finding.stop + 64


def test_a_rate_too_low_for_ripples_is_refused():
    with pytest.raises(ConfigError, match="1000 Hz or more, got 512 Hz"):
        guard(512.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"ratio": 1},
        {"deviations": 0},
        {"cycles": 1},
        {"island": 0},
        {"share": 0},
        {"line_hz": 80},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RippleConfig(**settings)
