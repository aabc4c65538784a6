"""Environments in which a simulated person makes the signal."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats
from ..trial import ABSTAINED
from .drift import Change, Directions, Recorded, drift_of
from .features import ARTEFACT, LIMIT, Body
from .people import who
from .person import Person
from .trial_environment import Asked, Observation, TrialEnvironment, TrialsConfig

BAD_QUALITY = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfig:
    """What the decoder gets, and what it was calibrated on.

    Parameters
    ----------
    n_classes : int
        Of the decoder.
    n_windows, n_features : int
        Windows of a trial, and numbers in each.
    calibration : int
        Cued trials before the episode.
    artefacts : float
        Share of trials that are spoilt; their quality says so.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    n_classes: int
    n_windows: int
    n_features: int
    calibration: int
    artefacts: float = 0.03

    def __post_init__(self) -> None:
        bounds = {
            "n_classes": (2, 100), "n_windows": (1, 10_000), "calibration": (2, 100_000),
            "n_features": (self.n_classes + 2, 2_000), "artefacts": (0, 0.9),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} must be in [{low}, {high}], got {value}.")


class SimulatedEnvironment(TrialEnvironment):
    """A person with a body, behaviour and drift; what they want is for the environment to say.

    Parameters
    ----------
    n_options : int
        What can be decided.
    task : str
        Of `people`.
    rest : ndarray, shape (n_classes,)
        Weights of the classes that make up doing nothing.
    seen : dict of str to gymnasium.spaces.Space
        What is shown beside features, quality, time and the last decision.
    signal : SignalConfig
        What the decoder gets.
    trials : TrialsConfig
        Of the episode.
    """

    def __init__(
        self,
        n_options: int,
        task: str,
        rest: Floats,
        seen: Mapping[str, gymnasium.Space[Any]],
        signal: SignalConfig,
        trials: TrialsConfig,
    ) -> None:
        shape = (signal.n_windows, signal.n_features)
        features = gymnasium.spaces.Box(-LIMIT, LIMIT, shape, np.float64)
        super().__init__(n_options, {"features": features, **seen}, trials)
        self.signal, self._task, self._rest = signal, task, rest

    @abstractmethod
    def _wants(self, number: int) -> tuple[int, NDArray[np.int64], Observation]:
        """An option, the class of each window if it is meant, and what more is shown."""

    def _fresh(self) -> None:
        """Forget the last episode."""

    def _begin(self, options: dict[str, Any]) -> dict[str, Any]:
        """Draw person, body, drift and calibration, always in this order."""
        signal, rng = self.signal, self.np_random
        self._drift = drift_of(options.pop("drift", None))
        traits, config, theirs = who(
            options.pop("user", None), signal.n_classes, self._task, rng
        )
        if isinstance(self._drift, Recorded):
            self._drift = replace(self._drift, common=traits.common, own=traits.own)
        self._body = Body.grown(
            traits.apart, self._rest, signal.n_features, theirs,
            correlation=traits.correlation, tail=traits.tail,
        )  # fmt: skip
        self._to = Directions.drawn(self._body.means, signal.n_features, rng)
        self._missing = missing_of(options.pop("montage", None), signal.n_features, rng)
        self._fresh()
        self._person = Person(config)
        calibration = self._calibrate()
        self._fresh()
        self._person = Person(config)
        return calibration

    def _calibrate(self) -> dict[str, Any]:
        """Cued trials of a rested person, with lapses, before any drift."""
        features, labels = [], []
        unchanged = drift_of(None).change(0, self._to)
        for number in range(self.signal.calibration):
            _, classes, _ = self._wants(number)
            features.append(self._signal(classes, unchanged)[0])
            labels.append(classes)
        return {"features": np.stack(features), "labels": np.stack(labels)}

    def _signal(self, classes: NDArray[np.int64], change: Change) -> tuple[Floats, bool, bool]:
        """Features of a trial, whether the person attended, and whether it is spoilt."""
        attended = self._person.attends(self.np_random)
        spoilt = bool(self.np_random.random() < self.signal.artefacts)
        modulation = self._person.modulation if attended else 0.0
        features = self._body.draw(
            classes, modulation, change, self.np_random, ARTEFACT if spoilt else 1.0
        )
        return features, attended, spoilt

    def _ask(self, number: int) -> Asked:
        """Let the person do what they want, if they attend."""
        meant, classes, more = self._wants(number)
        change = self._drift.change(number, self._to)
        features, attended, spoilt = self._signal(classes, change)
        features[:, self._missing] = self._body.offset[self._missing]
        quality = np.array([BAD_QUALITY if spoilt else 1.0])
        shown = {"features": features, "quality": quality, **more}
        return Asked(observation=shown, meant=meant, attended=attended)

    def _shown(self, asked: Asked, decided: int) -> None:
        """An abstention neither pleases nor annoys, and nothing is practised."""
        if decided != ABSTAINED:
            self._person.feedback(decided == asked.meant)

    def _passes(self, s: float) -> None:
        self._person.advance(s)


def missing_of(
    montage: Mapping[str, Any] | None, n_features: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Features that read rest all through the episode, though not at calibration.

    Parameters
    ----------
    montage : dict or None
        ``missing``: their numbers, or how many to draw.
    n_features : int
        There are.
    rng : numpy.random.Generator
        A permutation is taken from it in any case.

    Returns
    -------
    missing : ndarray of int
        Their numbers.

    Raises
    ------
    ConfigError
        If there are no such features.
    """
    order = rng.permutation(n_features)
    settings = dict(montage or {})
    wanted = settings.pop("missing", 0)
    if settings:
        raise ConfigError(f"montage has no {next(iter(settings))!r}; it has missing.")
    if isinstance(wanted, int | np.integer):
        if not 0 <= wanted <= n_features:
            raise ConfigError(f"montage.missing must be 0 to {n_features} features, got {wanted}.")
        return order[:wanted]
    missing = np.array(list(wanted), dtype=np.int64)
    if missing.size and not (0 <= missing.min() and missing.max() < n_features):
        raise ConfigError(f"montage.missing names features 0 to {n_features - 1}, got {wanted}.")
    return missing
