from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.sender_clock import SenderClock, is_time, timed

RATES = (160.0, 250.0, 1000.0, 2048.0)


def followed(rate_hz, stamps, indices) -> SenderClock:
    clock = SenderClock(rate_hz)
    clock.start(int(indices[0]), float(stamps[0]))
    for index, stamp in zip(indices[1:].tolist(), stamps[1:].tolist(), strict=True):
        clock.update(index, stamp)
    return clock


def ticks(rate_hz, seconds, every=20):
    indices = np.arange(0, round(seconds * rate_hz), every)
    return indices, 100.0 + indices / rate_hz


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_perfect_clock_is_predicted_to_the_nanosecond(rate_hz):
    indices, stamps = ticks(rate_hz, 20)
    clock = followed(rate_hz, stamps, indices)
    assert clock.predict(int(indices[-1]) + 500) == pytest.approx(
        stamps[-1] + 500 / rate_hz, abs=1e-9
    )


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("off", [0.02, -0.02, 1e-3, -1e-4])
def test_the_true_period_is_learnt_within_half_a_minute(rate_hz, off):
    indices, _ = ticks(rate_hz, 30)
    clock = followed(rate_hz, 100.0 + indices / (rate_hz * (1 + off)), indices)
    assert 1 / clock.period_s == pytest.approx(rate_hz * (1 + off), rel=2e-5)
    assert clock.nominal_s == 1 / rate_hz


@pytest.mark.parametrize("rate_hz", RATES)
def test_jitter_is_measured_and_the_prediction_is_better_than_the_stamps(rate_hz):
    indices, stamps = ticks(rate_hz, 30)
    errors_s = []
    for seed in range(8):
        jitter_s = np.random.default_rng(seed).normal(0, 0.01, len(stamps))
        clock = followed(rate_hz, stamps + jitter_s, indices)
        errors_s.append(clock.predict(int(indices[-1])) - stamps[-1])
        # The error of the prediction is counted in, so the figure is on the safe side.
        assert 0.009 < clock.scatter_s < 0.03
        assert clock.period_s * rate_hz == pytest.approx(1, abs=2e-3)
    assert np.sqrt(np.mean(np.square(errors_s))) < 0.009


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("error_s", [1.0, -1.0, 0.1])
def test_one_stamp_that_is_far_off_does_not_bend_the_period(rate_hz, error_s):
    indices, stamps = ticks(rate_hz, 20)
    clock = followed(rate_hz, stamps, indices)
    period_s, nxt = clock.period_s, int(indices[-1]) + 20
    clock.update(nxt, clock.predict(nxt) + error_s)
    assert clock.period_s == pytest.approx(period_s, rel=1e-4)
    assert clock.predict(nxt) == pytest.approx(stamps[-1] + 20 / rate_hz, abs=1e-3)


def test_anchoring_again_moves_the_phase_and_keeps_the_period():
    indices, _ = ticks(250.0, 30)
    clock = followed(250.0, 100.0 + indices / 251.0, indices)
    period_s = clock.period_s
    clock.start(9000, 7.0)
    assert clock.predict(9010) == pytest.approx(7.0 + 10 * period_s, abs=1e-12)
    assert clock.period_s == period_s


@pytest.mark.parametrize("rate_hz", [250.0, 1000.0])
@pytest.mark.parametrize("jitter_s", [0.005, 0.03, 0.1])
def test_a_period_learnt_from_uneven_stamps_is_not_trusted_more_than_it_deserves(rate_hz, jitter_s):
    for seed in range(6):
        rng, clock, late_s = np.random.default_rng(seed), SenderClock(rate_hz), 0.0
        packet = round(0.02 * rate_hz)
        clock.start(-1, 100.0 - 1 / rate_hz)
        for index in range(packet - 1, round(30 * rate_hz), packet):
            # A sender that is late cannot send the next packet before this one.
            late_s = max(rng.uniform(0, jitter_s), late_s - 0.02)
            clock.update(index, 100.0 + index / rate_hz + late_s)
            if index > 2 * rate_hz:
                assert abs(clock.period_s - 1 / rate_hz) < 4 * clock.period_error_s
        assert clock.period_error_s * rate_hz < 2 * jitter_s / 30 + 1e-3


def test_the_more_it_has_seen_the_surer_it_is_of_the_period():
    indices, stamps = ticks(250.0, 60)
    errors = [followed(250.0, stamps[:n], indices[:n]).period_error_s for n in (2, 20, 200, 700)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4 / 250.0


@given(
    jitter_s=st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=80),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=10),
    rate_hz=st.sampled_from(RATES),
)
def test_whatever_comes_it_stays_finite_and_its_tolerance_is_half_a_sample_or_more(
    jitter_s, sizes, rate_hz
):
    clock, index = SenderClock(rate_hz), 0
    clock.start(0, 100.0)
    for turn, error_s in enumerate(jitter_s):
        index += sizes[turn % len(sizes)]
        clock.update(index, 100.0 + index / rate_hz + error_s)
        assert clock.tolerance_s >= 0.5 * clock.period_s > 0
        assert clock.period_error_s >= 0
        assert abs(clock.predict(index) - (100.0 + index / rate_hz)) < 0.2
        assert clock.period_s * rate_hz == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1e300])
def test_a_stamp_that_is_no_time_follows_the_one_before(wrong):
    sent = np.array([wrong, 2.0, wrong, wrong, 5.0, wrong])
    mended, n_mended = timed(sent, 0.5, 0.25, 9.0)
    np.testing.assert_allclose(mended, [0.75, 2.0, 2.25, 2.5, 5.0, 5.25])
    assert n_mended == 4
    mended, _ = timed(sent, np.nan, 0.25, 9.0)
    assert mended[0] == pytest.approx(1.75), "nothing came before: back from the first that is one"


def test_stamps_without_any_time_end_when_they_arrived():
    mended, n_mended = timed(np.full(3, np.nan), np.nan, 0.25, 9.0)
    np.testing.assert_allclose(mended, [8.5, 8.75, 9.0])
    assert n_mended == 3


def test_stamps_that_are_all_times_are_left_as_they_are():
    sent = np.array([1.0, 3.0])
    assert timed(sent, 0.0, 1.0, 9.0)[0] is sent
    assert is_time(1.7e9)
    assert not is_time(1e12)
