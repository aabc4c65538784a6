"""Somebody who learns to regulate a band power: best when it is neither easy nor hopeless.

A model with the effects that training protocols are made around, and no more: learning is fastest
at the edge of ability [1]_, success below a tolerance frustrates, work tires and rest mends, late
feedback teaches less and half a second late nothing [2]_. That the edge lies at a success rate of
0.65 is our assumption, after the reward rates of 60 to 70 % that neurofeedback usually aims at;
none of the sizes was measured on anybody.

References
----------
.. [1] Guadagnoli, Lee. Challenge point: a framework for conceptualizing the effects of various
   practice conditions in motor learning. J. Motor Behavior, 2004.
.. [2] Belinskaia, Smetanin, Lebedev, Ossadtchi. Short-delay neurofeedback facilitates training of
   the parietal alpha rhythm. J. Neural Engineering, 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError

Floats = NDArray[np.float64]

PIECE_S = 10
"""The state of the person is brought up to date this often within a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraineeConfig:
    """What somebody is like. Levels are in standard deviations of the resting measure.

    Parameters
    ----------
    skill : float
        Level reached with full effort at the beginning.
    ceiling : float
        Level that endless training leads to.
    rate : float
        Share of the way to the ceiling that a minute at the edge of ability brings.
    edge, width : float
        Success rate at which learning is fastest, and how far from it little is left.
    tires_s, rests_s : float
        Time constants of tiring and of recovering, in seconds.
    tired_share : float
        Share of effort that is lost when wholly tired.
    tolerates : float
        Success rate below which frustration grows.
    frustrated_share : float
        Share of effort that is lost when wholly frustrated.
    forgets : float
        Share of what was gained that is lost between two sessions.
    """

    skill: float = 0.3
    ceiling: float = 2.0
    rate: float = 0.03
    edge: float = 0.65
    width: float = 0.15
    tires_s: float = 900.0
    rests_s: float = 120.0
    tired_share: float = 0.5
    tolerates: float = 0.4
    frustrated_share: float = 0.5
    forgets: float = 0.1

    def __post_init__(self) -> None:
        for name in ("width", "tires_s", "rests_s", "ceiling"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of a trainee must be positive, got {getattr(self, name)}: give a "
                    f"positive number."
                )
        shares = ("rate", "edge", "tired_share", "tolerates", "frustrated_share", "forgets")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} of a trainee must be from 0 to 1, got {getattr(self, name)}: give a "
                    f"share."
                )
        if not self.skill <= self.ceiling:
            raise ConfigError(
                f"A trainee's skill must not be above the ceiling, got {self.skill} and "
                f"{self.ceiling}: lower the one or raise the other."
            )

    @classmethod
    def sampled(cls, rng: np.random.Generator) -> Self:
        """Somebody, between half and twice of the usual."""
        usual = cls()

        def around(value: float) -> float:
            return value * float(2 ** rng.uniform(-1, 1))

        return cls(
            skill=float(rng.uniform(0.0, 0.8)),
            ceiling=float(rng.uniform(1.2, 2.8)),
            rate=around(usual.rate),
            tires_s=around(usual.tires_s),
            rests_s=around(usual.rests_s),
            tolerates=float(rng.uniform(0.3, 0.5)),
        )


class Trainee:
    """The state of one over a course of training.

    Parameters
    ----------
    config : TraineeConfig
        What they are like.
    """

    Config = TraineeConfig

    def __init__(self, config: TraineeConfig) -> None:
        self.config = config
        self.skill = config.skill
        self.fatigue = self.frustration = 0.0

    @property
    def effort(self) -> float:
        """Share of the skill that shows now."""
        config = self.config
        return (1 - config.tired_share * self.fatigue) * (
            1 - config.frustrated_share * self.frustration
        )

    @property
    def level(self) -> float:
        """Mean of the measure while trying."""
        return self.skill * self.effort

    def success(self, threshold: float) -> float:
        """Share of the time that the measure is above a threshold, if its spread is one."""
        return 0.5 * math.erfc((threshold - self.level) / math.sqrt(2))

    def train(
        self, threshold: float, seconds: int, late_s: float, rng: np.random.Generator
    ) -> Floats:
        """A block with feedback.

        Parameters
        ----------
        threshold : float
            Above which there is reward.
        seconds : int
            Length of the block.
        late_s : float
            By how much feedback is later than the shortest possible.
        rng : numpy.random.Generator
            Where chance comes from.

        Returns
        -------
        measure : ndarray, shape (seconds,)
            One value a second.
        """
        levels = []
        for start in range(0, seconds, PIECE_S):
            piece = min(PIECE_S, seconds - start)
            levels += [self.level] * piece
            self._change(self.success(threshold), piece, late_s)
        measure: Floats = np.array(levels) + rng.standard_normal(seconds)
        return measure

    def _change(self, success: float, seconds: float, late_s: float) -> None:
        config = self.config
        challenge = math.exp(-0.5 * ((success - config.edge) / config.width) ** 2)
        teaches = max(0.0, 1.0 - late_s / 0.5)
        share = config.rate * seconds / 60 * challenge * teaches * self.effort
        self.skill += share * (config.ceiling - self.skill)
        self.fatigue += (1 - self.fatigue) * (1 - math.exp(-seconds / config.tires_s))
        bothered = max(0.0, 1 - success / config.tolerates) if config.tolerates else 0.0
        self.frustration += (bothered - self.frustration) * (1 - math.exp(-seconds / 60))

    def probe(self, seconds: int, rng: np.random.Generator) -> float:
        """Mean of the measure while trying without feedback: what transfers."""
        return float(self.level + rng.standard_normal() / math.sqrt(seconds))

    def rest(self, seconds: float) -> None:
        """A pause."""
        self.fatigue *= math.exp(-seconds / self.config.rests_s)

    def sleep(self) -> None:
        """A night between two sessions."""
        self.skill -= self.config.forgets * max(0.0, self.skill - self.config.skill)
        self.fatigue = self.frustration = 0.0
