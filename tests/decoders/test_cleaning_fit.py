"""Eyes found in a calibration whose eyes are known."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.cleaning_fit import fit_eog_regression, fit_eye_ica, settled
from diverloop.decoders.eye_sources import EyeRule, blinking, eye_band
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec

from ..data import recording_path

RATE_HZ = 128.0
NAMES = ["Fp1", "Fp2", "F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"]
FRONT, BACK = slice(0, 2), slice(8, 13)
EYE = np.array([1.0, 0.95, 0.35, 0.4, 0.35, 0.15, 0.15, 0.15, 0.04, 0.04, 0.04, 0.02, 0.02])


def spec_of(names, kinds=None, rate_hz=RATE_HZ):
    kinds = kinds or ["eeg"] * len(names)
    channels = tuple(Channel(name=n, kind=k) for n, k in zip(names, kinds, strict=True))
    return StreamSpec(name="scene", rate_hz=rate_hz, channels=channels)


def brain_and_eye(seed, seconds=60, blinks=True):
    """Correlated rhythms in every row, and a blink of 200 uV every three seconds or so."""
    rng = np.random.default_rng(seed)
    n_times = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.laplace(size=(len(NAMES), n_times)), axis=1)
    slope = 1 / np.sqrt(np.maximum(np.fft.rfftfreq(n_times, 1 / RATE_HZ), 1.0))
    sources = np.fft.irfft(spectrum * slope, n_times, axis=1)
    # The brain's own weights are the same in calibration and session.
    weights = np.eye(len(NAMES)) + 0.3 * np.random.default_rng(99).normal(size=(len(NAMES),) * 2)
    eye = np.zeros(n_times)
    shape = 200 * np.hanning(round(0.3 * RATE_HZ))
    for start in np.arange(3.5, seconds - 1, 3.0) + rng.uniform(0, 1, int(seconds - 4.5) // 3 + 1):
        first = round(start * RATE_HZ)
        eye[first : first + len(shape)] += shape * blinks
    return 25 * weights @ sources, eye


def judged(step, seed=77):
    """What is left of blinks in front, and what changes behind, on another stretch."""
    brain, _ = brain_and_eye(seed)
    matrix = step.matrix(np.ones(step.n_channels, dtype=bool))[: len(NAMES), : len(NAMES)]
    left = matrix @ EYE
    changed = matrix @ brain - brain
    return np.abs(left[FRONT]).max(), (changed[BACK].std() / brain[BACK].std())


@pytest.fixture(scope="module")
def scene():
    brain, eye = brain_and_eye(1)
    return brain + EYE[:, None] * eye


def test_ica_finds_the_blink_and_says_why(scene):
    step = fit_eye_ica(scene, spec_of(NAMES), explained=1.0)
    left, changed = judged(step)
    assert step.n_sources == 1
    assert "kurtosis" in step.notes[0]
    assert left < 0.2
    assert changed < 0.05


def test_ica_gives_the_same_matrix_every_time(scene):
    usable = np.ones(len(NAMES), dtype=bool)
    one, other = (fit_eye_ica(scene, spec_of(NAMES)).matrix(usable) for _ in range(2))
    assert np.array_equal(one, other)


def test_ica_takes_nothing_out_where_nobody_blinks():
    brain, _ = brain_and_eye(2, blinks=False)
    step = fit_eye_ica(brain, spec_of(NAMES), explained=1.0)
    assert step.n_sources == 0
    assert "No independent component" in step.notes[0]


def test_ica_uses_eog_beside_the_rows_where_the_montage_has_no_front():
    brain, eye = brain_and_eye(1)
    noise = np.random.default_rng(0).normal(size=eye.shape) * 20
    names = [f"E{k}" for k in range(len(NAMES))]
    signal = brain + EYE[:, None] * eye
    step = fit_eye_ica(signal, spec_of(names), eog=(eye + noise)[None], explained=1.0)
    assert judged(step)[0] < 0.2
    with pytest.raises(ConfigError, match="eog must be finite"):
        fit_eye_ica(signal, spec_of(names), eog=eye[None, :-1])


def test_regression_by_the_front_takes_the_blink_out_and_leaves_the_back(scene):
    left, changed = judged(fit_eog_regression(scene, spec_of(NAMES)))
    assert left < 0.2
    assert changed < 0.05


def test_regression_on_an_eog_row_empties_it_and_cleans_the_others(scene):
    _, eye = brain_and_eye(1)
    noise = np.random.default_rng(0).normal(size=eye.shape)
    names, kinds = [*NAMES, "VEOG"], ["eeg"] * len(NAMES) + ["eog"]
    step = fit_eog_regression(np.vstack([scene, eye + noise]), spec_of(names, kinds))
    whole = step.matrix(np.ones(len(names), dtype=bool))
    np.testing.assert_allclose(whole[-1], 0, atol=1e-9)
    left = whole @ np.append(EYE, 1.0)
    assert np.abs(left).max() < 0.2
    by_hand = fit_eog_regression(
        np.vstack([scene, eye + noise]), spec_of([*NAMES, "X1"]), eog_rows=[len(NAMES)]
    )
    assert np.array_equal(by_hand.matrix(np.ones(len(names), dtype=bool)), whole)


@pytest.mark.parametrize("fit", [fit_eye_ica, fit_eog_regression])
def test_a_calibration_that_teaches_nothing_is_refused(fit, scene):
    with pytest.raises(ConfigError, match="record more"):
        fit(scene[:, :1000], spec_of(NAMES))
    with pytest.raises(ConfigError, match="channels, got 2"):
        fit(scene[:2], spec_of(NAMES[:2]))
    with pytest.raises(ConfigError, match="same channels"):
        fit(scene, spec_of(NAMES[:-1]))
    with pytest.raises(ConfigError, match="finite"):
        fit(np.where(np.arange(scene.shape[1]) == 5, np.nan, scene), spec_of(NAMES))
    with pytest.raises(ConfigError, match="frontal electrodes"):
        fit(scene[5:], spec_of(NAMES[5:]))


def test_regression_by_the_front_asks_for_blinks():
    brain, _ = brain_and_eye(2, blinks=False)
    with pytest.raises(ConfigError, match="5 blinks, got 0"):
        fit_eog_regression(0.3 * brain, spec_of(NAMES))


@pytest.mark.parametrize(
    "setting",
    [{"least_correlation": 0.0}, {"most": 4}, {"least_frontal": 0.5}, {"least_slow": 1.5}],
)
def test_a_rule_out_of_range_is_refused(setting):
    with pytest.raises(ConfigError, match="must be"):
        EyeRule(**setting)


@pytest.mark.data
def test_on_a_real_participant_blinks_shrink_by_far_in_a_later_run():
    fitted = read_recording(recording_path("mi/eegmmidb_S001_R03.npz"))
    later = read_recording(recording_path("mi/eegmmidb_S001_R04.npz"))
    step = fit_eog_regression(fitted.samples, fitted.spec)
    front = [fitted.spec.channel_names.index(name) for name in ("Fp1", "Fp2")]
    before = eye_band(settled(later.samples, later.spec.rate_hz, 1.0), later.spec.rate_hz)
    after = step.matrix(np.ones(64, dtype=bool)) @ before
    busy, n_blinks = blinking(before[front].mean(axis=0), later.spec.rate_hz)
    assert n_blinks > 10
    assert after[front][:, busy].std() < 0.4 * before[front][:, busy].std()
