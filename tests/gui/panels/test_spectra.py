"""Spectra on the screen: one channel before the range of the good ones, mains named."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.panels.spectra import Spectra
from diverloop.runtime.messages import Chunk

from ..told import a_session, a_stream


@pytest.fixture
def panel(qtbot):
    made = Spectra(DARK)
    qtbot.addWidget(made)
    made.resize(500, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_rhythm_of_the_session_is_the_strongest(panel, qapp):
    for message in a_session(4.0):
        panel.take(message)
    panel.draw()
    qapp.processEvents()
    assert "strongest above 4 Hz: 10 Hz" in panel.says.text()
    assert "no hum" in panel.says.text()
    assert "80 % of 3" in panel.says.text()  # Cz is bad
    x, y = panel._one.getData()
    assert x[np.argmax(y)] == 10


def test_a_channel_is_chosen_by_key_and_its_hum_is_named(panel, qapp, qtbot):
    spec, at_s = a_stream(2), np.arange(1000) / 250
    samples = np.random.default_rng(0).normal(0, 1, (2, 1000))
    samples[1] += 50 * np.sin(2 * np.pi * 50 * at_s)
    panel.take(spec)
    panel.take(Chunk(samples=samples.astype(np.float32), first_sample=0, arrived_ns=0))
    panel.draw()
    for _ in range(2):
        qtbot.keyClick(panel.plot, Qt.Key.Key_Down)
    panel.draw()
    assert panel.channels.currentText() == "Cz"
    assert "50 Hz mains" in panel.says.text()


def test_a_channel_without_a_signal_is_said_to_have_none(panel, qapp):
    spec = a_stream(2)
    samples = np.random.default_rng(0).normal(0, 1, (2, 1000)).astype(np.float32)
    samples[1] = np.nan
    panel.take(spec)
    panel.take(Chunk(samples=samples, first_sample=0, arrived_ns=0))
    panel.draw()
    panel.channels.setCurrentIndex(2)
    panel.draw()
    qapp.processEvents()
    assert panel.says.text().startswith("Cz   ·   no signal")


def test_decibel_and_linear_change_by_key(panel, qtbot):
    for message in a_session(2.0):
        panel.take(message)
    panel.draw()
    level = panel._one.getData()[1].max()
    qtbot.keyClick(panel.plot, Qt.Key.Key_L)
    panel.draw()
    assert not panel.logarithmic
    assert panel._one.getData()[1].max() == pytest.approx(10 ** (level / 10), rel=1e-4)


def test_the_axis_reaches_further_by_key(panel, qtbot):
    for message in a_session(2.0, rate_hz=500.0):
        panel.take(message)
    panel.draw()
    assert panel._one.getData()[0][-1] == 80
    qtbot.keyClick(panel.plot, Qt.Key.Key_R)
    panel.draw()
    assert panel._one.getData()[0][-1] == 150


def test_it_wears_the_other_look_and_forgets(panel, qapp):
    for message in a_session(2.0):
        panel.take(message)
    panel.draw()
    panel.wear(LIGHT)
    panel.forget()
    panel.draw()
    qapp.processEvents()
    assert panel.plot.backgroundBrush().color().name() == LIGHT.surface
    assert panel._one.getData()[0] is None or not len(panel._one.getData()[0])
