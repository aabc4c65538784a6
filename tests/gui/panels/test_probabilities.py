"""The panel of probabilities."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import Qt

from diverloop.gui.drawing import ink_on
from diverloop.gui.look import DARK, LIGHT, contrast
from diverloop.gui.panels.probabilities import SPANS_S, Probabilities, _apart
from diverloop.runtime.messages import Command

from ..told import a_session, a_stream, a_turn


@pytest.fixture
def panel(qtbot) -> Probabilities:
    panel = Probabilities()
    panel.pace.every_s = 0.0
    qtbot.addWidget(panel)
    panel.resize(560, 280)
    return panel


def told(panel: Probabilities, *messages) -> Probabilities:
    for message in messages:
        panel.take(message)
    panel.draw()
    return panel


def test_what_is_decided_and_done_is_said_in_words(panel):
    told(panel, a_stream(), a_turn(250, 0.9))
    assert panel.chart.accessibleDescription() == "left 90 % output: left"
    told(panel, a_turn(263, 0.5))
    said = panel.chart.accessibleDescription()
    assert said == "abstains: too close to call output neutral: too close to call"


def test_a_selection_is_called_one(panel):
    turn = a_turn(250, 0.9)
    command = Command(label="left", strength=1.0, selected=True)
    told(panel, a_stream(), dataclasses.replace(turn, command=command))
    assert panel.chart.accessibleDescription().endswith("selected: left")


def test_abstention_looks_otherwise_than_the_same_probabilities_decided(panel):
    turns = [a_turn(13 * n, 0.53) for n in range(1, 300)]
    abstained = told(panel, a_stream(), *turns).chart.grab().toImage()
    panel.forget()
    decided = [
        dataclasses.replace(turn, decision=dataclasses.replace(turn.decision, label="left"))
        for turn in turns
    ]
    assert told(panel, *decided).chart.grab().toImage() != abstained


def test_probabilities_that_are_not_numbers_are_drawn_as_nothing_known(panel):
    turn = a_turn(250, 0.5)
    blank = dataclasses.replace(turn.decision, probabilities=np.full(2, np.nan))
    told(panel, a_stream(), dataclasses.replace(turn, decision=blank))
    assert not panel.grab().isNull()


def test_the_keys_look_back_less_and_more_and_stop_at_the_ends(panel, qtbot):
    told(panel, *a_session(2.0))
    spans = []
    for key in (Qt.Key.Key_BracketRight, Qt.Key.Key_BracketRight, *[Qt.Key.Key_BracketLeft] * 3):
        qtbot.keyClick(panel, key)
        spans.append(panel.chart.span_s)
    assert spans == [120.0, 120.0, 60.0, 30.0, 30.0]
    assert set(spans) == set(SPANS_S)


def test_a_draw_with_nothing_new_does_nothing(panel, qapp):
    told(panel, *a_session(2.0))
    panel.show()
    qapp.processEvents()
    painted = panel.chart.painted
    for _ in range(20):
        panel.draw()
    qapp.processEvents()
    assert panel.chart.painted == painted


def test_what_came_too_soon_to_be_drawn_is_drawn_later(panel):
    panel.pace.every_s = 1e9
    told(panel, a_stream(), a_turn(250, 0.9), a_turn(263, 0.1))
    told(panel, a_turn(276, 0.8))
    assert "right 90 %" in panel.chart.accessibleDescription()
    panel.pace.every_s = 0.0
    panel.draw()
    assert "left 80 %" in panel.chart.accessibleDescription()


@pytest.mark.parametrize("n", [4, 26, 39])
def test_any_number_of_classes_is_drawn(panel, n):
    classes = tuple(f"c{k}" for k in range(n))
    p = np.full(n, 1 / n)
    for k in range(1, 40):
        turn = a_turn(13 * k)
        decision = dataclasses.replace(
            turn.decision, classes=classes, probabilities=p, label=classes[k % n] if k % 3 else None
        )
        panel.take(dataclasses.replace(turn, decision=decision, command=Command(label=None)))
    panel.draw()
    assert not panel.grab().isNull()


def test_over_the_plot_it_is_said_what_was_decided_there_and_why_not(panel):
    turns = [a_turn(250 * n, 0.9 if n < 30 else 0.5) for n in range(1, 60)]
    told(panel, a_stream(), *turns)
    plot = panel.chart._layout(panel.chart.line_height())[0]
    assert "abstained: too close to call" in panel.chart.said_at(plot.right() - 5)
    assert panel.chart.said_at(plot.left() + 20).endswith("decided left")
    assert panel.chart.said_at(plot.right() + 5) == ""


def test_labels_at_the_right_end_never_cover_each_other():
    tops = _apart(np.array([90.0, 89.0, 88.0, 5.0, -3.0]), 12.0, 0.0, 100.0)
    assert all(low - high >= 12.0 for low, high in pairwise(tops))
    assert min(tops) >= 0
    assert max(tops) <= 88


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_it_wears_both_looks_and_blocks_can_be_read(panel, look):
    told(panel, *a_session(2.0))
    panel.wear(look)
    assert panel.grab().toImage().pixelColor(1, 1).name() == look.surface
    for colour in look.series:
        assert contrast(ink_on(colour), colour) >= 4.5


def test_forgetting_says_that_nothing_came(panel):
    told(panel, *a_session(2.0))
    panel.forget()
    panel.draw()
    assert panel.history.turn is None
    assert not panel.grab().isNull()
