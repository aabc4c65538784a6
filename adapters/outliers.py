"""Outliers: embeddings so far from calibration that no class may be read from them.

Works for any encoder, because it looks at nothing but features. Each is standardised robustly;
then the distance is Mahalanobis' [1]_, with a covariance that is told apart along the directions in
which calibration varies most and the same in all others [2]_, shrunken as far as the number of
windows asks for [3]_. It is divided by what is usual among windows that were held out, recording
by recording or, of a single recording, block by block: a distance of 1 is an ordinary window.

A sum over many features dilutes what all channels could tell together, so that noise of the right
size may look no odder than another day. Where calibration windows are at hand, the encoder is
therefore shown what it must never decide on: the same windows with every row's phases shuffled,
which keeps each spectrum and takes away what hangs together [4]_. The direction from calibration to
that noise is a second yardstick [5]_, if it separates them cleanly, and the larger of both counts.

This is a coarse net on purpose. The limit lies beyond the odd windows of calibration, because a
good window of another day is unlike calibration, too, and must not be refused for it. What is
caught are noise, lost electrodes, bursts of muscle, a cap plugged in wrongly, clipping, a seizure.
For the fine question see `diverloop.decoders.familiarity`, which looks at the signal itself.

References
----------
.. [1] Lee, Lee, Lee, Shin. A simple unified framework for detecting out-of-distribution samples
   and adversarial attacks. NeurIPS, 2018.
.. [2] Tipping, Bishop. Probabilistic principal component analysis. J. R. Stat. Soc. B, 1999.
.. [3] Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices.
   J. Multivar. Anal., 2004.
.. [4] Theiler, Eubank, Longtin, Galdrikian, Farmer. Testing for nonlinearity in time series: the
   method of surrogate data. Physica D, 1992.
.. [5] Hendrycks, Mazeika, Dietterich. Deep anomaly detection with outlier exposure. ICLR, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Samples
from .linear import Floats

FEWEST_WINDOWS = 12
_TO_SIGMA = 1.4826  # a median absolute deviation as a standard deviation
_LEAST_SPREAD = 0.1  # of the median feature's: what hardly varies must not rule
_RANK = 1e-6  # axes that are shorter, as a share of the longest, are rounding
_FAR = 50.0  # standard deviations: what one feature may say of noise
_CLIPPED = 5.0  # standard deviations: no artefact of calibration gets an axis of its own
_TAIL = 1.2816  # standard deviations of the lowest tenth
_CLEAN, _HALFWAY = 0.3, 0.5  # calibration is at 0 on the way to noise, noise at 1
_LEARNT = ("mean", "scale", "axes", "powers", "rest")
_POSITIVE = ("scale", "powers", "rest", "usual", "limit")
_N_DIMS = {"mean": 1, "scale": 1, "axes": 2, "powers": 1, "rest": 1}
_N_DIMS |= {"usual": 1, "limit": 1, "to_noise": 1, "offset": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutliersConfig:
    """What can be chosen about `Outliers`.

    Parameters
    ----------
    n_components : int
        At most so many directions are told apart, at least 1.
    tail : float
        How far the limit is beyond the usual distance, in standard deviations of held-out windows'
        logarithms, 0 to 10.
    margin : float
        The limit is so many times farther still, at least 1: for what changes between sessions.
    n_folds : int
        Blocks of time for calibration from one recording, at least 2.
    """

    n_components: int = 64
    tail: float = 1.64
    margin: float = 1.6
    n_folds: int = 5

    def __post_init__(self) -> None:
        for name, fits, allowed in (
            ("n_components", self.n_components >= 1, "at least 1"),
            ("tail", 0 <= self.tail <= 10, "in [0, 10]"),
            ("margin", self.margin >= 1, "at least 1"),
            ("n_folds", self.n_folds >= 2, "at least 2"),
        ):
            if not fits:
                raise ConfigError(
                    f"{name} must be {allowed}, got {getattr(self, name)}: change it."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Where features lie, and how they spread: along axes, and in all other directions alike."""

    mean: Floats
    scale: Floats
    axes: Floats
    powers: Floats
    rest: Floats

    @classmethod
    def of(cls, features: Floats, n_components: int) -> Self:
        mean = np.median(features, axis=0)
        scale = _TO_SIGMA * np.median(np.abs(features - mean), axis=0)
        usual = float(np.median(scale)) or float(features.std()) or 1.0
        scale = np.maximum(scale, _LEAST_SPREAD * usual)
        standard = np.clip((features - mean) / scale, -_CLIPPED, _CLIPPED)
        axes, powers, rest = _principal(standard, n_components)
        return cls(mean=mean, scale=scale, axes=axes, powers=powers, rest=np.array([rest]))

    def towards(self, noise: Floats) -> tuple[Floats, float]:
        """Weights and offset of the way from calibration, at 0, to noise, at 1."""
        if not len(noise):
            return np.zeros_like(self.mean), 0.0
        away = np.clip((noise - self.mean) / self.scale, -_FAR, _FAR).mean(axis=0)
        along = self.axes @ away
        whitened = self.axes.T @ (along / self.powers) + (away - self.axes.T @ along) / self.rest
        weights = whitened / max(float(whitened @ away), 1e-12) / self.scale
        return weights, float(weights @ self.mean)

    def distances(self, features: Floats) -> Floats:
        """Mahalanobis, per feature, shape (n_windows,)."""
        standard = (features - self.mean) / self.scale
        along = standard @ self.axes.T
        away = np.maximum((standard**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squared = (along**2 / self.powers).sum(axis=1) + away / self.rest
        return np.asarray(np.sqrt(squared / standard.shape[1]))


class Outliers:
    """Says how many times farther from calibration than usual an embedding is.

    Parameters
    ----------
    mean, scale : ndarray, shape (n_features,)
        Robust standardisation, scale positive.
    axes : ndarray, shape (n_components, n_features)
        Directions of most spread, of unit length.
    powers : ndarray, shape (n_components,)
        Variance along each, positive.
    rest : ndarray, shape (1,)
        Variance in every other direction, positive.
    usual : ndarray, shape (1,)
        Median distance of held-out windows, positive.
    limit : ndarray, shape (1,)
        What is farther than so many times usual is too far.
    to_noise : ndarray, shape (n_features,)
        Weights of the features on the way to noise; all 0 if noise was not shown, or does not
        stand apart from calibration.
    offset : ndarray, shape (1,)
        Their weighted sum for an ordinary window.

    Raises
    ------
    BundleError
        If the arrays do not fit each other.

    Notes
    -----
    With fewer than some thirty windows, or from a single short block, the limit is a guess. An
    encoder with few features cannot show much: what changes none of them is never far.
    """

    Config = OutliersConfig

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        found = {name: take(arrays, name, n_dims) for name, n_dims in _N_DIMS.items()}
        n_features, n_axes = found["mean"].size, found["powers"].size
        fits = (
            found["scale"].shape == (n_features,)
            and found["axes"].shape == (n_axes, n_features)
            and found["to_noise"].shape == (n_features,)
            and all(found[name].shape == (1,) for name in ("rest", "usual", "limit", "offset"))
            and all(bool((found[name] > 0).all()) for name in _POSITIVE)
        )
        if not fits:
            raise BundleError(
                f"What was learnt of outliers ({n_features} features, {n_axes} axes) does not fit "
                f"together or is not positive: fit the model again."
            )
        self._shape = _Shape(**{name: found[name] for name in _LEARNT})
        self._usual, self._limit = float(found["usual"][0]), float(found["limit"][0])
        self._to_noise, self._offset = found["to_noise"], float(found["offset"][0])

    @classmethod
    def fit(
        cls,
        features: ArrayLike,
        groups: ArrayLike | None = None,
        config: OutliersConfig | None = None,
        *,
        noise: ArrayLike | None = None,
    ) -> Self:
        """Learn what is usual.

        Parameters
        ----------
        features : array-like, shape (n_windows, n_features)
            Of calibration windows, in the order of time.
        groups : array-like, shape (n_windows,), optional
            Recording of each window. With two or more, each is measured from the others, so that
            the limit knows how far recordings lie apart; with one or none, blocks of time are.
        config : OutliersConfig, optional
            What was chosen.
        noise : array-like, shape (n_noise, n_features), optional
            What the encoder makes of `noise_like` calibration windows; rows that are not finite
            are left out, since an encoder that refuses noise needs no help.

        Returns
        -------
        outliers : Outliers
            Ready to measure.

        Raises
        ------
        ConfigError
            If there are fewer than 12 windows, lengths differ, or a feature is not finite.
        """
        config = config or OutliersConfig()
        values = np.asarray(features, dtype=np.float64)
        _check(values)
        unlike = _noise(noise, values.shape[1])
        found, towards = np.empty(len(values)), np.empty(len(values))
        for held in _folds(len(values), groups, config.n_folds):
            shape = _Shape.of(np.delete(values, held, axis=0), config.n_components)
            found[held] = shape.distances(values[held])
            weights, offset = shape.towards(unlike)
            towards[held] = values[held] @ weights - offset
        low, usual, high = np.maximum(np.quantile(found, [0.1, 0.5, 0.9]), 1e-9)
        # Artefacts of calibration widen the far side, drift within it the near one.
        spread = min(usual / low, high / usual) ** (config.tail / _TAIL)
        shape = _Shape.of(values, config.n_components)
        weights, offset = shape.towards(unlike)
        reached = unlike @ weights - offset
        apart = len(unlike) > 0 and np.quantile(towards, 0.98) < _CLEAN and reached.min() > _HALFWAY
        learnt = {name: getattr(shape, name) for name in _LEARNT}
        learnt |= {"usual": np.array([usual]), "limit": np.array([config.margin * spread])}
        return cls(learnt | {"to_noise": apart * weights, "offset": np.array([apart * offset])})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(arrays)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        shape = {name: getattr(self._shape, name) for name in _LEARNT}
        numbers = {"usual": self._usual, "limit": self._limit, "offset": self._offset}
        single = {name: np.array([value]) for name, value in numbers.items()}
        return {**shape, **single, "to_noise": self._to_noise}

    @property
    def limit(self) -> float:
        """Largest distance that is not too far, in multiples of usual."""
        return self._limit

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return self._shape.mean.size

    def distances(self, features: ArrayLike) -> Floats:
        """How far many embeddings are.

        Parameters
        ----------
        features : array-like, shape (n_windows, n_features)
            From the encoder of the calibration.

        Returns
        -------
        distances : ndarray, shape (n_windows,)
            In multiples of what is usual; infinite where a feature is not finite.

        Raises
        ------
        SchemaMismatch
            If the number of features is another.
        """
        values = np.asarray(features, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.n_features:
            raise SchemaMismatch(
                f"Embeddings have shape {values.shape}, calibrated were {self.n_features} "
                f"features: use the encoder of the calibration."
            )
        found = np.full(len(values), math.inf)
        finite = np.isfinite(values).all(axis=1)
        found[finite] = self._shape.distances(values[finite]) / self._usual
        towards = (values[finite] @ self._to_noise - self._offset) / _HALFWAY
        found[finite] = np.maximum(found[finite], self._limit * towards)
        return found

    def distance(self, values: ArrayLike) -> float:
        """How far one embedding is, shape (n_features,); see `distances`."""
        return float(self.distances(np.asarray(values, dtype=np.float64)[None])[0])

    def too_far(self, values: ArrayLike) -> bool:
        """Whether one embedding, shape (n_features,), is an outlier."""
        return not self.distance(values) <= self._limit

    def reason(self, distance: float) -> str:
        """Why a window at this distance is refused, in a few words; empty if it is not."""
        if distance <= self._limit:
            return ""
        if not math.isfinite(distance):
            return "unlike calibration: features are not finite"
        return (
            f"unlike calibration: {distance:.1f} times as far as usual, {self._limit:.1f} allowed"
        )


def noise_like(windows: Samples, seed: int = 0) -> Samples:
    """The same windows with the phases of every row shuffled: same spectra, nothing in common.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_rows, n_times)
        Conditioned calibration windows in microvolts, finite.
    seed : int
        Seed of the phases.

    Returns
    -------
    noise : ndarray, shape (n_windows, n_rows, n_times)
        What no brain has made.
    """
    spectra = np.fft.rfft(windows, axis=2)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, spectra.shape)
    shuffled: Samples = np.fft.irfft(
        np.abs(spectra) * np.exp(1j * phases), windows.shape[2], axis=2
    )
    return shuffled


def _noise(noise: ArrayLike | None, n_features: int) -> Floats:
    """Finite features of noise; none if there are none."""
    if noise is None:
        return np.empty((0, n_features))
    values = np.asarray(noise, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != n_features:
        raise ConfigError(
            f"Features of noise have shape {values.shape}, needed are {n_features} columns: use "
            f"the same encoder."
        )
    return np.asarray(values[np.isfinite(values).all(axis=1)])


def _check(values: Floats) -> None:
    if values.ndim != 2 or len(values) < FEWEST_WINDOWS or not values.shape[1]:
        raise ConfigError(
            f"Features have shape {values.shape}, needed are at least {FEWEST_WINDOWS} windows "
            f"and a feature: calibrate longer."
        )
    if not np.isfinite(values).all():
        raise ConfigError("A feature is NaN or infinite, allowed is finite: leave the window out.")


def _folds(n: int, groups: ArrayLike | None, n_folds: int) -> list[NDArray[np.intp]]:
    """Rows held out together: recordings, or blocks of time."""
    if groups is not None:
        names, where = np.unique(np.asarray(groups), return_inverse=True)
        if where.shape != (n,):
            raise ConfigError(f"Got groups of shape {where.shape}, needed is one for each of {n}.")
        rows = [np.flatnonzero(where == one) for one in range(len(names))]
        if len(rows) > 1 and min(n - len(one) for one in rows) >= 2:
            return rows
    return np.array_split(np.arange(n), n_folds)


def _principal(standard: Floats, n_components: int) -> tuple[Floats, Floats, float]:
    """Axes of most spread, the variance along each, and that in every other direction."""
    n, n_features = standard.shape
    _, sizes, axes = np.linalg.svd(standard, full_matrices=False)
    along = standard @ axes.T
    # On its own axes the covariance is diagonal, so that Ledoit and Wolf's shrinkage does no more
    # than even variances out; there are as many as features, those beyond the windows are 0.
    powers = np.zeros(n_features)
    powers[: len(axes)] = (along**2).mean(axis=0)
    middle = float(powers.mean())
    uneven = float(((powers - middle) ** 2).sum())
    noise = float(((along**2).sum(axis=1) ** 2).mean() - (powers**2).sum()) / n
    weight = min(1.0, max(0.0, noise / uneven)) if uneven > 0 else 1.0
    evened = np.maximum((1 - weight) * powers + weight * middle, _RANK * max(middle, _RANK))
    kept = max(1, min(n_components, int((sizes > _RANK * sizes[0]).sum())))
    rest = float(evened[kept:].mean()) if kept < n_features else float(evened[-1])
    return axes[:kept], evened[:kept], rest
