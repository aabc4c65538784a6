"""How far a window is from calibration, in several ways that have no common unit.

Covariances are compared as the Riemannian potato does [1]_, embeddings by their Mahalanobis
distance [2]_ with a shrunken covariance [3]_. Every way is a distance: nothing is known yet about
how large a distance is usual. `familiarity` ranks them.

References
----------
.. [1] Barachant, Andreev, Congedo. The Riemannian Potato: an automatic and adaptive artifact
   detection method for online experiments using Riemannian geometry. TOBI Workshop IV, 2013.
.. [2] Lee, Lee, Lee, Shin. A simple unified framework for detecting out-of-distribution samples
   and adversarial attacks. NeurIPS, 2018.
.. [3] Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices.
   J. Multivar. Anal., 2004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError
from .bands import Floats
from .missing import Usable
from .window_statistics import (
    COUPLING,
    PATTERN_BANDS_HZ,
    SHAPES,
    Measured,
    WindowStatistics,
    coupling,
)

_SPREAD, _COUPLING_SPREAD = 0.2, 0.02  # what is closer than that is never odd
_RANK = 1e-6  # axes that are shorter, as a share of the longest, are rounding
_TOP_SHARE = 4  # the worst quarter of the channels speaks for all
_N_DIMS = {
    "middle": 2,
    "spread": 2,
    "coupling": 2,
    "patterns": 3,
    "mean": 1,
    "scale": 1,
    "axes": 2,
    "powers": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardsticks:
    """What calibration windows look like.

    Parameters
    ----------
    middle, spread : ndarray, shape (n_channels, n_statistics)
        Median and scaled median absolute deviation of every statistic of every channel.
    coupling : ndarray, shape (2, 3)
        The same of what is said of all channels together.
    patterns : ndarray, shape (n_pattern_bands, n_channels, n_channels)
        Mean covariance, every window at unit trace.
    mean, scale : ndarray, shape (n_features,)
        Of the embeddings; empty without any.
    axes : ndarray, shape (n_components, n_features)
        Principal axes of the scaled embeddings.
    powers : ndarray, shape (n_components,)
        Their variances, shrunken towards each other.
    """

    middle: Floats
    spread: Floats
    coupling: Floats
    patterns: Floats
    mean: Floats
    scale: Floats
    axes: Floats
    powers: Floats

    @classmethod
    def fit(cls, measured: Sequence[Measured], values: Floats, n_components: int) -> Self:
        """Learn from calibration windows.

        Parameters
        ----------
        measured : sequence of Measured
            One for each window.
        values : ndarray, shape (n_windows, n_features)
            Their embeddings; no features where there are none.
        n_components : int
            At most so many axes are kept, and never more than a quarter of the windows.

        Returns
        -------
        yardsticks : Yardsticks
            Ready to measure `distances`.
        """
        middle, spread = _robust(np.stack([one.channels for one in measured]), _SPREAD)
        hang = _robust(np.stack([one.coupling for one in measured]), _COUPLING_SPREAD)
        mean, scale = values.mean(axis=0), values.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        axes, powers = _principal((values - mean) / scale, n_components)
        return cls(
            middle=middle,
            spread=spread,
            coupling=np.stack(hang),
            patterns=np.mean([_unit_trace(one.covariances) for one in measured], axis=0),
            mean=mean,
            scale=scale,
            axes=axes,
            powers=powers,
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        found = cls(**{name: take(arrays, name, n) for name, n in _N_DIMS.items()})
        n, n_features = len(found.middle), len(found.mean)
        fits = (
            found.middle.shape == found.spread.shape
            and found.coupling.shape == (2, len(COUPLING))
            and found.patterns.shape == (len(PATTERN_BANDS_HZ), n, n)
            and found.scale.shape == (n_features,)
            and found.axes.shape == (len(found.powers), n_features)
            and all(bool(np.isfinite(one).all()) for one in found.to_arrays().values())
        )
        if not fits:
            raise BundleError(
                f"What was learnt of familiar windows ({n} channels, {n_features} features) is "
                f"not finite or does not fit together: fit the model again."
            )
        return found

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {name: getattr(self, name) for name in _N_DIMS}

    def left(self, known: Floats, rows: Usable) -> Self:
        """The same for some of the channels.

        Parameters
        ----------
        known : ndarray, shape (n_channels, n_channels)
            What masking and referencing again did to the signal.
        rows : ndarray of bool, shape (n_channels,)
            Channels that are left.

        Returns
        -------
        yardsticks : Yardsticks
            For those channels. What a new reference does to sizes and coupling is told from the
            mean covariance; to shapes it does little.
        """
        patterns = (known @ self.patterns @ known.T)[:, rows][:, :, rows]
        before, after = np.diag(self.patterns[0])[rows], np.diag(patterns[0])
        there = (before > 0) & (after > 0)
        gain = np.divide(after, before, out=np.ones_like(after), where=there)
        middle, shift = self.middle[rows], coupling(patterns[0]) - coupling(self.patterns[0])
        middle[:, : -len(SHAPES)] += 0.5 * np.log(gain)[:, None]
        return replace(
            self,
            middle=middle,
            spread=self.spread[rows],
            coupling=np.stack([self.coupling[0] + shift, self.coupling[1]]),
            patterns=patterns,
        )

    def whiteners(self, shrinkage: float) -> Floats:
        """Matrices that turn the mean pattern into the identity.

        Parameters
        ----------
        shrinkage : float
            Weight of the identity, in (0, 1].

        Returns
        -------
        whiteners : ndarray, shape (n_pattern_bands, n_channels, n_channels)
            Inverse Cholesky factors.
        """
        return np.linalg.inv(np.linalg.cholesky(_shrunken(self.patterns, shrinkage)))

    def distances(
        self, measured: Measured, vector: Floats | None, whiteners: Floats, shrinkage: float
    ) -> Floats:
        """How far off one window is.

        Parameters
        ----------
        measured : Measured
            Statistics of the same channels.
        vector : ndarray, shape (n_features,), optional
            Its embedding; None to leave that out.
        whiteners : ndarray, shape (n_pattern_bands, n_channels, n_channels)
            From `whiteners`, with the same shrinkage.
        shrinkage : float
            Weight of the identity.

        Returns
        -------
        distances : ndarray, shape (n_ways,) or (n_ways - 2,)
            In the order of `ways`, at least 0; the last two only with an embedding.
        """
        odd = np.abs(measured.channels - self.middle) / self.spread
        odd.sort(axis=0)
        worst = odd[-((len(odd) + _TOP_SHARE - 1) // _TOP_SHARE) :]
        hang = np.abs(measured.coupling - self.coupling[0]) / self.coupling[1]
        covariances = _shrunken(measured.covariances, shrinkage)
        seen = np.linalg.eigvalsh(whiteners @ covariances @ whiteners.swapaxes(1, 2))
        # The mean over eigenvalues, not their sum: fewer channels are not nearer.
        patterns = np.sqrt((np.log(seen) ** 2).mean(axis=1))
        found = [np.sqrt((worst**2).mean(axis=0)), [hang.max()], patterns]
        if vector is not None:
            found.append(self._from_embeddings(vector))
        return np.concatenate(found)

    def _from_embeddings(self, vector: Floats) -> Floats:
        """Mahalanobis distance on the principal axes, and the distance from their span."""
        scaled = (vector - self.mean) / self.scale
        inside = self.axes @ scaled
        outside = max(0.0, float(scaled @ scaled - inside @ inside)) / len(scaled)
        return np.sqrt([(inside**2 / self.powers).mean(), outside])


def ways(measure: WindowStatistics, embedded: bool) -> tuple[str, ...]:
    """Names of what `Yardsticks.distances` measures.

    Parameters
    ----------
    measure : WindowStatistics
        What the statistics come from.
    embedded : bool
        Whether there are embeddings.

    Returns
    -------
    names : tuple of str
        In order.
    """
    patterns = tuple(f"pattern {low:g}-{high:g} Hz" for low, high in PATTERN_BANDS_HZ)
    behind = ("embedding", "outside the embedding's space") if embedded else ()
    return (*measure.names, "coupling", *patterns, *behind)


def _robust(values: Floats, least: float) -> tuple[Floats, Floats]:
    """Median, and median absolute deviation scaled to a standard deviation."""
    middle = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - middle), axis=0)
    return middle, np.maximum(spread, least)


def _unit_trace(covariances: Floats) -> Floats:
    power = np.trace(covariances, axis1=-2, axis2=-1)[..., None, None]
    unit: Floats = covariances / np.where(power > 0, power, 1.0)
    return unit


def _shrunken(covariances: Floats, weight: float) -> Floats:
    n = covariances.shape[-1]
    shrunken: Floats = (1 - weight) * _unit_trace(covariances) + weight * np.eye(n) / n
    return shrunken


def _principal(scaled: Floats, n_components: int) -> tuple[Floats, Floats]:
    """Axes of most variance, with their variances after Ledoit and Wolf's shrinkage."""
    n, n_features = scaled.shape
    if not n_features:
        return np.empty((0, 0)), np.empty(0)
    _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
    real = int((sizes > _RANK * max(sizes[0], 1e-12)).sum())
    axes = axes[: max(1, min(n_components, n // 4, real))]
    parts = scaled @ axes.T
    # On its own axes the covariance is diagonal: shrinkage does no more than even variances out.
    powers = (parts**2).mean(axis=0)
    off = float(((powers - powers.mean()) ** 2).sum())
    size = np.einsum("nk,nk->n", parts, parts)
    noise = float((size**2).mean() - (powers**2).sum()) / n
    weight = min(1.0, max(0.0, noise / off)) if off > 0 else 1.0
    return axes, np.maximum((1 - weight) * powers + weight * powers.mean(), 1e-12)
