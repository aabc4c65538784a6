"""The line to write in comes, goes, and gives the space bar back."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from diverloop.gui.foot import Foot
from diverloop.gui.look import DARK


@pytest.fixture
def foot(qtbot):
    made = Foot()
    made.wear(DARK)
    made.resize(800, 70)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def test_what_is_written_is_handed_over_on_enter(qtbot, foot):
    written = []
    foot.writing.write("Note", written.append, 10)
    assert foot.writing.line.hasFocus()
    qtbot.keyClicks(foot.writing.line, "it blinked often")
    qtbot.keyClick(foot.writing.line, Qt.Key.Key_Return)
    assert written == ["it blinked"]  # as long as it may be
    assert not foot.writing.isVisible()


def test_escape_and_an_empty_line_hand_nothing_over(qtbot, foot):
    written = []
    foot.writing.write("Note", written.append, 10)
    qtbot.keyClicks(foot.writing.line, "oh")
    qtbot.keyClick(foot.writing.line, Qt.Key.Key_Escape)
    assert not foot.writing.isVisible()
    foot.writing.write("Note", written.append, 10)
    qtbot.keyClicks(foot.writing.line, "   ")
    qtbot.keyClick(foot.writing.line, Qt.Key.Key_Return)
    assert not written
    assert not foot.writing.isVisible()


def test_a_line_in_which_nobody_writes_goes_by_itself(qtbot, foot):
    foot.writing._leave.setInterval(1)
    foot.writing.write("Note", lambda _: None, 10)
    qtbot.waitUntil(lambda: not foot.writing.isVisible())
    assert not foot.writing.line.hasFocus()


def test_it_says_how_to_stop_while_somebody_writes_and_what_this_is_not(foot):
    foot.writing.write("Note", lambda _: None, 10)
    assert "CTRL+SPACE STOPS" in foot.writing._hint.text()
    assert foot.disclaimer.text() == "investigational, not a medical device"


def test_a_long_answer_ends_in_dots_and_stands_whole_in_its_tooltip(foot):
    foot.say("word " * 300, bad=True)
    assert foot.answer.text().endswith("…")
    assert foot.answer.toolTip() == "word " * 300
