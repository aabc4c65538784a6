"""What a person has chosen to see of the traces: how much time, which channels, how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .trace_filter import FilterChoice

WINDOWS_S = (1, 2, 3, 5, 10, 15, 20, 30, 60)
"""How much time may be shown at once."""
SCALES_UV = (
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000,
    5000, 7000, 10000, 20000,
)  # fmt: skip
"""Microvolts from one row to the next."""
GROUPS = (0, 16, 32, 64)
"""How many channels at once; 0 is all."""
ORDERS = ("as sent", "by name", "worst first")
"""What is on top."""

_LEAST, _MOST = 0.4, 1.1  # of a row: a spread beyond calls for another scale
_FILLS = 0.85  # of a row, at most, after the scale was chosen anew: peaks may touch the next


@dataclass(slots=True, kw_only=True)
class TraceView:
    """Choices; each step stays within what is allowed.

    Parameters
    ----------
    window_s : int
        One of `WINDOWS_S`.
    scale_uv : int
        One of `SCALES_UV`.
    auto : bool
        Whether the scale follows the signal.
    group : int
        One of `GROUPS`.
    place : int
        Which group, from 0.
    find : str
        Part of a name; shows only channels that have it, whatever the group.
    order : str
        One of `ORDERS`.
    sweep : bool
        True: a bar runs over traces that stand still. False: traces run to the left.
    filter : FilterChoice
        For the eye.
    paused_at : int, optional
        Stream index at the right edge; None is live.
    """

    window_s: int = 10
    scale_uv: int = 100
    auto: bool = True
    group: int = 0
    place: int = 0
    find: str = ""
    order: str = "as sent"
    sweep: bool = True
    filter: FilterChoice = field(default_factory=FilterChoice)
    paused_at: int | None = None

    def stretch(self, step: int) -> None:
        """More time (above 0) or less."""
        self.window_s = _moved(WINDOWS_S, self.window_s, step)

    def magnify(self, step: int) -> None:
        """Larger traces (above 0) or smaller; the scale no longer follows the signal."""
        self.auto = False
        self.scale_uv = _moved(SCALES_UV, self.scale_uv, -step)

    def turn_page(self, step: int, n_channels: int) -> None:
        """To the next group of channels, or back, and round."""
        n_pages = -(-n_channels // self.group) if self.group else 1
        self.place = (self.place + step) % max(n_pages, 1)

    def scroll(self, by: int, first: int, stop: int, window: int) -> None:
        """Look further back (below 0) or forward; pauses.

        Parameters
        ----------
        by : int
            Samples.
        first, stop : int
            What there is, stream indices.
        window : int
            How many samples are shown at once.
        """
        now = stop if self.paused_at is None else self.paused_at
        self.paused_at = int(np.clip(now + by, min(first + window, stop), stop))

    def rows(self, names: Sequence[str], grades: NDArray[np.intp]) -> NDArray[np.intp]:
        """Which channels to show, from the top.

        Parameters
        ----------
        names : sequence of str
            Of all channels.
        grades : ndarray of int, shape (n_channels,)
            How good each is, 0 is best.

        Returns
        -------
        rows : ndarray of int, shape (n_shown,)
            Places of channels.
        """
        order = np.arange(len(names), dtype=np.intp)
        if self.order == "by name":
            order = np.array(sorted(range(len(names)), key=lambda n: _natural(names[n])), np.intp)
        elif self.order == "worst first":
            order = np.argsort(-grades, kind="stable")
        if self.find:
            wanted = self.find.casefold().split()
            hits = [n for n in map(int, order) if any(p in names[n].casefold() for p in wanted)]
            return np.array(hits, dtype=np.intp)
        if self.group:
            order = order[self.place * self.group : (self.place + 1) * self.group]
        return order


def fitting_scale(spread_uv: float, scale_uv: int) -> int:
    """The scale at which a signal fills its row, or the present one if that is near enough.

    Parameters
    ----------
    spread_uv : float
        From the low to the high end of a typical trace; NaN if there is none.
    scale_uv : int
        The present scale.

    Returns
    -------
    scale_uv : int
        One of `SCALES_UV`.
    """
    if not spread_uv > 0 or _LEAST <= spread_uv / scale_uv <= _MOST:
        return scale_uv
    return next((scale for scale in SCALES_UV if spread_uv <= _FILLS * scale), SCALES_UV[-1])


def _moved(ladder: Sequence[int], now: int, step: int) -> int:
    place = ladder.index(now) + (1 if step > 0 else -1)
    return ladder[min(max(place, 0), len(ladder) - 1)]


def _natural(name: str) -> tuple[str, int, str]:
    """So that E2 comes before E10."""
    head = name.rstrip("0123456789")
    return head.casefold(), int(name[len(head) :] or 0), name
