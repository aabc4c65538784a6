"""Neurofeedback is fitted to the rhythm that a person has."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.neurofeedback_task import ALPHA, NEUROFEEDBACK
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.training_sources import TrainingSource, recordings

from ..modelled import write_npz

RATE_HZ, SECONDS = 250.0, 60.0


def resting(path, peak_hz):
    """A minute of falling spectrum with a rhythm, or without one."""
    rng = np.random.default_rng(3)
    n = round(RATE_HZ * SECONDS)
    fall = np.fft.rfftfreq(n, 1 / RATE_HZ)
    fall[0] = fall[1]
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal((4, n))) / np.sqrt(fall), n)
    samples = 20 * noise / noise.std()
    if peak_hz:
        swelling = np.cumsum(rng.standard_normal(n)) / np.sqrt(RATE_HZ)
        samples += 15 * np.sin(2 * np.pi * peak_hz * np.arange(n) / RATE_HZ + swelling)
    names = np.array(["O1", "Oz", "O2", "Pz"])
    return write_npz(
        path,
        rows=names.tolist(),
        data=samples.astype(np.float32),
        fs=np.array(RATE_HZ),
        ev_sample=np.array([], dtype=int),
        ev_code=np.array([], dtype=int),
        ev_label=np.array([], dtype=str),
    )


def fitted(path, **how):
    return fit_best(recordings([path]), plans_for("neurofeedback", **how)).card


def test_the_band_follows_the_persons_own_peak(tmp_path):
    card = fitted(resting(tmp_path / "rest.npz", 10.9))
    low, high = card.band
    assert (low + high) / 2 == pytest.approx(10.9, abs=0.6)
    assert card.band != ALPHA.bands_hz[0]
    assert "The alpha peak lies at" in card.scores["rhythm"]
    assert card.conditioning["bands_hz"] == ((low, high),)


def test_where_no_peak_stands_out_the_standard_band_is_used(tmp_path):
    card = fitted(resting(tmp_path / "rest.npz", 0.0))
    assert "standard" in card.scores["rhythm"]
    assert card.band == (8.0, 12.0)


def test_whoever_names_a_band_gets_it(tmp_path):
    own = ConditionConfig(bands_hz=((12.0, 15.0),), order=2)
    card = fitted(resting(tmp_path / "rest.npz", 10.9), conditioning=own)
    assert card.band == (12.0, 15.0)
    assert "rhythm" not in card.scores


def test_a_recording_that_is_too_short_for_a_peak_is_learnt_from_all_the_same(tmp_path):
    path = resting(tmp_path / "rest.npz", 10.9)
    settings = ReplayConfig(path=str(path), stop_s=8.0)
    short = TrainingSource(
        name="short", data_id="short", make=lambda clock: ReplaySource(settings, clock)
    )
    card = fit_best([short], plans_for("neurofeedback")).card
    assert card.scores["rhythm"].startswith("The standard band is used.")
    assert card.task == NEUROFEEDBACK.name
