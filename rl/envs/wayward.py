"""A noisy and late signal that says whether a cursor goes where it is meant to.

Error potentials follow a single wrong act; with continuous movement they are seen asynchronously,
less surely, some hundred milliseconds late [1]_. Here the person is asked, so to speak, once a
second: if the cursor has moved away from the target all the while, the score is drawn from the one
distribution, otherwise from the other.

References
----------
.. [1] Spüler, Niethammer. Error-related potentials during continuous feedback: using EEG to detect
   errors of different type and severity. Frontiers in Human Neuroscience, 2015.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WaywardConfig:
    """How sure and how late it is.

    Parameters
    ----------
    separation : float
        Between the means of the two score distributions of variance one; 1.35 is a balanced
        accuracy of 0.75 at the best threshold.
    every_s : float
        Time between two scores, and time for which the cursor must have moved away.
    delay_s : tuple of float
        Shortest and longest time until a score is known.
    """

    separation: float = 1.35
    every_s: float = 1.0
    delay_s: tuple[float, float] = (0.3, 0.8)

    def __post_init__(self) -> None:
        if self.separation < 0 or self.every_s <= 0:
            raise ConfigError(
                f"The error signal needs a separation of 0 or more and a positive every_s, got "
                f"{self.separation} and {self.every_s}: correct them."
            )
        if not 0 <= self.delay_s[0] <= self.delay_s[1]:
            raise ConfigError(
                f"delay_s of the error signal must be (shortest, longest), got {self.delay_s}: "
                f"order them."
            )


class Wayward:
    """Watches distances to a target; gives scores later.

    Parameters
    ----------
    config : WaywardConfig
        How sure and how late.
    rng : numpy.random.Generator
        Where chance comes from.
    """

    Config = WaywardConfig

    def __init__(self, config: WaywardConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._waiting: deque[tuple[float, int, float]] = deque()
        self._from: tuple[float, float] | None = None

    def new_target(self) -> None:
        """What was seen before says nothing of what comes."""
        self._from = None

    def watch(self, trial: int, distance: float, attended: bool, now_s: float) -> None:
        """See where the cursor is.

        Parameters
        ----------
        trial : int
            To which the score belongs.
        distance : float
            From the target.
        attended : bool
            Whether the person looks; nobody is bothered by what is not seen.
        now_s : float
            Time of the session.
        """
        if self._from is None:
            self._from = (now_s, distance)
        since_s, before = self._from
        if now_s - since_s < self._config.every_s - 1e-9:
            return
        bothered = distance > before and attended
        # Centred, so that a score times the separation is the logarithm of the odds of an error.
        mean = self._config.separation * (0.5 if bothered else -0.5)
        score = float(mean + self._rng.standard_normal())
        due = now_s + float(self._rng.uniform(*self._config.delay_s))
        self._waiting.append((due, trial, score * self._config.separation))
        self._from = (now_s, distance)

    def arrived(self, now_s: float) -> list[tuple[int, float]]:
        """Number of the trial and log odds of an error, for each that has become known by now."""
        known = [(trial, odds) for due, trial, odds in self._waiting if due <= now_s]
        self._waiting = deque(item for item in self._waiting if item[0] > now_s)
        return known
