"""A linear reader that can be moved: one prototype for each class, in a small whitened space.

Features are standardised, projected onto a few directions in which the noise within classes has
variance one, and compared with one prototype for each class. That is linear discriminant analysis
with a shared covariance [1]_ [2]_, so it is served as weights and a bias like any other linear
reader; but here the prototypes are at hand, and whoever adapts it moves points instead of weights.

References
----------
.. [1] Fisher. The use of multiple measurements in taxonomic problems. Annals of Eugenics, 1936.
.. [2] Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices.
   J. Multivariate Analysis, 2004.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import BundleError

Floats = NDArray[np.float64]

PREFIX = "head."
"""What the names of a head's arrays begin with in a bundle."""

EXTRA_DIRECTIONS = 12
"""Directions kept beside those that tell the classes apart: classes may come to differ there."""

_FOLDS = 5
_NAMES = ("mean", "scale", "basis", "centre", "prototypes", "log_priors", "temperature")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrototypeHead:
    """Prototypes of classes, and the space they live in.

    Parameters
    ----------
    classes : tuple of str
        In the order of the prototypes.
    mean, scale : ndarray, shape (n_features,)
        Standardisation of features, scale positive.
    basis : ndarray, shape (n_features, n_directions)
        From standardised features to the whitened space.
    centre : ndarray, shape (n_directions,)
        What is subtracted there; zero as fitted.
    prototypes : ndarray, shape (n_classes, n_directions)
        Mean of each class in the whitened, centred space.
    log_priors : ndarray, shape (n_classes,)
        Logarithm of how often each class is expected.
    temperature : float
        Scores are divided by it; above 1 makes the probabilities more modest.
    """

    classes: tuple[str, ...]
    mean: Floats
    scale: Floats
    basis: Floats
    centre: Floats
    prototypes: Floats
    log_priors: Floats
    temperature: float = 1.0

    def __post_init__(self) -> None:
        n_classes, (n_features, n_directions) = len(self.classes), self.basis.shape
        shapes = {
            "mean": (n_features,), "scale": (n_features,), "centre": (n_directions,),
            "prototypes": (n_classes, n_directions), "log_priors": (n_classes,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if (got := getattr(self, name).shape) != shape:
                raise BundleError(
                    f"A head with {n_classes} classes, {n_features} features and {n_directions} "
                    f"directions needs {name} of shape {shape}, got {got}: fit the model again."
                )
        arrays = (self.mean, self.basis, self.centre, self.prototypes, self.log_priors)
        if not all(np.isfinite(array).all() for array in arrays):
            raise BundleError("A head holds NaN or infinity: fit the model again.")
        if not (self.scale > 0).all() or not 0 < self.temperature < np.inf:
            raise BundleError(
                f"A head's scale and temperature must be positive, got down to {self.scale.min()} "
                f"and {self.temperature}: fit the model again."
            )

    @classmethod
    def fit(
        cls,
        features: Floats,
        labels: NDArray[Any],
        classes: tuple[str, ...],
        *,
        equal_priors: bool = True,
        extra: int = EXTRA_DIRECTIONS,
        trials: NDArray[Any] | None = None,
    ) -> Self:
        """Learn space and prototypes from calibration.

        Parameters
        ----------
        features : ndarray, shape (n_windows, n_features)
            Finite features.
        labels : ndarray of str, shape (n_windows,)
            Class of each window; every class at least twice.
        classes : tuple of str
            In the order wanted.
        equal_priors : bool
            Whether classes are expected equally often, whatever calibration held.
        extra : int
            Directions beside those that tell the classes apart.
        trials : ndarray, shape (n_windows,), optional
            Which windows belong together. With it, prototypes and the size of the noise are
            corrected to what windows look like that were not fitted on: of many features and few
            windows, classes seem further apart than they are, and prototypes out of reach of any
            later window could not be adapted.

        Returns
        -------
        head : PrototypeHead
            Not yet calibrated: its temperature is 1.

        Raises
        ------
        BundleError
            If a class has fewer than two windows.
        """
        place = np.array([classes.index(str(label)) for label in labels])
        counts = np.bincount(place, minlength=len(classes))
        if counts.min() < 2:
            raise BundleError(
                f"Class {classes[int(counts.argmin())]!r} has {counts.min()} windows, needed are "
                f"at least 2: record more of it."
            )
        mean, scale, basis, prototypes = _fitted(features, place, len(classes), extra)
        if trials is not None:
            reach, noise = _fresh(features, place, len(classes), trials)
            middle = prototypes.mean(axis=0)
            between = slice(0, len(classes) - 1)
            prototypes = middle + reach * (prototypes - middle)
            basis[:, between] /= noise
            prototypes[:, between] /= noise
        shares = np.full(len(classes), 1 / len(classes)) if equal_priors else counts / counts.sum()
        return cls(
            classes=classes,
            mean=mean,
            scale=scale,
            basis=basis,
            centre=np.zeros(basis.shape[1]),
            prototypes=prototypes,
            log_priors=np.log(shares),
        )

    @classmethod
    def from_arrays(cls, classes: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from the arrays of `to_arrays`; raises `BundleError` if they do not fit."""
        if missing := [name for name in _NAMES if PREFIX + name not in arrays]:
            raise BundleError(
                f"A head needs the arrays {', '.join(_NAMES)}, missing is {', '.join(missing)}: "
                f"fit the model with --adaptive."
            )
        given = {name: np.array(arrays[PREFIX + name], dtype=np.float64) for name in _NAMES}
        if given["basis"].ndim != 2:
            raise BundleError(
                f"A head's basis must have 2 dimensions, got {given['basis'].ndim}: fit the model "
                f"again."
            )
        temperature = float(given.pop("temperature").item())
        return cls(classes=classes, temperature=temperature, **given)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle, a promotion or a process beside."""
        arrays = {name: getattr(self, name) for name in _NAMES[:-1]}
        return {
            **{PREFIX + name: array for name, array in arrays.items()},
            PREFIX + "temperature": np.array([self.temperature]),
        }

    def linear(self) -> dict[str, Floats]:
        """The same as arrays of a linear adapter: mean, scale, weights, bias and temperature."""
        squares = np.einsum("kd,kd->k", self.prototypes, self.prototypes)
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.prototypes @ self.basis.T,
            "bias": self.log_priors - self.prototypes @ self.centre - 0.5 * squares,
            "temperature": np.array([self.temperature]),
        }

    @property
    def sha256(self) -> str:
        """Hash of all it has learnt, in hexadecimal."""
        digest = hashlib.sha256("\n".join(self.classes).encode())
        for name, array in sorted(self.to_arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def project(self, features: Floats) -> Floats:
        """Features in the whitened, centred space, shape (..., n_directions)."""
        projected: Floats = ((features - self.mean) / self.scale) @ self.basis - self.centre
        return projected

    def scores(self, features: Floats) -> Floats:
        """Log-likelihood of each class up to a term that all share, over the temperature.

        Parameters
        ----------
        features : ndarray, shape (..., n_features)
            Finite features.

        Returns
        -------
        scores : ndarray, shape (..., n_classes)
            Without the priors.
        """
        squares = np.einsum("kd,kd->k", self.prototypes, self.prototypes)
        sums: Floats = (self.project(features) @ self.prototypes.T - 0.5 * squares) / (
            self.temperature
        )
        return sums

    def probabilities(self, features: Floats) -> Floats:
        """Of each class, priors included, as the linear adapter gives them."""
        return softmax(self.scores(features) + self.log_priors / self.temperature)


def softmax(scores: Floats) -> Floats:
    """Probabilities along the last axis, safe for any finite scores.

    Parameters
    ----------
    scores : ndarray, shape (..., n)
        Logarithms of odds; minus infinity for what cannot be.

    Returns
    -------
    probabilities : ndarray, shape (..., n)
        Sum to 1 along the last axis.
    """
    lifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = lifted / lifted.sum(axis=-1, keepdims=True)
    return shares


def _fitted(
    features: Floats, place: NDArray[np.int64], n_classes: int, extra: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, scale, basis and prototypes, as the windows that were fitted on look."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    z = (features - mean) / scale
    # Fewer windows than features span fewer directions, and only there is anything to learn.
    span = np.linalg.svd(z, full_matrices=False)[2] if len(z) < z.shape[1] else np.eye(z.shape[1])
    seen = z @ span.T
    means = np.stack([seen[place == k].mean(axis=0) for k in range(n_classes)])
    whitener = _whitener(seen - means[place], z.shape[1])
    own = whitener @ _directions(seen @ whitener, means @ whitener, extra)
    # What shrinkage leaves of other directions is as small as it is arbitrary.
    others = (seen - means[place]) @ own[:, n_classes - 1 :]
    own[:, n_classes - 1 :] /= np.maximum(others.std(axis=0), 1e-9)
    return mean, scale, span.T @ own, means @ own


def _fresh(
    features: Floats, place: NDArray[np.int64], n_classes: int, trials: NDArray[Any]
) -> tuple[float, float]:
    """How far windows that were held out reach towards their prototypes, and how they scatter.

    Returns
    -------
    reach : float
        Share of the way from the middle to the prototype, least squares over all that was held out.
    noise : float
        Standard deviation around what they reach, in the directions between the classes.
    """
    names = list(dict.fromkeys(trials.tolist()))
    fold_of = {name: rank % _FOLDS for rank, name in enumerate(names)}
    folds = np.array([fold_of[name] for name in trials.tolist()])
    fresh, aims = [], []
    for fold in range(_FOLDS):
        held = folds == fold
        if not held.any() or np.bincount(place[~held], minlength=n_classes).min() < 2:
            continue
        mean, scale, basis, prototypes = _fitted(features[~held], place[~held], n_classes, 0)
        middle = prototypes.mean(axis=0)
        fresh.append(((features[held] - mean) / scale) @ basis - middle)
        aims.append((prototypes - middle)[place[held]])
    if not fresh:
        return 1.0, 1.0
    seen, aim = np.concatenate(fresh), np.concatenate(aims)
    reach = float(np.clip((seen * aim).sum() / (aim**2).sum(), 0.05, 1.0))
    return reach, float(max((seen - reach * aim).std(), 1e-3))


def _whitener(noise: Floats, n_features: int) -> Floats:
    """Symmetric inverse root of the shrunk covariance within classes (Ledoit and Wolf 2004)."""
    n, n_seen = noise.shape
    covariance = noise.T @ noise / n
    size = np.trace(covariance) / n_features
    # Where nothing was seen the covariance is 0, and lies `size` away from the target.
    unseen = n_features - n_seen
    distance = ((covariance - size * np.eye(n_seen)) ** 2).sum() + unseen * size**2
    spread = ((noise**2).sum(axis=1) ** 2).sum() / n**2 - (covariance**2).sum() / n
    share = 1.0 if distance <= 0 else float(np.clip(spread / distance, 0.01, 1.0))
    values, vectors = np.linalg.eigh((1 - share) * covariance + share * size * np.eye(n_seen))
    whitener: Floats = (vectors / np.sqrt(values)) @ vectors.T
    return whitener


def _directions(points: Floats, means: Floats, extra: int) -> Floats:
    """Orthonormal directions: between the means first, then of most variance."""
    between = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2][: len(means) - 1].T
    extra = min(extra, points.shape[1] - between.shape[1])
    if extra <= 0:
        return between
    rest = points - points.mean(axis=0)
    rest = rest - (rest @ between) @ between.T
    others = np.linalg.svd(rest, full_matrices=False)[2][:extra].T
    # Numerical leftovers of what was taken out already.
    others -= between @ (between.T @ others)
    return np.linalg.qr(np.hstack([between, others]))[0] if others.size else between
