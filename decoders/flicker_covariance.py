"""Flicker covariance: which electrodes follow each flicker, and how they do so together.

Canonical correlation asks how well a flicker is followed by *any* mixture of electrodes; a
calibration knows more: with which electrodes this person follows it. The covariance of the signal
around each frequency and its harmonics says so [1]_, seen from the calibration's Riemannian mean
[2]_.

What is around a frequency is taken from the window itself, by projection on the waves of that
frequency and of its neighbours, as many as fit the window a whole number of cycles apart: narrow
filters in the stream would still ring with what was looked at before the window.

References
----------
.. [1] Kalunga, Chevallier, Barthélemy, Djouani, Monacelli, Hamam. Online SSVEP-based BCI using
   Riemannian geometry. Neurocomputing, 2016.
.. [2] Barachant, Bonnet, Congedo, Jutten. Multiclass brain-computer interface classification by
   Riemannian geometry. IEEE Trans. Biomed. Eng., 2012.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import ConfigError
from ..runtime.messages import Channel, Embedding, Samples, StreamSpec, Window
from .bands import Floats, check_announced, check_rate, check_stream
from .filterbank_covariance import FilterbankCovariance, FilterbankCovarianceConfig
from .flicker_frequencies import check_frequencies, named_frequencies


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerCovarianceConfig:
    """What can be chosen about `FlickerCovariance`.

    Parameters
    ----------
    rate_hz : float
        Rate of the conditioned stream, positive.
    frequencies_hz : tuple of float
        What may be attended to; empty takes the frequencies that the labels name.
    n_harmonics : int
        Multiples of each frequency, itself included, 1 to 8; those above half the rate are left
        out.
    half_width_hz : float
        How far the neighbours of a frequency reach to both sides, 0 or more.
    shrinkage : float
        Weight of the identity in each covariance, in (0, 1]: a second of signal holds but a few
        waves of each kind.
    """

    rate_hz: float
    frequencies_hz: tuple[float, ...] = ()
    n_harmonics: int = 2
    half_width_hz: float = 1.0
    shrinkage: float = 0.1

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "frequencies_hz", tuple(map(float, self.frequencies_hz)))
        if not self.rate_hz > 0:
            raise ConfigError(
                f"rate_hz must be positive, got {self.rate_hz} Hz: it is the rate of the "
                f"conditioned stream."
            )
        if not 1 <= self.n_harmonics <= 8:
            raise ConfigError(
                f"n_harmonics must be in 1 to 8, got {self.n_harmonics}: 2 is a good start."
            )
        if not 0 <= self.half_width_hz <= 5:
            raise ConfigError(
                f"half_width_hz must be in [0, 5] Hz, got {self.half_width_hz} Hz: 1 is usual."
            )
        if not 0 < self.shrinkage <= 1:
            raise ConfigError(
                f"shrinkage must be in (0, 1], got {self.shrinkage}: 0.1 is a good start."
            )
        check_frequencies(self.frequencies_hz, self.rate_hz)

    def bands_hz(self, frequencies_hz: Floats) -> list[float]:
        """Frequencies and their multiples that can be sampled, each the middle of a band."""
        orders = range(1, self.n_harmonics + 1)
        multiples = [order * hz for order, hz in product(orders, frequencies_hz.tolist())]
        return [hz for hz in multiples if hz + self.half_width_hz < self.rate_hz / 2]


class FlickerCovariance:
    """Encoder: covariance around each flicker and its harmonics, in the tangent space.

    Parameters
    ----------
    config : FlickerCovarianceConfig
        What was chosen.
    frequencies_hz : ndarray, shape (n_frequencies,)
        What may be attended to.
    covariance : FilterbankCovariance
        On the projected window, a band for each frequency and harmonic.

    Notes
    -----
    Features, masks and windows that cannot be encoded are as `FilterbankCovariance` has them.
    """

    Config = FlickerCovarianceConfig

    def __init__(
        self,
        config: FlickerCovarianceConfig,
        frequencies_hz: Floats,
        covariance: FilterbankCovariance,
    ) -> None:
        self.config, self.frequencies_hz = config, frequencies_hz
        self._covariance, self._bands_hz = covariance, config.bands_hz(frequencies_hz)
        self.n_features = covariance.n_features
        self._waves: Floats | None = None

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: FlickerCovarianceConfig) -> Self:
        """Learn components and mean covariance around each flicker.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,)
            Class of each window; they name the frequencies, unless the configuration does.
        config : FlickerCovarianceConfig
            What was chosen.

        Returns
        -------
        encoder : FlickerCovariance
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If fewer than two frequencies are named, one is too high for the rate, or a window is
            silent around one or not finite.
        """
        frequencies_hz = named_frequencies(config.frequencies_hz, labels, config.rate_hz)
        waves = _waves(config.bands_hz(frequencies_hz), windows.shape[2], config)
        inner = _inner(config, len(waves))
        learnt = FilterbankCovariance.fit(_projected(windows, waves), None, inner)
        return cls(config, frequencies_hz, learnt)

    @classmethod
    def from_arrays(
        cls, config: FlickerCovarianceConfig, arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        frequencies_hz = take(arrays, "frequencies_hz", 1)
        inner = _inner(config, len(config.bands_hz(frequencies_hz)))
        return cls(config, frequencies_hz, FilterbankCovariance.from_arrays(inner, arrays))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {"frequencies_hz": self.frequencies_hz, **self._covariance.to_arrays()}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and prepare the waves to project on.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows or another rate.
        """
        check_stream(spec, self._covariance.n_channels)
        check_rate(spec, self.config.rate_hz)
        self._waves = _waves(self._bands_hz, n_times, self.config)
        rows = [
            Channel(name=f"{hz:g} Hz/{name}")
            for hz, name in product(self._bands_hz, spec.channel_names)
        ]
        self._covariance.open(replace(spec, channels=tuple(rows)), self._waves.shape[2])

    def encode(self, window: Window) -> Embedding:
        """Features of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            As that of `FilterbankCovariance`.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if self._waves is None:
            raise RuntimeError("encode was called before open: open the encoder first.")
        check_announced(window.samples, (self._covariance.n_channels, self._waves.shape[1]))
        usable = None if window.usable is None else np.tile(window.usable, len(self._waves))
        around = _projected(window.samples[None], self._waves)[0]
        return self._covariance.encode(replace(window, samples=around, usable=usable))

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
        waves = _waves(self._bands_hz, windows.shape[2], self.config)
        return self._covariance.encode_many(_projected(windows, waves))

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._waves = None
        self._covariance.close()


def _inner(config: FlickerCovarianceConfig, n_bands: int) -> FilterbankCovarianceConfig:
    return FilterbankCovarianceConfig(n_bands=n_bands, shrinkage=config.shrinkage)


def _waves(bands_hz: list[float], n_times: int, config: FlickerCovarianceConfig) -> Floats:
    """Orthonormal waves around each frequency, shape (n_bands, n_times, n_waves)."""
    time_s = np.arange(n_times) / config.rate_hz
    length_s = n_times / config.rate_hz
    reach = int(config.half_width_hz * length_s + 1e-6)
    aside_hz = np.arange(-reach, reach + 1) / length_s
    found = []
    for middle_hz in bands_hz:
        angles = 2 * np.pi * np.outer(time_s, middle_hz + aside_hz)
        found.append(np.linalg.qr(np.hstack([np.sin(angles), np.cos(angles)]))[0])
    return np.array(found)


def _projected(windows: Samples, waves: Floats) -> Floats:
    """What is around each frequency: (n_windows, n_bands * n_channels, n_waves), band-major."""
    # One band after the other for one window after the other: the very sums of serving.
    with np.errstate(over="ignore", invalid="ignore"):
        around: Floats = np.matmul(windows[:, None], waves)
    return around.reshape(len(windows), -1, waves.shape[2])
