"""The square lies in its corner, and is white or black."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from diverloop.gui.participant.lamp import CORNERS, PatchConfig
from diverloop.gui.participant.patch import draw_patch, patch_area

AREA = QRectF(0, 0, 1000, 800)


@pytest.mark.parametrize("corner", CORNERS)
def test_the_square_fills_its_corner_in_the_size_that_was_asked_for(corner: str) -> None:
    square = patch_area(PatchConfig(corner=corner, size_cm=2.54), AREA, 100.0)
    assert (square.width(), square.height()) == (100, 100)
    assert (square.left() == 0) == ("left" in corner)
    assert (square.top() == 0) == ("top" in corner)
    assert AREA.contains(square)


def test_lit_is_white_and_else_black() -> None:
    image = QImage(10, 10, QImage.Format.Format_RGB32)
    colours = []
    for lit in (True, False):
        painter = QPainter(image)
        draw_patch(painter, QRectF(0, 0, 10, 10), lit)
        painter.end()
        colours.append(image.pixelColor(5, 5).name())
    assert colours == ["#ffffff", "#000000"]
