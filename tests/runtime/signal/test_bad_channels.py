from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.recordings import read_recording
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.bad_channels import BadChannelConfig, BadChannels

from ...data import recording_path

RATE_HZ, STEP = 250.0, 16
SECOND = int(RATE_HZ)
N = 32  # a dense cap: with fewer, neighbours are not asked
SICK = 3


def spec(n_channels: int = N, kind: str = "eeg", rate_hz: float = RATE_HZ) -> StreamSpec:
    channels = tuple(Channel(name=f"ch{row}", kind=kind) for row in range(n_channels))
    return StreamSpec(name="amp", rate_hz=rate_hz, channels=channels)


def brain(seconds: float, n_channels: int = N, seed: int = 0, rate_hz: float = RATE_HZ):
    """Low frequencies shared by the channels, an own part, and a little white noise."""
    rng, n_times = np.random.default_rng(seed), int(seconds * rate_hz)
    freqs = np.fft.rfftfreq(n_times, 1 / rate_hz)
    shape = 1 / np.maximum(freqs, 1.0)
    sources = np.fft.irfft(np.fft.rfft(rng.normal(size=(n_channels + 4, n_times))) * shape, n_times)
    sources /= sources.std(axis=1, keepdims=True)
    mixed = 30 * rng.uniform(0.7, 1.0, (n_channels, 4)) @ sources[:4] / 2 + 12 * sources[4:]
    offset = rng.normal(0, 1000, (n_channels, 1))
    return (mixed + offset + rng.normal(0, 2, mixed.shape)).astype(np.float32)


class Watched:
    """What a detector said after each step."""

    def __init__(
        self, samples, detector: BadChannels | None = None, step: int = STEP, rate=RATE_HZ
    ):
        self.detector = detector or BadChannels(BadChannelConfig(), spec(len(samples)), step)
        self.usable, self.changed = [], []
        for first in range(0, samples.shape[1] - step + 1, step):
            self.changed.append(self.detector.look(samples[:, first : first + step], first))
            self.usable.append(self.detector.usable)
        self.masks = np.array(self.usable)
        self.at_s = np.arange(1, len(self.masks) + 1) * step / rate

    def masked_s(self, row: int = SICK) -> float:
        """When a channel was masked first."""
        where = np.flatnonzero(~self.masks[:, row])
        return float(self.at_s[where[0]]) if len(where) else np.inf

    def others_masked(self, *rows: int) -> list[int]:
        masked = np.flatnonzero(~self.masks.all(axis=0))
        return [int(row) for row in masked if row not in (rows or (SICK,))]


def white(size: int, sd: float) -> np.ndarray:
    return np.random.default_rng(9).normal(0, sd, size)


def pops(size: int) -> np.ndarray:
    """A jump of 400 uV three times a second, up and down in turn."""
    return 200.0 * np.sign(np.sin(2 * np.pi * 1.5 * np.arange(size) / RATE_HZ))


FAULTS = {
    "flat": lambda x: np.full_like(x, x[0]),
    "clipped": lambda x: np.clip(8 * (x - x.mean()), -150, 150) + x.mean(),
    "disconnected": lambda x: x[0] + white(len(x), 1.0),
    "noisy": lambda x: x + white(len(x), 60.0),
    "mains hum": lambda x: x + 300 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE_HZ),
    "extreme amplitude": lambda x: x.mean() + 15 * (x - x.mean()),
    "drifting": lambda x: x + 900 * np.arange(len(x)) / RATE_HZ,
    "unlike its neighbours": lambda x: brain(len(x) / RATE_HZ, 1, seed=77)[0],
    "steps": lambda x: x + pops(len(x)),
    "not a number": lambda x: np.full_like(x, np.nan),
}


def with_fault(samples, fault, first: int, stop: int, rows=(SICK,)) -> np.ndarray:
    spoilt = samples.copy()
    for row in rows:
        spoilt[row, first:stop] = fault(samples[row, first:stop])
    return spoilt


# ------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("cause", FAULTS)
def test_a_fault_is_found_within_two_seconds_and_called_by_its_name(cause):
    on_s = 4
    samples = with_fault(brain(8), FAULTS[cause], on_s * SECOND, 8 * SECOND)
    watched = Watched(samples)
    assert on_s < watched.masked_s() <= on_s + 2.0
    assert watched.detector.causes[SICK] == cause
    assert watched.others_masked() == []


@pytest.mark.parametrize("cause", ["flat", "noisy", "mains hum", "extreme amplitude", "drifting"])
def test_a_channel_comes_back_about_five_seconds_after_its_fault(cause):
    samples = with_fault(brain(16), FAULTS[cause], 3 * SECOND, 7 * SECOND)
    watched = Watched(samples)
    back = watched.at_s[np.flatnonzero(~watched.masks[:, SICK])[-1] + 1]
    assert 4.0 <= back - 7.0 <= 6.0
    assert watched.detector.causes[SICK] == ""


@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_a_wrong_unit_befalls_all_channels_and_is_believed(factor):
    watched = Watched((factor * brain(6)).astype(np.float32))
    assert not watched.masks[-1].any()
    assert set(watched.detector.causes) == {"flat" if factor < 1 else "extreme amplitude"}


def test_a_movement_that_shakes_all_channels_masks_none_of_them():
    samples = brain(8)
    shaken = samples.mean(axis=1, keepdims=True) + 40 * (
        samples - samples.mean(axis=1, keepdims=True)
    )
    assert Watched(np.where(np.arange(samples.shape[1]) > 4 * SECOND, shaken, samples)).masks.all()


def test_a_fault_shorter_than_half_a_second_masks_nothing():
    samples = with_fault(brain(8), FAULTS["noisy"], 4 * SECOND, 4 * SECOND + SECOND // 4)
    watched = Watched(samples, BadChannels(BadChannelConfig(on_s=2.0), spec(), STEP))
    assert watched.masks.all()


def test_the_shortest_time_to_be_found_masks_nothing_that_is_good():
    samples = with_fault(brain(8), FAULTS["flat"], 4 * SECOND, 8 * SECOND)
    watched = Watched(samples, BadChannels(BadChannelConfig(on_s=0.05), spec(), STEP))
    assert watched.masks[:, :SICK].all()
    assert 4.0 < watched.masked_s() <= 5.0


def test_the_shortest_time_to_come_back_gives_nothing_back_that_is_still_bad():
    samples = with_fault(brain(12), FAULTS["flat"], 3 * SECOND, 9 * SECOND)
    watched = Watched(samples, BadChannels(BadChannelConfig(off_s=1.0), spec(), STEP))
    masked = ~watched.masks[:, SICK]
    assert masked[(watched.at_s > watched.masked_s()) & (watched.at_s < 9)].all()
    assert not masked[-1]


def test_good_channels_stay_in_use_and_score_high():
    watched = Watched(brain(20, seed=5))
    assert watched.masks.all()
    assert watched.detector.scores.min() > 0.7
    assert watched.detector.causes == ("",) * N


def test_the_score_of_a_bad_channel_falls_to_nothing():
    watched = Watched(with_fault(brain(8), FAULTS["flat"], 4 * SECOND, 8 * SECOND))
    assert watched.detector.scores[SICK] < 0.05
    assert np.delete(watched.detector.scores, SICK).min() > 0.7


@pytest.mark.parametrize("cause", ["noisy", "mains hum", "disconnected", "extreme amplitude"])
def test_three_channels_in_ten_can_fail_at_once(cause):
    rows = (1, 4, 7, 10, 13, 16, 19, 22, 25)
    samples = with_fault(brain(8), FAULTS[cause], 4 * SECOND, 8 * SECOND, rows)
    watched = Watched(samples)
    assert max(watched.masked_s(row) for row in rows) <= 6.0
    assert watched.others_masked(*rows) == []


# --------------------------------------------------------------------------- what is no fault


@pytest.mark.parametrize("cause", ["noisy", "mains hum", "extreme amplitude", "steps", "drifting"])
def test_what_happens_to_every_channel_masks_none(cause):
    samples = with_fault(brain(9), FAULTS[cause], 4 * SECOND, 9 * SECOND, range(N))
    assert Watched(samples).masks.all()


def test_blinks_do_not_mask_the_frontal_channels():
    samples = brain(20)
    t = np.arange(samples.shape[1]) / RATE_HZ
    for blink_s in np.arange(2.0, 19.0, 1.3):
        for row, share in ((0, 1.0), (1, 0.95), (2, 0.4), (4, 0.35)):
            samples[row] += 250 * share * np.exp(-0.5 * ((t - blink_s) / 0.07) ** 2)
    assert Watched(samples).masks.all()


def test_a_single_jump_masks_nothing():
    samples = brain(10)
    samples[SICK, 5 * SECOND :] += 400
    assert Watched(samples).masks.all()


def test_channels_that_are_no_brain_are_only_asked_for_a_signal():
    channels = tuple(Channel(name=f"ch{row}", kind="misc") for row in range(8))
    odd = StreamSpec(name="amp", rate_hz=RATE_HZ, channels=channels)
    samples = brain(8, 8)
    samples[0, 4 * SECOND :] += white(4 * SECOND, 500)
    samples[1, 4 * SECOND :] = samples[1, 4 * SECOND]
    watched = Watched(samples, BadChannels(BadChannelConfig(), odd, STEP))
    assert watched.others_masked() == [1]


def test_neighbours_are_not_asked_inside_the_head():
    samples = with_fault(brain(8), FAULTS["unlike its neighbours"], 0, 8 * SECOND)
    inside = BadChannels(BadChannelConfig(), spec(kind="seeg"), STEP)
    assert Watched(samples, inside).masks.all()
    assert not Watched(samples).masks[:, SICK].all()


def test_neighbours_are_not_asked_in_a_sparse_cap():
    samples = with_fault(brain(8, 16), FAULTS["unlike its neighbours"], 0, 8 * SECOND)
    assert Watched(samples).masks.all()


@pytest.mark.parametrize("cause", ["flat", "noisy", "mains hum", "disconnected", "clipped"])
def test_four_channels_are_judged_without_comparing_them(cause):
    samples = with_fault(brain(8, 4), FAULTS[cause], 4 * SECOND, 8 * SECOND)
    watched = Watched(samples)
    assert 4.0 < watched.masked_s() <= 6.0
    assert watched.others_masked() == []


# ------------------------------------------------------------------------------- the contract


def test_everything_is_usable_before_anything_was_seen():
    detector = BadChannels(BadChannelConfig(), spec(), STEP)
    assert detector.usable.all()
    assert (detector.scores == 1).all()
    assert detector.causes == ("",) * N


def test_usable_is_another_array_exactly_when_look_says_so():
    samples = with_fault(brain(14), FAULTS["flat"], 2 * SECOND, 5 * SECOND)
    watched = Watched(samples)
    before = [None, *watched.usable[:-1]]
    is_new = [a is not b for a, b in zip(watched.usable, before, strict=True)]
    assert is_new[1:] == watched.changed[1:]
    assert sum(watched.changed) == 2
    assert watched.usable[0].all()


def test_no_verdict_depends_on_samples_to_come():
    samples = with_fault(brain(8), FAULTS["noisy"], 4 * SECOND, 8 * SECOND)
    whole, part = Watched(samples), Watched(samples[:, : 5 * SECOND])
    np.testing.assert_array_equal(whole.masks[: len(part.masks)], part.masks)


def test_a_restart_keeps_verdicts_and_forgets_the_signal():
    samples = with_fault(brain(7), FAULTS["flat"], 3 * SECOND, 7 * SECOND)
    detector = Watched(samples).detector
    detector.restart()
    assert not detector.usable[SICK]
    elsewhere = brain(2, seed=4) + np.float32(5000)  # the hole ends at another level
    again = Watched(elsewhere, detector)
    assert again.others_masked() == []
    assert not again.masks[0, SICK]


def test_a_large_offset_hides_no_fault():
    samples = brain(8).astype(np.float64) + 2e5
    spoilt = with_fault(samples, FAULTS["disconnected"], 4 * SECOND, 8 * SECOND)
    watched = Watched(spoilt.astype(np.float32))
    assert 4.0 < watched.masked_s() <= 6.0
    assert watched.others_masked() == []


@pytest.mark.parametrize(("rate_hz", "step"), [(160.0, 10), (1000.0, 64), (2000.0, 128)])
def test_a_noisy_channel_is_found_at_any_rate(rate_hz, step):
    samples = brain(6, rate_hz=rate_hz)
    first = int(3 * rate_hz)
    samples[SICK, first:] += white(samples.shape[1] - first, 80)
    detector = BadChannels(BadChannelConfig(), spec(rate_hz=rate_hz), step)
    watched = Watched(samples, detector, step, rate_hz)
    assert 3.0 < watched.masked_s() <= 5.0
    assert watched.others_masked() == []


@pytest.mark.parametrize("rate_hz", [64.0, 80.0])
def test_a_slow_stream_is_judged_from_few_steps(rate_hz):
    samples = brain(8, 8, rate_hz=rate_hz)
    samples[SICK, int(4 * rate_hz) :] = samples[SICK, int(4 * rate_hz)]
    detector = BadChannels(BadChannelConfig(), spec(8, rate_hz=rate_hz), 16)
    watched = Watched(samples, detector, 16, rate_hz)
    assert 4.0 < watched.masked_s() <= 7.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"outlier_z": 0.0},
        {"clipped_share": 1.0},
        {"least_correlation": 1.5},
        {"on_s": 60.0},
        {"off_s": 0.5},
        {"flat_eeg_uv": float("nan")},
    ],
    ids=str,
)
def test_a_threshold_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"bad_channels.*{next(iter(wrong))}"):
        BadChannelConfig(**wrong)


@pytest.mark.parametrize("step", [0, 63])
def test_a_step_that_is_empty_or_too_long_is_refused(step):
    with pytest.raises(ConfigError, match="step"):
        BadChannels(BadChannelConfig(), spec(), step)


# ---------------------------------------------------------------------------- real recordings


@pytest.mark.data
def test_blinking_masks_no_frontal_channel_of_a_real_recording():
    recording = read_recording(recording_path("mi/eegmmidb_S001_R07.npz"))
    samples = recording.samples[:, : int(40 * recording.spec.rate_hz)]
    detector = BadChannels(BadChannelConfig(), recording.spec, 10, 60.0)
    watched = Watched(samples, detector, 10, 160.0)
    frontal = [recording.spec.channel_names.index(name) for name in ("Fp1", "Fpz", "Fp2")]
    assert np.ptp(samples[frontal], axis=1).min() > 300  # there are blinks
    assert watched.masks[:, frontal].all()
    assert watched.masks.mean() > 0.95


@pytest.mark.data
def test_a_channel_of_a_real_recording_that_dies_is_masked():
    recording = read_recording(recording_path("mi/eegmmidb_S001_R07.npz"))
    samples = recording.samples[:, :2400].copy()
    samples[8, 1280:] = samples[8, 1280]
    detector = BadChannels(BadChannelConfig(), recording.spec, 10, 60.0)
    watched = Watched(samples, detector, 10, 160.0)
    assert 8.0 < watched.masked_s(8) <= 10.0
