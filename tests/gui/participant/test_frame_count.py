"""Frames and time never part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.gui.participant.frame_count import FrameCount
from diverloop.runtime.errors import ConfigError

MS = 1_000_000


def test_a_frame_that_is_a_little_late_is_not_lost() -> None:
    count = FrameCount(100.0, 0)
    flip = count.flipped(4 * MS)
    assert (flip.frame, flip.lost, flip.late) == (0, 0, False)
    assert count.frame == 1


def test_frames_that_a_late_one_took_the_place_of_are_lost_and_the_count_goes_on_behind_them() -> (
    None
):
    count = FrameCount(100.0, 0)
    flip = count.flipped(26 * MS)
    assert (flip.lost, flip.late) == (3, True)
    assert count.frame == 4
    assert count.due_ns() == 40 * MS


def test_frames_are_given_up_before_work_is_put_into_them() -> None:
    count = FrameCount(100.0, 0)
    count.skip_to(52 * MS)
    assert count.frame == 5
    flip = count.flipped(53 * MS)
    assert (flip.frame, flip.lost) == (5, 5)
    assert count.lost == 5


def test_a_display_that_keeps_its_own_time_moves_what_is_due() -> None:
    count = FrameCount(60.0, 0)
    for n in range(200):  # 59.94 Hz: by the nominal rate this would drift by 3 ms
        flip = count.flipped(round(n * 1e9 / 59.94))
        assert not flip.late
        count.anchor(flip.at_ns)
    assert count.frame == 200


@given(st.lists(st.integers(0, 80 * MS), min_size=1, max_size=40))
def test_whatever_comes_late_the_number_of_a_frame_is_its_time(delays: list[int]) -> None:
    count, now_ns = FrameCount(60.0, 0), 0
    for delay_ns in delays:
        now_ns = max(now_ns, count.due_ns()) + delay_ns
        flip = count.flipped(now_ns)
        seen_as = flip.frame + flip.lost
        assert abs(now_ns - seen_as * 1e9 / 60) <= 1e9 / 120 + 2
        assert count.frame == seen_as + 1


@pytest.mark.parametrize("rate_hz", [0.0, 5.0, float("nan"), 2000.0])
def test_a_rate_that_no_display_has_is_refused(rate_hz: float) -> None:
    with pytest.raises(ConfigError, match="frames a second"):
        FrameCount(rate_hz, 0)
