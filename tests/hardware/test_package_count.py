"""A board's package counter becomes a count that only grows, whatever the board makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.package_count import Counter, PackageCount

RATE_HZ = 250.0
BYTE = Counter(turn=256)


def numbers(counter: Counter, *pieces) -> list[int]:
    """The count of rows that came in pieces of (package numbers, seconds)."""
    count = PackageCount(counter, RATE_HZ)
    found = [count.place(np.array(packages, float), at_s) for packages, at_s in pieces]
    return np.concatenate(found).tolist()


def test_a_byte_that_wraps_goes_on():
    assert numbers(BYTE, (range(254, 256), 10.0), (range(3), 10.02)) == [0, 1, 2, 3, 4]


def test_a_hole_in_the_numbers_is_a_hole_in_the_count_also_across_the_wrap():
    assert numbers(BYTE, ([250, 251, 254, 2], 10.0)) == [0, 1, 4, 8]


def test_a_number_that_comes_again_at_once_is_the_same_row():
    assert numbers(BYTE, ([7, 8, 8, 9], 10.0)) == [0, 1, 1, 2]


@pytest.mark.parametrize(("pause_s", "lost"), [(1.024, 256), (2.048, 512), (0.3, 0)])
def test_whole_turns_that_were_lost_are_seen_by_the_time_that_passed(pause_s, lost):
    found = numbers(BYTE, ([7], 10.0), ([8], 10.004 + pause_s))
    assert found == [0, 1 + lost]


def test_what_was_held_up_and_came_at_once_is_no_loss():
    held_up = [*range(8, 256), *range(8)]
    assert numbers(BYTE, ([7], 10.0), (held_up, 11.024)) == list(range(257))


def test_a_loss_in_the_numbers_and_a_turn_on_top_are_added_up():
    # 100 packages are missing by number; 1.44 s are 360 rows, of which one came.
    assert numbers(BYTE, ([7], 10.0), ([108], 11.428)) == [0, 357]


def test_every_other_number_is_one_sample_each():
    assert numbers(Counter(turn=256, step=2), ([253, 255, 1, 5], 10.0)) == [0, 1, 2, 4]


def test_several_samples_under_one_number_follow_each_other():
    muse = Counter(turn=65_536, per_number=3)
    assert numbers(muse, ([65_535] * 3 + [0] * 3, 10.0)) == [0, 1, 2, 3, 4, 5]
    assert numbers(muse, ([4] * 3 + [6] * 3, 10.0)) == [0, 1, 2, 6, 7, 8]
    assert numbers(muse, ([4] * 2 + [5] * 3, 10.0)) == [0, 1, 3, 4, 5]


def test_without_a_counter_only_a_pause_can_be_a_loss():
    unknown = Counter()
    assert numbers(unknown, ([9, 0, 0], 10.0), ([77], 10.2)) == [0, 1, 2, 3]
    assert numbers(unknown, ([0], 10.0), ([0], 11.0)) == [0, 250]
    assert numbers(unknown, ([0], 10.0), ([0] * 250, 11.0)) == list(range(251))


@pytest.mark.parametrize("number", [np.nan, 2.0**24])
def test_a_counter_that_cannot_be_followed_any_more_is_not_relied_upon(number):
    found = numbers(Counter(turn=2**32), ([5, 6], 10.0), ([number] * 2, 10.01), ([8], 11.01))
    assert found == [0, 1, 2, 3, 253]


def test_it_asks_for_patience_after_half_a_turn_and_not_before_anything_came():
    count = PackageCount(BYTE, RATE_HZ)
    assert not count.asks(1e6)
    count.place(np.array([0.0]), 1e6)
    assert [count.asks(1e6 + pause_s) for pause_s in (0.5, 0.52)] == [False, True]
