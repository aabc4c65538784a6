"""The spectrum that is predicted is the signal's own, and what counts of it."""

import math

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.hop_spectrum import EEG_BANDS, HopSpectrum


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def perfect(targets):
    magnitude, phasor, _ = targets
    return torch.cat([magnitude, phasor[..., 0], phasor[..., 1]], dim=-1)


def test_saying_the_spectrum_costs_nothing_and_saying_nothing_costs_about_one():
    spectrum = HopSpectrum(50)
    present = torch.ones(2, 3, dtype=torch.bool)
    modality = torch.tensor([0, 1])
    targets = spectrum.targets(20 * torch.randn(2, 3, 2000), present)
    off, turned = spectrum.losses(perfect(targets), targets, present, modality)
    assert off == pytest.approx(0.0, abs=1e-6)
    assert turned == pytest.approx(0.0, abs=1e-6)
    nothing = torch.zeros_like(perfect(targets))
    off, turned = spectrum.losses(nothing, targets, present, modality)
    assert off == pytest.approx(1.0, abs=0.1)
    assert turned == pytest.approx(1.0, abs=0.01)


def test_amplitude_and_phase_are_those_of_a_tone():
    spectrum = HopSpectrum(50)
    time = torch.arange(500) / 500
    tone = 10 * torch.cos(2 * math.pi * 40 * time + 0.7)
    _, phasor, amplitude = spectrum.targets(tone[None, None], torch.ones(1, 1, dtype=torch.bool))
    assert amplitude[0, 0, :, 4].mean() == pytest.approx(10.0, rel=1e-3)
    angle = torch.atan2(phasor[..., 4, 1], phasor[..., 4, 0])
    torch.testing.assert_close(angle, torch.full_like(angle, 0.7), atol=1e-3, rtol=0)


def test_high_gamma_counts_for_intracranial_signal_and_hardly_for_the_scalp():
    spectrum = HopSpectrum(50)
    eeg, ieeg = spectrum.weights
    hz = torch.arange(26) * 10.0
    assert eeg.mean() == pytest.approx(1.0)
    assert ieeg.mean() == pytest.approx(1.0)
    assert (eeg[hz > 100] == 0).all()
    assert ieeg[hz == 120] == pytest.approx(2 * ieeg[hz == 20].item())
    assert eeg[hz == 20] / eeg[hz == 60] == pytest.approx(EEG_BANDS[0][2] / EEG_BANDS[1][2])


def test_an_absent_channel_has_no_spectrum():
    spectrum = HopSpectrum(50)
    present = torch.tensor([[True, False]])
    x = 20 * torch.randn(1, 2, 1000)
    x[:, 1] = 0
    targets = spectrum.targets(x, present)
    said = perfect(targets)
    said[:, 1] = 99
    off, turned = spectrum.losses(said, targets, present, torch.tensor([1]))
    assert off == pytest.approx(0.0, abs=1e-6)
    assert turned == pytest.approx(0.0, abs=1e-6)
