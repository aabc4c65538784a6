"""Letters and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFontInfo, QFontMetricsF, QImage, QPainter

from diverloop.gui.participant.drawing import Writing, arrow, font_of, warm_up, write


def inked(text: str, area: QRectF, height: float) -> QRectF:
    """Where there is anything on an empty image of 400 by 300."""
    image = QImage(400, 300, QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QPainter(image)
    write(painter, area, text, Writing(colour="#ffffff", height=height))
    painter.end()
    pixels = np.frombuffer(bytes(image.constBits()), np.uint32).reshape(300, 400) & 0xFFFFFF
    rows, columns = np.nonzero(pixels)
    if not rows.size:
        return QRectF()
    return QRectF(QPointF(columns.min(), rows.min()), QPointF(columns.max() + 1, rows.max() + 1))


@pytest.mark.parametrize("text", ["Left hand", "word " * 30, "안녕하세요 " * 12])
def test_words_stay_within_their_area_however_many_there_are(qapp: Any, text: str) -> None:
    area = QRectF(50, 50, 300, 200)
    found = inked(text, area, 60)
    assert area.adjusted(-2, -2, 2, 2).contains(found)
    assert found.height() > 8


def test_no_words_draw_nothing(qapp: Any) -> None:
    assert inked("", QRectF(0, 0, 400, 300), 40).isEmpty()


@pytest.mark.usefixtures("fonts")
def test_letters_are_as_large_as_they_were_asked_for(qapp: Any) -> None:
    assert QFontInfo(font_of(40)).pixelSize() == 40
    capitals = QFontMetricsF(font_of(48)).capHeight()
    assert 0.6 < capitals / 48 < 0.85


def test_an_arrow_ends_at_its_tip_and_has_a_head(qapp: Any) -> None:
    shape = arrow(QPointF(0, 0), QPointF(100, 0), 10).boundingRect()
    assert (shape.left(), shape.right()) == (0, 100)
    assert shape.height() == pytest.approx(26)


@pytest.mark.usefixtures("fonts")
def test_fonts_can_be_loaded_ahead(qapp: Any) -> None:
    warm_up("#ffffff")
    assert QFontInfo(font_of(20, bold=True)).bold()
