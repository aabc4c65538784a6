"""Frames as a display asks for them; here the display is made of numbers."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.participant.frame_count import Flip
from diverloop.gui.participant.vsync_clock import VsyncClock


class Display:
    """Swaps that return at given intervals."""

    window = None
    nominal_hz = 60.0

    def __init__(self, *gaps_ms: float) -> None:
        self.in_view = True
        self._gaps_ms, self._n, self._now_ns = gaps_ms, 0, 0
        self.frames: list[int] = []

    def swap(self, draw: Any, frame: int) -> int:
        """Note the frame; time goes on by the next interval, the last for ever."""
        self._now_ns += round(1e6 * self._gaps_ms[min(self._n, len(self._gaps_ms) - 1)])
        self._n += 1
        self.frames.append(frame)
        return self._now_ns


def test_the_rate_is_the_one_that_was_measured(qapp: Any) -> None:
    clock = VsyncClock(Display(16.683))
    assert clock.measure() == ""
    assert clock.rate_hz == pytest.approx(59.94, abs=0.01)


@pytest.mark.parametrize("gap_ms", [0.4, 8.3, 33.3])
def test_a_driver_that_does_not_wait_for_the_display_is_named(qapp: Any, gap_ms: float) -> None:
    clock = VsyncClock(Display(gap_ms))
    assert f"every {gap_ms:.2f} ms instead of every 16.67 ms" in clock.measure()
    assert clock.rate_hz == 60.0


def test_a_window_that_nobody_sees_proves_nothing(qapp: Any) -> None:
    display = Display(16.7)
    display.in_view = False
    assert "cannot be seen" in VsyncClock(display).measure()
    assert not display.frames


def test_a_refresh_that_was_missed_is_a_lost_frame_and_the_count_goes_on_behind_it(
    qtbot: Any,
) -> None:
    display = Display(16.7, 16.6, 16.7, 50.0, 16.7)
    clock, flips = VsyncClock(display), list[Flip]()

    def flipped(flip: Flip) -> None:
        flips.append(flip)
        if len(flips) == 6:
            clock.stop()

    clock.start(lambda painter, area, frame: None, flipped)
    qtbot.waitUntil(lambda: len(flips) == 6, timeout=5000)
    assert display.frames == [0, 1, 2, 3, 6, 7]
    assert [flip.lost for flip in flips] == [0, 0, 0, 2, 0, 0]
