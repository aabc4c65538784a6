from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.pace import Pace
from diverloop.runtime.signal.blocks import block_length
from diverloop.runtime.signal.resampling import BlockResampler, simple_ratio

OUT_HZ = 500.0
PLAIN_HZ = (250.0, 256.0, 512.0, 1000.0, 2000.0, 2048.0, 4096.0, 30000.0)
AWKWARD_HZ = (100.0, 160.0, 300.0, 999.41, 1024.5, 1375.0, 24414.0625, 29999.97)
rates = pytest.mark.parametrize("rate_hz", PLAIN_HZ + AWKWARD_HZ)
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=30)


@cache
def designed(rate_hz: float, n_times: int = 0) -> BlockResampler:
    """For looking at only: what is streamed through is made anew."""
    return BlockResampler(rate_hz, OUT_HZ, 1, n_times or block_length(rate_hz))


def pace(resampler: BlockResampler) -> Pace:
    """How the stream counts what comes out."""
    return Pace(resampler.ratio.numerator, resampler.ratio.denominator)


def noise(n_rows: int, n_times: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 20, (n_rows, n_times))


def streamed(
    resampler: BlockResampler, samples: np.ndarray, sizes=(10**9,), first_sample: int = 0
) -> np.ndarray:
    """Push samples in pieces of these sizes, over and over; take each output once it is valid."""
    n_times = resampler.n_times
    block = np.zeros((len(samples), n_times))
    parts, begun, filled, turn, at = [], first_sample, 0, 0, 0
    taken = pace(resampler).conditioned(first_sample)
    while at < samples.shape[1]:
        chunk = samples[:, at : at + sizes[turn % len(sizes)]]
        at, turn = at + chunk.shape[1], turn + 1
        while chunk.shape[1]:
            part, chunk = chunk[:, : n_times - filled], chunk[:, n_times - filled :]
            block[:, filled : filled + part.shape[1]] = part
            filled += part.shape[1]
            first = pace(resampler).conditioned(begun)
            stop = pace(resampler).conditioned(begun + filled)
            parts.append(resampler.peek(block)[:, taken - first : stop - first].copy())
            taken = stop
            if filled == n_times:
                resampler.move_on()
                block[:] = 0
                begun, filled = begun + n_times, 0
    return np.concatenate(parts, axis=1)


def by_scipy(resampler: BlockResampler, samples: np.ndarray, first_sample: int = 0) -> np.ndarray:
    """The whole signal at once, behind a first sample that has stood there long enough."""
    up, down = resampler.ratio.numerator, resampler.ratio.denominator
    before = math.ceil(len(resampler.taps) / (up * down)) * down
    lead = np.repeat(samples[:, :1], before + first_sample % down, axis=1)
    primed = np.concatenate([lead, samples], axis=1)
    whole = signal.upfirdn(resampler.taps, primed, up, down, axis=1)
    first, stop = (lead.shape[1] + n for n in (0, samples.shape[1]))
    return whole[:, pace(resampler).conditioned(first) : pace(resampler).conditioned(stop)]


def response(resampler: BlockResampler, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and gains, finer than the side lobes."""
    taps, up = resampler.taps, resampler.ratio.numerator
    size = 16 * len(taps)
    return np.fft.rfftfreq(size, 1 / (rate_hz * up)), np.abs(np.fft.rfft(taps, size)) / up


# --------------------------------------------------------------------------------- streaming


@rates
def test_it_equals_scipy_on_the_whole_signal(rate_hz):
    resampler = BlockResampler(rate_hz, OUT_HZ, 3, block_length(rate_hz))
    samples = 500 + noise(3, min(6000, int(rate_hz)))
    out = streamed(resampler, samples, sizes=(37, 5, 111))
    np.testing.assert_allclose(out, by_scipy(resampler, samples), rtol=0, atol=1e-9)


@settings(max_examples=30)
@given(
    sizes=cuts,
    rate_hz=st.sampled_from((250.0, 256.0, 300.0, 512.0, 1000.0, 1375.0, 2048.0)),
    n_rows=st.integers(1, 8),
)
def test_any_cut_gives_the_same_bits(sizes, rate_hz, n_rows):
    samples = noise(n_rows, 700, seed=1)
    make = (rate_hz, OUT_HZ, n_rows, block_length(rate_hz))
    whole = streamed(BlockResampler(*make), samples)
    assert np.array_equal(streamed(BlockResampler(*make), samples, sizes), whole)
    assert whole.shape[1] == math.ceil(Fraction(700) * Fraction(OUT_HZ) / Fraction(rate_hz))


@given(sizes=cuts, n_times=st.integers(1, 40), up=st.integers(1, 9), down=st.integers(1, 9))
def test_any_ratio_and_any_block_equal_scipy(sizes, n_times, up, down):
    resampler = BlockResampler(100.0 * down, 100.0 * up, 2, n_times)
    assert resampler.ratio == Fraction(up, down)
    samples = noise(2, 300, seed=2)
    out = streamed(resampler, samples, sizes)
    np.testing.assert_allclose(out, by_scipy(resampler, samples), rtol=0, atol=1e-9)


@pytest.mark.parametrize("rate_hz", [250.0, 2048.0, 30000.0])
def test_an_output_knows_no_input_later_than_itself(rate_hz):
    samples = noise(1, 3 * block_length(rate_hz) + 5)
    other = samples.copy()
    cut = samples.shape[1] // 2
    other[:, cut:] += 1000
    make = (rate_hz, OUT_HZ, 1, block_length(rate_hz))
    a, b = (streamed(BlockResampler(*make), each) for each in (samples, other))
    same = pace(designed(rate_hz)).conditioned(cut)
    assert np.array_equal(a[:, :same], b[:, :same])
    assert (a[:, same:] != b[:, same:]).any()


def test_matrices_made_on_the_fly_are_those_that_would_have_been_kept(monkeypatch):
    samples = noise(2, 900)
    kept = BlockResampler(2048.0, OUT_HZ, 2, 32)
    monkeypatch.setattr("diverloop.runtime.signal.resampling._CACHE_BYTES", 0)
    made = BlockResampler(2048.0, OUT_HZ, 2, 32)
    assert kept._matrices
    assert not made._matrices
    assert np.array_equal(streamed(kept, samples), streamed(made, samples))


@pytest.mark.parametrize("rate_hz", [250.0, 300.0, 2048.0, 30000.0])
def test_after_a_restart_it_is_as_new(rate_hz):
    make = (rate_hz, OUT_HZ, 2, block_length(rate_hz))
    used, samples = BlockResampler(*make), noise(2, 2000)
    streamed(used, noise(2, 777, seed=9))
    used.restart()
    assert np.array_equal(streamed(used, samples), streamed(BlockResampler(*make), samples))


@settings(max_examples=20)
@given(rate_hz=st.sampled_from((250.0, 256.0, 1375.0, 2048.0)), first_sample=st.integers(0, 10**7))
def test_behind_a_gap_outputs_keep_their_places_on_the_grid_of_the_stream(rate_hz, first_sample):
    resampler = BlockResampler(rate_hz, OUT_HZ, 2, block_length(rate_hz))
    streamed(resampler, noise(2, 333, seed=9))
    resampler.restart(first_sample)
    samples = 100 + noise(2, 400)
    out = streamed(resampler, samples, (17, 50), first_sample)
    np.testing.assert_allclose(out, by_scipy(resampler, samples, first_sample), rtol=0, atol=1e-9)
    resampler.restart(first_sample)
    assert np.array_equal(streamed(resampler, samples, (3,), first_sample), out)
    n_before = pace(resampler).conditioned(first_sample)
    assert n_before + out.shape[1] == pace(resampler).conditioned(first_sample + 400)
    assert n_before / resampler.ratio >= first_sample


def test_any_number_of_gaps_takes_no_more_memory():
    resampler = BlockResampler(2048.0, OUT_HZ, 1, 32)
    kept = len(resampler._matrices)
    for first_sample in range(0, 5000, 101):
        resampler.restart(first_sample)
        for _ in range(20):
            resampler.process(noise(1, 32))
        assert len(resampler._matrices) <= kept


def test_rows_do_not_touch_each_other():
    samples = noise(5, 400)
    together = streamed(BlockResampler(1000.0, OUT_HZ, 5, 16), samples)
    for row in range(5):
        alone = streamed(BlockResampler(1000.0, OUT_HZ, 1, 16), samples[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-9)


def test_equal_rates_leave_every_sample_as_it_is():
    resampler, samples = BlockResampler(OUT_HZ, OUT_HZ, 3, 8), noise(3, 101)
    assert np.array_equal(streamed(resampler, samples, (7,)), samples)
    assert (resampler.delay_s, resampler.settle_samples, resampler.ratio) == (0.0, 0, 1)


def test_peek_does_not_move_on_and_process_does():
    one, two = (BlockResampler(1000.0, OUT_HZ, 2, 16) for _ in range(2))
    blocks = noise(2, 48).reshape(2, 3, 16).swapaxes(0, 1)
    for block in blocks:
        first = one.peek(block).copy()
        assert np.array_equal(one.peek(block), first)
        one.move_on()
        assert np.array_equal(two.process(block), first)
    assert not np.array_equal(one.peek(blocks[0]), first)


def test_the_input_is_left_alone_and_the_output_is_reused_memory():
    resampler, block = BlockResampler(1000.0, OUT_HZ, 2, 16), noise(2, 16)
    block.flags.writeable = False
    first = resampler.peek(block)
    assert np.shares_memory(first, resampler.peek(block))
    assert not np.shares_memory(first, block)


# ----------------------------------------------------------------------------------- signals


@rates
def test_a_constant_stays_constant_from_the_first_sample_on(rate_hz):
    level = np.array([[4000.0], [-300.0]])
    resampler = BlockResampler(rate_hz, OUT_HZ, 2, block_length(rate_hz))
    out = streamed(resampler, np.repeat(level, min(3000, int(rate_hz)), axis=1), (113,))
    np.testing.assert_allclose(out, np.broadcast_to(level, out.shape), rtol=1e-12)


@pytest.mark.parametrize("minimum_phase", [True, False])
@pytest.mark.parametrize("rate_hz", [250.0, 512.0, 999.41, 2048.0, 30000.0])
def test_a_sine_keeps_its_amplitude_and_is_as_late_as_reported(rate_hz, minimum_phase):
    resampler = BlockResampler(
        rate_hz, OUT_HZ, 1, block_length(rate_hz), minimum_phase=minimum_phase
    )
    low_hz = 0.02 * min(rate_hz, OUT_HZ)
    centre_hz = 0.17 * min(rate_hz, OUT_HZ)
    times = np.arange(int(0.8 * rate_hz)) / rate_hz
    settled = math.ceil(resampler.settle_samples * resampler.ratio)
    sine = 50 * np.sin(2 * np.pi * centre_hz * times)
    out = streamed(resampler, sine[None], (500,))[0]
    where = [float(j / resampler.ratio) / rate_hz for j in range(len(out))]
    basis = np.exp(2j * np.pi * centre_hz * np.array(where))
    parts = np.linalg.lstsq(np.stack([basis.real, basis.imag], 1)[settled:], out[settled:])[0]
    assert np.hypot(*parts) == pytest.approx(50, rel=5e-3)
    # A burst comes late by the group delay, which grows towards the edge of the pass band.
    envelope = np.exp(-(((times - 0.4) * low_hz) ** 2))
    late = streamed(
        BlockResampler(rate_hz, OUT_HZ, 1, block_length(rate_hz), minimum_phase=minimum_phase),
        (envelope * sine)[None],
    )[0]
    power = np.abs(signal.hilbert(late)) ** 2
    centre_s = float((power * where).sum() / power.sum())
    assert centre_s - 0.4 == pytest.approx(resampler.delay_s, rel=0.15)


@pytest.mark.parametrize("rate_hz", [1000.0, 2048.0, 4096.0, 30000.0])
def test_what_would_fold_back_is_sixty_decibels_down(rate_hz):
    times = np.arange(int(0.5 * rate_hz)) / rate_hz
    for frequency_hz in (251.0, 300.0, 449.0, 0.49 * rate_hz):
        resampler = BlockResampler(rate_hz, OUT_HZ, 1, block_length(rate_hz))
        out = streamed(resampler, 100 * np.cos(2 * np.pi * frequency_hz * times)[None])
        settled = out[:, 2 * math.ceil(resampler.settle_samples * resampler.ratio) :]
        assert np.sqrt(2 * np.mean(settled**2)) < 0.1


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 256.0])
def test_upsampling_leaves_no_image_of_the_signal(rate_hz):
    resampler = BlockResampler(rate_hz, OUT_HZ, 1, block_length(rate_hz))
    times = np.arange(int(8 * rate_hz)) / rate_hz
    out = streamed(resampler, 100 * np.sin(2 * np.pi * 0.2 * rate_hz * times)[None])[0, -2000:]
    frequencies, power = signal.periodogram(out, OUT_HZ, window="blackmanharris")
    images = power[frequencies > 0.5 * rate_hz]
    assert 10 * np.log10(images.max() / power.max()) < -60


# ------------------------------------------------------------------------------------ design


@pytest.mark.parametrize("rate_hz", [160.0, 250.0, 256.0, 300.0, 1000.0, 1375.0, 2048.0, 30000.0])
def test_the_filter_passes_four_tenths_of_the_lower_rate_and_stops_half_of_it(rate_hz):
    resampler, lower_hz = designed(rate_hz), min(rate_hz, OUT_HZ)
    frequencies, gains = response(resampler, rate_hz)
    passed_db = 20 * np.log10(gains[frequencies <= 0.4 * lower_hz])
    assert passed_db.min() > -0.03
    assert passed_db.max() < 0.01
    assert 20 * np.log10(gains[frequencies >= 0.5 * lower_hz].max()) < -60


@pytest.mark.parametrize("rate_hz", [250.0, 256.0, 2048.0])
def test_minimum_phase_keeps_the_magnitude_and_puts_the_energy_first(rate_hz):
    early = designed(rate_hz)
    linear = BlockResampler(rate_hz, OUT_HZ, 1, 16, minimum_phase=False)
    assert len(early.taps) == len(linear.taps)
    _, gains = response(early, rate_hz)
    np.testing.assert_allclose(gains, response(linear, rate_hz)[1], rtol=0, atol=4e-4)
    np.testing.assert_allclose(linear.taps, linear.taps[::-1], atol=1e-3 * linear.taps.max())
    half_s = (len(linear.taps) - 1) / 2 / (rate_hz * linear.ratio.numerator)
    assert linear.delay_s == pytest.approx(half_s, rel=1e-3)
    assert early.delay_s < 0.2 * linear.delay_s
    energy = np.cumsum(early.taps**2), np.cumsum(linear.taps**2)
    assert (energy[0] >= energy[1] - 1e-4 * energy[1][-1]).all()


@pytest.mark.parametrize("rate_hz", [250.0, 1375.0, 2048.0, 30000.0])
def test_a_step_has_come_to_within_a_hundredth_once_settled(rate_hz):
    resampler = BlockResampler(rate_hz, OUT_HZ, 1, block_length(rate_hz))
    step = np.ones((1, 4 * resampler.settle_samples))
    step[0, 0] = 0.0
    out = streamed(resampler, step)[0]
    stop = pace(resampler).conditioned(resampler.settle_samples + 1)
    assert np.abs(out[stop:] - 1).max() <= 0.01
    earlier = out[: pace(resampler).conditioned(math.floor(0.9 * resampler.settle_samples))]
    assert np.abs(earlier[-len(earlier) // 2 :] - 1).max() > 0.005


@pytest.mark.parametrize(
    ("rate_hz", "ratio"),
    [
        (250, Fraction(2)), (256, Fraction(125, 64)), (300, Fraction(5, 3)),
        (512, Fraction(125, 128)), (1000, Fraction(1, 2)), (1375, Fraction(4, 11)),
        (2048, Fraction(125, 512)), (1024.5, Fraction(1000, 2049)),
        (24414.0625, Fraction(64, 3125)), (30000, Fraction(1, 60)),
    ],
)  # fmt: skip
def test_a_simple_ratio_is_exact(rate_hz, ratio):
    assert simple_ratio(rate_hz, OUT_HZ) == ratio
    assert Fraction(rate_hz) * ratio == Fraction(OUT_HZ)


@pytest.mark.parametrize(
    ("rate_hz", "accuracy"),
    [(499.9, 1e-6), (999.41, 1e-6), (1017.2526041667, 1e-6), (29999.97, 1e-6), (2500.03, 2e-5)],
)
def test_an_awkward_ratio_is_near_enough(rate_hz, accuracy):
    ratio = simple_ratio(rate_hz, OUT_HZ)
    assert ratio.denominator < 6000
    assert 0 < abs(rate_hz * float(ratio) / OUT_HZ - 1) <= accuracy * (1 + 1e-9)


def test_its_ratio_is_the_one_that_is_counted_with():
    assert designed(2500.03).ratio == simple_ratio(2500.03, OUT_HZ) == Fraction(1, 5)
    assert pace(designed(2500.03)) == Pace.between(2500.03, OUT_HZ)


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("rate_in_hz", "rate_out_hz"), [(0, 500), (-250, 500), (250, 0), (math.nan, 500), (math.inf, 1)]
)
def test_a_rate_that_is_none_is_refused_with_its_value(rate_in_hz, rate_out_hz):
    with pytest.raises(ConfigError, match="must be positive") as caught:
        BlockResampler(rate_in_hz, rate_out_hz, 1, 16)
    assert f"got {rate_in_hz:g} Hz and {rate_out_hz:g} Hz" in str(caught.value)


@pytest.mark.parametrize(("n_rows", "n_times"), [(0, 16), (4, 0)])
def test_nothing_to_resample_is_refused(n_rows, n_times):
    with pytest.raises(ConfigError, match=f"got {n_rows} and {n_times}"):
        BlockResampler(250.0, OUT_HZ, n_rows, n_times)


def test_a_ratio_that_no_simple_fraction_comes_near_is_refused_with_a_way_out():
    with pytest.raises(ConfigError, match="choose an output rate in a simpler ratio") as caught:
        BlockResampler(30001.0, OUT_HZ, 1, 512)
    assert "30001 Hz cannot be resampled to 500 Hz" in str(caught.value)
