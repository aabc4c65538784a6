"""What tests of windows may ask for."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFontDatabase


@pytest.fixture
def fonts(qapp):
    """Fonts to measure words with, in both languages of the product."""
    wanted = QFontDatabase.WritingSystem.Latin, QFontDatabase.WritingSystem.Korean
    if not set(wanted) <= set(QFontDatabase.writingSystems()):
        pytest.skip("no font here has Latin letters and Hangul: install fonts-noto-cjk")
