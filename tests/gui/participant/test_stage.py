"""The stage runs a picture, and puts on record what was seen."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtTest import QTest

from diverloop.gui.look import DARK, LIGHT, Look, contrast
from diverloop.gui.participant.flips import FlipRecord
from diverloop.gui.participant.frame_clock import HandClock
from diverloop.gui.participant.lamp import PatchConfig
from diverloop.gui.participant.paced_clock import PacedClock
from diverloop.gui.participant.picture import Shown
from diverloop.gui.participant.stage import Stage
from diverloop.runtime.telemetry import Telegram

from ..told import Told, a_session


class Counting:
    """A picture that says its frame's number now and then, and notes all it is told."""

    def __init__(self, every: int = 10, lit_for: int = 3) -> None:
        self.every, self.lit_for = every, lit_for
        self.frames: list[int] = []
        self.taken: list[Telegram] = []
        self.rate_hz = 0.0

    def begin(self, rate_hz: float, look: Look) -> None:
        """Note the rate."""
        self.rate_hz = rate_hz

    def take(self, message: Telegram) -> None:
        """Note it."""
        self.taken.append(message)

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw nothing."""
        self.frames.append(frame)
        labels = (f"frame {frame}",) if frame % self.every == 0 else ()
        return Shown(labels=labels, lit=frame % self.every < self.lit_for)


def test_labels_of_a_frame_are_on_record_with_the_time_of_its_flip(
    qapp: Any, tmp_path: Path
) -> None:
    sent: list[tuple[str, int]] = []
    log = tmp_path / "flips.jsonl"
    clock = HandClock(60.0, (64, 64))
    record = FlipRecord(log, lambda label, at_ns: sent.append((label, at_ns)))
    stage = Stage(Counting(), clock, record=record)
    stage.show()
    clock.turn(25)
    clock.turn(1, late_ns=40_000_000)
    clock.turn(15)
    stage.close()
    assert [label for label, _ in sent] == [f"frame {n}" for n in range(0, 41, 10)]
    steps_ns = [later[1] - sooner[1] for sooner, later in pairwise(sent)]
    assert steps_ns == pytest.approx([10e9 / 60] * 4, abs=1000)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["flip_ns"] for line in lines if line["what"] == "seen"] == [ns for _, ns in sent]
    assert lines[-1]["lost"] == 2


def test_what_the_session_told_is_taken_in_before_the_frame_and_the_teller_is_closed(
    qapp: Any,
) -> None:
    messages = list(a_session(1.0))
    teller, picture, clock = Told(messages), Counting(), HandClock(60.0, (64, 64))
    stage = Stage(picture, clock, teller=teller)
    stage.show()
    clock.turn()
    assert picture.taken == messages
    stage.close()
    assert teller.closed


def test_a_flood_of_messages_costs_no_frame(qapp: Any) -> None:
    messages = list(a_session(5.0))
    teller, picture, clock = Told(messages * 5), Counting(), HandClock(60.0, (64, 64))
    stage = Stage(picture, clock, teller=teller)
    stage.show()
    clock.turn()
    assert 0 < len(picture.taken) <= 200


def test_escape_closes_the_second_time_and_says_so_the_first(qapp: Any) -> None:
    clock, closed = HandClock(60.0), list[bool]()
    stage = Stage(Counting(), clock)
    stage.closed.connect(lambda: closed.append(True))
    stage.show()
    clock.turn(30)
    before = bytes(clock.image.constBits())
    stage.press(Qt.Key.Key_Escape)
    clock.turn(13)
    assert bytes(clock.image.constBits()) != before
    clock.turn(300)
    stage.press(Qt.Key.Key_Escape)  # the first was long ago: this one is a first, too
    assert not closed
    clock.turn(10)
    stage.press(Qt.Key.Key_Escape)
    stage.close()
    assert closed == [True]


def test_the_patch_follows_the_picture_but_never_too_fast(qapp: Any) -> None:
    told: list[str] = []
    clock = HandClock(60.0, (640, 360))
    stage = Stage(Counting(every=6, lit_for=3), clock, tell=told.append)
    stage.show()
    white = []
    for _ in range(120):
        clock.turn()
        white.append(clock.image.pixelColor(1, 358).lightness() > 200)
    flashes = sum(now and not before for before, now in zip([False, *white], white, strict=False))
    assert flashes == 6
    assert len(told) == 1


def test_without_a_patch_the_corner_is_as_the_picture_leaves_it(qapp: Any) -> None:
    clock = HandClock(60.0, (64, 64))
    stage = Stage(Counting(), clock, patch=PatchConfig(corner=""))
    stage.show()
    clock.turn()
    assert clock.image.pixelColor(1, 62).name() == DARK.ground


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
def test_everything_written_can_be_read(look: Look) -> None:
    for colour in (look.text, look.faint):
        assert contrast(colour, look.ground) >= 4.5
    assert contrast(look.accent, look.ground) >= 3


def test_a_real_window_takes_keys_and_ends_when_it_is_closed(qtbot: Any) -> None:
    picture = Counting()
    stage = Stage(picture, PacedClock(60.0, lead_ms=4.0))
    with qtbot.waitSignal(stage.closed, timeout=10_000):
        stage.show(full_screen=False)
        qtbot.waitUntil(lambda: len(picture.frames) > 3, timeout=10_000)
        QTest.keyClick(stage.clock.window, Qt.Key.Key_F11)
        assert stage.clock.window.geometry().size() == stage.clock.window.screen().size()
        QTest.keyClick(stage.clock.window, Qt.Key.Key_Escape)
        QTest.keyClick(stage.clock.window, Qt.Key.Key_Escape)
    assert picture.rate_hz == 60.0
