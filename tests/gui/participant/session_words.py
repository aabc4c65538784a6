"""What a session tells a picture, made in memory, and a picture drawn without a window."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from diverloop.gui.look import DARK
from diverloop.gui.participant.picture import Picture, Shown
from diverloop.runtime.messages import (
    Command,
    Decision,
    Event,
    EventKind,
    Marker,
    StageTimes,
    Turn,
)

RATE_HZ = 60.0


def guard(text: str) -> Event:
    """The guard's word."""
    return Event(kind=EventKind.GUARD, text=text)


ARMED = guard("The guard went from disarmed to armed.")
STOPPED = guard("The guard went from armed to stopped.")
DISARMED = guard("The guard went from armed to disarmed.")
RESET = guard("The guard went from stopped to disarmed.")


def a_decision(
    label: str | None,
    classes: tuple[str, ...],
    *,
    held_back: str = "",
    selected: bool = True,
    strength: float = 0.9,
    marker: Marker | None = None,
) -> Turn:
    """A decision; what the guard holds back did not become a command."""
    passed = label is not None and not held_back
    names = StageTimes.__dataclass_fields__
    return Turn(
        decision=Decision(
            classes=classes,
            probabilities=np.full(len(classes), 1 / len(classes)),
            label=label,
            marker=marker,
        ),
        command=Command(
            label=label if passed else None,
            strength=strength if passed else 0.0,
            selected=selected and passed,
            reason=held_back or ("" if label else "still deciding"),
        ),
        times=StageTimes(**dict.fromkeys(names, 0)),
    )


class Canvas:
    """Draws frames of a picture into memory."""

    def __init__(self, picture: Picture, wide: int = 320, high: int = 200, look=DARK) -> None:
        self.picture, self.look = picture, look
        self.image = QImage(wide, high, QImage.Format.Format_RGB32)
        picture.begin(RATE_HZ, look)

    def paint(self, frame: int) -> Shown:
        """Draw one, on a ground that is cleared, as the stage does."""
        self.image.fill(QColor(self.look.ground))
        painter = QPainter(self.image)
        shown = self.picture.paint(painter, QRectF(self.image.rect()), frame)
        painter.end()
        return shown

    def pixels(self) -> np.ndarray:
        """What was drawn last, shape (high, wide, 3): red, green, blue."""
        high, wide = self.image.height(), self.image.width()
        flat = np.frombuffer(self.image.constBits(), np.uint8).reshape(high, wide, 4)
        return flat[:, :, 2::-1].copy()
