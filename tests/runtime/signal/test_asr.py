"""ASR online: what it takes out, what it leaves, and that it is the published reconstruction."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.signal.asr import Asr
from diverloop.runtime.signal.filters import SosFilter, high_pass

N, RATE_HZ, STEP = 10, 250.0, 16
ALL = np.ones(N, dtype=bool)
SOS = high_pass(0.5, 2, RATE_HZ)


def mixing():
    """A symmetric root of a clean covariance."""
    root = np.random.default_rng(1).normal(size=(N, N)) * 4
    powers, axes = np.linalg.eigh(root @ root.T + 20 * np.eye(N))
    return (axes * np.sqrt(powers)) @ axes.T


def calibrated(deviations=4.0):
    """Limits at a multiple of the clean RMS, direction by direction."""
    clean = mixing()
    powers, axes = np.linalg.eigh(clean)
    return Asr(clean, deviations * powers[:, None] * axes.T, SOS, RATE_HZ)


def clean_signal(n_steps, seed=2):
    return mixing() @ np.random.default_rng(seed).normal(size=(N, n_steps * STEP))


def looked(asr, signal, usable=ALL):
    """The matrix of every step."""
    starts = range(0, signal.shape[1], STEP)
    return [asr.look(signal[:, start : start + STEP], start, usable) for start in starts]


def with_burst(signal, first_step, last_step, direction):
    burst = signal.copy()
    times = slice(first_step * STEP, last_step * STEP)
    length = burst[:, times].shape[1]
    wave = 600 * np.sin(2 * np.pi * 3 * np.arange(length) / RATE_HZ)
    burst[:, times] += direction[:, None] * wave
    return burst


def test_clean_signal_is_left_as_it_is():
    asr = calibrated()
    assert all(np.array_equal(matrix, np.eye(N)) for matrix in looked(asr, clean_signal(60)))
    assert asr.n_removed == asr.n_over == 0


def test_a_burst_is_taken_out_while_it_lasts_and_not_for_long_after():
    direction = np.random.default_rng(9).normal(size=N)
    direction /= np.linalg.norm(direction)
    signal = with_burst(clean_signal(60), 20, 35, direction)
    matrices = looked(calibrated(), signal)
    left = [np.linalg.norm(matrix @ direction) for matrix in matrices]
    assert left[:20] == pytest.approx(np.ones(20))
    assert max(left[23:35]) < 0.1
    assert left[50:] == pytest.approx(np.ones(10))


def test_the_reconstruction_is_the_published_one():
    # Mullen 2015: M (V' M with the loud rows set to zero)^+ V'.
    direction = np.ones(N) / np.sqrt(N)
    signal = with_burst(clean_signal(30), 10, 30, direction)
    asr, clean = calibrated(), mixing()
    got = looked(asr, signal)[-1]
    shaped = SosFilter(SOS).process(signal)[:, -8 * STEP :]
    axes = np.linalg.eigh(shaped @ shaped.T)[1]
    keep = np.arange(N) < N - asr.n_removed
    expected = clean @ np.linalg.pinv(keep[:, None] * (axes.T @ clean)) @ axes.T
    assert asr.n_removed >= 1
    np.testing.assert_allclose(got, expected, atol=1e-8)


def test_at_most_half_of_the_directions_are_taken_out_and_the_rest_is_told():
    asr = calibrated()
    matrix = looked(asr, 1000 * clean_signal(20))[-1]
    assert asr.n_over == N
    assert asr.n_removed == N // 2
    assert np.linalg.matrix_rank(matrix) == N - N // 2


def test_a_masked_row_neither_gives_nor_takes():
    usable = ALL.copy()
    usable[3] = False
    signal = with_burst(clean_signal(30), 10, 30, np.ones(N))
    broken = signal.copy()
    broken[3] = np.nan
    for one, other in zip(
        looked(calibrated(), signal, usable), looked(calibrated(), broken, usable), strict=True
    ):
        assert np.array_equal(one[3], np.eye(N)[3])
        assert np.array_equal(one[:, 3], np.eye(N)[:, 3])
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_loud_row_is_no_artefact_once_it_is_masked():
    usable = ALL.copy()
    usable[5] = False
    direction = np.eye(N)[5]
    signal = with_burst(clean_signal(30), 5, 30, direction)
    assert not np.array_equal(looked(calibrated(), signal)[-1], np.eye(N))
    assert np.array_equal(looked(calibrated(), signal, usable)[-1], np.eye(N))


def emptied(direction, deviations=4.0):
    """A calibration in which one direction was silent; with it, signal of the same kind."""
    direction = direction / np.linalg.norm(direction)
    without = np.eye(N) - np.outer(direction, direction)
    powers, axes = np.linalg.eigh(without @ mixing() @ mixing().T @ without)
    amplitudes = np.sqrt(np.maximum(powers, 0))
    clean = (axes * amplitudes) @ axes.T
    asr = Asr(clean, deviations * amplitudes[:, None] * axes.T, SOS, RATE_HZ)
    return asr, without @ clean_signal(60)


@pytest.mark.parametrize("direction", [np.ones(N), np.eye(N)[4]], ids=["average", "silent row"])
def test_what_rounding_leaves_in_an_empty_direction_is_no_artefact(direction):
    asr, signal = emptied(direction)
    over = []
    for start in range(0, signal.shape[1], STEP):
        matrix = asr.look(signal[:, start : start + STEP], start, ALL)
        over.append(asr.n_over)
        assert np.array_equal(matrix, np.eye(N))
    assert max(over) == 0


@pytest.mark.parametrize("burst_too", [False, True])
def test_a_row_that_was_silent_in_the_calibration_and_grows_loud_is_taken_out(burst_too):
    asr, signal = emptied(np.eye(N)[4])
    signal[4] = 300 * np.random.default_rng(6).normal(size=signal.shape[1])
    if burst_too:
        signal = with_burst(signal, 10, 60, np.ones(N))
    matrix = looked(asr, signal)[-1]
    assert np.abs(matrix @ np.eye(N)[4]).max() < 0.02
    cleaned = matrix @ signal[:, -10 * STEP :]
    assert cleaned.std(axis=1).max() < 2 * clean_signal(60).std(axis=1).max()


def test_an_offset_of_the_amplifier_is_no_artefact():
    signal = clean_signal(60) + 1e5 * np.arange(N)[:, None]
    assert all(np.array_equal(matrix, np.eye(N)) for matrix in looked(calibrated(), signal))


def test_after_a_restart_it_is_as_new():
    signal = with_burst(clean_signal(40), 15, 40, np.ones(N))
    fresh, used = calibrated(), calibrated()
    looked(used, 5 * clean_signal(13, seed=8))
    used.restart()
    for one, other in zip(looked(fresh, signal), looked(used, signal), strict=True):
        assert np.array_equal(one, other)


def test_nothing_it_says_depends_on_what_comes_later():
    signal = with_burst(clean_signal(40), 15, 30, np.ones(N))
    other = signal.copy()
    other[:, 25 * STEP :] *= 50
    pairs = zip(looked(calibrated(), signal)[:25], looked(calibrated(), other)[:25], strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)


def test_arrays_of_a_bundle_give_the_same_matrices_back():
    asr = calibrated()
    again = Asr.from_arrays(asr.to_arrays("asr."), "asr.")
    signal = with_burst(clean_signal(30), 10, 30, np.ones(N))
    for one, other in zip(looked(asr, signal), looked(again, signal), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(BundleError, match="'threshold'"):
        Asr.from_arrays({"mixing": mixing()})
    with pytest.raises(BundleError, match="3 settings"):
        Asr.from_arrays({**asr.to_arrays(), "settings": np.ones(2)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": np.eye(3)}, "square"),
        ({"mixing": np.full((N, N), np.nan)}, "finite"),
        ({"sos": np.ones((1, 5))}, "second-order"),
        ({"settings": np.array([250.0, 0.5, 0.7])}, "most_removed"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(change, said):
    with pytest.raises(BundleError, match=said):
        Asr.from_arrays({**calibrated().to_arrays(), **change})
    with pytest.raises(ConfigError):
        Asr(mixing(), np.eye(3), SOS, RATE_HZ)
