"""Band power: the logarithm of the power in each band, over one or more regions of the head.

The measure of neurofeedback, and the plainest feature there is. What a window with all its
electrodes gives depends on nothing but that window. `BandPower.fit` only notes how strong each
electrode usually is, so that the mean over a region stays where it is when one is masked.
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
from .bands import Floats, check_stream, embed, encode_each, split_announced, split_bands

Usable = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPowerConfig:
    """What can be chosen about `BandPower`.

    Parameters
    ----------
    n_bands : int
        Bands of the conditioned stream, at least 1.
    regions : tuple of tuple of int
        Electrodes that are averaged, each named by its place among the channels of a band, from
        0. Empty for one region of all channels.
    """

    n_bands: int
    regions: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        # A card read from JSON brings lists.
        object.__setattr__(self, "regions", tuple(tuple(rows) for rows in self.regions))
        if self.n_bands < 1:
            raise ConfigError(f"n_bands must be at least 1, got {self.n_bands}: raise it.")
        for rows in self.regions:
            if not rows or min(rows) < 0 or len(set(rows)) < len(rows):
                raise ConfigError(
                    f"regions must hold different channel numbers from 0, got {list(rows)}: name "
                    f"each electrode of a region once."
                )


class BandPower:
    """Encoder: mean log power of each region in each band, ``log(uV^2)``.

    Parameters
    ----------
    config : BandPowerConfig
        What was chosen.
    levels : ndarray, shape (n_bands, n_channels)
        Usual log power of each channel; zeros if it is not known. Looked at only where a channel
        is masked.

    Raises
    ------
    BundleError
        If the levels do not fit the bands or lack a channel of a region.

    Notes
    -----
    Features come band by band: feature ``band * n_regions + region``. A masked channel is left
    out of its region's mean; quality is the share of electrodes that is left in the poorest
    region. Where none is left, or a usable row is silent, NaN or infinite, the window is encoded
    as NaN with quality 0.
    """

    Config = BandPowerConfig

    def __init__(self, config: BandPowerConfig, levels: Floats) -> None:
        n_bands, n_channels = levels.shape
        highest = max((max(rows) for rows in config.regions), default=-1)
        if n_bands != config.n_bands or highest >= n_channels or not np.isfinite(levels).all():
            raise BundleError(
                f"Levels {levels.shape} do not fit {config.n_bands} bands and channel numbers up "
                f"to {highest}, or are not finite: fit the model again."
            )
        self.config = config
        self._levels = levels
        rows = config.regions or (tuple(range(n_channels)),)
        self._members = np.zeros((len(rows), n_channels))
        for region, channels in enumerate(rows):
            self._members[region, list(channels)] = 1.0
        self._looked_at: Usable = self._members.sum(axis=0) > 0
        self._all = self._members / self._members.sum(axis=1, keepdims=True)
        self.n_features = n_bands * len(rows)
        self._n_times = 0

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: BandPowerConfig) -> Self:
        """Note how strong each channel usually is; the labels are not looked at.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts, for example of a baseline.
        labels : ndarray, shape (n_windows,)
            Any.
        config : BandPowerConfig
            What was chosen.

        Returns
        -------
        encoder : BandPower
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there is no window, a region names a channel that is not there, or a row of some
            window is silent or not finite.
        """
        if not len(windows):
            raise ConfigError("Needed is at least 1 window, got none: record a baseline.")
        powers = np.stack([_log_power(split_bands(one, config.n_bands)) for one in windows])
        if not np.isfinite(powers).all():
            wrong = np.flatnonzero(~np.isfinite(powers).all(axis=(1, 2)))
            raise ConfigError(
                f"Window {wrong[0]} is silent in some row, or holds NaN or infinity, allowed is "
                f"finite signal: leave it, or the electrode, out of the fit."
            )
        n_channels = powers.shape[2]
        if any(row >= n_channels for rows in config.regions for row in rows):
            raise ConfigError(
                f"regions must name channels 0 to {n_channels - 1}, got {config.regions}: count "
                f"them in the order of the conditioned rows of one band."
            )
        return cls(config, powers.mean(axis=0))

    @classmethod
    def from_arrays(cls, config: BandPowerConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(config, take(arrays, "levels", 2))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {"levels": self._levels}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream; raises `SchemaMismatch` if it has another number of rows.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window, at least 1.
        """
        check_stream(spec, self._levels.size)
        self._n_times = n_times

    def encode(self, window: Window) -> Embedding:
        """Features of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Log powers, shape (n_bands * n_regions,).

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._n_times:
            raise RuntimeError("encode was called before open: open the encoder first.")
        n_bands, n_channels = self._levels.shape
        by_band = split_announced(window.samples, n_bands, (n_channels, self._n_times))
        powers = _log_power(by_band)
        if window.usable is None or window.usable.all():
            return embed(self._features(powers), self.n_features)
        good: Usable = np.all(window.usable.reshape(n_bands, n_channels), axis=0)
        left = self._members @ good
        if not left.all():
            return embed(None, self.n_features)
        # Adding a usual level where nothing is known would shift the mean; a deviation of 0 and
        # the weights of what is left do not.
        off = np.where(good, powers - self._levels, 0.0)
        weights = self._members * good / left[:, None]
        values = off @ weights.T + self._levels @ self._all.T
        quality = float((left / self._members.sum(axis=1)).min())
        return embed(_finite(values, powers[:, good & self._looked_at]), self.n_features, quality)

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

        def features_of(samples: Samples) -> Floats | None:
            return self._features(_log_power(split_bands(samples, self.config.n_bands)))

        return encode_each(windows, features_of, self.n_features)

    def close(self) -> None:
        """Forget the stream. Calling it twice is harmless."""
        self._n_times = 0

    def _features(self, powers: Floats) -> Floats | None:
        # A row of no region may be dead: 0 times infinity would spread it.
        seen = powers if self._looked_at.all() else np.where(self._looked_at, powers, 0.0)
        with np.errstate(invalid="ignore"):
            return _finite(seen @ self._all.T, powers[:, self._looked_at])


def _log_power(by_band: Samples) -> Floats:
    """Logarithm of the mean square of each row, shape (n_bands, n_channels)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        power = np.einsum("bct,bct->bc", by_band, by_band, dtype=np.float64)
        logarithm: Floats = np.log(power / by_band.shape[2])
    return logarithm


def _finite(values: Floats, powers: Floats) -> Floats | None:
    return values.ravel() if np.isfinite(powers).all() else None
