from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from diverloop.runtime.signal.blocks import BlockBank, block_length
from diverloop.runtime.signal.filters import band_pass, high_pass, low_pass, notch

RATE_HZ = 1000.0
FRONTS = {
    "nothing": [],
    "high-pass": [high_pass(0.5, 4, RATE_HZ)],
    "high-pass and notch": [high_pass(0.5, 3, RATE_HZ), notch(50, 1.8, RATE_HZ, 250)],
}
BANDS = {
    "nothing": [],
    "one": [band_pass(8, 30, 4, RATE_HZ)],
    "bank": [band_pass(low, low + 4, 4, RATE_HZ) for low in range(4, 40, 4)],
    "unequal": [low_pass(20, 2, RATE_HZ), band_pass(70, 150, 4, RATE_HZ), np.zeros((0, 6))],
}
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=30)
fronts, banks = st.sampled_from(list(FRONTS)), st.sampled_from(list(BANDS))


def noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 20, (n_channels, n_times))


def streamed(bank: BlockBank, samples: np.ndarray, sizes=(10**9,)) -> np.ndarray:
    """Push samples in pieces of these sizes, over and over: (n_channels, n_bands, n_times)."""
    block = np.zeros((len(samples), bank.n_times))
    parts, filled, turn, at = [], 0, 0, 0
    while at < samples.shape[1]:
        chunk = samples[:, at : at + sizes[turn % len(sizes)]]
        at, turn = at + chunk.shape[1], turn + 1
        while chunk.shape[1]:
            part, chunk = chunk[:, : bank.n_times - filled], chunk[:, bank.n_times - filled :]
            stop = filled + part.shape[1]
            block[:, filled:stop] = part
            parts.append(bank.peek(block)[:, :, filled:stop].copy())
            filled = stop
            if filled == bank.n_times:
                bank.move_on()
                block[:], filled = 0, 0
    return np.concatenate(parts, axis=2)


def by_scipy(front, bands, samples: np.ndarray) -> np.ndarray:
    """The whole signal at once, from the state of a first sample that has always stood there."""
    outputs = []
    for band in bands or [np.zeros((0, 6))]:
        sos = np.concatenate([np.zeros((0, 6)), *front, band])
        whole = samples
        if len(sos):
            start = signal.sosfilt_zi(sos)[:, None, :] * samples[None, :, :1]
            whole, _ = signal.sosfilt(sos, samples, axis=1, zi=start)
        outputs.append(whole)
    return np.stack(outputs, axis=1)


@given(front=fronts, bands=banks, sizes=cuts, n_times=st.integers(4, 70))
def test_any_cut_and_any_block_equal_scipy_on_the_whole_signal(front, bands, sizes, n_times):
    samples = 20 + noise(3, 300)
    bank = BlockBank(FRONTS[front], BANDS[bands], 3, n_times)
    whole = by_scipy(FRONTS[front], BANDS[bands], samples)
    billionth = 1e-9 * np.abs(samples).max()
    np.testing.assert_allclose(streamed(bank, samples, sizes), whole, rtol=0, atol=billionth)


def exactly(sos: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """One row in extended precision, sample by sample."""
    out, level = samples.astype(np.longdouble), np.longdouble(samples[0])
    for b0, b1, b2, _, a1, a2 in sos.astype(np.longdouble):
        gain = (b0 + b1 + b2) / (1 + a1 + a2)
        one, two = level * (gain - b0), level * (b2 - a2 * gain)
        for at, value in enumerate(out):
            out[at] = b0 * value + one
            one, two = b1 * value - a1 * out[at] + two, b2 * value - a2 * out[at]
        level = level * gain
    return out


@pytest.mark.parametrize("offset", [0.0, 5e3, 1e5])
def test_an_electrodes_offset_of_a_tenth_of_a_volt_costs_nothing(offset):
    # 1e-9 is what signal alone allows; scipy's own filter is wrong by 2e-6 here.
    samples = offset + noise(1, 2000)
    for front in (FRONTS["high-pass"], FRONTS["high-pass and notch"]):
        exact = exactly(np.concatenate(front), samples[0])
        ours = streamed(BlockBank(front, [], 1, 16), samples)[0, 0]
        assert np.abs(ours - exact).max() < 1e-9


@given(front=fronts, bands=banks, sizes=cuts, n_channels=st.integers(1, 9))
def test_any_cut_gives_the_same_bits(front, bands, sizes, n_channels):
    samples = noise(n_channels, 400, seed=1)
    make = (FRONTS[front], BANDS[bands], n_channels, 16)
    whole = streamed(BlockBank(*make), samples)
    assert np.array_equal(streamed(BlockBank(*make), samples, sizes), whole)


@pytest.mark.parametrize("n_channels", [1, 64, 256])
def test_one_sample_at_a_time_gives_the_bits_of_whole_blocks_at_any_width(n_channels):
    samples = noise(n_channels, 70)
    make = (FRONTS["high-pass and notch"], BANDS["bank"], n_channels, 32)
    assert np.array_equal(
        streamed(BlockBank(*make), samples, (1,)), streamed(BlockBank(*make), samples)
    )


def test_minutes_of_blocks_do_not_drift_from_scipy():
    front, bands = FRONTS["high-pass"], BANDS["one"]
    samples = noise(1, 300 * int(RATE_HZ))
    out = streamed(BlockBank(front, bands, 1, 128), samples)
    np.testing.assert_allclose(out, by_scipy(front, bands, samples), rtol=0, atol=1e-9)


def test_a_sample_changes_nothing_that_came_before_it():
    samples = noise(2, 100)
    other = samples.copy()
    other[:, 57:] += 1000
    make = (FRONTS["high-pass"], BANDS["bank"], 2, 16)
    a, b = (streamed(BlockBank(*make), each, (7,)) for each in (samples, other))
    assert np.array_equal(a[:, :, :57], b[:, :, :57])
    assert (a[:, :, 57:] != b[:, :, 57:]).any()


def test_an_offset_makes_no_step_at_the_start():
    level = np.array([[4000.0], [-300.0]])
    bank = BlockBank(FRONTS["high-pass and notch"], BANDS["unequal"], 2, 16)
    out = streamed(bank, np.broadcast_to(level, (2, 300)))
    assert np.abs(out).max() < 1e-6
    low = BlockBank([], [low_pass(20, 4, RATE_HZ)], 2, 16)
    steady = streamed(low, np.broadcast_to(level, (2, 300)))[:, 0]
    np.testing.assert_allclose(steady, np.broadcast_to(level, (2, 300)), rtol=1e-9)


@given(sizes=cuts)
def test_after_a_restart_it_is_as_new(sizes):
    make = (FRONTS["high-pass and notch"], BANDS["one"], 3, 16)
    used, samples = BlockBank(*make), 200 + noise(3, 150)
    streamed(used, noise(3, 333, seed=9), sizes)
    used.restart()
    assert np.array_equal(streamed(used, samples, sizes), streamed(BlockBank(*make), samples))


def test_channels_do_not_touch_each_other():
    samples = noise(5, 200)
    make = (FRONTS["high-pass"], BANDS["bank"])
    together = streamed(BlockBank(*make, 5, 16), samples)
    for row in range(5):
        alone = streamed(BlockBank(*make, 1, 16), samples[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-9)


def test_peek_does_not_move_on_and_process_does():
    make = (FRONTS["high-pass"], BANDS["one"], 2, 16)
    one, two = BlockBank(*make), BlockBank(*make)
    for block in noise(2, 48).reshape(2, 3, 16).swapaxes(0, 1):
        first = one.peek(block).copy()
        assert np.array_equal(one.peek(block), first)
        one.move_on()
        assert np.array_equal(two.process(block), first)


def test_no_filter_at_all_passes_the_signal_on():
    samples = noise(2, 50)
    bank = BlockBank([], [], 2, 16)
    assert bank.n_bands == 1
    np.testing.assert_allclose(streamed(bank, samples, (5,))[:, 0], samples, rtol=1e-12)


def test_a_band_without_sections_is_the_fronts_own_output():
    samples = noise(2, 120)
    alone = streamed(BlockBank(FRONTS["high-pass"], [], 2, 16), samples)[:, 0]
    beside = streamed(BlockBank(FRONTS["high-pass"], BANDS["unequal"], 2, 16), samples)[:, 2]
    np.testing.assert_allclose(beside, alone, rtol=0, atol=1e-10)


def test_the_block_is_left_alone_and_the_output_is_reused_memory():
    bank, block = BlockBank(FRONTS["high-pass"], [], 2, 16), noise(2, 16)
    block.flags.writeable = False
    first = bank.peek(block)
    assert np.shares_memory(first, bank.peek(block))
    assert not np.shares_memory(first, block)


@pytest.mark.parametrize(
    ("rate_hz", "n_times"),
    [
        (100.0, 16),
        (250.0, 16),
        (512.0, 16),
        (1000.0, 16),
        (2000.0, 32),
        (2048.0, 32),
        (30000.0, 512),
    ],
)
def test_a_block_lasts_about_sixteen_milliseconds_or_has_sixteen_samples(rate_hz, n_times):
    assert block_length(rate_hz) == n_times
