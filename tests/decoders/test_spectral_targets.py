"""Targets of pretraining: the same numbers that numpy gives, in the order that is told."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the targets are torch code")

from diverloop.decoders.spectral_targets import (
    STFT_BINS,
    bin_frequencies_hz,
    fft_target,
    spectral_targets,
    stft_target,
)
from diverloop.runtime.errors import ConfigError

RNG = np.random.default_rng(11)


def patches(n_samples, shape=(2, 3)):
    return torch.from_numpy(RNG.uniform(-1, 1, (*shape, n_samples)).astype(np.float32))


def size(spectrum, amplitude):
    return np.abs(spectrum) if amplitude == "abs" else np.abs(spectrum.real)


@pytest.mark.parametrize("amplitude", ["abs", "real"])
@pytest.mark.parametrize("n_samples", [500, 50])
def test_the_spectrum_is_that_of_the_patch_filled_up_to_a_second(n_samples, amplitude):
    x = patches(n_samples)
    filled = np.concatenate([x.numpy(), np.zeros((2, 3, 500 - n_samples))], axis=-1)
    expected = np.log1p(size(np.fft.rfft(filled)[..., :200], amplitude))
    found = fft_target(x, amplitude=amplitude).numpy()
    assert found.shape == (2, 3, 200)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("amplitude", ["abs", "real"])
def test_short_time_spectra_are_those_of_windowed_pieces(amplitude):
    x = patches(500, (2,)).numpy()
    values = []
    for n, hop, n_bins in ((200, 100, 80), (50, 25, 20)):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        starts = range(0, 500 - n + 1, hop)
        frames = np.stack([x[:, s : s + n] * window for s in starts], axis=-1)  # (2, n, frames)
        spectrum = np.fft.rfft(frames, axis=1)[:, :n_bins] / np.sqrt(n)
        values.append(np.log1p(size(spectrum, amplitude)).reshape(2, -1))
    expected = np.concatenate(values, axis=1)
    found = stft_target(torch.from_numpy(x), amplitude=amplitude).numpy()
    assert found.shape == (2, 700) == (2, STFT_BINS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_short_time_spectra_are_what_torch_computes_without_centring():
    x = patches(500, (4,))
    values = [
        torch.stft(x, n, hop, window=torch.hann_window(n), center=False, normalized=True,
                   return_complex=True)[:, :n_bins].abs().log1p().flatten(1)
        for n, hop, n_bins in ((200, 100, 80), (50, 25, 20))
    ]  # fmt: skip
    torch.testing.assert_close(stft_target(x), torch.cat(values, dim=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("hz", [10.0, 70.0, 150.0])
def test_a_sine_is_largest_at_its_own_frequency(hz):
    x = torch.sin(2 * torch.pi * hz * torch.arange(500) / 500)
    assert bin_frequencies_hz("fft")[fft_target(x).argmax()] == hz
    assert bin_frequencies_hz("stft")[stft_target(x)[:320].argmax()] == hz
    assert abs(bin_frequencies_hz("stft")[320:][stft_target(x)[320:].argmax()] - hz) <= 5


def test_the_amplitude_of_a_spectrum_does_not_depend_on_phase_and_its_real_part_does():
    turns = torch.linspace(0, 2, 9)[:, None]
    x = torch.sin(2 * torch.pi * (20 * torch.arange(500) / 500 + turns))
    assert fft_target(x)[:, 20].std() < 1e-4
    assert fft_target(x, amplitude="real")[:, 20].std() > 0.5


@pytest.mark.parametrize(("n_samples", "names"), [(500, "time fft stft"), (50, "time fft")])
def test_a_long_patch_has_three_domains_and_a_short_one_two(n_samples, names):
    x = patches(n_samples)
    targets = spectral_targets(x)
    assert list(targets) == names.split()
    assert torch.equal(targets["time"], x)


def test_frequencies_are_told_for_every_value():
    assert bin_frequencies_hz("fft").tolist() == list(range(200))
    hz = bin_frequencies_hz("stft")
    assert hz.shape == (700,)
    assert hz[:9].tolist() == [0.0] * 4 + [2.5] * 4 + [5.0]
    assert hz[319] == 197.5
    assert hz[320 + 19] == 10.0
    assert hz[-1] == 190.0


def test_patches_of_a_wrong_length_are_refused():
    with pytest.raises(ConfigError, match="501 samples, allowed are at most 500"):
        fft_target(patches(501))
    with pytest.raises(ConfigError, match="50 samples, the short-time target needs 500"):
        stft_target(patches(50))


def test_an_amplitude_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="'power'"):
        spectral_targets(patches(50), amplitude="power")
