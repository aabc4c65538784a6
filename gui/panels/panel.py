"""What every part of the dashboard is."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from ...runtime.telemetry import Telegram
from ..look import DARK, Look


class Panel(QWidget):
    """A part of the dashboard: takes messages, and draws what it knows when it is asked to.

    The dashboard calls, all on its own thread: `take` for every message, whether the panel can be
    seen or not, so it has to be cheap; `draw` once a frame, only while it can be seen; `wear` when
    the colours change; `forget` when another time or another session is looked at.
    """

    name = ""
    """For saved layouts; never shown."""
    title = ""
    """Over the panel."""

    def __init__(self, look: Look = DARK) -> None:
        super().__init__()
        self.look = look

    def take(self, message: Telegram) -> None:
        """Learn from a message."""

    def draw(self) -> None:
        """Show what is known now."""

    def wear(self, look: Look) -> None:
        """Change colours."""
        self.look = look

    def forget(self) -> None:
        """Know nothing any more."""
