"""How features of one person come about: classes in a whitened space, noise, and a mixture.

Classes are points in a space in which the noise within a class has variance one. Windows of one
trial share part of their noise, some trials are noisier than others, and features are a mixture of
all directions. It is the model that linear discriminant analysis assumes, with heavier tails; so
linear readers are at their best here, and self-training is easier than on a real signal.

References
----------
- Torgerson. Multidimensional scaling: I. Theory and method. Psychometrika, 1952.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.prototype_head import Floats
from .drift import Change

LIMIT = 1000.0
"""Largest feature; far beyond what is drawn, so that observations have a bounded space."""

ARTEFACT = 4.0
"""How many times the usual noise an artefact brings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """What stays of a person over a session.

    Parameters
    ----------
    means : ndarray, shape (n_classes, n_features)
        Of classes in the whitened space; rest is at 0.
    rest : ndarray, shape (n_classes,)
        Weights of the classes that make rest: where windows lie when nothing is done.
    correlation : float
        Share of the noise that the windows of one trial have in common.
    tail : float
        Degrees of freedom of how noisy trials are; small means heavy tails. Above 2.
    mixture : ndarray, shape (n_features, n_features)
        From the whitened space to features.
    offset : ndarray, shape (n_features,)
        Features of rest at calibration.
    """

    means: Floats
    rest: Floats
    correlation: float
    tail: float
    mixture: Floats
    offset: Floats

    @classmethod
    def grown(
        cls,
        distances: Floats,
        rest: Floats,
        n_features: int,
        rng: np.random.Generator,
        *,
        correlation: float,
        tail: float,
    ) -> Self:
        """Somebody with given distances between classes and a mixture of their own.

        Parameters
        ----------
        distances : ndarray, shape (n_classes, n_classes)
            In standard deviations of the noise of a window.
        rest : ndarray, shape (n_classes,)
            Sums to 1.
        n_features : int
            At least two more than classes.
        rng : numpy.random.Generator
            Where the mixture comes from.
        correlation, tail : float
            See the class.

        Returns
        -------
        body : Body
            Ready to be drawn from.
        """
        means = np.zeros((len(distances), n_features))
        means[:, : len(distances)] = scaled(distances)
        turned = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
        sizes = np.exp(0.5 * rng.standard_normal(n_features))
        return cls(
            means=means - rest @ means,
            rest=rest,
            correlation=correlation,
            tail=tail,
            mixture=turned * sizes,
            offset=rng.standard_normal(n_features),
        )

    def draw(
        self,
        classes: NDArray[np.int64],
        modulation: float,
        change: Change,
        rng: np.random.Generator,
        noisy: float = 1.0,
    ) -> Floats:
        """Features of one trial.

        Parameters
        ----------
        classes : ndarray of int, shape (n_windows,)
            What each window is of.
        modulation : float
            1 as at calibration, 0 for rest.
        change : Change
            What drift does to this trial.
        rng : numpy.random.Generator
            Where the noise comes from; how much is taken depends on the number of windows alone.
        noisy : float
            Noise is multiplied by it.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            Within `LIMIT`.
        """
        noise = noisy * self._noise(len(classes), rng)
        silence = rng.standard_normal((len(classes), len(self.offset)))
        rest = self.rest @ change.means
        at = change.shift + rest + modulation * (change.means[classes] - rest) + noise
        signal = change.gain * (at @ self.mixture)
        spread = np.linalg.norm(self.mixture, axis=0)
        signal[:, change.dead] = (silence * spread)[:, change.dead]
        clipped: Floats = np.clip(signal + self.offset, -LIMIT, LIMIT)
        return clipped

    def _noise(self, n_windows: int, rng: np.random.Generator) -> Floats:
        """Variance one; in part the same for all windows of a trial."""
        shared = rng.standard_normal(len(self.offset))
        alone = rng.standard_normal((n_windows, len(self.offset)))
        size = np.sqrt((self.tail - 2) / rng.chisquare(self.tail))
        noise: Floats = size * (
            np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * alone
        )
        return noise


def scaled(distances: Floats) -> Floats:
    """Points with given distances, by classical scaling.

    Parameters
    ----------
    distances : ndarray, shape (n, n)
        Symmetric, zero on the diagonal.

    Returns
    -------
    points : ndarray, shape (n, n)
        Their middle is 0. Distances that no points can have are met as nearly as can be.
    """
    n = len(distances)
    middle = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * middle @ distances**2 @ middle)
    points: Floats = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    return points
