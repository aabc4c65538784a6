"""What a time line shows of a recording, as numbers; no Qt."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..runtime.record.seeking import Mark
from .event_list import GROUPS

_AGAIN_S = 0.05  # a jump to the next mark must not find the one it stands on
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)

MARKER, NOTE, FAULT, GUARD = "marker", "note", "fault", "guard"
"""Signs on the time line, each of another shape."""


def sign_of(mark: Mark) -> str:
    """Which sign a mark has."""
    if mark.kind in (MARKER, NOTE):
        return mark.kind
    return GUARD if mark.kind in GROUPS["guard, stops and alarms"] else FAULT


def decided_share(
    turns_s: NDArray[np.float64], abstained: NDArray[np.bool_], length_s: float, n_columns: int
) -> NDArray[np.float64]:
    """How many of the decisions in each column were for a class.

    Parameters
    ----------
    turns_s : ndarray, shape (n_turns,)
        When they were.
    abstained : ndarray of bool, shape (n_turns,)
        Which were not.
    length_s : float
        Of the recording.
    n_columns : int
        Of the time line.

    Returns
    -------
    share : ndarray, shape (n_columns,)
        0 to 1; NaN where nothing was decided about.
    """
    if not len(turns_s) or length_s <= 0 or n_columns < 1:
        return np.full(max(n_columns, 0), np.nan)
    columns = np.minimum((turns_s / length_s * n_columns).astype(int), n_columns - 1)
    total = np.bincount(columns, minlength=n_columns)
    decided = np.bincount(columns, weights=~abstained, minlength=n_columns)
    return np.where(total, decided / np.maximum(total, 1), np.nan)


def next_mark(marks: Sequence[Mark], at_s: float, step: int) -> Mark | None:
    """The next mark, or the one before.

    Parameters
    ----------
    marks : sequence of Mark
        In order.
    at_s : float
        From where.
    step : int
        1 for the next, -1 for the one before.

    Returns
    -------
    mark : Mark or None
        None at the end.
    """
    if step > 0:
        place = bisect_right(marks, at_s + _AGAIN_S, key=lambda mark: mark.at_s)
        return marks[place] if place < len(marks) else None
    place = bisect_left(marks, at_s - _AGAIN_S, key=lambda mark: mark.at_s)
    return marks[place - 1] if place else None


def nearest(marks: Sequence[Mark], at_s: float, within_s: float) -> Mark | None:
    """The mark nearest to a moment, if one is near."""
    place = bisect_left(marks, at_s, key=lambda mark: mark.at_s)
    near = [marks[n] for n in (place - 1, place) if 0 <= n < len(marks)]
    found = min(near, key=lambda mark: abs(mark.at_s - at_s), default=None)
    return found if found is not None and abs(found.at_s - at_s) <= within_s else None


def tick_s(length_s: float, n_most: int) -> float:
    """A round distance between the labels of a time line, so that it has so many at most."""
    wanted = length_s / max(n_most, 1)
    return float(next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1] * 2))


def clock_text(at_s: float) -> str:
    """``"1:02:03"`` or ``"2:03"``."""
    minutes, seconds = divmod(int(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
