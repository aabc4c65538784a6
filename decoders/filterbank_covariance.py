"""Filter-bank covariance: where the power is and how it moves together, made linear.

A window's covariance, per band, is a point on a curved surface. Seen from the training data's
Riemannian mean it is mapped to the flat space that touches the surface there, where a linear
classifier works [1]_. Before that each band leaves out the directions with least power, which of
many channels are noise.

References
----------
.. [1] Barachant, Bonnet, Congedo, Jutten. Multiclass brain-computer interface classification by
   Riemannian geometry. IEEE Trans. Biomed. Eng., 2012.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from .bands import (
    Floats,
    check_stream,
    embed,
    encode_each,
    scatter,
    shrink,
    split_announced,
    split_bands,
)
from .missing import MissingChannels
from .positive_definite import inverse_root, riemannian_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterbankCovarianceConfig:
    """What can be chosen about `FilterbankCovariance`.

    Parameters
    ----------
    n_bands : int
        Bands of the conditioned stream.
    n_components : int, optional
        At most this many principal components are kept in each band; None keeps all channels.
    shrinkage : float, optional
        Weight of the identity in each covariance, in (0, 1]; None lets the data decide.
    """

    n_bands: int
    # Of 12, 24, 32, 40, 48 and all of 64 channels the best on runs of executed movement; those
    # with most power are not those that tell one hand from the other.
    n_components: int | None = 40
    shrinkage: float | None = None

    def __post_init__(self) -> None:
        if self.n_bands < 1:
            raise ConfigError(f"n_bands must be at least 1, got {self.n_bands}: count the bands.")
        if self.n_components is not None and self.n_components < 1:
            raise ConfigError(
                f"n_components must be at least 1, got {self.n_components}: leave it out to keep "
                f"all channels."
            )
        if self.shrinkage is not None and not 0 < self.shrinkage <= 1:
            raise ConfigError(
                f"shrinkage must be in (0, 1], got {self.shrinkage}: leave it out to let the "
                f"data decide."
            )


class FilterbankCovariance:
    """Encoder: covariance of each band, in the tangent space at the training mean.

    Parameters
    ----------
    config : FilterbankCovarianceConfig
        What was chosen.
    filters : ndarray, shape (n_bands, n_components, n_channels), optional
        Spatial filters of each band; None for all channels as they are.
    whiteners : ndarray, shape (n_bands, n_components, n_components)
        Inverse square root of each band's mean covariance.
    covariance : ndarray, shape (n_bands, n_channels, n_channels)
        Mean covariance of each band over the training windows, each at unit power: what stands
        in for masked channels follows from it.

    Notes
    -----
    Of ``n_components`` = k come ``n_bands * k * (k + 1) / 2`` features. A window with a zero,
    NaN or infinite covariance is encoded as NaN with quality 0, and so is one with too few
    usable channels (`MissingChannels`); a masked row that can be spared is not looked at.
    """

    Config = FilterbankCovarianceConfig

    def __init__(
        self,
        config: FilterbankCovarianceConfig,
        filters: Floats | None,
        whiteners: Floats,
        covariance: Floats,
    ) -> None:
        self.config = config
        self._filters, self._whiteners = filters, whiteners
        self._check_shapes(covariance)
        self._missing = MissingChannels(covariance, filters)
        n_bands, n_components, _ = whiteners.shape
        self._n_channels: int = n_components if filters is None else filters.shape[2]
        row, column = np.triu_indices(n_components)
        # Off-diagonal elements count twice in the matrix norm, and the vector keeps the norm.
        self._scale = np.where(row == column, 1.0, np.sqrt(2.0))
        self._upper = row * n_components + column
        self.n_features = n_bands * len(self._upper)
        self._work: _Work | None = None

    def _check_shapes(self, covariance: Floats) -> None:
        n_bands, n_components, n_columns = self._whiteners.shape
        fits = n_bands == self.config.n_bands == len(covariance) and n_components == n_columns
        if self._filters is not None:
            fits = fits and self._filters.shape[:2] == (n_bands, n_components)
        else:
            fits = fits and covariance.shape[1] == n_components
        if not fits:
            shape = None if self._filters is None else self._filters.shape
            raise BundleError(
                f"Filters {shape}, whiteners {self._whiteners.shape} and covariance "
                f"{covariance.shape} do not fit each other and {self.config.n_bands} bands: fit "
                f"the model again."
            )

    @property
    def n_channels(self) -> int:
        """Channels of each band."""
        return self._n_channels

    @classmethod
    def fit(
        cls, windows: Samples, labels: NDArray[Any] | None, config: FilterbankCovarianceConfig
    ) -> Self:
        """Learn components and mean covariance.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,), optional
            Not looked at: where the signal lies does not depend on what was intended.
        config : FilterbankCovarianceConfig
            What was chosen.

        Returns
        -------
        encoder : FilterbankCovariance
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there is no window, or one is silent in some band or not finite.
        """
        # Which directions are loud is asked of all windows alike: a single loud artefact must
        # not choose them, so each window counts with its total power taken out.
        covariance = mean_at_unit_power(windows, config.n_bands)
        filters = None
        if config.n_components is not None:
            filters = principal_components(covariance, config.n_components)
        covariances = covariances_of(windows, filters, config.n_bands, config.shrinkage)
        means = [riemannian_mean(covariances[:, band]) for band in range(config.n_bands)]
        return cls(config, filters, np.stack([inverse_root(mean) for mean in means]), covariance)

    @classmethod
    def from_arrays(
        cls, config: FilterbankCovarianceConfig, arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        filters = None if config.n_components is None else take(arrays, "filters", 3)
        return cls(config, filters, take(arrays, "whiteners", 3), take(arrays, "scatter", 3))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        arrays = {"whiteners": self._whiteners, "scatter": self._missing.covariance}
        return arrays if self._filters is None else {"filters": self._filters, **arrays}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and set aside memory for one window.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window, at least 1.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows.
        """
        check_stream(spec, self.config.n_bands * self._n_channels)
        self._work = _Work(self._whiteners.shape, n_times)
        self._missing.open(n_times)

    def encode(self, window: Window) -> Embedding:
        """Features of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Tangent vector; quality 1, less where channels are masked (`MaskedFilters`). NaN
            with quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if self._work is None:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._n_channels, self._work.projected.shape[2])
        by_band = split_announced(window.samples, self.config.n_bands, expected)
        if window.usable is None or window.usable.all():
            return embed(self._features(by_band, self._filters, self._work), self.n_features)
        masked = self._missing.filters_for(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        picked = self._missing.pick(by_band, masked)
        values = self._features(picked, masked.filters, self._work)
        return embed(values, self.n_features, masked.quality)

    def encode_many(self, windows: Samples) -> Floats:
        """Features of many windows, by the very code that serves one.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that cannot be encoded.
        """
        work = _Work(self._whiteners.shape, windows.shape[2])

        def features_of(samples: Samples) -> Floats | None:
            return self._features(split_bands(samples, self.config.n_bands), self._filters, work)

        return encode_each(windows, features_of, self.n_features)

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._work = None
        self._missing.close()

    def _features(self, by_band: Samples, filters: Floats | None, work: _Work) -> Floats | None:
        covariances = _covariance(by_band, filters, self.config.shrinkage, work)
        if covariances is None:
            return None
        # The whitener is symmetric, so its transpose is itself.
        np.matmul(self._whiteners, covariances, out=work.half)
        np.matmul(work.half, self._whiteners, out=work.whitened)
        powers, axes = np.linalg.eigh(work.whitened)
        if not powers.min() > 0:
            return None
        np.multiply(axes, np.log(powers)[:, None, :], out=work.half)
        np.matmul(work.half, axes.swapaxes(1, 2), out=work.whitened)
        tangent = work.whitened.reshape(self.config.n_bands, -1)[:, self._upper]
        tangent *= self._scale
        flat: Floats = tangent.ravel()
        return flat


class _Work:
    """Memory for one window, reused by the next."""

    def __init__(self, shape: tuple[int, ...], n_times: int) -> None:
        n_bands, n_components, _ = shape
        self.projected = np.empty((n_bands, n_components, n_times))
        self.covariances, self.half, self.whitened = (np.empty(shape) for _ in range(3))


def _covariance(
    by_band: Samples, filters: Floats | None, shrinkage: float | None, work: _Work
) -> Floats | None:
    """Shrunken covariance of each band, or None if there is nothing to learn from it."""
    if filters is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            by_band = np.matmul(filters, by_band, out=work.projected)
    covariances = scatter(by_band, work.covariances)
    power = np.einsum("bii->b", covariances)
    # A finite sum of squares bounds every element; zero power has no logarithm.
    if not (np.isfinite(power).all() and power.min() > 0):
        return None
    return shrink(covariances, by_band.shape[2], shrinkage)


def covariances_of(
    windows: Samples, filters: Floats | None, n_bands: int, shrinkage: float | None
) -> Floats:
    """Covariances of all windows.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
        Conditioned windows in microvolts, all finite.
    filters : ndarray, shape (n_bands, n_components, n_channels), optional
        What they are seen through; the channels themselves if None.
    n_bands : int
        Bands of a window.
    shrinkage : float, optional
        See `bands.shrink`.

    Returns
    -------
    covariances : ndarray, shape (n_windows, n_bands, n_components, n_components)
        Shrunken.

    Raises
    ------
    ConfigError
        If there is no window, or one that is silent in some band or not finite.
    """
    if len(windows) == 0:
        raise ConfigError("Got 0 windows, needed is at least 1: select trials to fit on.")
    n_channels = split_bands(windows[0], n_bands).shape[1]
    size = n_channels if filters is None else filters.shape[1]
    work = _Work((n_bands, size, size), windows.shape[2])
    found = np.empty((len(windows), *work.covariances.shape))
    for index, samples in enumerate(windows):
        covariances = _covariance(split_bands(samples, n_bands), filters, shrinkage, work)
        if covariances is None:
            raise ConfigError(
                f"Window {index} is silent in some band, or holds NaN or infinity, allowed is "
                f"finite signal: leave its trial out of the fit."
            )
        found[index] = covariances
    return found


def mean_at_unit_power(windows: Samples, n_bands: int) -> Floats:
    """Mean covariance over the windows, each at unit power.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
        Conditioned windows in microvolts, all finite.
    n_bands : int
        Bands of a window.

    Returns
    -------
    mean : ndarray, shape (n_bands, n_channels, n_channels)
        Not shrunken.
    """
    covariances = covariances_of(windows, None, n_bands, shrinkage=0.0)
    covariances /= np.einsum("wbii->wb", covariances)[:, :, None, None]
    mean: Floats = covariances.mean(axis=0)
    return mean


def principal_components(covariance: Floats, n_components: int) -> Floats:
    """Whitened principal components of each band.

    Parameters
    ----------
    covariance : ndarray, shape (n_bands, n_channels, n_channels)
        Of the channels.
    n_components : int
        How many at most; as many as every band has directions with power.

    Returns
    -------
    filters : ndarray, shape (n_bands, n_components, n_channels)
        One per row.
    """
    powers, axes = np.linalg.eigh(covariance)
    # A reference, or a channel that others repeat, leaves directions without any power.
    rank = int((powers > 1e-9 * powers[:, -1:]).sum(axis=1).min())
    keep = np.arange(powers.shape[1])[::-1][: min(n_components, rank)]
    whitened = axes[:, :, keep] / np.sqrt(powers[:, None, keep])
    return np.ascontiguousarray(whitened.swapaxes(1, 2))
