"""The spectrogram on the screen: newest at the right, unknown stays empty."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.spectrogram import TimeFrequency

from ..told import a_session


@pytest.fixture
def panel(qtbot):
    made = TimeFrequency(DARK)
    qtbot.addWidget(made)
    made.resize(400, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def fed(panel, qapp, seconds=20.0):
    for message in a_session(seconds):
        panel.take(message)
    for _ in range(20):
        panel.draw()
    qapp.processEvents()
    return panel


def test_what_is_new_is_at_the_right_and_what_never_was_is_empty(panel, qapp):
    image = fed(panel, qapp).heat.grab().toImage()
    y = image.height() // 2
    assert image.pixelColor(60, y).name() == DARK.surface
    assert image.pixelColor(image.width() - 70, y).name() != DARK.surface


def test_the_first_drawing_shows_what_has_come_however_seldom_it_is_drawn(panel, qapp):
    for message in a_session(20.0):
        panel.take(message)
    panel.draw()
    qapp.processEvents()
    image = panel.heat.grab().toImage()
    y = image.height() // 2
    assert image.pixelColor(image.width() - 70, y).name() != DARK.surface


def test_a_rhythm_is_bright(panel, qapp):
    image = fed(panel, qapp).heat.grab().toImage()
    x = image.width() - 80
    light = [image.pixelColor(x, y).lightness() for y in range(6, image.height() - 21)]
    share = light.index(max(light)) / len(light)
    assert share == pytest.approx(1 - 10 / 40, abs=0.05)


def test_channel_and_reach_change_by_key(panel, qapp, qtbot):
    fed(panel, qapp, 3.0)
    qtbot.keyClick(panel.heat, Qt.Key.Key_Down)
    qtbot.keyClick(panel.heat, Qt.Key.Key_R)
    panel.draw()
    assert panel.spectrogram.channel == 1
    assert panel.heat.reach_hz == 80


def test_without_a_signal_it_says_so_and_it_wears_the_other_look(panel, qapp):
    panel.wear(LIGHT)
    panel.draw()
    qapp.processEvents()
    assert panel.heat.levels_db is None
    assert panel.heat.grab().toImage().pixelColor(3, 3).name() == LIGHT.surface
