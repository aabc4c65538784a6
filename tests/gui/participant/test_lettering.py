from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from diverloop.gui.look import DARK
from diverloop.gui.participant.lettering import foot, write


def ink(draw):
    """Columns and rows that something was drawn into, on 300 x 200 pixels."""
    image = QImage(300, 200, QImage.Format.Format_Grayscale8)
    image.fill(QColor("black"))
    painter = QPainter(image)
    draw(painter)
    painter.end()
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(200, image.bytesPerLine())
    rows, columns = np.nonzero(flat[:, :300] > 40)
    return rows, columns


@pytest.mark.usefixtures("fonts")
def test_a_long_line_is_written_smaller_and_stays_within_its_area(qapp):
    area = QRectF(100, 50, 80, 40)
    _rows, columns = ink(lambda p: write(p, area, "a line much too long for it", "#ffffff", 30))
    assert columns.size
    assert 98 <= columns.min() <= columns.max() <= 182


@pytest.mark.usefixtures("fonts")
def test_the_foot_leaves_the_corners_to_a_photodiode_and_the_lowest_strip_to_the_stage(qapp):
    area = QRectF(0, 0, 300, 200)
    rows, columns = ink(lambda p: foot(p, area, DARK, "guard is disarmed " * 9))
    assert 180 < rows.min() <= rows.max() <= 190
    assert 40 < columns.min() < columns.max() < 260
