"""A clock is found from arrivals: drift, offset, steps; and from what a transport measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.alignment import Alignment, AlignmentConfig, middle_slope
from diverloop.runtime.errors import ConfigError

from ..bench.alignment import FAMILIES, Clocks, errors_s

RATE_HZ = 50.0


def heard(
    clocks: Clocks, alignment: Alignment | None = None, offset_s: float = np.nan
) -> Alignment:
    """An alignment that has heard all of it."""
    alignment = alignment or Alignment()
    for stamp_s, arrived_s in zip(clocks.stamps_s.tolist(), clocks.arrived_s.tolist(), strict=True):
        alignment.hear(stamp_s, arrived_s, offset_s)
    return alignment


def made(
    seed: int = 0, seconds: float = 40.0, family: str = "uniform 0 to 20 ms", **other
) -> Clocks:
    drift = other.pop("drift", 1e-4)
    rng = np.random.default_rng(seed)
    return Clocks(rng, seconds, other.pop("rate_hz", RATE_HZ), FAMILIES[family], drift)


def last_error_s(clocks: Clocks, alignment: Alignment) -> float:
    return float(alignment.to_loop(clocks.stamps_s[-1:])[0] - clocks.true_s[-1])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(2))
def test_drift_and_jitter_leave_an_error_below_a_millisecond(family, seed):
    alignment = Alignment()
    found = errors_s(made(seed, 120.0, family, drift=1e-4 * (-1) ** seed), alignment)
    assert found.std() <= 1e-3
    assert abs(found.mean()) <= 2e-3
    assert alignment.take_steps() == ()
    assert alignment.settled


@given(
    seed=st.integers(0, 2**32 - 1),
    drift=st.floats(-5e-4, 5e-4),
    family=st.sampled_from(sorted(FAMILIES)),
)
@settings(max_examples=10)
def test_any_drift_is_followed(seed, drift, family):
    clocks = made(seed, 60.0, family, drift=drift)
    alignment = heard(clocks)
    assert abs(last_error_s(clocks, alignment)) < 4e-3
    assert alignment.drift_ppm == pytest.approx(-1e6 * drift, abs=150)


@pytest.mark.parametrize("size_s", [-0.5, -0.05, 0.05, 0.5])
@pytest.mark.parametrize("family", ["uniform 0 to 20 ms", "exponential, mean 20 ms"])
def test_a_step_is_told_within_a_second_and_followed(family, size_s):
    clocks = made(3, 45.0, family)
    clocks.step(1030.0, size_s)
    alignment, told = Alignment(), []
    for stamp_s, arrived_s in zip(clocks.stamps_s.tolist(), clocks.arrived_s.tolist(), strict=True):
        alignment.hear(stamp_s, arrived_s)
        told += [(arrived_s, size) for size in alignment.take_steps()]
    ((at_s, size),) = told
    assert 0 <= at_s - 1030.0 <= 1.0
    assert size == pytest.approx(size_s, abs=0.02)
    assert abs(last_error_s(clocks, alignment)) < 2e-3


def test_what_is_held_up_and_comes_at_once_is_no_step():
    rng = np.random.default_rng(1)
    clocks = Clocks(rng, 600.0, RATE_HZ, FAMILIES["uniform with stalls of 0.5 s"], 1e-4)
    assert heard(clocks).take_steps() == ()


def test_a_stamp_that_is_nonsense_moves_nothing():
    clocks = made()
    alignment = heard(clocks)
    before = alignment.to_loop(clocks.stamps_s)
    stamp_s, arrived_s = float(clocks.stamps_s[-1]), float(clocks.arrived_s[-1])
    for wrong_s in (stamp_s + 3600, np.nan, np.inf):
        alignment.hear(wrong_s, arrived_s + 0.02)
    np.testing.assert_array_equal(alignment.to_loop(clocks.stamps_s), before)
    assert alignment.take_steps() == ()


def test_a_constant_delay_cannot_be_told_from_an_offset_without_a_measurement():
    clocks = made(drift=0.0)
    clocks.arrived_s += 0.03
    by_arrival = heard(clocks)
    assert last_error_s(clocks, by_arrival) == pytest.approx(0.03, abs=2e-3)
    assert by_arrival.least_delay_s == 0
    offset_s = float(clocks.true_s[0] - clocks.stamps_s[0])
    measured = heard(clocks, offset_s=offset_s)
    assert last_error_s(clocks, measured) == pytest.approx(0.0, abs=2e-3)
    assert measured.least_delay_s == pytest.approx(0.03, abs=2e-3)


def test_a_step_is_followed_before_the_transport_measures_again():
    clocks = made(drift=0.0)
    clocks.arrived_s += 0.03
    offset_s = float(clocks.true_s[0] - clocks.stamps_s[0])
    clocks.step(1037.0, 0.4)
    alignment = heard(clocks, offset_s=offset_s)
    assert len(alignment.take_steps()) == 1
    assert last_error_s(clocks, alignment) == pytest.approx(0.0, abs=3e-3)


def test_a_measurement_of_another_clock_is_not_believed():
    clocks = made(drift=0.0)
    alignment = heard(clocks, offset_s=123456.0)
    assert alignment.least_delay_s == 0
    assert abs(last_error_s(clocks, alignment)) < 2e-3


def test_the_way_back_leads_to_the_same_stamps():
    clocks = made()
    alignment = heard(clocks)
    back = alignment.to_stamps(alignment.to_loop(clocks.stamps_s))
    np.testing.assert_allclose(back, clocks.stamps_s, rtol=0, atol=1e-8)


def test_nothing_is_known_before_anything_has_come():
    alignment = Alignment()
    assert not alignment.started
    assert not alignment.settled
    np.testing.assert_array_equal(alignment.to_loop(np.array([1.0])), [1.0])


def test_the_hull_gives_the_slope_of_what_lies_lowest():
    x = np.linspace(0, 10, 101)
    above = np.abs(np.sin(37 * x))
    above[::10] = 0
    points = list(zip(x.tolist(), (3 + 0.25 * x + above).tolist(), strict=True))
    assert middle_slope(points) == pytest.approx(0.25)


def test_a_step_too_small_to_be_told_is_refused():
    with pytest.raises(ConfigError, match=r"least_step_s must be in \[0.002, 1\] s, got 0"):
        AlignmentConfig(least_step_s=0.0)
