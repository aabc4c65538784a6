"""Calibration of ASR: what counts as clean, and what that makes of artefacts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from diverloop.decoders.asr_fit import fit_asr, spectral_shape
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec

N, RATE_HZ, STEP = 12, 250.0, 16
ALL = np.ones(N, dtype=bool)


def spec_of(kind="eeg", n_rows=N, rate_hz=RATE_HZ):
    channels = tuple(Channel(name=f"E{k}", kind=kind) for k in range(n_rows))
    return StreamSpec(name="scene", rate_hz=rate_hz, channels=channels)


def brain(seed, seconds=60):
    rng = np.random.default_rng(seed)
    weights = np.eye(N) + 0.3 * np.random.default_rng(9).normal(size=(N, N))
    return 10 * weights @ rng.normal(size=(N, round(seconds * RATE_HZ)))


def with_artefacts(samples, seed, every_s=6.0):
    """Half a second of 20 times the signal in every row, now and then."""
    rng, spoilt = np.random.default_rng(seed), samples.copy()
    for start in np.arange(2.0, samples.shape[1] / RATE_HZ - 1, every_s):
        times = slice(round(start * RATE_HZ), round((start + 0.5) * RATE_HZ))
        spoilt[:, times] += 200 * rng.normal(size=(N, 1))
    return spoilt


def removed(asr, samples):
    counts = []
    for start in range(0, samples.shape[1] - STEP + 1, STEP):
        asr.look(samples[:, start : start + STEP], start, ALL)
        counts.append(asr.n_removed)
    return np.array(counts)


def test_clean_signal_stays_and_an_artefact_goes():
    asr = fit_asr(brain(1), spec_of())
    assert removed(asr, brain(2)).max() == 0
    asr.restart()
    assert removed(asr, with_artefacts(brain(2), 3)).max() >= 1


def test_artefacts_in_the_calibration_hardly_move_the_limits():
    clean, spoilt = (fit_asr(c, spec_of()) for c in (brain(1), with_artefacts(brain(1), 5)))
    limits = [np.linalg.norm(asr.to_arrays()["threshold"]) for asr in (clean, spoilt)]
    assert limits[1] == pytest.approx(limits[0], rel=0.25)
    assert removed(spoilt, with_artefacts(brain(2), 3)).max() >= 1


def test_a_higher_cutoff_lets_more_through():
    calibration, session = brain(1), with_artefacts(brain(2), 3) * 0.5
    strict, lax = (removed(fit_asr(calibration, spec_of(), c), session).sum() for c in (10, 100))
    assert strict > lax


def test_the_mixing_is_the_root_of_the_shaped_covariance():
    mixing = fit_asr(brain(1, 120), spec_of()).to_arrays()["mixing"]
    shaped = signal.sosfilt(spectral_shape(RATE_HZ), brain(1, 120), axis=1)
    np.testing.assert_allclose(mixing @ mixing.T, np.cov(shaped[:, 1000:]), rtol=0.2, atol=60)


@pytest.mark.parametrize("rate_hz", [128.0, 250.0, 1000.0, 2000.0])
def test_it_listens_for_eyes_and_muscle_and_not_for_rhythms(rate_hz):
    sos = spectral_shape(rate_hz)
    edge_hz = min(80.0, rate_hz / 2 - 1)
    at_hz = np.array([0.1, 6.0, 30.0, edge_hz])
    gain = np.abs(signal.sosfreqz(sos, worN=at_hz, fs=rate_hz)[1])
    np.testing.assert_allclose(gain, [3.0, 0.33, 1.0, 3.0], rtol=0.25)
    assert np.abs(signal.sos2zpk(sos)[1]).max() < 1


def test_intracranial_rows_are_refused():
    with pytest.raises(ConfigError, match="spikes and seizures"):
        fit_asr(brain(1), spec_of(kind="seeg"))


def test_a_calibration_or_a_setting_that_cannot_be_used_is_refused():
    with pytest.raises(ConfigError, match="record more"):
        fit_asr(brain(1, 20), spec_of())
    with pytest.raises(ConfigError, match="at least 4 channels"):
        fit_asr(brain(1)[:3], spec_of(n_rows=3))
    with pytest.raises(ConfigError, match="cutoff"):
        fit_asr(brain(1), spec_of(), 2.0)
    with pytest.raises(ConfigError, match="clean signal"):
        fit_asr(with_artefacts(brain(1, 40), 3, every_s=0.9), spec_of())
