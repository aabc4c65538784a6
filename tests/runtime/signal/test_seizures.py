from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.signal.seizures import SeizureConfig, SeizureGuard

RATE_HZ = 256.0
STEP = 32
N_CHANNELS = 8
ALL = np.ones(N_CHANNELS, bool)


def spec(rate_hz: float = RATE_HZ, n_channels: int = N_CHANNELS, kind: str = "eeg") -> StreamSpec:
    channels = tuple(Channel(name=f"LH{i + 1}", kind=kind) for i in range(n_channels))
    return StreamSpec(name="x", rate_hz=rate_hz, channels=channels)


def guard(**settings) -> SeizureGuard:
    return SeizureGuard(SeizureConfig(**settings), spec(), STEP)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    white = np.random.default_rng(seed).normal(0, 1, (N_CHANNELS, round(seconds * RATE_HZ)))
    coloured = lfilter([1], [1, -0.97], white, axis=1)
    return coloured * (20 / coloured.std()) + 300


def seize(samples: np.ndarray, rows, begin_s: float, end_s: float, height_uv: float = 120) -> None:
    """A rhythm of 5 Hz with a sharp edge, at full height from the first second on."""
    first, stop = round(begin_s * RATE_HZ), round(end_s * RATE_HZ)
    times = np.arange(stop - first) / RATE_HZ
    wave = np.sin(10 * np.pi * times) + 0.5 * np.sin(20 * np.pi * times)
    samples[rows, first:stop] += height_uv * np.minimum(1, times) * wave


def alarms(online: SeizureGuard, samples: np.ndarray, usable=ALL):
    """With the time at which each was said, in seconds."""
    return [
        ((first + STEP) / RATE_HZ, finding)
        for first in range(0, samples.shape[1] - STEP + 1, STEP)
        for finding in online.look(samples[:, first : first + STEP], first, usable)
    ]


def test_a_rhythm_in_four_channels_is_suspected_once_within_ten_seconds():
    samples = noise(100)
    seize(samples, [1, 2, 3, 5], 50, 80)
    ((said_s, finding),) = alarms(guard(), samples)
    assert 53 <= said_s <= 60
    assert finding.kind is EventKind.SEIZURE
    assert finding.rows == (1, 2, 3, 5)
    assert finding.stop == round(said_s * RATE_HZ)
    assert finding.first <= finding.stop - 2.9 * RATE_HZ
    assert finding.text == (
        "Research guard, not a diagnosis: seizure-like activity in LH2, LH3, LH4, LH6."
    )


def test_background_alone_is_no_seizure():
    assert alarms(guard(), noise(100, seed=4)) == []


def test_two_channels_are_not_enough():
    samples = noise(90)
    seize(samples, [1, 2], 50, 80)
    assert alarms(guard(), samples) == []
    assert len(alarms(guard(channels=2), samples)) == 1


def test_two_seconds_are_not_enough():
    samples = noise(90)
    seize(samples, [1, 2, 3, 4], 50, 51.5, height_uv=60)
    assert alarms(guard(), samples) == []


def test_the_alarm_comes_in_the_step_in_which_the_time_is_full():
    samples = noise(90)
    seize(samples, [1, 2, 3, 4], 50, 80)
    said = [alarms(guard(hold_s=hold_s), samples)[0][0] for hold_s in (2.0, 3.0, 4.0)]
    np.testing.assert_allclose(np.diff(said), 1.0, atol=STEP / RATE_HZ)


def test_a_second_seizure_is_a_second_alarm():
    samples = noise(160)
    for begin_s in (50, 110):
        seize(samples, [1, 2, 3, 4], begin_s, begin_s + 25)
    said_s = [said_s for said_s, _ in alarms(guard(), samples)]
    assert len(said_s) == 2
    assert said_s[1] > 110


def test_a_lull_within_a_seizure_is_no_second_alarm():
    samples = noise(120)
    seize(samples, [1, 2, 3, 4], 50, 65)
    seize(samples, [1, 2, 3, 4], 70, 85)
    assert len(alarms(guard(), samples)) == 1


def test_a_long_seizure_does_not_become_the_usual():
    samples = noise(220)
    seize(samples, [1, 2, 3, 4], 50, 150)
    seize(samples, [1, 2, 3, 4], 180, 210)
    said_s = [said_s for said_s, _ in alarms(guard(), samples)]
    assert len(said_s) == 2
    assert said_s[1] < 190


def test_what_lasts_for_good_becomes_the_usual_in_the_end():
    samples = noise(260)
    seize(samples, [1, 2, 3, 4], 50, 260)
    online = guard(frozen_s=30.0, baseline_s=20.0)
    assert len(alarms(online, samples)) == 1
    assert not online._alarmed


def test_before_the_baseline_is_known_nothing_is_said():
    samples = noise(40)
    seize(samples, [1, 2, 3, 4], 10, 25)
    assert alarms(guard(), samples) == []


def test_bad_channels_do_not_count():
    samples, usable = noise(90), ALL.copy()
    seize(samples, [1, 2, 3], 50, 80)
    usable[2] = False
    assert alarms(guard(), samples, usable) == []


def test_movement_beyond_what_brains_do_is_no_seizure():
    samples = noise(90)
    seize(samples, slice(None), 50, 80, height_uv=9000)
    assert alarms(guard(), samples) == []


def test_a_clenched_jaw_is_no_seizure():
    samples, rng = noise(90), np.random.default_rng(1)
    first, stop = round(50 * RATE_HZ), round(62 * RATE_HZ)
    muscle = rng.normal(0, 80, (5, stop - first + 1))
    samples[1:6, first:stop] += np.diff(muscle, axis=1)
    assert alarms(guard(), samples) == []


def test_blinks_are_no_seizure():
    samples = noise(90)
    wave = 150 * np.hanning(round(0.35 * RATE_HZ))
    for at_s in np.arange(45, 85, 1.1):
        first = round(at_s * RATE_HZ)
        samples[:3, first : first + len(wave)] += wave
    assert alarms(guard(), samples) == []


def test_a_gap_makes_no_alarm_and_keeps_the_baseline():
    samples, online = noise(100), guard()
    seize(samples, [1, 2, 3, 4], 60, 90)
    half = round(50 * RATE_HZ / STEP) * STEP
    assert alarms(online, samples[:, :half]) == []
    online.restart()
    ((said_s, _),) = alarms(online, samples[:, half:] - 2000)
    assert 13 <= said_s <= 20


def test_mains_hide_a_seizure_unless_they_are_taken_out():
    samples = noise(90)
    seize(samples, [1, 2, 3, 4], 50, 80, height_uv=60)
    samples += 300 * np.sin(2 * np.pi * 50 * np.arange(samples.shape[1]) / RATE_HZ)
    assert alarms(guard(), samples) == []
    assert len(alarms(guard(line_hz=50.0), samples)) == 1


def test_a_stream_with_fewer_channels_needs_all_of_them():
    online = SeizureGuard(SeizureConfig(), spec(n_channels=2), STEP)
    samples = noise(90)
    seize(samples, [0, 1], 50, 80)
    assert len(alarms(online, samples[:2], ALL[:2])) == 1


@pytest.mark.parametrize("rate_hz", [100.0, 160.0, 500.0, 1000.0, 2000.0, 4096.0])
def test_every_rate_that_amplifiers_have_is_taken(rate_hz):
    step = 8 * max(1, round(0.064 * rate_hz / 8))
    online = SeizureGuard(SeizureConfig(learn_s=10.0), spec(rate_hz, kind="seeg"), step)
    times = np.arange(round(32 * rate_hz / step) * step) / rate_hz
    samples = np.random.default_rng(0).normal(0, 20, (N_CHANNELS, len(times)))
    samples[:4] += 300 * (times > 20) * np.sin(2 * np.pi * 6 * times)
    said = [
        finding.rows
        for first in range(0, len(times), step)
        for finding in online.look(samples[:, first : first + step], first, ALL)
    ]
    assert said == [(0, 1, 2, 3)]


def test_a_rate_too_low_is_refused():
    with pytest.raises(ConfigError, match="100 Hz or more, got 50 Hz"):
        SeizureGuard(SeizureConfig(), spec(50.0), 8)


@pytest.mark.parametrize(
    "settings",
    [
        {"line_ratio": 1},
        {"power_ratio": 0},
        {"deviations": -1},
        {"hold_s": 0},
        {"average_s": 9},
        {"baseline_s": 1},
        {"learn_s": 1},
        {"frozen_s": 1},
        {"calm_s": 0},
        {"ceiling_uv": 1},
        {"channels": 0},
        {"line_hz": 20},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SeizureConfig(**settings)
