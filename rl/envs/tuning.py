"""Features that are tuned to an intended velocity, and how the tuning drifts.

Each feature rises with the cosine between its preferred direction and the intention [1]_. A change
of intention to feature is what makes a decoder go stale; the kinds that this file knows are those
seen between and within sessions of implanted arrays [2]_, [3]_.

References
----------
.. [1] Georgopoulos, Kalaska, Caminiti, Massey. On the relations between the direction of
   two-dimensional arm movements and cell discharge in primate motor cortex. J. Neuroscience, 1982.
.. [2] Perge et al. Intra-day signal instabilities affect decoding performance in an intracortical
   neural interface system. J. Neural Engineering, 2013.
.. [3] Pun et al. Measuring instability in chronic human intracortical neural recordings towards
   stable, long-term brain-computer interfaces (MINDFUL). Communications Biology, 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError

Floats = NDArray[np.float64]

KINDS = ("none", "rotation", "gain", "shift", "channel_death", "abrupt_recap")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningDriftConfig:
    """How the tuning changes in the course of a session.

    Parameters
    ----------
    kind : str
        ``"none"``; ``"rotation"`` of all preferred directions together; ``"gain"``, the depth of
        modulation; ``"shift"`` of the baselines; ``"channel_death"``, features that fall silent;
        ``"abrupt_recap"``, preferred directions mixed anew for a share of the features.
    size : float
        Radians for a rotation; factor by which the depth is multiplied, for a gain; noise standard
        deviations for a shift; share of the features, 0 to 1, for the two others.
    onset : int
        Trial at which it begins.
    trials : int
        Over how many trials it grows to its size; 0 for at once.
    """

    kind: str = "none"
    size: float = 0.0
    onset: int = 0
    trials: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"A drift of the tuning must be one of {', '.join(KINDS)}, got {self.kind!r}: "
                f"choose one of these."
            )
        if self.onset < 0 or self.trials < 0:
            raise ConfigError(
                f"A drift's onset and trials must not be negative, got {self.onset} and "
                f"{self.trials}: count trials from 0."
            )
        if not math.isfinite(self.size) or (self.kind == "gain" and self.size <= 0):
            raise ConfigError(
                f"A drift's size must be finite, and positive for a gain, got {self.size}: give a "
                f"size of that kind."
            )
        if self.kind in ("channel_death", "abrupt_recap") and not 0 <= self.size <= 1:
            raise ConfigError(
                f"The size of {self.kind} is a share of the features from 0 to 1, got {self.size}: "
                f"give a share."
            )

    def share(self, trial: int) -> float:
        """How much of it has come by a trial, 0 to 1."""
        if self.kind == "none" or trial < self.onset:
            return 0.0
        return 1.0 if self.trials == 0 else min(1.0, (trial - self.onset + 1) / self.trials)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """What features do for an intention, in units of their own noise.

    Parameters
    ----------
    depths : ndarray, shape (n_features, 2)
        Change of each feature for a full intention along each axis.
    baseline : ndarray, shape (n_features,)
        Without intention.
    mixing : ndarray, shape (n_features, n_shared)
        How noise that features share reaches each.
    """

    depths: Floats
    baseline: Floats
    mixing: Floats

    @classmethod
    def draw(
        cls, n_features: int, precision: float, shared: float, rng: np.random.Generator
    ) -> Self:
        """Preferred directions all around, depths of many sizes.

        Parameters
        ----------
        n_features : int
            How many.
        precision : float
            Sum of squared depths: with private noise alone, the variance of the best linear
            reading of one axis from one step is 2 / precision.
        shared : float
            Variance of the noise that features share, of 1 in all.
        rng : numpy.random.Generator
            Where chance comes from.

        Returns
        -------
        tuning : Tuning
            Without drift.
        """
        angles = rng.uniform(-np.pi, np.pi, n_features)
        sizes = rng.lognormal(0.0, 0.5, n_features)
        sizes *= np.sqrt(precision / (sizes**2).sum())
        mixing = rng.standard_normal((n_features, 2)) * np.sqrt(shared / 2)
        return cls(
            depths=sizes[:, None] * np.column_stack([np.cos(angles), np.sin(angles)]),
            baseline=rng.normal(0.0, 0.5, n_features),
            mixing=mixing,
        )

    def features(self, intention: Floats, rng: np.random.Generator) -> Floats:
        """One step of them, shape (n_features,), for an intention within the unit disc."""
        private = rng.standard_normal(len(self.baseline))
        together = rng.standard_normal(self.mixing.shape[1])
        step: Floats = self.baseline + self.depths @ intention + private + self.mixing @ together
        return step

    def drifted(self, drift: TuningDriftConfig, trial: int, seed: int) -> Tuning:
        """The same as a drift has changed it by a trial.

        Parameters
        ----------
        drift : TuningDriftConfig
            Which.
        trial : int
            From 0.
        seed : int
            What decides which features it strikes; the same for all trials of a session.

        Returns
        -------
        tuning : Tuning
            Itself where nothing has changed.
        """
        share = drift.share(trial)
        if share == 0.0:
            return self
        rng, depths, baseline = np.random.default_rng(seed), self.depths, self.baseline
        if drift.kind == "rotation":
            depths = depths @ rotation(-share * drift.size)
        elif drift.kind == "gain":
            depths = depths * drift.size**share
        elif drift.kind == "shift":
            baseline = baseline + share * drift.size * rng.standard_normal(len(baseline))
        else:
            struck = rng.permutation(len(baseline))[: round(share * drift.size * len(baseline))]
            depths, baseline = depths.copy(), baseline.copy()
            if drift.kind == "channel_death":
                depths[struck], baseline[struck] = 0.0, 0.0
            else:
                turns = rng.uniform(-np.pi, np.pi, len(baseline))[struck]
                depths[struck] = np.array(
                    [d @ rotation(-a) for d, a in zip(depths[struck], turns, strict=True)]
                ).reshape(-1, 2)
        return Tuning(depths=depths, baseline=baseline, mixing=self.mixing)


def rotation(angle: float) -> Floats:
    """Matrix that turns a column vector anticlockwise by an angle in radians, shape (2, 2)."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])
