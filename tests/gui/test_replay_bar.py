"""Play, pause, speed, from mark to mark, and the time line under the mouse."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt

from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.recorded import Recorded, SessionTape
from diverloop.gui.replay_bar import ReplayBar
from diverloop.runtime.clock import VirtualClock

from .taped_session import write_session


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_session(tmp_path_factory.mktemp("session"))


@pytest.fixture
def clock():
    return VirtualClock(1)


@pytest.fixture
def bar(qtbot, folder, clock):
    recorded = Recorded(SessionTape(folder), clock)
    made = ReplayBar(recorded)
    qtbot.addWidget(made)
    made.wear(DARK)
    made.resize(1000, 110)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    recorded.close()


def test_it_plays_and_pauses_and_says_where_it_is(bar, clock):
    bar.play.click()
    clock.advance(3_000_000_000)
    bar.draw()
    assert "Pause" in bar.play.text()
    assert bar.where.text() == "0:03 / 0:19"
    bar.play.click()
    bar.draw()
    assert "Play" in bar.play.text()


def test_speed_goes_in_steps_and_stays_within_them(bar, clock):
    bar.faster.click()
    bar.draw()
    assert bar.speed.text() == "2 x"
    for _ in range(20):
        bar.slower.click()
    bar.toggle()
    bar.faster.click()
    clock.advance(2_000_000_000)
    assert bar._recorded.speed == 0.5
    assert bar._recorded.position_s == pytest.approx(1.0)


def test_many_wishes_between_two_frames_are_one_jump(qtbot, bar):
    went = []
    bar.went.connect(lambda: went.append(bar._recorded.position_s))
    for x in range(100, 900, 10):
        qtbot.mousePress(bar.line, Qt.MouseButton.LeftButton, pos=QPoint(x, 10))
    assert bar.draw()
    assert len(went) == 1
    assert not bar.draw()


def test_it_goes_from_mark_to_mark_and_says_which(bar):
    bar.after.click()
    bar.draw()
    first_s = bar._recorded.position_s
    assert bar.mark.whole.startswith("guard: The guard went from disarmed to armed")
    bar.after.click()
    bar.draw()
    assert bar.mark.whole == "marker: cue"
    bar.before.click()
    bar.draw()
    assert bar._recorded.position_s == first_s
    for _ in range(9):
        bar.after.click()
    assert bar.mark.whole == "no mark further on"


def test_the_time_line_speaks_of_what_stands_under_the_mouse(bar):
    mark = next(mark for mark in bar._recorded.tape.marks if mark.kind == "gap")
    assert bar.line.text_at(bar.line._x(mark.at_s)).endswith("gap: 12 samples were lost.")
    assert bar.line.text_at(-50).startswith("0:00")


def test_another_look_is_another_picture(bar):
    before = bar.line.grab().toImage()
    bar.wear(LIGHT)
    assert bar.line.grab().toImage() != before
