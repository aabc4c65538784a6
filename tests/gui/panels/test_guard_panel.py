"""The guard as a picture and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.gui.look import LIGHT
from diverloop.gui.panels.guard_panel import GuardPanel
from diverloop.runtime.limits import State
from diverloop.runtime.messages import Command, Event, EventKind

from ..told import a_turn


@pytest.fixture
def panel(qtbot):
    made = GuardPanel()
    qtbot.addWidget(made)
    made.resize(330, 280)
    made.show()
    return made


def picture(panel) -> bytes:
    panel.draw()
    image = panel.machine.grab().toImage()
    return bytes(image.constBits())


@pytest.mark.parametrize("state", list(State))
def test_each_state_is_another_picture_and_another_word(panel, state):
    before = picture(panel)
    panel.take(Event(kind=EventKind.GUARD, text=f"The guard is {state}."))
    assert picture(panel) != before
    assert str(state) in panel.machine.accessibleName()


def test_it_says_why_the_last_command_was_held_back(panel):
    reason = "signal quality is 0.05, at least 0.1 is needed"
    panel.take(replace(a_turn(250, 0.9), command=Command(label=None, reason=reason)))
    panel.draw()
    assert panel.last.text() == f"Last command. Held back (left): {reason}"
    assert panel.heading.text() == "Last minute, 1 windows"
    assert panel.bars.rows == [("held back", "signal quality is too low", 1)]
    assert panel.bars.grab().width() > 0


def test_it_forgets_and_wears_another_look(panel):
    panel.take(Event(kind=EventKind.GUARD, text="The guard is stopped."))
    dark = picture(panel)
    panel.wear(LIGHT)
    assert picture(panel) != dark
    panel.forget()
    panel.draw()
    assert panel.machine.state is None
