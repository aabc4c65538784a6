"""What a time line is made of."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.time_marks import clock_text, decided_share, nearest, next_mark, sign_of, tick_s
from diverloop.runtime.record.seeking import Mark

MARKS = tuple(
    Mark(at_s=at, kind=kind, text=kind)
    for at, kind in ((1.0, "marker"), (2.0, "gap"), (5.0, "guard"), (9.0, "note"))
)


def test_next_and_before_never_find_the_mark_one_stands_on():
    assert next_mark(MARKS, 0.0, 1) is MARKS[0]
    assert next_mark(MARKS, 1.0, 1) is MARKS[1]
    assert next_mark(MARKS, 5.0, -1) is MARKS[1]
    assert next_mark(MARKS, 9.0, 1) is None
    assert next_mark(MARKS, 1.0, -1) is None


def test_the_nearest_mark_is_found_if_it_is_near():
    assert nearest(MARKS, 4.6, 0.5) is MARKS[2]
    assert nearest(MARKS, 4.4, 0.5) is None
    assert nearest((), 1.0, 9.0) is None


def test_each_kind_of_mark_has_its_sign():
    assert [sign_of(mark) for mark in MARKS] == ["marker", "fault", "guard", "note"]


def test_columns_say_how_much_was_decided_and_nothing_where_nothing_was_asked():
    turns_s = np.array([0.1, 0.2, 1.1, 1.2, 4.0])
    abstained = np.array([False, True, True, True, False])
    share = decided_share(turns_s, abstained, 4.0, 4)
    assert np.array_equal(share, [0.5, 0.0, np.nan, 1.0], equal_nan=True)
    assert np.isnan(decided_share(np.empty(0), np.empty(0, bool), 4.0, 3)).all()


@pytest.mark.parametrize("length_s", [0.5, 30.0, 3600.0, 86400.0])
def test_labels_are_round_and_not_too_many(length_s):
    step_s = tick_s(length_s, 10)
    assert length_s / step_s <= 10 or step_s == 14400


def test_time_is_written_as_on_a_clock():
    assert (clock_text(62.9), clock_text(3723.0)) == ("1:02", "1:02:03")
