"""How well targets were acquired: the measures in which effects of gain, delay and smoothing show.

References
----------
- Willett et al. Principled BCI decoder design and parameter selection using a feedback control
  model. Scientific Reports, 2019.
- Gilja et al. A high-performance neural prosthesis enabled by control algorithm design. Nature
  Neuroscience, 2012: time to reach a target first, and time to settle in it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CursorScore:
    """Counts along one session.

    Parameters
    ----------
    radius : float
        Of targets.
    step_s : float
        Length of a step.
    """

    def __init__(self, *, radius: float, step_s: float) -> None:
        self._radius, self._step_s = radius, step_s
        self._acquired: list[bool] = []
        self._took_s: list[float] = []
        self._exits: list[int] = []
        self._reactions_s: list[float] = []
        self._turns: list[float] = []
        self._restart()

    def _restart(self) -> None:
        self._steps = self._left = 0
        self._was_inside = False
        self._first: float | None = None
        self._reacted = False
        self._before = np.zeros(2)

    def moved(self, position: Floats, velocity: Floats, target: Floats) -> None:
        """The cursor made a step, in half widths and half widths a second."""
        distance = math.hypot(*(target - position))
        inside = distance <= self._radius
        self._left += self._was_inside and not inside
        self._was_inside = inside
        self._steps += 1
        if self._first is None:
            self._first = distance
        if not self._reacted and distance < self._first - 0.1:
            self._reacted = True
            self._reactions_s.append(self._steps * self._step_s)
        if self._steps > 1:
            self._turns.append(float(((velocity - self._before) ** 2).sum()))
        self._before = velocity

    def ended(self, acquired: bool, took_s: float) -> None:
        """A target was acquired or given up."""
        self._acquired.append(acquired)
        self._took_s.append(took_s)
        self._exits.append(self._left)
        self._restart()

    def summary(self) -> dict[str, float]:
        """Means over the session.

        Returns
        -------
        score : dict
            ``success``, a share; ``mean_time_s``, where a target given up counts with all its
            time; ``exits``, how often a target was left again, each; ``reaction_s``, until the
            cursor was a tenth of a half width nearer; ``jitter``, root mean square of the change of
            velocity in a step, in half widths a second.
        """
        return {
            "success": _mean(self._acquired),
            "mean_time_s": _mean(self._took_s),
            "exits": _mean(self._exits),
            "reaction_s": _mean(self._reactions_s),
            "jitter": math.sqrt(_mean(self._turns)),
        }


def _mean(values: list[float] | list[int] | list[bool]) -> float:
    return float(np.mean(values)) if values else 0.0
