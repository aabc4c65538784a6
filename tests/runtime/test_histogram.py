from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diverloop.runtime.histogram import Histogram

DURATIONS_NS = st.integers(0, 130 * 10**9)


def filled(durations_ns):
    histogram = Histogram()
    for duration_ns in durations_ns:
        histogram.record(duration_ns)
    return histogram


@given(st.lists(DURATIONS_NS, min_size=1, max_size=60), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_quantile_is_within_one_percent_of_the_sorted_duration(durations_ns, percent):
    rank = max(1, -(-percent * len(durations_ns) // 100))
    want_ns = sorted(durations_ns)[rank - 1]
    got_ns = filled(durations_ns).quantile_ns(percent / 100)
    assert got_ns == pytest.approx(want_ns, rel=0.01)


@given(DURATIONS_NS)
@example(127)
@example(128)
@example(129)
@example(1_000)
@example(100_000_000_000)
def test_a_duration_alone_comes_back_exactly(duration_ns):
    histogram = filled([duration_ns])
    assert histogram.quantile_ns(0.5) == histogram.max_ns == duration_ns


@given(st.integers(0, 37), st.integers(-2, 2))
def test_octave_borders_are_within_one_percent(bits, off):
    duration_ns = max(2**bits + off, 0)
    # Company below and above, so that neither the minimum nor the maximum gives the answer away.
    histogram = filled([0, duration_ns, 2**40])
    assert histogram.quantile_ns(0.5) == pytest.approx(min(duration_ns, 2**37), rel=0.01)


def test_a_duration_beyond_the_range_keeps_its_exact_maximum():
    histogram = filled([10**12])
    assert histogram.max_ns == 10**12
    assert histogram.quantile_ns(1.0) == pytest.approx(137.4e9, rel=0.01)


def test_a_negative_duration_counts_as_none():
    histogram = filled([-5])
    assert (histogram.count, histogram.max_ns, histogram.quantile_ns(0.5)) == (1, 0, 0.0)


def test_an_empty_histogram_has_no_quantile():
    histogram = Histogram()
    assert math.isnan(histogram.quantile_ns(0.5))
    assert (histogram.count, histogram.max_ns) == (0, 0)


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_outside_0_to_1_is_refused(q):
    with pytest.raises(ValueError, match="q must be 0 to 1"):
        Histogram().quantile_ns(q)
