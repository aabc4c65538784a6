"""The chain against the plain way: scipy on the whole signal, then matrices, then rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.pace import Pace
from diverloop.runtime.signal.chain import ENVELOPE_ORDER, Chain
from diverloop.runtime.signal.condition_config import LINE_WIDTH_HZ, ConditionConfig
from diverloop.runtime.signal.filters import band_pass, high_pass, low_pass, notch

RATES_HZ = (160.0, 250.0, 1000.0, 2000.0)


def spec(n_channels: int, rate_hz: float) -> StreamSpec:
    channels = tuple(Channel(name=f"LA{row + 1}", kind="seeg") for row in range(n_channels))
    return StreamSpec(name="amp", rate_hz=rate_hz, channels=channels)


def noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(300, 20, (n_channels, n_times))


def through(chain: Chain, samples: np.ndarray) -> np.ndarray:
    n_times, parts = chain.n_times, []
    for first in range(0, samples.shape[1], n_times):
        parts.append(chain.peek(samples[:, first : first + n_times]).copy())
        chain.move_on()
    return np.concatenate(parts, axis=1)


def plainly(sos: np.ndarray, samples: np.ndarray) -> np.ndarray:
    start = signal.sosfilt_zi(sos)[:, None, :] * samples[None, :, :1]
    return signal.sosfilt(sos, samples, axis=1, zi=start)[0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_filters_are_those_of_scipy_to_a_billionth_of_the_signal(rate_hz):
    bands = ((0.5, 4.0), (8.0, 12.0), (13.0, 30.0))
    config = ConditionConfig(high_pass_hz=0.3, order=4, line_hz=50.0, bands_hz=bands)
    samples = noise(5, 40 * 128)
    got = through(Chain(config, spec(5, rate_hz)), samples)
    front = plainly(high_pass(0.3, 4, rate_hz), samples)
    front = plainly(notch(50.0, LINE_WIDTH_HZ, rate_hz, 80.0), front)
    wanted = np.vstack([plainly(band_pass(*band, 4, rate_hz), front) for band in bands])
    assert np.abs(got - wanted).max() < 1e-9 * np.abs(samples).max()


def test_the_reference_in_front_of_the_filters_is_the_reference_behind_them():
    config = ConditionConfig(reference="average", bands_hz=((8.0, 30.0),))
    samples = noise(6, 1024)
    got = through(Chain(config, spec(6, 250.0)), samples)
    wanted = plainly(band_pass(8.0, 30.0, 4, 250.0), samples - samples.mean(axis=0))
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_a_masked_channel_leaves_no_trace_in_the_others_from_the_moment_it_is_masked():
    config = ConditionConfig(reference="average", high_pass_hz=0.5, bands_hz=((8.0, 30.0),))
    samples = noise(4, 2048)
    spoilt = samples.copy()
    spoilt[2, 500:] += 1e5
    usable = np.array([True, True, False, True])
    chains = [Chain(config, spec(4, 250.0)) for _ in range(2)]
    before = [
        through(chain, s[:, :1024]) for chain, s in zip(chains, (samples, spoilt), strict=True)
    ]
    assert np.abs(before[0] - before[1])[[0, 1, 3]].max() > 100
    for chain in chains:
        chain.mix(usable)
    clean, after = (through(c, s[:, 1024:]) for c, s in zip(chains, (samples, spoilt), strict=True))
    np.testing.assert_allclose(after[usable], clean[usable], atol=1e-6)
    assert chains[0].usable(usable).tolist() == usable.tolist()


def test_an_envelope_is_the_strength_of_its_band():
    rate_hz, seconds = 2000.0, 3
    config = ConditionConfig(envelopes_hz=((70.0, 150.0),), order=4)
    times_s = np.arange(int(rate_hz) * seconds) / rate_hz
    samples = np.stack([10 * np.sin(2 * np.pi * f * times_s) for f in (100.0, 20.0)])
    chain = Chain(config, spec(2, rate_hz))
    whole = samples[:, : samples.shape[1] // chain.n_times * chain.n_times]
    got = through(chain, whole)
    np.testing.assert_allclose(got[0, 2000:], 10 / np.sqrt(2), rtol=0.02)
    assert got[1, 2000:].max() < 0.05
    assert chain.names()[0].name == "|70-150|/LA1"
    by_hand = plainly(band_pass(70.0, 150.0, 4, rate_hz), whole) ** 2
    by_hand = plainly(low_pass(10.0, ENVELOPE_ORDER, rate_hz), by_hand)
    np.testing.assert_allclose(got, np.sqrt(np.maximum(by_hand, 0)), atol=1e-9)


def test_high_gamma_is_computed_at_the_full_rate_and_passed_on_at_a_low_one():
    config = ConditionConfig(bands_hz=((1.0, 40.0),), envelopes_hz=((70.0, 150.0),), rate_hz=200.0)
    chain = Chain(config, spec(3, 2000.0))
    assert chain.pace == Pace(1, 10)
    times_s = np.arange(8192) / 2000.0
    strength = 10 + 5 * np.sin(2 * np.pi * 2.0 * times_s)
    samples = np.tile(strength * np.sin(2 * np.pi * 110.0 * times_s), (3, 1))
    got = through(chain, samples)
    assert got.shape == (6, -(-8192 // 10))
    rows = got[3:, 300:]
    assert rows.mean() == pytest.approx(10 / np.sqrt(2), rel=0.1)
    assert np.ptp(rows[0]) == pytest.approx(10 / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize(("rate_hz", "out_hz"), [(1000.0, 500.0), (2048.0, 500.0), (250.0, 500.0)])
def test_delays_are_what_a_wave_within_the_band_needs(rate_hz, out_hz):
    config = ConditionConfig(bands_hz=((8.0, 30.0),), rate_hz=out_hz, order=2)
    chain = Chain(config, spec(1, rate_hz))
    n_times = int(6 * rate_hz) // chain.n_times * chain.n_times
    times_s = np.arange(n_times) / rate_hz
    # A slow bump of a wave at the band's middle is delayed by the group delay there.
    bump = np.exp(-0.5 * ((times_s - 3) / 0.25) ** 2)
    got = through(chain, (bump * np.sin(2 * np.pi * 17 * times_s))[None])[0]
    strength = np.abs(signal.hilbert(got))
    centre_s = (strength * np.arange(len(got))).sum() / strength.sum() / out_hz
    assert centre_s - 3 == pytest.approx(chain.delays_s()["8-30"], abs=0.006)


def test_a_band_and_the_envelope_of_the_same_band_have_a_delay_each():
    config = ConditionConfig(bands_hz=((70.0, 150.0),), envelopes_hz=((70.0, 150.0),))
    delays_s = Chain(config, spec(2, 1000.0)).delays_s()
    assert list(delays_s) == ["70-150", "|70-150|"]
    assert delays_s["|70-150|"] > delays_s["70-150"] + 0.01


def test_another_matrix_fades_in_within_a_block():
    config = ConditionConfig(reference="average")
    chain = Chain(config, spec(3, 1000.0))
    chain.mix(np.ones(3, bool), np.eye(3))
    samples = noise(3, 64)
    before = through(chain, samples)
    chain.mix(np.ones(3, bool), np.zeros((3, 3)), fade=True)
    after = through(chain, samples)
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-9)
    assert np.abs(after[:, chain.n_times :]).max() == 0
