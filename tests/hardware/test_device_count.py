"""A device's own count becomes stream indices, and is believed only as far as time bears it out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.device_count import DeviceCount
from diverloop.runtime.messages import EventKind

RATE_HZ = 100.0


def kinds(count: DeviceCount) -> list[EventKind]:
    return [event.kind for event in count.take_events()]


def started(number: int = 5000) -> DeviceCount:
    """A device of whose count 100 samples have come, the last at 1 s."""
    count = DeviceCount(RATE_HZ)
    count.place(number, 100, 1.0)
    return count


def test_the_first_sample_is_number_zero_whatever_the_device_calls_it():
    count = DeviceCount(RATE_HZ)
    assert not count.started
    assert count.place(123_456, 10, 1.0) == (0, 0)
    assert count.started
    assert count.place(123_466, 10, 1.1) == (10, 0)
    assert count.index_of(123_470) == 14
    assert not kinds(count)


def test_a_jump_ahead_is_a_loss_of_exactly_as_many():
    count = started()
    assert count.place(5107, 10, 1.17) == (107, 0)
    (event,) = count.take_events()
    assert (event.kind, event.count, event.sample) == (EventKind.GAP, 7, 100)


def test_what_comes_twice_is_dropped_and_told_once():
    count = started()
    assert count.place(5090, 10, 1.0) == (100, 10)
    assert count.place(5090, 10, 1.0) == (100, 10)
    assert kinds(count) == [EventKind.DUPLICATE]
    assert count.place(5100, 10, 1.1) == (100, 0)


def test_of_a_block_that_overlaps_only_the_new_part_counts():
    assert started().place(5095, 10, 1.05) == (100, 5)


@pytest.mark.parametrize("number", [0, 4000, 5_000_000], ids=["zero", "back", "ahead"])
def test_a_count_that_time_cannot_bear_out_began_anew_and_the_gap_is_measured_by_arrival(number):
    count = started()
    assert count.place(number, 10, 1.6) == (150, 0)
    assert kinds(count) == [EventKind.CLOCK_STEP, EventKind.GAP]
    assert count.place(number + 10, 10, 1.7) == (160, 0)
    assert not kinds(count)


def test_after_a_broken_connection_a_count_that_goes_back_a_little_began_anew():
    count = started(number=0)
    count.interrupt()
    assert count.place(0, 10, 3.0) == (290, 0)
    assert kinds(count) == [EventKind.CLOCK_STEP, EventKind.GAP]


def test_after_a_broken_connection_a_count_that_went_on_is_believed():
    count = started()
    count.interrupt()
    assert count.place(5250, 10, 2.6) == (250, 0)
    assert kinds(count) == [EventKind.GAP]


def test_the_offset_of_the_clock_rests_on_the_earliest_arrivals():
    count = DeviceCount(RATE_HZ)
    for block in range(100):
        late_s = 0.02 * (block % 7)
        count.place(10 * block, 10, 50.0 + 0.1 * (block + 1) + late_s)
    assert count.offset_s == pytest.approx(50.0, abs=1e-9)


def test_a_device_that_sends_at_another_rate_is_told_of_and_rules_out_decoding():
    count = DeviceCount(RATE_HZ)
    for second in range(40):
        count.place(105 * second, 105, second + 1.0)
    (event,) = count.take_events()
    assert event.kind is EventKind.RATE
    assert event.lasting
    assert "105 samples a second but says 100" in event.text


@pytest.mark.parametrize("stall_s", [0.5, 2.0, 6.0])
def test_a_stall_that_holds_samples_back_is_no_slow_device(stall_s):
    count = DeviceCount(RATE_HZ)
    for tenth in range(900):
        made_s = (tenth + 1) / 10
        held = 40.0 < made_s < 40.0 + stall_s
        count.place(10 * tenth, 10, 40.0 + stall_s if held else made_s)
    assert not kinds(count)


def test_a_drift_that_crystals_have_is_not_told_of():
    count = DeviceCount(RATE_HZ)
    for second in range(60):
        count.place(100 * second, 100, (second + 1.0) * (1 + 2e-4))
    assert not kinds(count)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), min_size=1, max_size=40))
def test_any_pattern_of_losses_keeps_every_sample_in_its_place(pattern):
    count, number = DeviceCount(RATE_HZ), 77
    lost = 0
    for n_times, gap in pattern:
        number += gap
        lost += gap
        first, n_known = count.place(number, n_times, (number + n_times) / RATE_HZ)
        if not count.index_of(number):  # nothing can be lost before the first sample
            lost = 0
        assert (first, n_known) == (count.index_of(number), 0)
        number += n_times
    assert sum(event.count for event in count.take_events()) == lost


def test_behind_a_break_a_count_that_stays_behind_the_clock_is_another_one():
    count = started()
    count.interrupt()
    # It stands only a second further on after ten: it was begun anew while nobody listened.
    assert count.place(5200, 10, 11.0) == (1090, 0)
    assert kinds(count) == [EventKind.CLOCK_STEP, EventKind.GAP]


def test_behind_a_break_a_count_that_went_on_is_believed():
    count = started()
    count.interrupt()
    assert count.place(6100, 10, 11.1) == (1100, 0)
    assert kinds(count) == [EventKind.GAP]
