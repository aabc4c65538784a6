from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.signal.filters import (
    SosFilter,
    band_pass,
    group_delay_s,
    high_pass,
    low_pass,
    notch,
    settle_samples,
)

RATE_HZ = 250.0
FILTERS = {
    "band": band_pass(8, 30, 4, RATE_HZ),
    "narrow band": band_pass(8, 12, 2, RATE_HZ),
    "steep band": band_pass(0.5, 45, 8, RATE_HZ),
    "high-pass": high_pass(0.5, 3, RATE_HZ),
    "low-pass": low_pass(40, 4, RATE_HZ),
    "notch": notch(50, 1.8, RATE_HZ),
}
filters = pytest.mark.parametrize("sos", FILTERS.values(), ids=FILTERS)
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=30)


def noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 20, (n_channels, n_times))


def streamed(sos, samples: np.ndarray, sizes) -> np.ndarray:
    """Filter in pieces of these sizes, over and over."""
    online, parts, at, turn = SosFilter(sos), [], 0, 0
    while at < samples.shape[1]:
        size = sizes[turn % len(sizes)]
        parts.append(online.process(samples[:, at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(parts, axis=1)


def gain(sos, frequency_hz: float) -> float:
    return float(np.abs(signal.sosfreqz(sos, worN=[frequency_hz], fs=RATE_HZ)[1][0]))


# --------------------------------------------------------------------------------- streaming


@given(sizes=cuts, name=st.sampled_from(list(FILTERS)), n_channels=st.integers(1, 8))
def test_any_cut_equals_scipy_on_the_whole_signal(sizes, name, n_channels):
    sos, samples = FILTERS[name], 500 + noise(n_channels, 600)
    start = signal.sosfilt_zi(sos)[:, None, :] * samples[None, :, :1]
    whole, _ = signal.sosfilt(sos, samples, axis=1, zi=start)
    np.testing.assert_allclose(streamed(sos, samples, sizes), whole, rtol=0, atol=1e-9)


@given(sizes=cuts, name=st.sampled_from(list(FILTERS)), n_channels=st.integers(1, 8))
def test_any_cut_gives_the_same_bits(sizes, name, n_channels):
    sos, samples = FILTERS[name], noise(n_channels, 600, seed=1)
    assert np.array_equal(streamed(sos, samples, sizes), SosFilter(sos).process(samples))


@filters
def test_channels_do_not_touch_each_other(sos):
    samples = noise(5, 300)
    together = SosFilter(sos).process(samples)
    for row in range(5):
        alone = SosFilter(sos).process(samples[row : row + 1])
        np.testing.assert_array_equal(together[row], alone[0])


@filters
def test_a_constant_offset_makes_no_step_at_the_start(sos):
    offset = np.array([[4000.0], [-300.0]])
    out = streamed(sos, np.broadcast_to(offset, (2, 400)), [7])
    steady = offset * gain(sos, 0.0)
    np.testing.assert_allclose(out, np.broadcast_to(steady, (2, 400)), atol=1e-4)


@filters
def test_an_offset_of_the_electrode_leaves_the_signal_as_it_is(sos):
    samples = noise(2, 400)
    shift = 5000.0 * gain(sos, 0.0)
    np.testing.assert_allclose(
        SosFilter(sos).process(samples + 5000.0), SosFilter(sos).process(samples) + shift, atol=1e-4
    )


@filters
def test_after_a_restart_it_is_as_new(sos):
    used, samples = SosFilter(sos), noise(3, 200)
    used.process(noise(3, 500, seed=9))
    used.restart()
    assert np.array_equal(used.process(samples), SosFilter(sos).process(samples))


@filters
def test_samples_of_single_precision_are_filtered_in_double(sos):
    samples = noise(2, 300).astype(np.float32)
    out = SosFilter(sos).process(samples)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, SosFilter(sos).process(samples.astype(np.float64)))


def test_the_input_is_left_alone_and_the_output_is_new_memory():
    samples = noise(2, 50)
    samples.flags.writeable = False
    out = SosFilter(FILTERS["band"]).process(samples)
    assert not np.shares_memory(out, samples)


def test_nothing_to_filter_or_to_filter_with_passes_through():
    samples = noise(2, 50)
    assert SosFilter(np.zeros((0, 6))).process(samples) is samples
    online = SosFilter(FILTERS["band"])
    assert online.process(samples[:, :0]).shape == (2, 0)
    assert np.array_equal(online.process(samples), SosFilter(FILTERS["band"]).process(samples))


# ----------------------------------------------------------------------------------- design


@pytest.mark.parametrize("order", [1, 2, 4, 8])
def test_a_band_passes_its_middle_and_is_three_decibels_down_at_its_edges(order):
    sos = band_pass(8, 30, order, RATE_HZ)
    assert sos.shape == (order, 6)
    assert gain(sos, math.sqrt(8 * 30)) == pytest.approx(1, abs=0.02)
    for edge_hz in (8, 30):
        assert gain(sos, edge_hz) == pytest.approx(math.sqrt(0.5), rel=1e-6)
    assert gain(sos, 1) < 0.25
    assert gain(sos, 120) < 0.25


@pytest.mark.parametrize("order", [1, 3, 4, 8])
def test_a_high_pass_takes_away_the_offset_alone(order):
    sos = high_pass(1.0, order, RATE_HZ)
    assert sos.shape == (math.ceil(order / 2), 6)
    assert gain(sos, 0.0) == pytest.approx(0, abs=1e-6)
    assert gain(sos, 1.0) == pytest.approx(math.sqrt(0.5), rel=1e-6)
    assert gain(sos, 20) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("order", [1, 3, 4, 8])
def test_a_low_pass_leaves_the_offset_and_is_three_decibels_down_at_its_edge(order):
    sos = low_pass(40, order, RATE_HZ)
    assert sos.shape == (math.ceil(order / 2), 6)
    assert gain(sos, 0.0) == pytest.approx(1, abs=1e-9)
    assert gain(sos, 40) == pytest.approx(math.sqrt(0.5), rel=1e-6)
    assert gain(sos, 120) < 0.1


@pytest.mark.parametrize(("line_hz", "harmonics"), [(50, [50, 100]), (60, [60, 120])])
def test_a_notch_takes_out_the_mains_and_its_harmonics_and_leaves_the_rest(line_hz, harmonics):
    sos = notch(line_hz, 1.8, RATE_HZ)
    assert sos.shape == (2 * len(harmonics), 6)
    for frequency_hz in harmonics:
        assert gain(sos, frequency_hz) < 1e-6
    for frequency_hz in (1, 10, 30, line_hz - 2, line_hz + 2):
        assert gain(sos, frequency_hz) == pytest.approx(1, abs=0.025)


@pytest.mark.parametrize("line_hz", [50, 60])
@pytest.mark.parametrize("rate_hz", [250.0, 1000.0, 2000.0])
def test_every_hole_is_as_wide_as_was_asked_and_deep_where_mains_may_wander(line_hz, rate_hz):
    sos = notch(line_hz, 1.8, rate_hz)
    centres = np.arange(line_hz, 0.98 * rate_hz / 2, line_hz)
    assert len(sos) == 2 * len(centres)
    for row, centre_hz in enumerate(centres):
        own = sos[2 * row : 2 * row + 2]
        around = centre_hz + np.linspace(-3, 3, 6001)
        around = around[around < rate_hz / 2]
        _, response = signal.sosfreqz(own, worN=around, fs=rate_hz)
        hole = around[np.abs(response) < math.sqrt(0.5)]
        assert hole[-1] - hole[0] == pytest.approx(1.8, abs=0.003)
        near = np.abs(around - centre_hz) <= 0.1001
        assert 20 * np.log10(np.abs(response[near]).max()) < -37


def test_a_line_is_thirty_decibels_down_and_its_neighbours_stay():
    times = np.arange(int(6 * RATE_HZ)) / RATE_HZ
    settled = times > 3
    for frequency_hz, least_db, most_db in ((50.1, -999, -30), (49.9, -999, -30), (47, -0.1, 0.1)):
        wave = np.sin(2 * np.pi * frequency_hz * times)[None]
        out = SosFilter(notch(50, 1.8, RATE_HZ)).process(wave)
        change_db = 10 * np.log10(np.mean(out[:, settled] ** 2) / np.mean(wave[:, settled] ** 2))
        assert least_db < change_db < most_db


def test_harmonics_above_what_is_read_are_left_alone():
    assert len(notch(50, 1.8, 2000.0)) == 2 * 19
    assert len(notch(50, 1.8, 2000.0, up_to_hz=200)) == 2 * 3
    assert len(notch(50, 1.8, 2000.0, up_to_hz=201)) == 2 * 4
    assert len(notch(50, 1.8, 2000.0, up_to_hz=40)) == 0


def test_mains_beyond_half_the_rate_need_no_notch():
    assert notch(50, 1.8, 100.0).shape == (0, 6)
    assert settle_samples(notch(50, 1.8, 100.0)) == 0
    assert group_delay_s(notch(50, 1.8, 100.0), 8, 30, 100.0) == 0


@pytest.mark.parametrize(("rate_hz", "n_notches"), [(101.0, 0), (103.0, 1), (203.0, 1), (206.0, 2)])
def test_a_harmonic_at_the_very_edge_is_left_to_the_amplifiers_own_filter(rate_hz, n_notches):
    assert len(notch(50, 1.8, rate_hz)) == 2 * n_notches


@pytest.mark.parametrize("width_hz", [0.5, 1.8, 10.0])
def test_a_notch_close_to_half_the_rate_is_stable_whatever_its_width(width_hz):
    _, poles, _ = signal.sos2zpk(notch(50, width_hz, 102.1))
    assert np.abs(poles).max() < 1


@filters
def test_after_settling_less_than_a_twentieth_of_a_start_is_left(sos):
    n_times = settle_samples(sos)
    _, poles, _ = signal.sos2zpk(sos)
    slowest = np.abs(poles).max()
    assert slowest**n_times <= 0.01 < slowest ** (n_times - 1)
    state = signal.sosfilt_zi(sos)
    ringing, _ = signal.sosfilt(sos, np.zeros(4 * n_times), zi=state)
    assert np.abs(ringing[n_times:]).max() <= 0.05 * max(1.0, np.abs(ringing).max())


def test_a_filter_without_memory_settles_at_once():
    assert settle_samples(np.array([[1.0, 0, 0, 1, 0, 0]])) == 0


@pytest.mark.parametrize(
    ("sos", "low_hz", "high_hz"),
    [(FILTERS["band"], 8, 30), (FILTERS["narrow band"], 8, 12), (FILTERS["high-pass"], 2, 60)],
)
def test_the_group_delay_is_scipys(sos, low_hz, high_hz):
    numerator, denominator = signal.sos2tf(sos)
    frequencies = np.linspace(low_hz, high_hz, 256)
    _, delays = signal.group_delay((numerator, denominator), w=frequencies, fs=RATE_HZ)
    delay_s = group_delay_s(sos, low_hz, high_hz, RATE_HZ)
    assert delay_s * RATE_HZ == pytest.approx(float(np.median(delays)), rel=0.01, abs=0.02)


def test_an_envelope_comes_late_by_the_group_delay():
    sos, times = FILTERS["band"], np.arange(2000) / RATE_HZ
    burst = np.exp(-(((times - 4) / 0.4) ** 2)) * np.sin(2 * np.pi * 15 * times)
    envelope = np.abs(signal.hilbert(SosFilter(sos).process(burst[None])[0]))
    late_s = float((envelope * times).sum() / envelope.sum()) - 4
    assert late_s == pytest.approx(group_delay_s(sos, 13, 17, RATE_HZ), abs=0.01)


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("low_hz", "high_hz"), [(0, 30), (-1, 30), (30, 8), (8, 8), (8, 125), (8, math.nan)]
)
def test_a_band_that_does_not_fit_is_refused_with_value_and_range(low_hz, high_hz):
    with pytest.raises(ConfigError, match=r"0 < low < high < 125 Hz \(half the rate\)") as caught:
        band_pass(low_hz, high_hz, 4, RATE_HZ)
    assert f"got {low_hz:g} to {high_hz:g} Hz" in str(caught.value)


@pytest.mark.parametrize("low_hz", [0, -0.5, 125, 300, math.nan])
def test_a_high_pass_that_does_not_fit_is_refused_with_value_and_range(low_hz):
    with pytest.raises(ConfigError, match=r"\(0, 125\) Hz \(half the rate\)") as caught:
        high_pass(low_hz, 4, RATE_HZ)
    assert f"got {low_hz:g} Hz" in str(caught.value)


@pytest.mark.parametrize("high_hz", [0, -0.5, 125, 300, math.nan])
def test_a_low_pass_that_does_not_fit_is_refused_with_value_and_range(high_hz):
    with pytest.raises(ConfigError, match=r"\(0, 125\) Hz \(half the rate\)") as caught:
        low_pass(high_hz, 4, RATE_HZ)
    assert f"got {high_hz:g} Hz" in str(caught.value)


@pytest.mark.parametrize("order", [0, 9, -1])
def test_an_order_out_of_range_is_refused_by_every_design(order):
    for design in (
        lambda: band_pass(8, 30, order, RATE_HZ),
        lambda: high_pass(1, order, RATE_HZ),
        lambda: low_pass(40, order, RATE_HZ),
    ):
        with pytest.raises(ConfigError, match=f"order must be in 1 to 8, got {order}"):
            design()


@pytest.mark.parametrize(
    ("line_hz", "width_hz"), [(0, 1.8), (-50, 1.8), (50, 0), (50, -1), (50, 50), (50, math.nan)]
)
def test_a_notch_without_frequency_or_of_no_fitting_width_is_refused(line_hz, width_hz):
    with pytest.raises(ConfigError, match="0 < width < mains frequency") as caught:
        notch(line_hz, width_hz, RATE_HZ)
    assert f"got a width of {width_hz:g} Hz at {line_hz:g} Hz" in str(caught.value)
