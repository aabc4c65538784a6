"""Which panels are drawn in a frame, so that all of them together cost no more than they may.

What a panel costs is learnt. `Panel.draw` is timed by itself; what Qt paints afterwards is timed
for all panels of a frame together, and shared out among them by least mean squares [1]_, which
finds the costs as panels are drawn in changing company. When all wishes together cost too much,
every panel draws more seldom by the same factor. Nothing is queued: whatever is drawn is drawn as
it is now.

References
----------
.. [1] Widrow B, Hoff ME (1960). Adaptive switching circuits. IRE WESCON Convention Record 4,
   96-104; here normalised by the number of panels in a frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHARE = 0.5
"""Of one processor core, for drawing."""

_LEARN = 0.15
_FIRST_COST_S = 0.002
_SELDOM_HZ = 2.0  # a panel that can be seen is not slower than this, whatever it costs
_EARLY = 0.5  # of a frame: timers tick a little early or late


@dataclass(slots=True)
class _Panel:
    wish_hz: float
    draw_s: float = _FIRST_COST_S
    paint_s: float = 0.0
    drawn_at_s: float = -1e9

    @property
    def cost_s(self) -> float:
        return self.draw_s + self.paint_s


class Pacer:
    """Says what to draw now. For one thread.

    Parameters
    ----------
    wishes : iterable of (str, float)
        Panels by name, and how often each is worth drawing, in Hz.
    frame_hz : float
        How often it is asked.
    share : float
        Of one core that drawing may take, above 0 to 1.
    """

    def __init__(
        self, wishes: Iterable[tuple[str, float]], *, frame_hz: float, share: float = SHARE
    ) -> None:
        self._panels = {name: _Panel(wish_hz=min(hz, frame_hz)) for name, hz in wishes}
        self._frame_s = 1 / frame_hz
        self._share = share
        self._drawn: list[str] = []

    def due(self, now_s: float, seen: Iterable[str]) -> list[str]:
        """What to draw in this frame.

        Parameters
        ----------
        now_s : float
            Time, from anywhere.
        seen : iterable of str
            Panels that can be seen.

        Returns
        -------
        names : list of str
            In the order in which they have waited.
        """
        seen = tuple(seen)
        slower = self.slower(seen)
        waits = []
        for name in seen:
            panel = self._panels[name]
            wanted_s = 1 / max(panel.wish_hz * slower, _SELDOM_HZ)
            late_s = now_s - panel.drawn_at_s - wanted_s
            if late_s >= -_EARLY * self._frame_s:
                waits.append((-late_s, name))
        self._drawn = [name for _, name in sorted(waits)]
        for name in self._drawn:
            self._panels[name].drawn_at_s = now_s
        return list(self._drawn)

    def slower(self, seen: Iterable[str]) -> float:
        """By which factor all draw more seldom than they wish: 1 if there is time for all."""
        need = sum(self._panels[name].cost_s * self._panels[name].wish_hz for name in seen)
        return min(1.0, self._share / need) if need else 1.0

    def drew(self, name: str, seconds: float) -> None:
        """Note how long `draw` of a panel took."""
        panel = self._panels[name]
        panel.draw_s += _LEARN * (seconds - panel.draw_s)

    def painted(self, seconds: float) -> None:
        """Note how long Qt painted since the panels of the last frame were drawn, together."""
        if not self._drawn:
            return
        panels = [self._panels[name] for name in self._drawn]
        wrong_s = seconds - sum(panel.paint_s for panel in panels)
        for panel in panels:
            panel.paint_s = max(0.0, panel.paint_s + 2 * _LEARN * wrong_s / len(panels))

    def cost_s(self, name: str) -> float:
        """What one drawing of a panel costs, as far as it has been learnt, in seconds."""
        return self._panels[name].cost_s

    def hurry(self, name: str) -> None:
        """Draw a panel in the next frame: it was hidden, or knows something else now."""
        self._panels[name].drawn_at_s = -1e9
