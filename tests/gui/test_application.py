"""The one application, and the library under it."""

from __future__ import annotations

import numpy as np
import pyqtgraph
import pytest
from PySide6.QtWidgets import QLabel

from diverloop.gui import application as module
from diverloop.gui.application import application, dress
from diverloop.gui.look import DARK
from diverloop.runtime.errors import ConfigError


def test_there_is_one_application(qapp):
    assert application() is application() is qapp


def test_without_a_display_it_is_said_in_words(monkeypatch):
    monkeypatch.setattr(module.QApplication, "instance", lambda: None)
    monkeypatch.setattr(module, "_has_display", lambda: False)
    with pytest.raises(ConfigError, match="no display"):
        application()


def test_a_window_wears_a_look(qtbot):
    label = QLabel("x")
    qtbot.addWidget(label)
    dress(label, DARK)
    assert DARK.ground in label.styleSheet()


def test_this_version_of_qt_draws_many_curves_again_and_again(qtbot):
    # PySide6 6.12.0 ended Python 3.11 here; a newer one may be allowed once this passes with it.
    plot = pyqtgraph.PlotWidget()
    qtbot.addWidget(plot)
    curves = [pyqtgraph.PlotCurveItem(skipFiniteCheck=True) for _ in range(64)]
    for curve in curves:
        plot.addItem(curve)
    plot.show()
    for n in range(20):
        for curve in curves:
            curve.setData(np.arange(500.0), np.sin(np.arange(500.0) + n))
        plot.grab()
    assert len(plot.getPlotItem().listDataItems()) == 64
