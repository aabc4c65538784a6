"""The stand-in shows frames on a time of its own."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QColor

from diverloop.gui.participant.frame_clock import HandClock
from diverloop.gui.participant.frame_count import Flip


def test_frames_come_one_after_the_other_at_their_rate(qapp: Any) -> None:
    clock, frames, flips = HandClock(50.0), list[int](), list[Flip]()
    clock.start(lambda painter, area, frame: frames.append(frame), flips.append)
    clock.turn(3)
    clock.turn(1, late_ns=45_000_000)
    clock.turn()
    assert frames == [0, 1, 2, 3, 6]
    assert [flip.lost for flip in flips] == [0, 0, 0, 2, 0]
    assert [flip.due_ns - flips[0].due_ns for flip in flips[:3]] == [0, 20_000_000, 40_000_000]


def test_what_is_drawn_is_in_its_image_and_nothing_is_drawn_behind_the_end(qapp: Any) -> None:
    clock = HandClock(60.0, (8, 8))
    clock.start(lambda painter, area, _: painter.fillRect(area, QColor("#123456")), lambda _: None)
    clock.turn()
    assert clock.image.pixelColor(4, 4).name() == "#123456"
    clock.stop()
    clock.image.fill(0)
    clock.turn()
    assert clock.image.pixelColor(4, 4).name() == "#000000"
