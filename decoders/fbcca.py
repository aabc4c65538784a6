"""Filter-bank canonical correlation: which flicker a window follows, without any training.

At every frequency a window is compared with sines and cosines of that frequency and its harmonics:
the largest canonical correlation says how much of *some* mixture of the electrodes *some* mixture
of those waves explains [1]_. Slow rhythms are strong, so this is done in several sub-bands, each
beginning higher than the last, and the squared correlations are added with falling weights [2]_.

The sub-bands are cut from the window itself, by projecting it on the sines and cosines of its own
length: nothing after the window is looked at, nothing before it has to be filtered, and a window
costs one short Fourier transform. The stream in front needs a high-pass and a mains notch.

References
----------
.. [1] Lin, Zhang, Wu, Gao. Frequency recognition based on canonical correlation analysis for
   SSVEP-based BCIs. IEEE Trans. Biomed. Eng., 2007.
.. [2] Chen, Wang, Gao, Jung, Gao. Filter bank canonical correlation analysis for implementing a
   high-speed SSVEP-based brain-computer interface. J. Neural Eng., 2015.
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
from .bands import Floats, check_announced, check_rate, check_stream, embed, encode_each
from .flicker_frequencies import check_frequencies, named_frequencies
from .missing import LEAST_SHARE
from .sub_bands import SubBandConfig, SubBands

_RIDGE = 1e-8  # a reference leaves a direction without power, and it must stay without meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBankCcaConfig(SubBandConfig):
    """What can be chosen about `FilterBankCca`, beside its sub-bands.

    Parameters
    ----------
    frequencies_hz : tuple of float
        What may be attended to, in the order of the features; empty takes the frequencies that the
        labels name (`frequency_of`), from low to high.
    n_harmonics : int
        Multiples of each frequency, itself included, 1 to 8; those above half the rate are left
        out.
    per_band : bool
        Whether each sub-band gives features of its own, for a head that learns their weights;
        False adds them up.
    neighbour_hz : float
        Above 0 every frequency gets a second feature: its score less the mean score this far to
        both sides, which is near 0 when nothing is attended to. 0 leaves it out.
    """

    frequencies_hz: tuple[float, ...] = ()
    n_harmonics: int = 3
    per_band: bool = False
    neighbour_hz: float = 0.0

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "frequencies_hz", tuple(map(float, self.frequencies_hz)))
        SubBandConfig.__post_init__(self)
        if not 1 <= self.n_harmonics <= 8:
            raise ConfigError(
                f"n_harmonics must be in 1 to 8, got {self.n_harmonics}: 3 is a good start."
            )
        if not 0 <= self.neighbour_hz <= 5:
            raise ConfigError(
                f"neighbour_hz must be in [0, 5] Hz, got {self.neighbour_hz} Hz: 1 is usual, 0 "
                f"leaves it out."
            )
        check_frequencies(self.frequencies_hz, self.rate_hz)


class FilterBankCca:
    """Encoder: how well a window follows each flicker.

    Parameters
    ----------
    config : FilterBankCcaConfig
        What was chosen.
    frequencies_hz : ndarray, shape (n_frequencies,)
        What may be attended to.
    n_channels : int
        Rows of the conditioned stream.

    Notes
    -----
    Features are ``n_frequencies`` weighted sums of squared correlations; with `per_band` each
    sub-band's squared correlations one sub-band after the other; then, with `neighbour_hz`, one
    more for each frequency. A window that is silent or not finite in its usable rows is encoded as
    NaN with quality 0, and so is one with less than a third of its channels. Masked channels are
    left out; the quality is the share that is left.

    Nothing is learnt but the names of the frequencies, so windows without any label will do, as
    `untrained` says.
    """

    Config = FilterBankCcaConfig

    def __init__(
        self, config: FilterBankCcaConfig, frequencies_hz: Floats, n_channels: int
    ) -> None:
        if frequencies_hz.size < 2 or n_channels < 1:
            raise BundleError(
                f"Needed are at least 2 frequencies and 1 channel, got {frequencies_hz.size} and "
                f"{n_channels}: fit the model again."
            )
        self.config, self.frequencies_hz = config, frequencies_hz
        self._n_channels = n_channels
        per_frequency = config.n_sub_bands if config.per_band else 1
        self.n_features = frequencies_hz.size * (per_frequency + (config.neighbour_hz > 0))
        self._references: _References | None = None

    @classmethod
    def untrained(cls, config: FilterBankCcaConfig, n_channels: int) -> Self:
        """An encoder for a participant of whom nothing was recorded yet.

        Parameters
        ----------
        config : FilterBankCcaConfig
            Names its frequencies.
        n_channels : int
            Rows of the conditioned stream.

        Returns
        -------
        encoder : FilterBankCca
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If it names fewer than two frequencies.
        """
        if len(config.frequencies_hz) < 2:
            raise ConfigError(
                f"frequencies_hz must hold at least 2 frequencies, got "
                f"{list(config.frequencies_hz)}: name what flickers."
            )
        return cls(config, np.array(config.frequencies_hz), n_channels)

    @classmethod
    def fit(
        cls, windows: Samples, labels: NDArray[Any] | None, config: FilterBankCcaConfig
    ) -> Self:
        """Read the frequencies from the labels, unless the configuration names them.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts; only their shape is looked at.
        labels : ndarray, shape (n_windows,), optional
            Class of each window; those that name no frequency, such as ``"rest"``, are passed over.
        config : FilterBankCcaConfig
            What was chosen.

        Returns
        -------
        encoder : FilterBankCca
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If fewer than two frequencies are named, or one is too high for the rate.
        """
        n_channels = windows.shape[1]
        if config.frequencies_hz:
            return cls.untrained(config, n_channels)
        return cls(config, named_frequencies((), labels, config.rate_hz), n_channels)

    @classmethod
    def from_arrays(cls, config: FilterBankCcaConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        frequencies_hz = take(arrays, "frequencies_hz", 1)
        chosen = config.frequencies_hz
        if chosen and not np.array_equal(chosen, frequencies_hz):
            raise BundleError(
                f"The bundle holds {frequencies_hz.tolist()} Hz, its card says {list(chosen)} Hz: "
                f"fit the model again."
            )
        return cls(config, frequencies_hz, int(take(arrays, "n_channels", 1)[0]))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {
            "frequencies_hz": self.frequencies_hz,
            "n_channels": np.array([float(self._n_channels)]),
        }

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and prepare the waves to compare with.

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
        ConfigError
            If the window is too short for the sub-bands.
        """
        check_stream(spec, self._n_channels)
        check_rate(spec, self.config.rate_hz)
        self._references = _References(self.config, self.frequencies_hz, n_times)

    def encode(self, window: Window) -> Embedding:
        """Features of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Scores; quality 1, less where channels are masked. NaN with quality 0 if the window
            cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if self._references is None:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._n_channels, self._references.n_times)
        check_announced(window.samples, expected)
        samples, quality = window.samples, 1.0
        if window.usable is not None and not window.usable.all():
            quality = float(window.usable.mean())
            if quality < LEAST_SHARE:
                return embed(None, self.n_features)
            samples = samples[window.usable]
        return embed(self._features(samples, self._references), self.n_features, quality)

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
        references = _References(self.config, self.frequencies_hz, windows.shape[2])
        return encode_each(
            windows, lambda samples: self._features(samples, references), self.n_features
        )

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._references = None

    def _features(self, samples: Samples, references: _References) -> Floats | None:
        squared = references.correlations(samples)
        if squared is None:
            return None
        n, summed = self.frequencies_hz.size, self.config.weights @ squared
        found = [squared[:, :n].ravel() if self.config.per_band else summed[:n]]
        if self.config.neighbour_hz:
            found.append(summed[:n] - summed[n:].reshape(2, n).mean(axis=0))
        return np.concatenate(found)


class _References:
    """Waves of each frequency for one length of window, and the correlations with them."""

    def __init__(self, config: FilterBankCcaConfig, frequencies_hz: Floats, n_times: int) -> None:
        self.n_times = n_times
        self._sub_bands = SubBands(config, n_times)
        if aside := config.neighbour_hz:
            frequencies_hz = np.r_[frequencies_hz, frequencies_hz - aside, frequencies_hz + aside]
        self._n, self._n_waves = len(frequencies_hz), 2 * config.n_harmonics
        time_s = np.arange(n_times) / config.rate_hz
        # Harmonics that cannot be sampled stay zero, which correlates with nothing.
        waves = np.zeros((self._n, self._n_waves, n_times))
        for one, hz in zip(waves, frequencies_hz, strict=True):
            multiples = [m * hz for m in range(1, config.n_harmonics + 1)]
            angles = [2 * np.pi * each * time_s for each in multiples if each < config.rate_hz / 2]
            rows = np.array([wave(angle) for angle in angles for wave in (np.sin, np.cos)])
            one[: len(rows)] = np.linalg.qr(rows.T)[0].T
        self._waves = self._sub_bands.coefficients(waves.reshape(-1, n_times))

    def correlations(self, samples: Samples) -> Floats | None:
        """Largest squared canonical correlations, (n_sub_bands, n_frequencies)."""
        coefficients = self._sub_bands.coefficients(samples)
        covariances = self._sub_bands.products(coefficients, coefficients)
        power = np.einsum("bcc->b", covariances)
        # A finite sum of squares bounds every element.
        if not (np.isfinite(power).all() and power.min() > 0):
            return None
        n_channels = len(samples)
        diagonal = np.arange(n_channels)
        covariances[:, diagonal, diagonal] += _RIDGE * power[:, None] / n_channels
        shared = self._sub_bands.products(coefficients, self._waves)
        explained = np.linalg.solve(np.linalg.cholesky(covariances), shared)
        by_frequency = explained.reshape(-1, n_channels, self._n, self._n_waves).swapaxes(1, 2)
        # Both products have the same eigenvalues but for zeros; the smaller matrix is faster.
        turned = by_frequency.swapaxes(2, 3)
        grams = by_frequency @ turned if n_channels <= self._n_waves else turned @ by_frequency
        return np.clip(np.linalg.eigvalsh(grams)[..., -1], 0.0, 1.0)
