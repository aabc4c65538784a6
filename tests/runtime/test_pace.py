"""Two ways of counting the same time: every sample of one has its place in the other."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.pace import Pace

PACES = st.builds(Pace, st.integers(1, 60), st.integers(1, 60))
SAMPLES = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("source_hz", "conditioned_hz", "expected"),
    [
        (250, 500, (2, 1)), (256, 500, (125, 64)), (512, 500, (125, 128)), (1000, 500, (1, 2)),
        (2000, 500, (1, 4)), (2048, 500, (125, 512)), (4096, 500, (125, 1024)),
        (30_000, 500, (1, 60)), (500, 500, (1, 1)), (512.5, 500, (40, 41)),
        (24414.0625, 500, (64, 3125)), (160, 250, (25, 16)), (44_100, 48_000, (160, 147)),
    ],
)  # fmt: skip
def test_whole_numbers_are_found_for_the_rates_of_amplifiers(source_hz, conditioned_hz, expected):
    pace = Pace.between(source_hz, conditioned_hz)
    assert (pace.up, pace.down) == expected


@given(source_hz=st.floats(50, 50_000), conditioned_hz=st.floats(50, 5_000))
def test_any_rate_is_met_to_20_in_a_million_or_refused(source_hz, conditioned_hz):
    try:
        pace = Pace.between(source_hz, conditioned_hz)
    except ConfigError as error:
        assert "a simpler ratio" in str(error)  # noqa: PT017
    else:
        assert source_hz * pace.up / pace.down == pytest.approx(conditioned_hz, rel=2.1e-5)


def test_rates_too_far_apart_are_refused_with_both_and_a_way_out():
    with pytest.raises(ConfigError, match=r"1000000 Hz cannot be resampled to 0\.001 Hz") as caught:
        Pace.between(1e6, 1e-3)
    assert "choose an output rate in a simpler ratio" in str(caught.value)


def test_at_one_pace_every_count_is_itself():
    pace = Pace()
    assert pace.conditioned(7) == pace.source_first(7) == pace.source_stop(7) == 7
    assert pace.source_span(3, 9) == (3, 9)
    assert pace.behind(9, 7) == 2


@given(pace=PACES, sample=SAMPLES)
def test_the_first_conditioned_sample_is_the_first_that_is_not_earlier(pace, sample):
    found = pace.conditioned(sample)
    assert Fraction(found * pace.down, pace.up) >= sample
    assert Fraction((found - 1) * pace.down, pace.up) < sample


@given(pace=PACES, sample=SAMPLES)
def test_the_first_source_sample_is_the_first_that_is_not_earlier(pace, sample):
    found = pace.source_first(sample)
    at = Fraction(sample * pace.down, pace.up)
    assert found - 1 < at <= found


@given(pace=PACES, stop=st.integers(1, 10**9))
def test_so_many_source_samples_and_not_one_less_are_needed(pace, stop):
    needed = pace.source_stop(stop)
    assert pace.conditioned(needed) >= stop
    assert pace.conditioned(needed - 1) < stop


@given(pace=PACES)
def test_nothing_needs_nothing(pace):
    assert pace.source_stop(0) == pace.conditioned(0) == 0
    assert pace.source_span(0, 0) == (0, 0)


@given(
    pace=st.builds(Pace, st.integers(1, 20), st.integers(20, 60)), first=SAMPLES,
    lengths=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
)  # fmt: skip
def test_spans_that_follow_on_one_another_have_no_source_sample_in_common(pace, first, lengths):
    middle = first + lengths[0]
    left, right = pace.source_span(first, middle), pace.source_span(middle, middle + lengths[1])
    assert left[0] <= left[1] <= right[0] <= right[1]
    assert right[0] - left[1] <= -(-pace.down // pace.up)


def test_between_two_source_samples_a_span_is_empty():
    assert Pace(5, 1).source_span(1, 3) == (1, 1)


@given(pace=PACES, source_stop=SAMPLES, stop=SAMPLES)
def test_how_far_behind_is_the_difference_of_two_times(pace, source_stop, stop):
    exact = source_stop - Fraction(stop * pace.down, pace.up)
    assert pace.behind(source_stop, stop) == pytest.approx(float(exact), rel=1e-9, abs=1e-5)


@given(pace=PACES, sample=st.integers(1, 10**6))
def test_once_all_has_come_less_than_one_conditioned_sample_is_missing(pace, sample):
    """Conditioned samples stand for times up to the newest source sample, and no later."""
    newest = pace.conditioned(sample) - 1
    assert 0 < pace.behind(sample, newest) <= pace.down / pace.up + 1e-9
