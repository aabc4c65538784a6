"""Spectra keep the laws of power, and are the same however the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from diverloop.gui.spectrum import Spectrogram, Spectrum, decibel, density, frequencies_hz, hum
from diverloop.gui.trace_store import TraceStore
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Chunk

from .told import a_stream

RATE_HZ = 250.0


def a_store(samples, cut: int = 25) -> TraceStore:
    store = TraceStore(60.0)
    store.take(a_stream(len(samples), RATE_HZ))
    for first in range(0, samples.shape[1], cut):
        piece = samples[:, first : first + cut].astype(np.float32)
        store.take(Chunk(samples=piece, first_sample=first, arrived_ns=0))
    return store


def test_it_is_what_scipy_counts():
    samples = np.random.default_rng(0).normal(0, 10, (3, 1000)).astype(np.float32)
    spectrum = Spectrum(a_store(samples), length_s=1.0, hop_s=0.5, n_pieces=7)
    assert spectrum.advance()
    at, expected = signal.welch(samples, RATE_HZ, "hann", 250, 125)
    assert np.array_equal(at[: len(spectrum.frequencies_hz)], spectrum.frequencies_hz)
    assert np.allclose(spectrum.mean().T, expected[:, : len(spectrum.frequencies_hz)], rtol=1e-3)


def test_power_is_the_variance():
    samples = np.random.default_rng(0).normal(0, 3, (5000, 1))
    total = density(samples, 200.0).sum() * 200 / 5000
    assert total == pytest.approx(9, rel=0.05)


def test_any_cut_of_the_stream_gives_the_same():
    samples = np.random.default_rng(1).normal(0, 10, (2, 1500))
    found = []
    for cut in (7, 25, 1500):
        store = TraceStore(60.0)
        store.take(a_stream(2, RATE_HZ))
        spectrum = Spectrum(store)
        for first in range(0, 1500, cut):
            piece = samples[:, first : first + cut].astype(np.float32)
            store.take(Chunk(samples=piece, first_sample=first, arrived_ns=0))
            spectrum.advance()
        found.append(spectrum.mean())
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_piece_with_a_hole_is_left_out():
    store = a_store(np.random.default_rng(0).normal(0, 10, (2, 500)))
    spectrum = Spectrum(store)
    spectrum.advance()
    store.take(Chunk(samples=np.ones((2, 10), np.float32), first_sample=600, arrived_ns=0))
    spectrum.advance()
    assert np.isfinite(spectrum.mean()).all()


def test_a_stream_that_begins_anew_is_counted_anew():
    store = a_store(np.random.default_rng(0).normal(0, 10, (2, 1000)))
    spectrum = Spectrum(store)
    spectrum.advance()
    store.forget()
    assert spectrum.advance()
    assert spectrum.mean().shape[1] == 0


def test_nothing_new_is_not_counted_again():
    spectrum = Spectrum(a_store(np.zeros((1, 500))))
    assert spectrum.advance()
    assert not spectrum.advance()


def test_an_impossible_piece_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="pieces longer than 0 s"):
        Spectrum(TraceStore(), length_s=0)


def test_a_spectrogram_shows_a_rhythm_where_and_when_it_was():
    at_s = np.arange(5000) / RATE_HZ
    samples = np.where(at_s < 10, 0, 30 * np.sin(2 * np.pi * 20 * at_s))[None]
    found = Spectrogram(a_store(samples + np.random.default_rng(0).normal(0, 1, 5000)), seconds=20)
    assert found.advance() > 100
    beta = np.abs(found.frequencies_hz - 20).argmin()
    assert found.power_db[beta, -1] > found.power_db[beta, 90] + 20
    assert found.power_db[:, -1].argmax() == beta


def test_a_spectrogram_of_another_channel_begins_from_what_is_kept():
    samples = np.random.default_rng(0).normal(0, 10, (2, 2000))
    found = Spectrogram(a_store(samples), seconds=5)
    assert found.advance()
    assert not found.advance()
    before = found.power_db.copy()
    found.channel = 1
    assert found.advance() >= 50
    assert not np.array_equal(before, found.power_db)


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_mains_hum_is_named(mains_hz):
    at_s = np.arange(1000) / RATE_HZ
    noise = np.random.default_rng(0).normal(0, 5, 1000)
    at = frequencies_hz(1000, RATE_HZ)
    clean = density(noise[:, None], RATE_HZ)[:, 0]
    hummed = density((noise + 30 * np.sin(2 * np.pi * mains_hz * at_s))[:, None], RATE_HZ)[:, 0]
    found = hum(at, hummed)
    assert found is not None
    assert found[0] == mains_hz
    assert found[1] > 10
    assert hum(at, np.ones_like(clean)) is None


def test_no_power_at_all_has_a_level():
    assert decibel(np.array([0.0, 1.0])).tolist() == [-120, 0]
    assert np.isnan(decibel(np.array([np.nan])))[0]
