"""A panel that is one drawing, renewed some times a second while anything is new."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout

from ..drawing import Drawing, ground
from ..look import Look
from ..pace import Pace
from .panel import Panel


class ChartPanel(Panel):
    """Learns in `take`, and says there with `stale` that the drawing is old.

    Parameters
    ----------
    look : Look
        Colours.
    chart : Drawing
        Fills the panel.
    every_s : float
        How often it is worth drawing anew, seconds.
    """

    def __init__(self, look: Look, chart: Drawing, every_s: float) -> None:
        super().__init__(look)
        self.stale = True
        self.pace = Pace(every_s)
        self._drawing = chart
        whole = QVBoxLayout(self)
        whole.setContentsMargins(4, 4, 4, 4)
        whole.addWidget(chart)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        ground(self, look)

    def draw(self) -> None:
        """Show what is new."""
        if self.stale and self.pace.due():
            self.stale = False
            self._drawing.renew()

    def wear(self, look: Look) -> None:
        """Change colours."""
        super().wear(look)
        ground(self, look)
        self._drawing.wear(look)
        self.stale = True
