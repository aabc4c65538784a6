import numpy as np
import pytest
from scipy import signal

from diverloop.hardware.montage import montage
from diverloop.hardware.simulated_brain import Brain
from diverloop.hardware.simulated_task import Timeline
from diverloop.hardware.simulator_config import SimulatorConfig

QUIET = {"blinks_per_min": 0.0, "drift_uv": 0.0, "line_hz": 0}


def record(seconds, drive=None, **settings):
    """Names, timeline and signal of a participant whose drive never changes."""
    config = SimulatorConfig(**settings)
    channels = montage(config.montage)
    timeline = Timeline(config.task, config.labels, config.rate_hz, config.seed)
    brain = Brain(config, channels, timeline)
    drive = config.skill if drive is None else drive
    count = round(seconds * config.rate_hz) // brain.block_samples
    samples = np.concatenate([brain.block(drive) for _ in range(count)], axis=1)
    return [channel.name for channel in channels], timeline, samples.astype(float)


def band_power(samples, rate_hz, low_hz, high_hz):
    sections = signal.butter(4, [low_hz, high_hz], "bandpass", fs=rate_hz, output="sos")
    return np.mean(signal.sosfilt(sections, samples) ** 2, axis=-1)


@pytest.mark.parametrize(
    ("name", "low_uv", "high_uv"), [("eeg32", 10, 22), ("ecog8x8", 45, 100), ("seeg4x10", 45, 100)]
)
def test_amplitudes_are_those_of_the_modality(name, low_uv, high_uv):
    _, _, samples = record(20, montage=name, **QUIET)
    rms = samples.std(axis=1)
    assert low_uv < rms.min()
    assert rms.max() < high_uv


def test_neighbours_are_more_alike_than_distant_channels():
    names, _, samples = record(20, montage="eeg64", task="rest", **QUIET)
    alike = np.corrcoef(samples)
    c3, c1, t8 = names.index("C3"), names.index("C1"), names.index("T8")
    assert alike[c3, c1] > 0.6 > 0.3 > abs(alike[c3, t8])


def test_power_falls_with_frequency():
    _, _, samples = record(30, rate_hz=500.0, task="rest", **QUIET)
    hz, power = signal.welch(samples[0], 500, nperseg=1000)
    low, middle, high = (power[(hz > a) & (hz < 2 * a)].mean() for a in (2, 30, 100))
    assert low > 4 * middle > 4 * 2 * high


def test_alpha_is_strongest_at_the_back():
    names, _, samples = record(30, task="rest", snr=0.0, **QUIET)
    power = dict(zip(names, band_power(samples, 250, 8, 12), strict=True))
    assert power["O1"] > 2 * power["F3"]


def test_blinks_are_seen_at_the_front_of_the_scalp_only():
    quiet = record(20, task="rest")[2]
    names, _, none = record(20, task="rest", blinks_per_min=0.0)
    extra = np.abs(quiet - none).max(axis=1)
    assert extra[names.index("Fp1")] > 80
    assert extra[names.index("Oz")] < 1
    with_eyes = record(5, montage="seeg4x10", task="rest", blinks_per_min=60.0)[2]
    without = record(5, montage="seeg4x10", task="rest", blinks_per_min=0.0)[2]
    np.testing.assert_array_equal(with_eyes, without)


def trial_power(settings, sites, band, seconds, drive=1.0):
    """Mean log power at the sites in the middle of each trial, by class."""
    rate_hz = settings.get("rate_hz", 250.0)
    names, timeline, samples = record(seconds, drive, **settings)
    rows = [names.index(site) for site in sites]
    found = {}
    for trial in timeline.between(0, seconds - 8):
        first, stop = round((trial.start_s + 0.5) * rate_hz), round(trial.stop_s * rate_hz)
        power = band_power(samples[rows, first:stop], rate_hz, *band)
        found.setdefault(trial.label, []).append(np.log(power))
    return {label: np.mean(rows, axis=0) for label, rows in found.items()}


def test_each_class_desynchronises_its_own_area():
    classes = ("left", "right", "feet", "rest")
    sites = ("C3", "Cz", "C4")
    mu = trial_power({"classes": classes}, sites, (8, 13), 300)
    beta = trial_power({"classes": classes}, sites, (18, 26), 300)
    assert mu["left"][2] < mu["rest"][2] - 0.5
    assert mu["left"][2] - mu["left"][0] < mu["rest"][2] - mu["rest"][0] - 0.3
    assert mu["right"][0] < mu["rest"][0] - 0.5
    assert beta["feet"][1] < beta["rest"][1] - 0.3


def test_high_gamma_bursts_over_the_working_area():
    settings = {"montage": "ecog8x8", "rate_hz": 1000.0, "classes": ("right", "rest")}
    near, far = "G28", "G1"  # over the hand knob, and in a corner of the grid
    power = trial_power(settings, (near, far), (70, 150), 80)
    rise = power["right"] - power["rest"]
    assert rise[0] > 0.3
    assert abs(rise[1]) < 0.1


def test_high_gamma_is_left_out_where_the_rate_does_not_allow_it():
    settings = {"montage": "ecog8x8", "rate_hz": 250.0, "classes": ("right", "rest")}
    power = trial_power(settings, ("G28",), (70, 110), 60)
    assert abs(power["right"] - power["rest"])[0] < 0.2


def test_targets_evoke_a_late_positive_wave_over_the_parietal_midline():
    names, timeline, samples = record(120, task="p300")
    samples = signal.sosfilt(signal.butter(2, [0.5, 15], "bandpass", fs=250, output="sos"), samples)
    epochs = {"target": [], "nontarget": []}
    for trial in timeline.between(0, 118):
        first = round(trial.cue_s * 250)
        epochs[trial.label].append(samples[:, first : first + 200])
    wave = np.mean(epochs["target"], axis=0) - np.mean(epochs["nontarget"], axis=0)
    peak_s = wave[names.index("Pz")].argmax() / 250
    assert 0.25 < peak_s < 0.5
    assert wave[:, 75:125].max(axis=1).argmax() == names.index("Pz")


def test_every_flash_evokes_a_small_early_negative_wave_at_the_back():
    first = record(3.5, task="p300", drive=0.0, **QUIET)[2]
    names, _, without = record(3.5, task="p300", drive=0.0, snr=0.0, **QUIET)
    mu_free = signal.sosfilt(signal.butter(2, 6, fs=250, output="sos"), first - without)
    oz = mu_free[names.index("Oz")]
    assert oz[500:625].min() < -1.0
    assert abs(oz[:500]).max() < 0.5


@pytest.mark.parametrize("attended", ["8", "12", "15"])
def test_the_spectrum_peaks_at_the_attended_flicker(attended):
    names, timeline, samples = record(100, task="ssvep", classes=("8", "12", "15"))
    oz, powers = samples[names.index("Oz")], []
    for trial in timeline.between(0, 92):
        if trial.label == attended:
            first = round((trial.start_s + 0.5) * 250)
            powers.append(np.abs(np.fft.rfft(oz[first : first + 750] * np.hanning(750))) ** 2)
    hz, power = np.fft.rfftfreq(750, 1 / 250), np.mean(powers, axis=0)
    at = {label: power[np.abs(hz - float(label)).argmin()] for label in ("8", "12", "15")}
    assert max(at, key=at.get) == attended


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 1000.0, 4096.0, 30_000.0])
def test_the_signal_means_the_same_at_every_rate(rate_hz):
    seconds = 10 if rate_hz < 10_000 else 2
    _, _, samples = record(seconds, montage="eeg8", rate_hz=rate_hz, **QUIET)
    assert np.isfinite(samples).all()
    assert 8 < np.sqrt(np.mean(samples**2)) < 25
