"""Common spatial patterns: filters whose power differs most between classes, band by band.

The classic of motor imagery [1]_, applied in each band of a filter bank [2]_. With more than two
classes each is set against all others. Few features, easy to look at, but it needs enough trials:
filters are chosen by the labels, so judge it by cross-validation only.

References
----------
.. [1] Ramoser, Müller-Gerking, Pfurtscheller. Optimal spatial filtering of single trial EEG
   during imagined hand movement. IEEE Trans. Rehabil. Eng., 2000.
.. [2] Ang, Chin, Zhang, Guan. Filter bank common spatial pattern (FBCSP) in brain-computer
   interface. IEEE IJCNN, 2008.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSpatialPatternsConfig:
    """What can be chosen about `CommonSpatialPatterns`.

    Parameters
    ----------
    n_bands : int
        Bands of the conditioned stream.
    n_pairs : int
        Filters from each end of the spectrum, for each band and each contrast.
    shrinkage : float
        Weight of the identity in the class covariances, in (0, 1]: an average reference alone
        makes them singular.
    """

    n_bands: int
    n_pairs: int = 2
    shrinkage: float = 0.1

    def __post_init__(self) -> None:
        for name in ("n_bands", "n_pairs"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, got {getattr(self, name)}: raise it."
                )
        if not 0 < self.shrinkage <= 1:
            raise ConfigError(
                f"shrinkage must be in (0, 1], got {self.shrinkage}: 0.1 is a good start."
            )


class CommonSpatialPatterns:
    """Encoder: logarithm of the power behind each spatial filter.

    Parameters
    ----------
    config : CommonSpatialPatternsConfig
        What was chosen.
    filters : ndarray, shape (n_bands, n_filters, n_channels)
        Spatial filters of each band, one per row.
    covariance : ndarray, shape (n_bands, n_channels, n_channels)
        Mean covariance of each band, each window at unit power and each class counted alike:
        what stands in for masked channels follows from it.

    Notes
    -----
    A window with a zero, NaN or infinite power is encoded as NaN with quality 0, and so is one
    with too few usable channels (`MissingChannels`); a masked row that can be spared is not
    looked at.
    """

    Config = CommonSpatialPatternsConfig

    def __init__(
        self, config: CommonSpatialPatternsConfig, filters: Floats, covariance: Floats
    ) -> None:
        if filters.shape[0] != config.n_bands:
            raise BundleError(
                f"Filters {filters.shape} do not fit {config.n_bands} bands: fit the model again."
            )
        self.config = config
        self._filters = filters
        self._missing = MissingChannels(covariance, filters)
        self.n_features = filters.shape[0] * filters.shape[1]
        self._projected: Floats | None = None

    @classmethod
    def fit(
        cls, windows: Samples, labels: NDArray[Any], config: CommonSpatialPatternsConfig
    ) -> Self:
        """Learn the filters.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,)
            Class of each window, at least two different ones.
        config : CommonSpatialPatternsConfig
            What was chosen.

        Returns
        -------
        encoder : CommonSpatialPatterns
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there are fewer than two classes, too few channels for the pairs, or a window
            that is silent in some band or not finite.
        """
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ConfigError(f"Needed are at least 2 classes, got {len(classes)}: add trials.")
        means = _class_means(windows, labels, classes, config)
        covariance = means.mean(axis=0)
        for mean in means:
            shrink(mean, windows.shape[2], config.shrinkage)
        if 2 * config.n_pairs > means.shape[2]:
            raise ConfigError(
                f"n_pairs must be at most half of the {means.shape[2]} channels, got "
                f"{config.n_pairs}: lower it."
            )
        # One against the other is the same contrast as the other against the one.
        contrasts = 1 if len(classes) == 2 else len(classes)
        filters = [_contrast(means, one, config.n_pairs) for one in range(contrasts)]
        return cls(config, np.concatenate(filters, axis=1), covariance)

    @classmethod
    def from_arrays(
        cls, config: CommonSpatialPatternsConfig, arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(config, take(arrays, "filters", 3), take(arrays, "scatter", 3))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {"filters": self._filters, "scatter": self._missing.covariance}

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
        check_stream(spec, self.config.n_bands * self._filters.shape[2])
        self._projected = np.empty((*self._filters.shape[:2], n_times))
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
            Log powers; quality 1, less where channels are masked (`MaskedFilters`). NaN with
            quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if self._projected is None:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._filters.shape[2], self._projected.shape[2])
        by_band = split_announced(window.samples, self.config.n_bands, expected)
        if window.usable is None or window.usable.all():
            values = _features(by_band, self._filters, self._projected)
            return embed(values, self.n_features)
        masked = self._missing.filters_for(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        picked = self._missing.pick(by_band, masked)
        values = _features(picked, masked.filters, self._projected)
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
        projected = np.empty((*self._filters.shape[:2], windows.shape[2]))

        def features_of(samples: Samples) -> Floats | None:
            return _features(split_bands(samples, self.config.n_bands), self._filters, projected)

        return encode_each(windows, features_of, self.n_features)

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._projected = None
        self._missing.close()


def _features(by_band: Samples, filters: Floats, projected: Floats) -> Floats | None:
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(filters, by_band, out=projected)
        power = np.einsum("bft,bft->bf", projected, projected) / projected.shape[2]
    if not (np.isfinite(power).all() and power.min() > 0):
        return None
    log_power: Floats = np.log(power).ravel()
    return log_power


def _class_means(
    windows: Samples,
    labels: NDArray[Any],
    classes: NDArray[Any],
    config: CommonSpatialPatternsConfig,
) -> Floats:
    """Mean covariance of each class, each window at unit power: (n_classes, n_bands, c, c)."""
    n_channels = split_bands(windows[0], config.n_bands).shape[1]
    work = np.empty((config.n_bands, n_channels, n_channels))
    means = np.zeros((len(classes), *work.shape))
    for index, (samples, label) in enumerate(zip(windows, labels, strict=True)):
        power = np.einsum("bii->b", scatter(split_bands(samples, config.n_bands), work))
        if not (np.isfinite(power).all() and power.min() > 0):
            raise ConfigError(
                f"Window {index} is silent in some band, or holds NaN or infinity, allowed is "
                f"finite signal: leave its trial out of the fit."
            )
        means[np.searchsorted(classes, label)] += work / power[:, None, None]
    means /= np.array([(labels == name).sum() for name in classes])[:, None, None, None]
    return means


def _contrast(means: Floats, one: int, n_pairs: int) -> Floats:
    """Filters for one class against the mean of the others, (n_bands, 2 * n_pairs, c)."""
    from scipy.linalg import eigh

    others = np.delete(means, one, axis=0).mean(axis=0)
    ends = np.r_[:n_pairs, -n_pairs:0]
    # Eigenvalues are the class's share of the power, ascending: both ends tell classes apart.
    bands = [eigh(a, a + b)[1][:, ends].T for a, b in zip(means[one], others, strict=True)]
    return np.ascontiguousarray(np.stack(bands))
