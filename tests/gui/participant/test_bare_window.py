"""A window with nothing in it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QSurface
from PySide6.QtTest import QTest

from diverloop.gui.participant.bare_window import BareWindow, in_view, place
from diverloop.gui.view_state import DISCLAIMER


def a_window() -> BareWindow:
    return BareWindow(QSurface.SurfaceType.RasterSurface)


def test_keys_and_closing_are_passed_on(qtbot: Any) -> None:
    window, pressed, closed = a_window(), list[int](), list[bool]()
    window.pressed.connect(pressed.append)
    window.closed.connect(lambda: closed.append(True))
    assert not place(window, full_screen=False)
    qtbot.waitUntil(lambda: in_view(window), timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_F11)
    window.close()
    assert pressed == [Qt.Key.Key_F11]
    assert closed
    assert not in_view(window)


def test_it_says_what_it_is_not(qapp: Any) -> None:
    assert DISCLAIMER in a_window().title()


def test_without_a_second_screen_it_is_a_window_unless_asked_to_fill_the_screen(
    qtbot: Any,
) -> None:
    window = a_window()
    assert not place(window)
    assert place(window, full_screen=True)
    assert window.geometry().size() == window.screen().size()
    window.close()
