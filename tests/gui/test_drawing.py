"""What every drawn map and chart stands on."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtWidgets import QMainWindow, QWidget

from diverloop.gui.application import dress
from diverloop.gui.drawing import Drawing, ground
from diverloop.gui.look import DARK, LIGHT, blend


def test_a_colour_between_two_is_between_them():
    assert blend("#000000", "#ffffff", 0.0) == "#000000"
    assert blend("#000000", "#ffffff", 1.0) == "#ffffff"
    assert blend("#000000", "#64c832", 0.5) == "#326419"


def test_a_drawing_fills_itself_with_the_surface_of_its_look(qtbot):
    drawing = Drawing(DARK)
    qtbot.addWidget(drawing)
    drawing.resize(20, 20)
    assert drawing.grab().toImage().pixelColor(10, 10).name() == DARK.surface
    drawing.wear(LIGHT)
    assert drawing.grab().toImage().pixelColor(10, 10).name() == LIGHT.surface
    assert drawing.painted == 2


def test_the_five_signs_are_told_apart_without_colour(qtbot):
    class Signs(Drawing):
        def paint(self, painter):
            for shape in range(5):
                self.stamp(painter, shape, QPointF(20 + 40 * shape, 20), 10, "#ffffff", "#ffffff")

    signs = Signs()
    qtbot.addWidget(signs)
    signs.resize(200, 40)
    picture = signs.grab().toImage()
    parts = [picture.copy(40 * n, 0, 40, 40) for n in range(5)]  # bits are gone when a part is
    assert len({bytes(part.bits()) for part in parts}) == 5


def test_text_that_does_not_fit_ends_in_dots_instead_of_running_over(qtbot):
    class Written(Drawing):
        def paint(self, painter):
            self.write(painter, QRectF(0, 0, 60, 20), "a sentence far too long for its box")

    written = Written()
    qtbot.addWidget(written)
    written.resize(300, 20)
    picture = written.grab().toImage()
    right = [picture.pixelColor(x, y).name() for x in range(70, 300) for y in range(20)]
    assert set(right) == {DARK.surface}


def test_pictures_of_signs_and_widths_of_text_are_kept_in_bounds(qtbot):
    class Many(Drawing):
        def paint(self, painter):
            for n in range(300):
                self.stamp(painter, 0, QPointF(10, 10), 3 + n / 10, "", "#ffffff")

    many = Many()
    qtbot.addWidget(many)
    many.grab()
    for n in range(2500):
        many.width_of(str(n))
    assert len(many._stamps) <= 201
    assert len(many._widths) <= 2001


def test_a_widget_that_holds_others_has_the_surface_too(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    panel = QWidget()
    window.setCentralWidget(panel)
    ground(panel, DARK)
    dress(window, DARK)
    ground(panel, LIGHT)
    dress(window, LIGHT)
    assert panel.grab().toImage().pixelColor(5, 5).name() == LIGHT.surface
