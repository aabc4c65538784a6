from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.signal.spikes import SpikeConfig, SpikeGuard

RATE_HZ = 500.0
STEP = 32
ALL = np.ones(8, bool)


def spec(rate_hz: float = RATE_HZ, kind: str = "eeg", n_channels: int = 8) -> StreamSpec:
    channels = tuple(Channel(name=f"LA{i + 1}", kind=kind) for i in range(n_channels))
    return StreamSpec(name="x", rate_hz=rate_hz, channels=channels)


def noise(seconds: float = 24.0, rate_hz: float = RATE_HZ, seed: int = 1) -> np.ndarray:
    """Background of 20 uV that falls with frequency."""
    rng = np.random.default_rng(seed)
    white = rng.normal(0, 1, (8, round(seconds * rate_hz / STEP) * STEP))
    coloured = lfilter([1], [1, -0.97], white, axis=1)
    return coloured * (20 / coloured.std()) + 500


def bump(seconds: float, rate_hz: float = RATE_HZ) -> np.ndarray:
    """A wave of height 1 that lasts so long at half its height."""
    times = np.arange(-seconds, seconds, 1 / rate_hz)
    return np.exp(-4 * np.log(2) * (times / seconds) ** 2)


def added(samples: np.ndarray, rows, at_s: float, wave: np.ndarray, height_uv: float) -> None:
    first = round(at_s * RATE_HZ) - len(wave) // 2
    samples[rows, first : first + len(wave)] += height_uv * wave


def findings(guard: SpikeGuard, samples: np.ndarray, usable=ALL, step: int = STEP):
    """With the sample at which each was said."""
    return [
        (first + step, finding)
        for first in range(0, samples.shape[1] - step + 1, step)
        for finding in guard.look(samples[:, first : first + step], first, usable)
    ]


def guard(**settings) -> SpikeGuard:
    return SpikeGuard(SpikeConfig(**settings), spec(), STEP)


@pytest.mark.parametrize("at_s", [12.0, 12.013, 12.029, 12.05])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sharp_wave_in_three_channels_is_one_finding(at_s, sign):
    samples = noise()
    added(samples, [2, 3, 4], at_s, bump(0.04), sign * 250)
    ((said, finding),) = findings(guard(), samples)
    assert finding.kind is EventKind.SPIKE
    assert finding.rows == (2, 3, 4)
    assert finding.first < (at_s - 0.04) * RATE_HZ
    assert finding.stop > (at_s + 0.15) * RATE_HZ
    assert said <= (at_s + 0.25) * RATE_HZ
    assert finding.text == (
        "Research guard, not a diagnosis: spike-like activity in LA3, LA4, LA5."
    )


def test_background_alone_is_no_spike():
    assert findings(guard(), noise(seed=7)) == []


def test_two_spikes_are_two_findings():
    samples = noise()
    for at_s in (12.0, 13.0):
        added(samples, [1], at_s, bump(0.04), 250)
    assert [f.rows for _, f in findings(guard(), samples)] == [(1,), (1,)]


def test_nothing_is_said_before_the_background_is_known():
    samples = noise()
    added(samples, [2], 4.0, bump(0.04), 250)
    added(samples, [2], 16.0, bump(0.04), 250)
    ((_, finding),) = findings(guard(), samples)
    assert finding.first > 15 * RATE_HZ


def test_a_bad_channel_says_nothing():
    samples, usable = noise(), ALL.copy()
    usable[2] = False
    added(samples, [2], 12.0, bump(0.04), 250)
    assert findings(guard(), samples, usable) == []
    added(samples, [5], 15.0, bump(0.04), 250)
    ((_, finding),) = findings(guard(), samples, usable)
    assert finding.rows == (5,)


def test_a_blink_is_no_spike():
    samples = noise()
    for at_s in (12.0, 15.0, 18.0):
        added(samples, [0, 1], at_s, bump(0.2), 200)
    assert findings(guard(), samples) == []


def test_a_muscle_burst_is_no_spike():
    samples, rng = noise(), np.random.default_rng(3)
    for at_s, seconds in ((11.0, 0.1), (14.0, 0.3), (18.0, 2.0)):
        times = np.arange(round(seconds * RATE_HZ))
        muscle = rng.normal(0, 1, len(times)) * np.hanning(len(times))
        added(samples, [4, 5], at_s, np.diff(muscle, prepend=0), 80)
    assert findings(guard(), samples) == []


def test_a_rhythm_that_waxes_is_no_spike():
    samples = noise()
    times = np.arange(round(3 * RATE_HZ)) / RATE_HZ
    added(samples, [4, 5, 6], 15.0, np.hanning(len(times)) * np.sin(20 * np.pi * times), 100)
    assert findings(guard(), samples) == []


def test_a_spike_among_many_is_still_seen():
    samples = noise(40.0)
    times_s = np.arange(12.0, 38.0, 1.3)
    for at_s in times_s:
        added(samples, [6], at_s, bump(0.04), 300)
    assert len(findings(guard(), samples)) >= 0.9 * len(times_s)


def test_after_lost_samples_the_filters_start_anew_without_a_false_spike():
    samples, online = noise(), guard()
    half = samples.shape[1] // 2 // STEP * STEP
    assert findings(online, samples[:, :half]) == []
    online.restart()
    later = samples[:, half:] + 3000
    added(later, [3], 6.0, bump(0.04), 250)
    said = []
    for first in range(0, later.shape[1] - STEP + 1, STEP):
        part = later[:, first : first + STEP]
        said += online.look(part, half + 777 + first, ALL)
    (finding,) = said
    assert finding.first <= half + 777 + 6 * RATE_HZ < finding.stop


@pytest.mark.parametrize("rate_hz", [100.0, 160.0, 250.0, 512.0, 1000.0, 2000.0, 4096.0])
def test_every_rate_that_amplifiers_have_is_taken(rate_hz):
    step = 8 * max(1, round(0.064 * rate_hz / 8))
    online = SpikeGuard(SpikeConfig(line_hz=0.0), spec(rate_hz), step)
    samples = np.random.default_rng(0).normal(0, 20, (8, round(16 * rate_hz / step) * step))
    first = round(12 * rate_hz)
    wave = bump(0.05, rate_hz)
    samples[3, first : first + len(wave)] += 600 * wave
    ((_, finding),) = findings(online, samples, ALL, step)
    assert finding.rows == (3,)
    assert finding.first <= first + 0.05 * rate_hz < finding.stop


def test_mains_can_be_taken_out_first():
    samples = noise()
    samples += 300 * np.sin(2 * np.pi * 50 * np.arange(samples.shape[1]) / RATE_HZ)
    added(samples, [3], 14.0, bump(0.04), 250)
    assert findings(guard(), samples) == []
    assert [f.rows for _, f in findings(guard(line_hz=50.0), samples)] == [(3,)]


def test_a_rate_too_low_for_spikes_is_refused():
    with pytest.raises(ConfigError, match="100 Hz or more, got 64 Hz"):
        SpikeGuard(SpikeConfig(), spec(64.0), 8)


@pytest.mark.parametrize(
    "settings",
    [
        {"ratio": 1},
        {"deviations": math.nan},
        {"contrast": 0.5},
        {"memory_s": 100},
        {"shortest_s": 0.3},
        {"longest_s": 0.5},
        {"before_s": -0.1},
        {"after_s": 2},
        {"line_hz": 10},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SpikeConfig(**settings)
