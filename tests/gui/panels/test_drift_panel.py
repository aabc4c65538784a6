"""The panel of drift."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.gui.drift_reference import Reference
from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.drift_panel import DriftPanel

from ..told import a_stream, a_turn

TURN = a_turn(250)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of_samples(np.random.default_rng(0).normal(size=(600, 16)))


def followed(panel: DriftPanel, seconds: float, shift: float = 0.0) -> DriftPanel:
    rng = np.random.default_rng(1)
    panel.take(a_stream())
    for n in range(round(seconds / 0.052)):
        decision = dataclasses.replace(TURN.decision, stop_sample=250 + 13 * n)
        embedding = dataclasses.replace(TURN.embedding, values=rng.normal(shift, 1, 16))
        panel.take(dataclasses.replace(TURN, decision=decision, embedding=embedding))
    panel.draw()
    return panel


@pytest.fixture
def panel(qtbot, reference) -> DriftPanel:
    panel = DriftPanel(reference=reference)
    panel.pace.every_s = 0.0
    qtbot.addWidget(panel)
    panel.resize(560, 300)
    return panel


def test_the_verdict_is_said(panel):
    followed(panel, 20)
    assert panel.chart.accessibleDescription() == "Today's signal is like the calibration."
    panel.forget()
    followed(panel, 20, shift=2.0)
    assert "recentre" in panel.chart.accessibleDescription()
    assert not panel.grab().isNull()


def test_without_a_reference_it_says_what_it_waits_for(qtbot):
    panel = DriftPanel()
    qtbot.addWidget(panel)
    panel.draw()
    assert panel.chart.accessibleDescription() == "No embedding has come yet."
    panel.pace.every_s = 0.0
    followed(panel, 20)
    assert panel.chart.accessibleDescription().startswith("Learning what this session is like")
    assert not panel.grab().isNull()


def test_windows_that_were_not_encoded_are_passed_over(panel):
    panel.take(dataclasses.replace(TURN, embedding=None))
    assert not panel.drift.points


def test_a_draw_with_nothing_new_does_nothing(panel, qapp):
    followed(panel, 5)
    panel.show()
    qapp.processEvents()
    painted = panel.chart.painted
    for _ in range(20):
        panel.draw()
    qapp.processEvents()
    assert panel.chart.painted == painted


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_it_wears_both_looks(panel, look):
    followed(panel, 5)
    panel.wear(look)
    assert panel.grab().toImage().pixelColor(1, 1).name() == look.surface
