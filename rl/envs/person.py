"""Who sits before the decoder: attends or not, practises, tires, gets frustrated, takes a moment.

Nothing here knows what the person does; environments scale what they draw by `Person.modulation`
and ask `Person.attends` before each piece of work. Sizes are choices of a model, set so that each
effect can be seen in a session of half an hour, not measurements of anybody, but for those that
name a source.

References
----------
- Newell, Rosenbloom. Mechanisms of skill acquisition and the law of practice. In: Cognitive
  Skills and Their Acquisition, 1981.
- Müller, Vidaurre, Schreuder et al. A mathematical model for the two-learners problem. J.
  Neural Engineering 14(3), 2017.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...runtime.errors import ConfigError
from ..ranges import changed

_BOUNDS = {
    "lapses": (0.0, 0.9), "gain": (0.0, 2.0), "rate": (0.0, 2.0), "practice": (1.0, 10_000.0),
    "fatigue": (0.0, 0.9), "tires_s": (10.0, 100_000.0), "tired_lapses": (0.0, 0.5),
    "frustration": (0.0, 1.0), "tolerates": (0.0, 0.99), "reaction_s": (0.0, 2.0),
    "reaction_spread": (0.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonConfig:
    """What a person is like.

    Parameters
    ----------
    lapses : float
        Share of trials in which a rested person does something else; 0.05 to 0.25 is usual.
    gain : float
        How much stronger modulation gets with endless practice, as a share of what it was at
        calibration.
    rate : float
        Exponent of the power law of practice; 0 for somebody who does not learn.
    practice : float
        Trials after which ``(1 + n / practice) ** -rate`` begins to fall.
    fatigue : float
        Share of modulation that is lost in the end.
    tires_s : float
        Time constant of that, in seconds.
    tired_lapses : float
        Lapses added when wholly tired.
    frustration : float
        Share of modulation that is lost where every decision is wrong.
    tolerates : float
        Share of errors below which nobody is frustrated.
    remembers : int
        Trials on which frustration rests.
    reaction_s, reaction_spread : float
        Median of the time to react in seconds, and the spread of its logarithm.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    lapses: float = 0.1
    gain: float = 0.15
    rate: float = 0.4
    practice: float = 50.0
    fatigue: float = 0.15
    tires_s: float = 1800.0
    tired_lapses: float = 0.05
    frustration: float = 0.3
    tolerates: float = 0.2
    remembers: int = 10
    reaction_s: float = 0.35
    reaction_spread: float = 0.25

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"person.{name} must be in [{low:g}, {high:g}], got {value}.")
        if not 1 <= self.remembers <= 1000:
            raise ConfigError(f"person.remembers must be 1 to 1000 trials, got {self.remembers}.")

    @classmethod
    def sampled(cls, rng: np.random.Generator) -> PersonConfig:
        """Somebody: lapses 5 to 25 %, everything else between half and one and a half of usual.

        Parameters
        ----------
        rng : numpy.random.Generator
            Where chance comes from; nine numbers are taken.

        Returns
        -------
        config : PersonConfig
            Valid.
        """
        usual = cls()
        varied = ("gain", "rate", "practice", "fatigue", "tires_s", "frustration", "reaction_s")
        factors = rng.uniform(0.5, 1.5, len(varied))
        chosen: dict[str, Any] = {
            name: float(getattr(usual, name) * f) for name, f in zip(varied, factors, strict=True)
        }
        return replace(
            usual,
            lapses=float(rng.uniform(0.05, 0.25)),
            tolerates=float(rng.uniform(0.1, 0.4)),
            **chosen,
        )

    @classmethod
    def steady(cls) -> PersonConfig:
        """Somebody who neither lapses, learns, tires nor minds; reacts at once. For controls."""
        zero: dict[str, Any] = {
            name: 0.0 for name in ("lapses", "gain", "fatigue", "tired_lapses", "frustration")
        }
        return cls(**zero, reaction_s=0.0, reaction_spread=0.0)

    def changed(self, options: Mapping[str, Any]) -> PersonConfig:
        """The same person with some values replaced.

        Parameters
        ----------
        options : dict
            By the names above.

        Returns
        -------
        config : PersonConfig
            Valid.

        Raises
        ------
        ConfigError
            If a name is unknown or a value is outside its bounds.
        """
        return changed(self, options, "A person")


class Person:
    """The state of one over a session.

    Parameters
    ----------
    config : PersonConfig
        What they are like.
    """

    Config = PersonConfig

    def __init__(self, config: PersonConfig | None = None) -> None:
        self.config = config or PersonConfig()
        self._practised = 0
        self._awake_s = 0.0
        self._last: deque[bool] = deque(maxlen=self.config.remembers)

    @property
    def tiredness(self) -> float:
        """0 when rested, towards 1."""
        return 1.0 - float(np.exp(-self._awake_s / self.config.tires_s))

    @property
    def annoyance(self) -> float:
        """0 while errors are tolerated, 1 when every decision of late was wrong."""
        # As if all that was not seen yet had been right: one early error annoys nobody.
        errors = (len(self._last) - sum(self._last)) / self.config.remembers
        return max(0.0, (errors - self.config.tolerates) / (1 - self.config.tolerates))

    @property
    def skill(self) -> float:
        """What practice made of modulation, 1 at calibration."""
        config = self.config
        left = float((1 + self._practised / config.practice) ** -config.rate)
        return 1 + config.gain * (1 - left)

    @property
    def modulation(self) -> float:
        """How strongly signals follow intention now, 1 as at calibration."""
        tired = 1 - self.config.fatigue * self.tiredness
        return self.skill * tired * (1 - self.config.frustration * self.annoyance)

    def attends(self, rng: np.random.Generator) -> bool:
        """Whether the next piece of work is done at all; takes one number from `rng`."""
        lapses = self.config.lapses + self.config.tired_lapses * self.tiredness
        return bool(rng.random() >= lapses)

    def reaction(self, rng: np.random.Generator) -> float:
        """Seconds from a cue to the first change of the signal; takes one number from `rng`."""
        return self.config.reaction_s * float(
            np.exp(self.config.reaction_spread * rng.standard_normal())
        )

    def feedback(self, right: bool) -> None:
        """A decision was seen, and it was what was wanted, or not; counts as practice."""
        self._practised += 1
        self._last.append(bool(right))

    def advance(self, s: float) -> None:
        """Time passes, in seconds."""
        self._awake_s += s
