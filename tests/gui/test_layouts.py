"""Where panels stand, kept by name in a file."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from diverloop.gui.layouts import Layouts

NAMES = ("traces", "probabilities", "guard", "maps", "spectra", "drift", "events", "adaptation")


@pytest.fixture
def window(qtbot):
    made = QMainWindow()
    made.setDockNestingEnabled(True)
    made.resize(1280, 800)
    qtbot.addWidget(made)
    return made


def docked(window, names=NAMES) -> dict[str, QDockWidget]:
    docks = {}
    for name in names:
        docks[name] = QDockWidget(name, window)
        docks[name].setObjectName(name)
        docks[name].setWidget(QWidget())
    return docks


def layouts_of(qtbot, window, tmp_path, names=NAMES):
    docks = docked(window, names)
    store = QSettings(str(tmp_path / "layouts.ini"), QSettings.Format.IniFormat)
    layouts = Layouts(window, docks, store)
    with qtbot.waitExposed(window):
        window.show()
    layouts.arrange()
    return layouts, docks


def test_at_first_traces_are_largest_and_every_panel_has_a_place(qtbot, window, tmp_path):
    _, docks = layouts_of(qtbot, window, tmp_path)

    def area(dock):
        return dock.width() * dock.height()

    assert area(docks["traces"]) == max(map(area, docks.values()))
    assert docks["maps"].x() > docks["traces"].x()
    assert docks["guard"].y() > docks["traces"].y()
    assert docks["drift"] in window.tabifiedDockWidgets(docks["spectra"])
    assert window.height() == 800


@pytest.mark.parametrize("names", [("events",), ("guard",), ("maps", "unknown"), ()])
def test_any_choice_of_panels_finds_its_place(qtbot, window, tmp_path, names):
    _, docks = layouts_of(qtbot, window, tmp_path, names)
    assert all(dock.isVisible() for dock in docks.values() if len(docks) < 2)
    assert len(docks) == len(names)


def test_a_saved_layout_comes_back_after_a_restart(qtbot, window, tmp_path):
    layouts, docks = layouts_of(qtbot, window, tmp_path)
    docks["maps"].hide()
    layouts.save("night/shift")
    layouts.arrange()
    assert docks["maps"].isVisible()
    again = QSettings(str(tmp_path / "layouts.ini"), QSettings.Format.IniFormat)
    later = Layouts(window, docks, again)
    assert later.names() == ["night-shift"]
    assert later.restore("night-shift")
    assert not docks["maps"].isVisible()
    later.remove("night-shift")
    assert not later.names()


def test_what_cannot_be_restored_is_left_and_said(qtbot, window, tmp_path):
    layouts, _ = layouts_of(qtbot, window, tmp_path)
    layouts._store.setValue("layouts/broken", "nonsense")
    assert not layouts.restore("broken")
    assert not layouts.restore("never saved")
    assert not layouts.restore_last()
