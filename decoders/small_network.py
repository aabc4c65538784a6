"""A small convolutional network as an encoder: trained in torch, served in numpy.

Spatial filters come first, a temporal kernel follows behind each; both are linear, so the order is
free [1]_, and a filter that must not look at a masked channel is made as for any other spatial
filter (`MissingChannels`). What follows is the shallow network of [2]_ or the second half of [1]_.
The network is trained with a linear head that is thrown away: whoever fits reads the features anew.

References
----------
.. [1] Lawhern et al. EEGNet: a compact convolutional neural network for EEG-based brain-computer
   interfaces. J. Neural Eng., 2018.
.. [2] Schirrmeister et al. Deep learning with convolutional neural networks for EEG decoding and
   visualization. Human Brain Mapping, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from .bands import (
    Floats,
    check_rate,
    check_stream,
    embed,
    encode_each,
    split_announced,
)
from .missing import MissingChannels
from .small_network_config import SmallNetworkConfig

FIRST_POOL_S, SECOND_TAPS, SECOND_POOL = 0.032, 8, 2
"""Of ``"wave"``: means over so many seconds, then kernels and means of so many of these."""

_SPATIAL = ("filters", "scatter", "n_times")
_BEHIND = {"power": ("kernels",), "wave": ("kernels", "offsets", "later", "mixing", "shifts")}


class SmallNetwork:
    """Encoder: what a small network makes of a window, before its head.

    Parameters
    ----------
    config : SmallNetworkConfig
        What was chosen.
    arrays : mapping of str to ndarray
        Weights, with every norm folded in: ``filters`` (1, n_maps, n_channels) and ``kernels``
        (n_maps, n_taps); for ``"wave"`` also ``offsets`` (n_maps,), ``later`` (n_maps,
        `SECOND_TAPS`), ``mixing`` (n_maps, n_maps), ``shifts`` (n_maps,). ``scatter``, shape
        (1, n_channels, n_channels), is the mean covariance of the training windows, and
        ``n_times`` their length.

    Notes
    -----
    A window that is silent or not finite is encoded as NaN with quality 0, and so is one with too
    few usable channels (`MissingChannels`); a masked row that can be spared is not looked at.
    """

    Config = SmallNetworkConfig

    def __init__(self, config: SmallNetworkConfig, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.config = config
        self._weights = {
            name: np.asarray(arrays[name], np.float64)
            for name in (*_SPATIAL, *_BEHIND[config.kind])
        }
        self._filters = self._weights["filters"]
        if self._filters.shape[:2] != (1, len(self._weights["kernels"])):
            raise BundleError(
                f"Filters {self._filters.shape} do not fit kernels "
                f"{self._weights['kernels'].shape}: fit the model again."
            )
        self._missing = MissingChannels(self._weights["scatter"], self._filters)
        self._n_times = int(self._weights["n_times"][0])
        self.n_features = n_features(config, self._n_times)
        self._opened = False

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: SmallNetworkConfig) -> Self:
        """Train the network.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,)
            Class of each window, at least two different ones.
        config : SmallNetworkConfig
            What was chosen.

        Returns
        -------
        encoder : SmallNetwork
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If torch is not installed, there are fewer than two classes, or a window is silent,
            not finite or too short for the kernels.
        """
        n_features(config, windows.shape[2])  # refuses windows that are too short
        if len(np.unique(labels)) < 2:
            raise ConfigError(f"Got {len(np.unique(labels))} class, needed are 2: add trials.")
        finite = np.isfinite(windows).all(axis=(1, 2)) & windows.any(axis=(1, 2))
        if not finite.all():
            raise ConfigError(
                f"Window {int(np.argmin(finite))} is silent, or holds NaN or infinity, allowed is "
                f"finite signal: leave its trial out of the fit."
            )
        try:
            from .small_network_training import train
        except ModuleNotFoundError as error:
            raise ConfigError(
                "A network is trained with torch, which is not installed: pip install "
                "'diverloop[torch]', or choose another way. Serving needs none."
            ) from error
        scatter = np.mean([one @ one.T / one.shape[1] for one in windows], axis=0)
        length = np.array([windows.shape[2]], dtype=np.float64)
        return cls(
            config,
            {"scatter": scatter[None], "n_times": length, **train(windows, labels, config)},
        )

    @classmethod
    def from_arrays(cls, config: SmallNetworkConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(config, {name: take(arrays, name, n) for name, n in _axes(config.kind).items()})

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return dict(self._weights)

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and set aside memory for one window.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows or another rate, or windows are not as long
            as those of the fit.
        """
        check_stream(spec, self._filters.shape[2])
        check_rate(spec, self.config.rate_hz)
        self._check_length(n_times)
        self._missing.open(n_times)
        self._opened = True

    def encode(self, window: Window) -> Embedding:
        """Features of one window.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Features; quality 1, less where channels are masked (`MaskedFilters`). NaN with
            quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._opened:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._filters.shape[2], self._n_times)
        by_band = split_announced(window.samples, 1, expected)
        if window.usable is None or window.usable.all():
            return embed(self._features(by_band[0], self._filters[0]), self.n_features)
        masked = self._missing.filters_for(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        picked = self._missing.pick(by_band, masked)
        values = self._features(picked[0], masked.filters[0])
        return embed(values, self.n_features, masked.quality)

    def encode_many(self, windows: Samples) -> Floats:
        """Features of many windows, by the very code that serves one.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that cannot be encoded.
        """
        self._check_length(windows.shape[2])

        def features_of(samples: Samples) -> Floats | None:
            return self._features(samples, self._filters[0])

        return encode_each(windows, features_of, self.n_features)

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._opened = False
        self._missing.close()

    def _check_length(self, n_times: int) -> None:
        if n_times != self._n_times:
            raise SchemaMismatch(
                f"Windows have {n_times} samples, the model was fitted on {self._n_times}: use "
                f"the model's own window length and rate."
            )

    def _features(self, samples: Samples, filters: Floats) -> Floats | None:
        with np.errstate(over="ignore", invalid="ignore"):
            maps = _slid(filters @ samples, self._weights["kernels"])
            if self.config.kind == "power":
                values = np.einsum("mt,mt->m", maps, maps) / maps.shape[1]
                if not (np.isfinite(values).all() and values.min() > 0):
                    return None
                log_power: Floats = np.log(values)
                return log_power
            values = self._wave(maps)
        return values if np.isfinite(values).all() and samples.any() else None

    def _wave(self, maps: Floats) -> Floats:
        """From maps (n_maps, n) to features."""
        weights = self._weights
        maps = _elu(maps + weights["offsets"][:, None])
        maps = _slid(_means(maps, first_pool(self.config)), weights["later"])
        maps = _elu(weights["mixing"] @ maps + weights["shifts"][:, None])
        flat: Floats = _means(maps, SECOND_POOL).ravel()
        return flat


def first_pool(config: SmallNetworkConfig) -> int:
    """Samples of the first means of ``"wave"``."""
    return max(1, round(FIRST_POOL_S * config.rate_hz))


def n_features(config: SmallNetworkConfig, n_times: int) -> int:
    """How many features a window has; raises `ConfigError` if it is too short for any."""
    n = n_times - config.n_taps + 1
    if config.kind == "wave":
        n = (n // first_pool(config) - SECOND_TAPS + 1) // SECOND_POOL
    if n < 1:
        raise ConfigError(
            f"A window of {n_times} samples is too short for kernels of {config.kernel_s:g} s: "
            f"lengthen it, or lower kernel_s."
        )
    return config.n_maps * (n if config.kind == "wave" else 1)


def _axes(kind: str) -> dict[str, int]:
    """Names of the weights, and how many axes each has."""
    one, three = ("n_times", "offsets", "shifts"), ("filters", "scatter")
    names = (*_SPATIAL, *_BEHIND[kind])
    return {name: 1 if name in one else 3 if name in three else 2 for name in names}


def _slid(maps: Floats, kernels: Floats) -> Floats:
    """Each row (m, n) with a kernel of its own (m, k) slid along it, (m, n - k + 1)."""
    # Rows of neighbours, a view, times a column: one product for each map.
    slid: Floats = sliding_window_view(maps, kernels.shape[1], axis=1) @ kernels[:, :, None]
    return slid[:, :, 0]


def _means(maps: Floats, n: int) -> Floats:
    """Means of n neighbours each; a remainder at the end is left out."""
    whole = maps.shape[1] // n * n
    means: Floats = maps[:, :whole].reshape(len(maps), -1, n).mean(axis=2)
    return means


def _elu(x: Floats) -> Floats:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
