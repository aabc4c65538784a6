"""Frames at a rate that the computer keeps."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtGui import QColor

from diverloop.gui.participant.frame_count import Flip
from diverloop.gui.participant.paced_clock import PacedClock
from diverloop.runtime.errors import ConfigError


def test_frames_are_flipped_at_their_time_and_never_before(qtbot: Any) -> None:
    clock, frames, flips = PacedClock(100.0), list[int](), list[Flip]()

    def draw(painter: Any, area: Any, frame: int) -> None:
        painter.fillRect(area, QColor("#102030"))
        frames.append(frame)

    clock.window.show()
    clock.start(draw, flips.append)
    qtbot.waitUntil(lambda: len(flips) >= 15, timeout=10_000)
    clock.stop()
    clock.window.close()
    assert [flip.frame for flip in flips] == frames
    assert all(flip.at_ns >= flip.due_ns for flip in flips)
    # On a busy machine frames may be lost; those that are counted still keep the time.
    first, last = flips[0], flips[-1]
    assert last.due_ns - first.due_ns == pytest.approx((last.frame - first.frame) * 1e7, abs=2)


def test_whoever_is_told_of_a_flip_may_stop_it(qtbot: Any) -> None:
    clock, flips = PacedClock(100.0), list[Flip]()

    def flipped(flip: Flip) -> None:
        flips.append(flip)
        clock.stop()

    clock.window.show()
    clock.start(lambda painter, area, frame: None, flipped)
    qtbot.waitUntil(lambda: bool(flips), timeout=10_000)
    qtbot.wait(60)
    assert len(flips) == 1
    clock.window.close()


def test_a_frame_that_nobody_can_see_is_no_flip(qtbot: Any) -> None:
    clock, flips = PacedClock(100.0), list[Flip]()
    clock.start(lambda painter, area, frame: None, flips.append)
    qtbot.wait(400)
    assert not flips
    clock.window.show()
    qtbot.waitUntil(lambda: bool(flips), timeout=10_000)
    clock.stop()
    clock.window.close()
    assert flips[0].frame == 0


def test_a_rate_that_no_display_has_is_refused(qapp: Any) -> None:
    with pytest.raises(ConfigError, match="frames a second"):
        PacedClock(3.0)
