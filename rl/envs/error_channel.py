"""Error potentials as a decoder gets them: late, noisy, sometimes not at all.

A detector gives a score to what follows each feedback. Scores are normal with variance one, and
their mean is higher after an error by the *separation*; a threshold in the middle then finds errors
and leaves right decisions alone equally well. Separation falls over a session, a person who
was not attending notices nothing, and some trials are lost to artefacts.

References
----------
- Green, Swets. Signal Detection Theory and Psychophysics, 1966.
- Xavier Fidêncio, Klaes, Iossifidis. Error-related potentials in reinforcement learning-based
  brain-machine interfaces. Frontiers in Human Neuroscience, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from statistics import NormalDist
from typing import Any

import numpy as np

from ...runtime.errors import ConfigError

Score = tuple[int, float, float]
"""Number of a trial, score of its feedback (0 is the threshold), and when it was known in s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorChannelConfig:
    """How good the detector is.

    Parameters
    ----------
    balanced_accuracy : float
        At the middle threshold with a fresh, attending person; 0.5 says nothing.
    habituation : float
        Share of separation that is lost by the end of the session.
    missing : float
        Share of feedbacks without a score.
    delay_s : tuple of float
        Shortest and longest time from feedback to score, in seconds.
    delay_trials : tuple of int
        Fewest and most decisions that are made between a feedback and its score.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    balanced_accuracy: float = 0.75
    habituation: float = 0.2
    missing: float = 0.05
    delay_s: tuple[float, float] = (0.2, 1.5)
    delay_trials: tuple[int, int] = (1, 2)

    def __post_init__(self) -> None:
        bounds = {"balanced_accuracy": (0.5, 0.999), "habituation": (0, 1), "missing": (0, 1)}
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"errp.{name} must be in [{low}, {high}], got {value}.")
        for name, most in (("delay_s", 60), ("delay_trials", 100)):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= most:
                raise ConfigError(
                    f"errp.{name} must be two values, least first, in [0, {most}], got "
                    f"{low} and {high}."
                )

    @property
    def separation(self) -> float:
        """Distance of the means of scores after errors and after right decisions."""
        return 2 * NormalDist().inv_cdf(self.balanced_accuracy)

    def log_odds(self, score: float) -> float:
        """How much more probable a score is after a right decision than after an error.

        Parameters
        ----------
        score : float
            0 is the threshold; more means error.

        Returns
        -------
        log_odds : float
            Logarithm of the ratio, as of a fresh, attending person.
        """
        return -self.separation * score

    def value(self, score: float) -> float:
        """Estimate of whether the decision was right whose mean is the accuracy.

        A detection, corrected for how often the detector is wrong either way. Habituation and
        lapses make real detectors worse than they were at calibration, and this estimate then
        errs towards what the detector says most.

        Parameters
        ----------
        score : float
            0 is the threshold; more means error.

        Returns
        -------
        value : float
            One half if the detector says nothing, else outside 0 to 1.
        """
        found = 2 * self.balanced_accuracy - 1
        if found <= 0:
            return 0.5
        return float((float(score < 0) - (1 - self.balanced_accuracy)) / found)


@dataclass(slots=True)
class ErrorChannel:
    """Scores on their way.

    Parameters
    ----------
    config : ErrorChannelConfig
        How good the detector is.
    n_trials : int
        Of the session, over which the person gets used to errors.
    """

    config: ErrorChannelConfig
    n_trials: int
    _under_way: list[tuple[int, Score]] = field(default_factory=list)

    def sees(
        self, trial: int, right: bool, attended: bool, at_s: float, rng: np.random.Generator
    ) -> None:
        """Feedback was shown.

        Parameters
        ----------
        trial : int
            Its number.
        right : bool
            Whether it was what was meant.
        attended : bool
            A person who did not attend has no error potential.
        at_s : float
            When, in seconds.
        rng : numpy.random.Generator
            Four numbers are taken from it, whatever happens.
        """
        noise, lost = float(rng.standard_normal()), rng.random()
        delay_s = float(rng.uniform(*self.config.delay_s))
        late = int(rng.integers(self.config.delay_trials[0], self.config.delay_trials[1] + 1))
        if lost < self.config.missing:
            return
        used = self.config.habituation * min(1.0, trial / max(1, self.n_trials - 1))
        error = not right and attended
        mean = self.config.separation * ((1 - used) * error - 0.5)
        self._under_way.append((trial + late, (trial, noise + mean, at_s + delay_s)))

    def arrived(self, trial: int) -> list[Score]:
        """Scores that are known once a trial was decided, oldest first; each is given once."""
        due = [score for when, score in self._under_way if when <= trial]
        self._under_way = [waiting for waiting in self._under_way if waiting[0] > trial]
        return due


def error_channel_of(
    wanted: float | Mapping[str, Any] | ErrorChannelConfig | None,
) -> ErrorChannelConfig:
    """The channel that an option names.

    Parameters
    ----------
    wanted : float, dict, ErrorChannelConfig or None
        A balanced accuracy, settings by name, the config itself, or None for the usual one.

    Returns
    -------
    config : ErrorChannelConfig
        Valid.

    Raises
    ------
    ConfigError
        If a setting is unknown or outside its bounds.
    """
    if wanted is None or isinstance(wanted, ErrorChannelConfig):
        return wanted or ErrorChannelConfig()
    if not isinstance(wanted, Mapping):
        return ErrorChannelConfig(balanced_accuracy=float(wanted))
    known = [one.name for one in fields(ErrorChannelConfig)]
    if unknown := sorted(set(wanted) - set(known)):
        raise ConfigError(f"errp has no {unknown[0]!r}; it has {', '.join(known)}.")
    settings = dict(wanted)
    for name in ("delay_s", "delay_trials"):
        if name in settings:
            settings[name] = tuple(settings[name])
    return ErrorChannelConfig(**settings)
