"""Who can sit before a decoder: people drawn by chance, and people fitted to real recordings.

References
----------
- Chevallier, Carrara, Aristimunha et al. The largest EEG-based BCI reproducibility study for
  open science: the MOABB benchmark. arXiv:2404.15319, 2024.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats
from .person import PersonConfig

IMAGERY = "motor imagery"
FLASHES = "flashes"

_DISTANCE = {IMAGERY: 2.6, FLASHES: 1.8}
"""Median distance between classes, in standard deviations of a window's noise.

Set on people 100 to 139: accuracy without drift should be spread about as that of tangent space
with logistic regression in BNCI2014-001 (four classes, 72.0 +- 15.5 %), and single flashes told
apart about as in BNCI2014-008 (area under the curve 85.6 +- 4.4 %).
"""

_SPREAD = {IMAGERY: 0.4, FLASHES: 0.15}
"""Of the logarithm of that, over people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Statistics of a person's features; no signal and nothing that identifies anybody.

    Parameters
    ----------
    name : str
        Pseudonym.
    distances : tuple of tuple of float
        Between classes, in standard deviations of the noise of a window.
    correlation : float
        Share of the noise that windows of one trial have in common, 0 to 0.95.
    tail : float
        Degrees of freedom of how noisy trials are, 3 to 100.
    common, own : float
        Run-to-run drift of all classes together and of each for itself, root of the mean squared
        length in standard deviations of the noise; 0 where not known.
    task, data_set, licence : str
        Where it comes from.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    name: str
    distances: tuple[tuple[float, ...], ...]
    correlation: float
    tail: float
    common: float = 0.0
    own: float = 0.0
    task: str = IMAGERY
    data_set: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        bounds = {"correlation": (0, 0.95), "tail": (3, 100), "common": (0, 20), "own": (0, 20)}
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} of {self.name!r} must be in [{low}, {high}]: {value}.")
        apart = np.array(self.distances)
        square = apart.ndim == 2 and len(apart) == apart.shape[1] >= 2
        if not square or not np.allclose(apart, apart.T) or not (apart >= 0).all():
            raise ConfigError(
                f"Distances of {self.name!r} must be a symmetric table of at least 2 by 2 numbers "
                f"that are not negative; fit the person again."
            )

    @classmethod
    def sampled(cls, n_classes: int, task: str, rng: np.random.Generator) -> Self:
        """Somebody.

        Parameters
        ----------
        n_classes : int
            Of the decoder.
        task : str
            `IMAGERY` or `FLASHES`.
        rng : numpy.random.Generator
            Where chance comes from.

        Returns
        -------
        traits : Traits
            Some classes lie closer together than others.
        """
        size = _DISTANCE[task] * np.exp(_SPREAD[task] * rng.standard_normal())
        unequal = np.exp(0.2 * rng.standard_normal((n_classes, n_classes)))
        apart = size * np.sqrt(unequal * unequal.T) * (1 - np.eye(n_classes))
        low, high = (0.3, 0.7) if task == IMAGERY else (0.0, 0.1)
        return cls(
            name="sampled",
            distances=tuple(map(tuple, apart.tolist())),
            correlation=float(rng.uniform(low, high)),
            tail=float(rng.uniform(5, 15)),
            task=task,
        )

    @property
    def apart(self) -> Floats:
        """Distances as an array, shape (n_classes, n_classes)."""
        return np.array(self.distances)

    def at_distance(self, distance: float) -> Self:
        """The same person with classes that are this far apart on average."""
        apart = self.apart
        factor = distance / max(apart[np.triu_indices(len(apart), 1)].mean(), 1e-9)
        return replace(self, distances=tuple(map(tuple, (factor * apart).tolist())))


@cache
def fitted_people() -> dict[str, Traits]:
    """People fitted to real recordings, by name; see `diverloop.rl.envs.fitting`."""
    text = files(__package__).joinpath("people.json").read_text(encoding="utf-8")
    people = {}
    for record in json.loads(text)["people"]:
        distances = tuple(map(tuple, record.pop("distances")))
        people[record["name"]] = Traits(distances=distances, **record)
    return people


def who(
    wanted: int | str | Traits | Mapping[str, Any] | None,
    n_classes: int,
    task: str,
    rng: np.random.Generator,
) -> tuple[Traits, PersonConfig, np.random.Generator]:
    """The person that an option names.

    Parameters
    ----------
    wanted : int, str, Traits, dict or None
        A number, which is the same person in every episode; the name of a fitted person, or traits
        fitted by oneself; a dict with ``who`` (any of these), ``distance`` and any trait of
        `PersonConfig`; None for somebody drawn with the episode.
    n_classes : int
        Of the decoder.
    task : str
        `IMAGERY` or `FLASHES`.
    rng : numpy.random.Generator
        Of the episode.

    Returns
    -------
    traits : Traits
        Of the features.
    config : PersonConfig
        Of the behaviour; of fitted people too it is drawn, for no recording tells it.
    rng : numpy.random.Generator
        What else belongs to the person comes from it: theirs if they were named, else the
        episode's.

    Raises
    ------
    ConfigError
        If nobody is called so, or the person has another number of classes.
    """
    changes: dict[str, Any] = dict(wanted) if isinstance(wanted, Mapping) else {"who": wanted}
    chosen, distance = changes.pop("who", None), changes.pop("distance", None)
    if isinstance(chosen, int | np.integer):
        if chosen < 0:
            raise ConfigError(f"The number of a person must not be negative, got {chosen}.")
        rng = np.random.default_rng(int(chosen))
    if isinstance(chosen, str):
        chosen = _known(chosen)
    if isinstance(chosen, Traits):
        rng = np.random.default_rng(list(chosen.name.encode()))
    config = PersonConfig.sampled(rng)
    traits = Traits.sampled(n_classes, task, rng)
    if isinstance(chosen, Traits):
        traits = _with_classes(chosen, n_classes)
    if distance is not None:
        if not 0 <= distance <= 20:
            raise ConfigError(f"user.distance must be in [0, 20], got {distance}.")
        traits = traits.at_distance(distance)
    return traits, config.changed(changes), rng


def _known(name: str) -> Traits:
    """A fitted person, or a sentence that says who is known."""
    people = fitted_people()
    if name not in people:
        raise ConfigError(f"Nobody is called {name!r}; known are {', '.join(sorted(people))}.")
    return people[name]


def _with_classes(traits: Traits, n_classes: int) -> Traits:
    """The same, if they have as many classes as the environment."""
    if (has := len(traits.distances)) != n_classes:
        raise ConfigError(
            f"{traits.name} has {has} classes and the environment {n_classes}: make it with "
            f"n_classes={has}."
        )
    return traits
