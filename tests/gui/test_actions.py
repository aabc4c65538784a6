"""Buttons ask once or twice, and the space bar stops wherever the keyboard is."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from diverloop.gui.actions import WRITES, ActionButton, StopButton
from diverloop.gui.controls import Controls
from diverloop.runtime.access import Action

from .seen import Link


@pytest.fixture
def link():
    return Link()


@pytest.fixture
def controls(link):
    made = Controls(lambda: link)
    yield made
    made.close()


def button(qtbot, controls, may=frozenset({Action.ARM}), **more) -> ActionButton:
    made = ActionButton(Action.ARM, "Arm", "Ctrl+A", controls, may, **more)
    qtbot.addWidget(made)
    return made


def test_one_press_asks_where_one_is_enough(qtbot, link, controls):
    with qtbot.waitSignal(controls.answered):
        button(qtbot, controls).click()
    assert link.asked == [(Action.ARM, "")]


def test_two_presses_ask_once_where_two_are_wanted(qtbot, link, controls):
    arm = button(qtbot, controls, twice=True)
    arm.click()
    assert arm.waits
    assert "press again" in arm.text()
    assert not link.asked
    with qtbot.waitSignal(controls.answered):
        arm.click()
    assert not arm.waits
    assert len(link.asked) == 1


def test_a_second_press_that_comes_too_late_is_a_first_one(qtbot, link, controls):
    arm = button(qtbot, controls, twice=True)
    arm._again.setInterval(1)
    arm.click()
    qtbot.waitUntil(lambda: not arm.waits)
    arm._again.setInterval(60_000)
    arm.click()
    assert arm.waits
    assert not link.asked


def test_a_button_that_cannot_be_used_says_why(qtbot, controls):
    refused = button(qtbot, controls, may=frozenset())
    refused.press()
    assert not refused.isEnabled()
    assert "role does not allow" in refused.toolTip()
    alone = Controls()
    assert "no control link" in button(qtbot, alone).toolTip()
    alone.close()


class Window(QWidget):
    """Everything that would like to have the space bar."""

    def __init__(self, controls: Controls) -> None:
        super().__init__()
        self.stop = StopButton(controls)
        self.note = QLineEdit()
        self.note.setProperty(WRITES, True)
        combo = QComboBox()
        combo.addItems(["one", "two"])
        self.rivals = [QLineEdit(), QPushButton("x"), QCheckBox("y"), combo, QTableWidget(2, 2)]
        layout = QVBoxLayout(self)
        for widget in (self.stop, self.note, *self.rivals):
            layout.addWidget(widget)
        self.stop.listen(self)


@pytest.fixture
def window(qtbot, controls):
    made = Window(controls)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def test_the_space_bar_stops_whatever_has_the_keyboard(qtbot, window, controls, link):
    for n, rival in enumerate(window.rivals, 1):
        rival.setFocus()
        with qtbot.waitSignal(controls.answered):
            qtbot.keyClick(rival, Qt.Key.Key_Space)
        assert link.asked == [(Action.STOP, "")] * n
    assert window.rivals[0].text() == ""


def test_the_space_bar_stops_when_what_had_the_keyboard_is_gone(qtbot, window, controls, link):
    window.rivals[0].setFocus()
    gone = window.rivals.pop(0)
    with qtbot.waitSignal(gone.destroyed):
        gone.deleteLater()
    window.rivals[0].setFocus()
    with qtbot.waitSignal(controls.answered):
        qtbot.keyClick(window.rivals[0], Qt.Key.Key_Space)
    assert link.asked == [(Action.STOP, "")]


def test_where_a_note_is_written_space_writes_and_ctrl_space_stops(qtbot, window, controls, link):
    window.note.setFocus()
    qtbot.keyClicks(window.note, "all well")
    assert window.note.text() == "all well"
    assert not link.asked
    with qtbot.waitSignal(controls.answered):
        qtbot.keyClick(window.note, Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert link.asked == [(Action.STOP, "")]


def test_without_a_link_the_stop_says_so_and_still_answers(qtbot):
    controls = Controls()
    stop = StopButton(controls)
    qtbot.addWidget(stop)
    assert "no link" in stop.text()
    with qtbot.waitSignal(controls.answered) as heard:
        stop.click()
    assert "Press the stop at the machine" in heard.args[0].text
    controls.close()
