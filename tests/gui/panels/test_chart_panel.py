"""A panel that is one drawing: renewed when something is new, and not too often."""

from __future__ import annotations

from diverloop.gui.drawing import Drawing
from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.chart_panel import ChartPanel


class Counted(Drawing):
    """Counts how often it is renewed."""

    def __init__(self):
        super().__init__()
        self.renewed = 0

    def renew(self):
        self.renewed += 1


def test_a_drawing_is_renewed_when_it_is_old_and_its_time_has_come(qtbot):
    chart = Counted()
    panel = ChartPanel(DARK, chart, 0.0)
    qtbot.addWidget(panel)
    panel.draw()
    panel.draw()
    assert chart.renewed == 1
    panel.stale = True
    panel.draw()
    assert chart.renewed == 2


def test_a_drawing_is_not_renewed_before_its_time(qtbot):
    chart = Counted()
    panel = ChartPanel(DARK, chart, 3600.0)
    qtbot.addWidget(panel)
    panel.draw()
    panel.stale = True
    panel.draw()
    assert (chart.renewed, panel.stale) == (1, True)


def test_new_colours_make_it_old(qtbot):
    chart = Counted()
    panel = ChartPanel(DARK, chart, 0.0)
    qtbot.addWidget(panel)
    panel.draw()
    panel.wear(LIGHT)
    assert (panel.stale, chart.look) == (True, LIGHT)
