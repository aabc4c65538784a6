"""A simulated person in training, for tests and for rehearsing a protocol.

Skill rises with *effective* practice by the power law [1]_. A session counts as much effective
practice as its settings are near the person's own challenge point [2]_; blocks that are long for
the person tire, and reward that is rare frustrates. Its figures are assumptions: no data set of
many people, many sessions and many settings is public. What a protocol gains on such persons shows
that it does what it should, not what it would gain on people.

References
----------
.. [1] Newell, Rosenbloom. Mechanisms of skill acquisition and the law of practice. 1981.
.. [2] Guadagnoli, Lee. Challenge point: a framework for conceptualizing the effects of various
   practice conditions in motor learning. J. Motor Behavior, 2004.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from .bounds import Dose, ProtocolBounds
from .history import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TraineeConfig:
    """Of which people the simulated ones are drawn.

    Parameters
    ----------
    capacity : float
        Median of what can be learnt, in probe units.
    non_learners : float
        Share of people who learn a tenth of that.
    half_sessions : float
        Effective sessions after which half of the capacity is reached.
    difficulty_spread, block_spread : float
        How far people's own best settings lie from the usual ones: standard deviations, as a share
        of half the range that the bounds allow.
    tolerance : float
        How narrow their challenge point is, as a share of the same.
    probe_noise : float
        Standard deviation of a probe from day to day.
    sign_spread : float
        How far what tires or frustrates a person lies from what teaches least: standard deviation,
        as a share of half the range. 0 would make the signs a perfect guide.
    """

    capacity: float = 1.0
    non_learners: float = 0.2
    half_sessions: float = 10.0
    difficulty_spread: float = 0.6
    block_spread: float = 0.6
    tolerance: float = 0.6
    probe_noise: float = 0.25
    sign_spread: float = 0.4


class Trainee:
    """One simulated person.

    Parameters
    ----------
    bounds : ProtocolBounds
        What the settings mean.
    config : TraineeConfig
        Of whom the person is one.
    seed : int
        Which one.
    """

    def __init__(self, bounds: ProtocolBounds, config: TraineeConfig, seed: int) -> None:
        self._bounds, self._config = bounds, config
        self._rng = np.random.default_rng(seed)
        draw = self._rng.standard_normal(4)
        self._capacity = config.capacity * math.exp(0.3 * draw[0])
        if self._rng.random() < config.non_learners:
            self._capacity *= 0.1
        self.best = (
            float(np.clip(config.difficulty_spread * draw[1], -1, 1)),
            float(np.clip(config.block_spread * draw[2], -1, 1)),
        )
        """Best difficulty and length of blocks, from -1 at the least that is allowed to 1."""
        self._start = 0.3 * draw[3]
        self._bears = config.sign_spread * self._rng.standard_normal(2)
        self._practice = 0.0

    @property
    def skill(self) -> float:
        """What a probe without noise would show above the start, in probe units."""
        # (1 + n / half) ** -1 is one half at n = half: a power law of exponent 1.
        return self._capacity * (1 - 1 / (1 + self._practice / self._config.half_sessions))

    def efficiency(self, dose: Dose) -> float:
        """How much of a session counts, in [0, 1]."""
        away = sum(
            (place - best) ** 2 for place, best in zip(self._places(dose), self.best, strict=True)
        )
        return math.exp(-away / (2 * self._config.tolerance**2))

    def train(self, dose: Dose) -> Outcome:
        """Go through a session.

        Parameters
        ----------
        dose : Dose
            What it asks.

        Returns
        -------
        outcome : Outcome
            With a noisy probe and noisy signs.
        """
        self._practice += self.efficiency(dose)
        hard, long = self._places(dose)
        noise = self._rng.standard_normal(3)
        tired = 1 / (1 + math.exp(-3 * (long - self.best[1] - 0.5 - self._bears[0])))
        beyond = self._bounds.harder * (hard - self.best[0])
        frustrated = 1 / (1 + math.exp(-3 * (beyond - 0.5 - self._bears[1])))
        return Outcome(
            dose=dose,
            probe=self._start + self.skill + self._config.probe_noise * float(noise[0]),
            fatigue=float(np.clip(tired + 0.15 * noise[1], 0, 1)),
            frustration=float(np.clip(frustrated + 0.15 * noise[2], 0, 1)),
        )

    @classmethod
    def many(cls, bounds: ProtocolBounds, config: TraineeConfig, seeds: range) -> tuple[Self, ...]:
        """One person for each seed."""
        return tuple(cls(bounds, config, seed) for seed in seeds)

    def _places(self, dose: Dose) -> tuple[float, float]:
        bounds = self._bounds
        return (
            (dose.difficulty - bounds.difficulty.usual) / bounds.difficulty.span,
            (dose.block_s - bounds.block_s.usual) / bounds.block_s.span,
        )
