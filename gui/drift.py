"""How far what the decoder sees today has moved from what it was calibrated on.

The calibration is described by a Gaussian with a few directions of its own and one variance for
all others [1]_, which needs few samples for many features. Seen from it, in its standard
deviations, the calibration is a unit sphere; the last half minute has a mean and a covariance
there, and the distance of the two Gaussians is that of Wasserstein, in closed form [2]_::

    d^2 = |m|^2 + tr(S + I - 2 S^(1/2))

It is 0 for the same distribution, |m| for a pure shift, and sees a change of scale as well. The
covariance of so short a time is shrunk towards the calibration's, so that little data says little.
What is told is d over the d that the calibration has against itself: 1 is as far as the
calibration strayed from its own centre.

References
----------
.. [1] Tipping, Bishop. Probabilistic principal component analysis. J. R. Stat. Soc. B 61, 1999.
.. [2] Dowson, Landau. The Frechet distance between multivariate normal distributions. J.
   Multivar. Anal. 12, 1982.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

SETTLING_S = 60.0
"""The first minute of a session stands for the calibration where none is given."""

LIKE, MOVED = 1.5, 3.0
"""Up to the first, a session is like its calibration; from the second on, it has moved."""

_DIRECTIONS = 8
_MOST_SAMPLES = 240
_FEWEST_SAMPLES = 12
_FADE_S = 15.0  # the last half minute, roughly, counts
_PRIOR_TURNS = 20.0  # so many turns' worth of the calibration's covariance
_PIECES = 3
_LEAST_SCALE = 0.25  # standard deviations: a calibration of one piece has no scatter of its own

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
    strays : float
        How far the calibration is from itself, in pieces: the unit of `Drift.index`.
    cloud : ndarray, shape (n_samples, 2)
        Samples along the first two directions, in standard deviations; may be empty.
    """

    mean: Floats
    directions: Floats
    spread: Floats
    rest: float
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
        if samples.ndim != 2 or len(samples) < _FEWEST_SAMPLES or not np.isfinite(samples).all():
            raise ConfigError(
                f"A reference needs {_FEWEST_SAMPLES} finite embeddings of one length, got an "
                f"array of shape {samples.shape}: give more of the calibration."
            )
        stride = math.ceil(len(samples) / _MOST_SAMPLES)
        kept = samples[::stride]
        made = cls._fitted(kept)
        strays = _own_drift(kept, step_s * stride, cls._fitted)
        cloud = made.seen(kept)[:, :2]
        return cls(made.mean, made.directions, made.spread, made.rest, strays, cloud)

    @classmethod
    def of_moments(cls, mean: Floats, covariance: Floats) -> Reference:
        """From a mean and a covariance; how far the calibration strayed is not known then.

        Parameters
        ----------
        mean : ndarray, shape (n_features,)
            Of the embeddings.
        covariance : ndarray, shape (n_features, n_features)
            Of the embeddings.

        Returns
        -------
        reference : Reference
            Half a standard deviation is taken for what it strayed.
        """
        mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
        if covariance.shape != (len(mean), len(mean)) or not np.isfinite(covariance).all():
            raise ConfigError(
                f"The covariance of {len(mean)} features is {len(mean)} by {len(mean)} finite "
                f"numbers, got shape {covariance.shape}: give both of the same calibration."
            )
        values, columns = np.linalg.eigh(covariance)
        return cls._from_variances(mean, columns.T[::-1], values[::-1], len(mean))

    @classmethod
    def _fitted(cls, samples: Floats) -> Reference:
        mean = samples.mean(0)
        _, values, rows = np.linalg.svd(samples - mean, full_matrices=False)
        variance = values**2 / (len(samples) - 1)
        return cls._from_variances(mean, rows, variance, samples.shape[1])

    @classmethod
    def _from_variances(
        cls, mean: Floats, rows: Floats, variance: Floats, n_features: int
    ) -> Reference:
        variance = np.maximum(variance, 0.0)
        floor = 1e-12 + 1e-6 * float(variance[:1].sum())
        n = max(1, min(_DIRECTIONS, len(variance), int((variance > floor).sum())))
        others = n_features - n
        rest = math.sqrt(float(variance[n:].sum()) / others) if others else 0.0
        # Never narrower than the rest: what few samples make look exact is not.
        spread = np.sqrt(np.maximum(variance[:n], max(rest**2, floor)))
        return cls(mean, rows[:n].copy(), spread, rest, 0.5, np.zeros((0, 2)))

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
        others = self.n_features - len(self.spread)
        beside = np.zeros(along.shape[:-1])
        if others and self.rest > 0:
            rest = np.maximum((away**2).sum(-1) - (along**2).sum(-1), 0.0)
            # The length over n directions is nearly Gaussian, of variance 1/2.
            beside = (np.sqrt(rest) / self.rest - math.sqrt(max(others - 0.5, 0.0))) * math.sqrt(2)
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


class Verdict(StrEnum):
    """Whether today is like the calibration."""

    WAITING = "waiting"
    LIKE = "like"
    AWAY = "away"
    MOVED = "moved"


_SAID = {
    Verdict.LIKE: "Today's signal is like the calibration.",
    Verdict.AWAY: "Today's signal is somewhat away from the calibration: watch it.",
    Verdict.MOVED: "Today's signal has moved: recentre with diverloop recentre.",
}


class Drift:
    """Follows a session's embeddings, against a reference or against its own first minute.

    Parameters
    ----------
    reference : Reference, optional
        The calibration. Without it the first minute of the session is taken for it.
    n_points, n_indices : int
        How many of the newest points and indices are remembered.
    """

    def __init__(
        self, reference: Reference | None = None, *, n_points: int = 240, n_indices: int = 900
    ) -> None:
        self._given = reference
        self.points: deque[tuple[float, float, str]] = deque(maxlen=n_points)
        """Newest last: along the first two directions, and the decided class."""
        self.indices: deque[tuple[float, float]] = deque(maxlen=n_indices)
        """Seconds of the stream and index, one a second."""
        self.forget()

    def forget(self) -> None:
        """Know nothing but the reference that was given."""
        self.reference = self._given
        self.index = math.nan
        self.problem = ""
        self.points.clear()
        self.indices.clear()
        self._settling: list[tuple[float, Floats]] = []
        self._every = 1  # of the turns, while settling
        self._n, self._first_s, self._last_s = 0, math.nan, math.nan
        self._recent: Recent | None = None

    @property
    def settling_s(self) -> float:
        """How much of the first minute is still to come; 0 once there is a reference."""
        if self.reference is not None:
            return 0.0
        passed = 0.0 if math.isnan(self._first_s) else self._last_s - self._first_s
        return max(SETTLING_S - passed, 0.0)

    @property
    def is_own(self) -> bool:
        """Whether the session is compared with its own first minute."""
        return self._given is None

    @property
    def verdict(self) -> Verdict:
        """Whether today is like the calibration."""
        if math.isnan(self.index):
            return Verdict.WAITING
        return (
            Verdict.LIKE if self.index <= LIKE
            else Verdict.AWAY if self.index < MOVED
            else Verdict.MOVED
        )  # fmt: skip

    def sentence(self) -> str:
        """The verdict in one sentence, and what it rests on."""
        if self.problem:
            return self.problem
        if self.reference is None:
            if math.isnan(self._first_s):
                return "No embedding has come yet."
            return f"Learning what this session is like: {self.settling_s:.0f} s to go."
        if self.verdict is Verdict.WAITING:
            return "No embedding has come since the reference was made."
        said = _SAID[self.verdict]
        return said.replace("the calibration", "the session's first minute") if self.is_own else said

    def take(self, values: NDArray[np.floating], label: str | None, at_s: float) -> None:
        """Learn one embedding.

        Parameters
        ----------
        values : ndarray, shape (n_features,)
            The embedding; one that is not finite is passed over.
        label : str, optional
            The decided class.
        at_s : float
            End of its window, seconds of the stream; what runs backwards begins anew.
        """
        if not np.isfinite(values).all():
            return
        if at_s < self._last_s:
            self.forget()
        step_s = 0.0 if math.isnan(self._last_s) else at_s - self._last_s
        if math.isnan(self._first_s):
            self._first_s = at_s
        self._last_s = at_s
        if self.reference is None:
            self._settle(np.asarray(values, float), at_s)
        elif len(values) == self.reference.n_features:
            self._follow(self.reference, np.asarray(values, float), label or "", at_s, step_s)
        else:
            self._other_length(len(values), self.reference.n_features)

    def _settle(self, values: Floats, at_s: float) -> None:
        if self._settling and len(self._settling[0][1]) != len(values):
            self._settling.clear()
        if self._n % self._every == 0:
            self._settling.append((at_s, values))
        self._n += 1
        if len(self._settling) > _MOST_SAMPLES:  # thinned, so that a fast session fits, too
            del self._settling[1::2]
            self._every *= 2
        if not self.settling_s and len(self._settling) >= _FEWEST_SAMPLES:
            samples = np.array([sample for _, sample in self._settling])
            span_s = self._settling[-1][0] - self._settling[0][0]
            self.reference = Reference.of_samples(samples, span_s / (len(samples) - 1))
            self._settling.clear()

    def _follow(
        self, reference: Reference, values: Floats, label: str, at_s: float, step_s: float
    ) -> None:
        seen = reference.seen(values)
        self.problem = ""
        self.points.append((float(seen[0]), float(seen[1]), label))
        self._recent = self._recent or Recent(len(seen))
        self._recent.take(seen, step_s)
        if not self.indices or at_s - self.indices[-1][0] >= 1.0:
            self.index = self._recent.distance() / max(reference.strays, _LEAST_SCALE)
            self.indices.append((at_s, self.index))

    def _other_length(self, got: int, wanted: int) -> None:
        if self.is_own:  # another encoder took over: its own beginning is learnt
            self.forget()
            return
        self.index = math.nan
        self.problem = (
            f"Embeddings have {got} features, the calibration's have {wanted}: give the reference "
            "of the model that is running."
        )


def _own_drift(
    samples: Floats, step_s: float, fitted: Callable[[Floats], Reference]
) -> float:
    """How far pieces of a calibration are from what is made of the other pieces.

    A piece that helped to make the reference would look closer than a session ever can.
    """
    found = []
    for piece in np.array_split(np.arange(len(samples)), _PIECES):
        reference = fitted(np.delete(samples, piece, axis=0))
        recent = Recent(len(reference.spread) + 1)
        for seen in reference.seen(samples[piece]):
            recent.take(seen, step_s)
        found.append(recent.distance())
    return float(np.mean(found))
