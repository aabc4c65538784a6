"""The panel of latency."""

from __future__ import annotations

import pytest

from diverloop.gui.latency_history import STEPS
from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.latency_panel import LatencyPanel
from diverloop.runtime.latency import LatencyBook
from diverloop.runtime.messages import Event, EventKind

from ..told import a_session, a_turn


@pytest.fixture
def panel(qtbot) -> LatencyPanel:
    panel = LatencyPanel()
    panel.pace.every_s = 0.0
    qtbot.addWidget(panel)
    panel.resize(600, 400)
    for message in a_session(2.0):
        panel.take(message)
    panel.draw()
    return panel


def test_median_p99_and_what_came_too_late_are_said(panel):
    panel.take(Event(kind=EventKind.MISSED, text="late", at_ns=1_000_000_000))
    panel.take(Event(kind=EventKind.LATE, text="late", count=3, at_ns=1_000_000_000))
    panel.draw()
    said = panel.chart.accessibleDescription()
    assert said.startswith("2.1 ms median, 2.1 ms p99 from sample to act.")
    assert "1 missed, 3 skipped, 40 decided" in said


def test_what_is_not_measured_is_named(panel):
    assert "Not in these figures: the device" in panel.chart.toolTip()


def test_the_loops_own_report_is_shown_once_it_came(panel):
    book = LatencyBook()
    for n in range(1, 5):
        book.turn(a_turn(25 * n).times)
    panel.take(book.report(filter_delay_s=0.1, window_s=1.0))
    panel.draw()
    assert panel.history.report.effective.p50_ms > 600
    assert not panel.grab().isNull()


def test_a_draw_with_nothing_new_does_nothing(panel, qapp):
    panel.show()
    qapp.processEvents()
    painted = panel.chart.painted
    for _ in range(20):
        panel.draw()
    qapp.processEvents()
    assert panel.chart.painted == painted


@pytest.mark.parametrize("size", [(320, 220), (600, 400), (1200, 300)])
@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_it_is_drawn_in_both_looks_and_any_size(panel, look, size):
    panel.resize(*size)
    panel.wear(look)
    assert panel.grab().toImage().pixelColor(1, 1).name() == look.surface


def test_it_can_be_drawn_without_a_deadline_and_before_anything_came(qtbot):
    panel = LatencyPanel()
    qtbot.addWidget(panel)
    panel.draw()
    assert not panel.grab().isNull()
    panel.take(a_turn(250))
    panel.draw()
    assert not panel.grab().isNull()


def test_forgetting_begins_anew(panel):
    panel.forget()
    panel.draw()
    assert panel.history.decided == 0


@pytest.mark.parametrize("height", [220, 300, 500])
def test_names_of_stages_stand_below_each_other(qtbot, monkeypatch, height):
    panel = LatencyPanel(DARK)
    qtbot.addWidget(panel)
    panel.resize(640, height)
    panel.show()
    panel.take(a_turn(250))
    written = {}

    def write(painter, box, text, **how):
        written[text] = box.height(), how.get("scale", 1.0)

    monkeypatch.setattr(panel.chart, "write", write)
    panel.draw()
    panel.chart.grab()
    line = panel.chart.line_height()
    for step in STEPS:
        row, scale = written[step]
        assert scale * line <= max(row, 0.6 * line) + 1e-6, step
