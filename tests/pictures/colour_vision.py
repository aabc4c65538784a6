"""What a picture looks like without one of the three kinds of cones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter

WITHOUT = {
    "red (protanopia)": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "green (deuteranopia)": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "blue (tritanopia)": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Full severity, in linear RGB: Machado, Oliveira, Fernandes. A physiologically-based model for
simulation of color vision deficiency. IEEE Trans. Vis. Comput. Graph. 15, 2009."""

WIDTH, CAPTION = 800, 34


def compared(out: Path, folder: Path) -> Iterator[Path]:
    """The dashboard as it is, and without each kind of cones, on one sheet."""
    seen = QImage(str(out / "dashboard-live-dark.png")).scaledToWidth(
        WIDTH, Qt.TransformationMode.SmoothTransformation
    )
    parts = {"as it is": seen}
    parts |= {f"without {name}": simulated(seen, WITHOUT[name]) for name in WITHOUT}
    step = seen.height() + CAPTION
    sheet = QImage(2 * WIDTH, 2 * step, QImage.Format.Format_RGB32)
    sheet.fill(QColor("#808080"))
    painter = QPainter(sheet)
    painter.setFont(QFont("DejaVu Sans", 13))
    for n, (name, part) in enumerate(parts.items()):
        left, top = n % 2 * WIDTH, n // 2 * step
        painter.drawText(QRect(left + 8, top, WIDTH, CAPTION), Qt.AlignmentFlag.AlignVCenter, name)
        painter.drawImage(left, top + CAPTION, part)
    painter.end()
    path = out / "colour-vision.png"
    sheet.save(str(path))
    yield path


def simulated(image: QImage, matrix: tuple[tuple[float, ...], ...]) -> QImage:
    """The same picture for other eyes."""
    pixels = image.convertToFormat(QImage.Format.Format_RGB888)
    n_bytes = pixels.bytesPerLine()
    rows = np.frombuffer(pixels.constBits(), np.uint8).reshape(pixels.height(), n_bytes)
    colours = rows[:, : 3 * pixels.width()].reshape(pixels.height(), pixels.width(), 3)
    linear = _linear(colours / 255.0) @ np.array(matrix).T
    encoded = np.ascontiguousarray(np.rint(255 * _encoded(linear.clip(0, 1))).astype(np.uint8))
    made = QImage(
        encoded.data, pixels.width(), pixels.height(), 3 * pixels.width(),
        QImage.Format.Format_RGB888,
    )  # fmt: skip
    return made.copy()  # with memory of its own


def _linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encoded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
