"""What a calibration was like, and how far a short stretch of a session is from it.

The calibration is described by a Gaussian with a few directions of its own and one variance for
all others [1]_, which needs few samples for many features. Seen from it, in its standard
deviations, the calibration is a unit sphere; the last half minute has a mean and a covariance
there, and the distance of the two Gaussians is that of Wasserstein, in closed form [2]_::

    d^2 = |m|^2 + tr(S + I - 2 S^(1/2))

It is 0 for the same distribution, ``|m|`` for a pure shift, and sees a change of scale as well. The
covariance of so short a time is shrunk towards the calibration's, so that little data says little.

References
----------
.. [1] Tipping, Bishop. Probabilistic principal component analysis. J. R. Stat. Soc. B 61, 1999.
.. [2] Dowson, Landau. The Frechet distance between multivariate normal distributions. J.
   Multivar. Anal. 12, 1982.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

MOST_SAMPLES, FEWEST_SAMPLES = 240, 12
"""How many embeddings a reference is made of."""

_DIRECTIONS = 8
_FADE_S = 15.0  # the last half minute, roughly, counts
_PRIOR_TURNS = 20.0  # so many turns' worth of the calibration's covariance
_PIECES = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """What embeddings were like at calibration: a Gaussian with a few directions of its own.

    Parameters
    ----------
    mean : ndarray, shape (n_features,)
        Of the embeddings.
    directions : ndarray, shape (n_directions, n_features)
        Of most variance first, each of length 1.
    spread : ndarray, shape (n_directions,)
        Standard deviation along each.
    rest : float
        Standard deviation along any other direction; 0 where there is none.
    freedom : float
        How many equal directions the others are worth (Welch and Satterthwaite's degrees).
    strays : float
        How far the calibration is from itself, in pieces: the unit of ``Drift.index``.
    cloud : ndarray, shape (n_samples, 2)
        Samples along the first two directions, in standard deviations; may be empty.
    """

    mean: Floats
    directions: Floats
    spread: Floats
    rest: float
    freedom: float
    strays: float
    cloud: Floats

    @classmethod
    def of_samples(cls, samples: Floats, step_s: float = 0.05) -> Reference:
        """From embeddings, in the order in which they came.

        Parameters
        ----------
        samples : ndarray, shape (n_samples, n_features)
            At least 12; of more than 240, so many are taken at equal steps.
        step_s : float
            Seconds from one to the next.

        Returns
        -------
        reference : Reference
            Its `strays` is how far thirds of the calibration are from the other two.
        """
        samples = np.asarray(samples, float)
        if samples.ndim != 2 or len(samples) < FEWEST_SAMPLES or not np.isfinite(samples).all():
            raise ConfigError(
                f"A reference needs {FEWEST_SAMPLES} finite embeddings of one length, got an "
                f"array of shape {samples.shape}: give more of the calibration."
            )
        stride = math.ceil(len(samples) / MOST_SAMPLES)
        kept = samples[::stride]
        made = cls._fitted(kept)
        strays = _own_drift(kept, step_s * stride)
        cloud = made.seen(kept)[:, :2]
        return replace(made, strays=strays, cloud=cloud)

    @classmethod
    def _fitted(cls, samples: Floats) -> Reference:
        """To embeddings, without how far they stray: that is taken for half a deviation."""
        mean, n_features = samples.mean(0), samples.shape[1]
        _, values, rows = np.linalg.svd(samples - mean, full_matrices=False)
        variance = values**2 / (len(samples) - 1)
        floor = 1e-12 + 1e-6 * float(variance[:1].sum())
        n = max(1, min(_DIRECTIONS, len(variance), int((variance > floor).sum())))
        total, squares = float(variance[n:].sum()), float((variance[n:] ** 2).sum())
        freedom = total**2 / squares if squares > 0 else 0.0
        rest = math.sqrt(total / freedom) if freedom else 0.0
        each = total / max(n_features - n, 1)
        # Never narrower than the rest: what few samples make look exact is not.
        spread = np.sqrt(np.maximum(variance[:n], max(each, floor)))
        return cls(mean, rows[:n].copy(), spread, rest, freedom, 0.5, np.zeros((0, 2)))

    @property
    def n_features(self) -> int:
        """Of the embeddings."""
        return len(self.mean)

    def seen(self, values: Floats) -> Floats:
        """Embeddings from the calibration's point of view.

        Parameters
        ----------
        values : ndarray, shape (..., n_features)
            Embeddings.

        Returns
        -------
        seen : ndarray, shape (..., n_directions + 1)
            In standard deviations; the last one is what lies in all other directions together,
            of mean 0 and variance 1 at calibration, about.
        """
        away = np.asarray(values, float) - self.mean
        along = away @ self.directions.T
        beside = np.zeros(along.shape[:-1])
        if self.rest > 0:
            rest = np.maximum((away**2).sum(-1) - (along**2).sum(-1), 0.0)
            # The length over n equal directions is nearly Gaussian, of variance 1/2.
            usual = math.sqrt(max(self.freedom - 0.5, 0.0))
            beside = (np.sqrt(rest) / self.rest - usual) * math.sqrt(2)
        return np.concatenate([along / self.spread, np.asarray(beside)[..., None]], axis=-1)


def distance(mean: Floats, covariance: Floats) -> float:
    """Wasserstein distance of a Gaussian from the standard one, per dimension.

    Parameters
    ----------
    mean : ndarray, shape (n,)
        Of the Gaussian.
    covariance : ndarray, shape (n, n)
        Of the Gaussian.

    Returns
    -------
    distance : float
        Root of d^2 / n, in standard deviations.
    """
    variances = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    squared = float(mean @ mean + ((np.sqrt(variances) - 1.0) ** 2).sum())
    return math.sqrt(squared / len(mean))


class Recent:
    """Mean and covariance of the last half minute, each turn counting less the older it is.

    Parameters
    ----------
    n : int
        Of dimensions.
    """

    def __init__(self, n: int) -> None:
        self.weight = 0.0
        """Turns that count now."""
        self._mean, self._second = np.zeros(n), np.zeros((n, n))

    def take(self, seen: Floats, step_s: float) -> None:
        """Learn one embedding.

        Parameters
        ----------
        seen : ndarray, shape (n,)
            From the calibration's point of view.
        step_s : float
            Seconds since the one before.
        """
        kept = math.exp(-max(step_s, 0.0) / _FADE_S)
        self.weight = kept * self.weight + 1
        away = seen - self._mean
        self._mean = self._mean + away / self.weight
        self._second = kept * self._second + np.outer(away, seen - self._mean)

    def distance(self) -> float:
        """From the calibration; `distance` with a covariance that is shrunk towards it."""
        prior = _PRIOR_TURNS * np.eye(len(self._mean))
        covariance = (self._second + prior) / (self.weight + _PRIOR_TURNS)
        share = self.weight / (self.weight + 1)  # of one turn, half is believed
        return distance(share * self._mean, covariance)


def _own_drift(samples: Floats, step_s: float) -> float:
    """How far pieces of a calibration are from what is made of the other pieces.

    A piece that helped to make the reference would look closer than a session ever can.
    """
    found = []
    for piece in np.array_split(np.arange(len(samples)), _PIECES):
        reference = Reference._fitted(np.delete(samples, piece, axis=0))
        recent = Recent(len(reference.spread) + 1)
        for seen in reference.seen(samples[piece]):
            recent.take(seen, step_s)
        found.append(recent.distance())
    return float(np.mean(found))
