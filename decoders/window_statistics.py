"""What a window looks like from outside: size, spectrum and coupling, without any model.

Everything is said per channel or per pair of channels, so that a channel which is missing takes
nothing along but its own row: deviation of simple statistics, each by itself [1]_, and how many
directions the channels have together [2]_. One Fourier transform serves all.

References
----------
.. [1] Nolan, Whelan, Reilly. FASTER: Fully Automated Statistical Thresholding for EEG artifact
   Rejection. J. Neurosci. Methods, 2010.
.. [2] Roy, Vetterli. The effective rank: a measure of effective dimensionality. EUSIPCO, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .bands import Floats

BANDS_HZ = ((1.0, 4.0), (4.0, 12.0), (12.0, 30.0), (30.0, 45.0), (70.0, 150.0))
"""Where power is measured; a band beyond 0.45 of the rate is left out."""

PATTERN_BANDS_HZ = ((1.0, 45.0), (1.0, 8.0), (8.0, 30.0))
"""Where covariance is measured. Above 30 Hz it drifts with every tense muscle."""

COUPLING = ("correlation", "first share", "effective rank")
"""What is said of all channels together."""

SHAPES = ("slope", "flatness", "peak")
"""What is said last of every channel; all that comes before it is a size."""

_SLOPE_HZ = (2.0, 45.0)
_OF_RATE = 0.45
_FLOOR_UV = 0.01  # amplifiers are ten times as noisy: what is below is arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Statistics of one window.

    Parameters
    ----------
    channels : ndarray, shape (n_channels, n_statistics)
        In the order of ``WindowStatistics.names``; natural logarithms but for the slope.
    coupling : ndarray, shape (3,)
        In the order of `COUPLING`.
    covariances : ndarray, shape (n_pattern_bands, n_channels, n_channels)
        In square microvolts.
    """

    channels: Floats
    coupling: Floats
    covariances: Floats


class WindowStatistics:
    """Measures windows of one length.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.
    n_times : int
        Samples in a window.

    Attributes
    ----------
    names : tuple of str
        What is measured in every channel.

    Raises
    ------
    ConfigError
        If the window is too short, or the rate too low, to tell the lower bands apart.
    """

    def __init__(self, rate_hz: float, n_times: int) -> None:
        frequency_hz = np.asarray(np.fft.rfftfreq(n_times, 1 / rate_hz), np.float64)
        bands = [band for band in BANDS_HZ if band[1] <= _OF_RATE * rate_hz]
        self._bands = [_bins(frequency_hz, *band) for band in bands]
        self._patterns = [_bins(frequency_hz, *band) for band in PATTERN_BANDS_HZ]
        self._wide = _bins(frequency_hz, *_SLOPE_HZ)
        narrow = [b for b in (*self._bands, *self._patterns, self._wide) if b.stop - b.start < 2]
        if narrow or rate_hz * _OF_RATE < _SLOPE_HZ[1]:
            raise ConfigError(
                f"A window of {n_times} samples at {rate_hz:g} Hz is too short or too slow, needed "
                f"are 2 s / 3 at 100 Hz or more: make the window longer."
            )
        self._widths_hz = np.array([high - low for low, high in bands])
        self._taper = np.hanning(n_times)
        self._density = 2 / (rate_hz * float(self._taper @ self._taper))
        self._slope = _slope_weights(frequency_hz[self._wide])
        powers = tuple(f"power {low:g}-{high:g} Hz" for low, high in bands)
        self.names = ("RMS", *powers, *SHAPES)
        self.n_times = n_times

    def measure(self, samples: Samples) -> Measured:
        """Statistics of one window, all of whose rows are looked at.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Finite signal in microvolts.

        Returns
        -------
        measured : Measured
            Finite for finite signal, silence included.
        """
        centred = samples - samples.mean(axis=1, keepdims=True, dtype=np.float64)
        spectrum = np.fft.rfft(centred * self._taper, axis=1)
        return Measured(
            channels=self._channels(centred, spectrum),
            coupling=coupling(centred @ centred.T),
            covariances=np.stack([self._covariance(spectrum, band) for band in self._patterns]),
        )

    def _channels(self, centred: Floats, spectrum: NDArray[np.complex128]) -> Floats:
        density = self._density * (spectrum.real**2 + spectrum.imag**2)
        power = np.stack([density[:, band].mean(axis=1) for band in self._bands], axis=1)
        wide = density[:, self._wide] + _FLOOR_UV**2 / (_SLOPE_HZ[1] - _SLOPE_HZ[0])
        log_wide = np.log(wide)
        rms = np.sqrt(np.einsum("ct,ct->c", centred, centred) / self.n_times) + _FLOOR_UV
        return np.column_stack(
            [
                np.log(rms),
                0.5 * np.log(power * self._widths_hz + _FLOOR_UV**2),
                log_wide @ self._slope,
                log_wide.mean(axis=1) - np.log(wide.mean(axis=1)),
                np.log(np.abs(centred).max(axis=1) / rms + 1e-3),
            ]
        )

    def _covariance(self, spectrum: NDArray[np.complex128], band: slice) -> Floats:
        part = spectrum[:, band]
        stacked = np.concatenate([part.real, part.imag], axis=1)
        covariance: Floats = self._density * (stacked @ stacked.T)
        return covariance


def _bins(frequency_hz: Floats, low_hz: float, high_hz: float) -> slice:
    first, stop = np.searchsorted(frequency_hz, (low_hz, high_hz))
    return slice(int(first), int(stop))


def _slope_weights(frequency_hz: Floats) -> Floats:
    """Weights that read the exponent off log densities; octaves count alike."""
    weight = 1 / frequency_hz
    octave = np.log(frequency_hz)
    octave -= (octave @ weight) / weight.sum()
    slope: Floats = weight * octave / (weight @ octave**2)
    return slope


def coupling(covariance: Floats) -> Floats:
    """What the channels have to do with each other, whatever their sizes.

    Parameters
    ----------
    covariance : ndarray, shape (n_channels, n_channels)
        In any unit.

    Returns
    -------
    coupling : ndarray, shape (3,)
        Mean absolute correlation, logarithm of the first eigenvalue's share, and entropy of the
        eigenvalues over its largest value, in the order of `COUPLING`.
    """
    n = len(covariance)
    size = np.sqrt(np.maximum(np.diag(covariance), 0)) + 1e-9
    correlation = covariance / np.outer(size, size)
    powers = np.maximum(np.linalg.eigvalsh(correlation), 1e-12)
    powers /= powers.sum()
    pairs = max(1, n * (n - 1))
    mean = (np.abs(correlation).sum() - np.trace(correlation)) / pairs
    rank = -(powers @ np.log(powers)) / np.log(max(n, 2))
    return np.array([mean, np.log(powers[-1]), rank])
