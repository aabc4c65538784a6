"""Motor imagery, one decision a trial: ``diverloop/MotorImagery-v0``.

A step is a trial of a few seconds. The observation is the features of its windows; the action is
the class to show, or to abstain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .people import IMAGERY
from .simulated import SignalConfig, SimulatedEnvironment
from .trial_environment import UTILITY, Observation, TrialsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorImageryConfig:
    """What may be set by ``gymnasium.make``.

    Parameters
    ----------
    n_classes : int
        Things that can be imagined.
    n_trials : int
        Of an episode.
    n_windows, n_features : int
        Of a trial.
    calibration : int
        Cued trials of each class.
    repeats : float
        Probability that a person wants the same once more; otherwise wishes are balanced.
    trial_s, pause_s : float
        Of a trial and after it, in seconds.
    artefacts : float
        Share of spoilt trials.
    reward : str
        ``"utility"`` or ``"observed"``; see `TrialsConfig`.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    n_classes: int = 4
    n_trials: int = 200
    n_windows: int = 4
    n_features: int = 16
    calibration: int = 25
    repeats: float = 0.2
    trial_s: float = 4.0
    pause_s: float = 1.5
    artefacts: float = 0.03
    reward: str = UTILITY

    def __post_init__(self) -> None:
        if not 0 <= self.repeats < 1:
            raise ConfigError(f"repeats must be in [0, 1), got {self.repeats}.")
        if not 2 <= self.calibration <= 10_000:
            raise ConfigError(f"calibration must be 2 to 10000 trials, got {self.calibration}.")


class MotorImagery(SimulatedEnvironment):
    """A person imagines one of some movements in each trial.

    Parameters
    ----------
    config : MotorImageryConfig or None
        All of it; or single settings by name.
    **settings : object
        Of `MotorImageryConfig`.
    """

    Config = MotorImageryConfig

    def __init__(self, config: MotorImageryConfig | None = None, **settings: object) -> None:
        config = config or MotorImageryConfig(**settings)  # type: ignore[arg-type]
        self.config = config
        self.classes = tuple(f"class {place}" for place in range(config.n_classes))
        signal = SignalConfig(
            n_classes=config.n_classes,
            n_windows=config.n_windows,
            n_features=config.n_features,
            calibration=config.calibration * config.n_classes,
            artefacts=config.artefacts,
        )
        trials = TrialsConfig(
            n_trials=config.n_trials,
            trial_s=config.trial_s,
            pause_s=config.pause_s,
            reward=config.reward,
        )
        rest = np.full(config.n_classes, 1 / config.n_classes)
        nothing_more: dict[str, gymnasium.Space[Any]] = {}
        super().__init__(config.n_classes, IMAGERY, rest, nothing_more, signal, trials)

    def _fresh(self) -> None:
        self._bag: list[int] = []
        self._wanted = 0

    def _wants(self, number: int) -> tuple[int, NDArray[np.int64], Observation]:
        """Now and then the same again, else what was wanted least of late."""
        again = self.np_random.random() < self.config.repeats
        if number == 0 or not again:
            if not self._bag:
                self._bag = self.np_random.permutation(self.config.n_classes).tolist()
            self._wanted = self._bag.pop()
        classes = np.full(self.config.n_windows, self._wanted)
        return self._wanted, classes, {}
