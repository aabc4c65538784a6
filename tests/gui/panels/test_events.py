"""The table of events: the newest on top, narrowed by kind, bounded."""

from __future__ import annotations

import pytest

from diverloop.gui.event_list import MOST
from diverloop.gui.look import LIGHT
from diverloop.gui.panels.events import Events
from diverloop.runtime.messages import Event, EventKind

from ..told import a_stream


@pytest.fixture
def panel(qtbot):
    made = Events()
    qtbot.addWidget(made)
    made.resize(500, 300)
    made.show()
    made.take(a_stream())
    return made


def happened(panel, kind=EventKind.GAP, n: int = 1, text: str = "it") -> None:
    for number in range(n):
        panel.take(Event(kind=kind, text=f"{text} {number}", sample=number))
    panel.draw()


def texts(panel) -> list[str]:
    return [panel.model.index(row, 3).data() for row in range(panel.model.rowCount())]


def test_the_newest_stands_on_top_and_what_came_meanwhile_is_added(panel):
    happened(panel, n=2, text="first")
    happened(panel, n=1, text="then")
    assert texts(panel) == ["then 0", "first 1", "first 0"]
    assert panel.count.text() == "3 shown of 3"


def test_it_is_narrowed_to_a_group_or_to_one_kind(panel):
    happened(panel, EventKind.GAP)
    happened(panel, EventKind.GUARD, text="guard")
    panel.kinds.setCurrentIndex(panel.kinds.findData("guard, stops and alarms"))
    panel.draw()
    assert texts(panel) == ["guard 0"]
    panel.kinds.setCurrentIndex(panel.kinds.findData("gap"))
    panel.draw()
    assert texts(panel) == ["it 0"]
    happened(panel, EventKind.GUARD, text="guard")
    assert texts(panel) == ["it 0"]


def test_a_flood_is_bounded(panel):
    happened(panel, n=MOST + 100)
    for _ in range(3):
        happened(panel, n=60)
    assert panel.model.rowCount() == MOST


def test_whoever_reads_further_down_is_not_moved(qtbot, panel):
    happened(panel, n=100)
    bar = panel.table.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 60)
    bar.setValue(40)
    before = panel.table.indexAt(panel.table.rect().center()).siblingAtColumn(3).data()
    happened(panel, n=3, text="new")
    after = panel.table.indexAt(panel.table.rect().center()).siblingAtColumn(3).data()
    assert after == before


def test_it_forgets_and_wears_another_look(panel):
    happened(panel, EventKind.STOPPED, n=5)
    panel.wear(LIGHT)
    panel.forget()
    panel.draw()
    assert panel.model.rowCount() == 0
    assert panel.count.text() == "nothing has happened yet"
