"""Artefacts taken out in space: one fixed matrix from raw rows to cleaned rows.

An eye, a muscle or the mains reaches many electrodes at once, each with its own weight. Once the
weights are known from a calibration, the artefact is estimated from all electrodes together and
taken off each, sample by sample: no delay, and nothing is learnt while the loop runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..bundle import take
from ..errors import BundleError, ConfigError
from ..messages import Samples

Floats = NDArray[np.float64]

_RIDGE = 0.01  # of the mean channel's power, as where sources are fitted
_LEAST_KNOWN = 1e-3  # a source that the good rows know a thousandth of is left alone
_BRAIN_HZ, _MUSCLE_HZ = (20.0, 40.0), (110.0, 140.0)
_LOWEST_MUSCLE_HZ, _OF_RATE = 45.0, 0.45
_NARROWEST_HZ = 8.0
_LINE_WIDTH_HZ = 2.0


class Projection:
    """x -> x - A s: artefact sources, estimated from the signal, taken off every row.

    Parameters
    ----------
    mixing : ndarray, shape (n_channels, n_sources)
        A: how much of each source is in each row.
    unmixing : ndarray, shape (n_sources, n_channels)
        W: s = W x, when every row is good.
    covariance : ndarray, shape (n_channels, n_channels)
        Of the cleaned calibration signal, in square microvolts; it tells how to estimate the
        sources where rows are missing.
    notes : tuple of str
        What each source is taken for and why, one sentence each; for people, not kept in bundles.

    Raises
    ------
    ConfigError
        If the shapes do not fit each other, or a value is not finite.
    """

    def __init__(
        self, mixing: Floats, unmixing: Floats, covariance: Floats, notes: tuple[str, ...] = ()
    ) -> None:
        self._mixing, self._unmixing, self._covariance = (
            np.array(part, dtype=np.float64) for part in (mixing, unmixing, covariance)
        )
        self.notes = notes
        n_channels, n_sources = self._mixing.shape
        fits = self._unmixing.shape == (n_sources, n_channels)
        if not fits or self._covariance.shape != (n_channels, n_channels):
            raise ConfigError(
                f"A projection with mixing {self._mixing.shape} needs unmixing "
                f"{(n_sources, n_channels)} and covariance {(n_channels, n_channels)}, got "
                f"{self._unmixing.shape} and {self._covariance.shape}: fit it again."
            )
        if not all(np.isfinite(part).all() for part in self.to_arrays().values()):
            raise ConfigError("A projection must be finite, got NaN or infinity: fit it again.")
        self._noise = self._covariance + _ridge(self._covariance)
        self._known = _information(self._mixing, self._noise)[1]

    @property
    def n_channels(self) -> int:
        """Rows that it was fitted on."""
        return len(self._mixing)

    @property
    def n_sources(self) -> int:
        """Artefact sources that are taken out; 0 leaves the signal as it is."""
        return int(self._mixing.shape[1])

    @property
    def covariance(self) -> Floats:
        """Covariance of the cleaned calibration signal, (n_channels, n_channels), a copy."""
        return self._covariance.copy()

    def matrix(self, usable: NDArray[np.bool_]) -> Floats:
        """The matrix that cleans, given which rows may be looked at.

        With every row good it is I - A W. Where rows are masked, the sources come from the good
        rows alone, by generalised least squares [1]_: (A' C^-1 A)^-1 A' C^-1, with all of it cut
        down to the good rows. A masked row neither gives nor takes: its row and its column are
        those of the identity, so what it holds stays in it. A source of which the good rows know
        next to nothing is left alone rather than guessed.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_channels,)
            False in masked rows. They must still be finite, since 0 times NaN is NaN.

        Returns
        -------
        matrix : ndarray, shape (n_channels, n_channels)
            New memory; ``matrix @ samples`` is the cleaned signal.

        References
        ----------
        .. [1] Aitken. On least squares and linear combinations of observations. Proc. Royal Soc.
           Edinburgh, 1935.
        """
        matrix = np.eye(self.n_channels)
        if not self.n_sources or not usable.any():
            return matrix
        if usable.all():
            return matrix - self._mixing @ self._unmixing
        rows = np.flatnonzero(usable)
        mixing = self._mixing[rows]
        weighted, known = _information(mixing, self._noise[np.ix_(rows, rows)])
        prior = np.diag(_LEAST_KNOWN * np.diag(self._known))
        matrix[np.ix_(rows, rows)] -= mixing @ np.linalg.solve(known + prior, weighted.T)
        return matrix

    def to_arrays(self, prefix: str = "") -> dict[str, Floats]:
        """What was learnt, for a bundle.

        Parameters
        ----------
        prefix : str
            In front of each name, where several steps share a bundle's part.

        Returns
        -------
        arrays : dict of str to ndarray
            ``mixing``, ``unmixing`` and ``covariance``.
        """
        return {
            f"{prefix}mixing": self._mixing.copy(),
            f"{prefix}unmixing": self._unmixing.copy(),
            f"{prefix}covariance": self._covariance.copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        mixing, unmixing, covariance = (
            take(arrays, prefix + name, 2) for name in ("mixing", "unmixing", "covariance")
        )
        try:
            return cls(mixing, unmixing, covariance)
        except ConfigError as error:
            raise BundleError(str(error)) from error


def share_changed(matrix: Floats, covariance: Floats) -> float:
    """How much of the signal a spatial step changes.

    Parameters
    ----------
    matrix : ndarray, shape (n_channels, n_channels)
        P, the step.
    covariance : ndarray, shape (n_channels, n_channels)
        C, of the signal before it, in square microvolts.

    Returns
    -------
    share : float
        Power of what it takes off or adds over the power of the signal, all rows together:
        trace((I - P) C (I - P)') / trace(C). 0 for the identity, 1 for silence, and more than 1
        for a step that adds more than there was. NaN for a silent signal.
    """
    power = float(np.trace(covariance))
    if not power > 0:
        return float("nan")
    change = np.eye(len(matrix)) - matrix
    return float(np.vdot(change @ covariance, change)) / power


def muscle_band_hz(rate_hz: float) -> tuple[float, float]:
    """Where muscle is looked for: 110 to 140 Hz, or as high as the rate allows.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.

    Returns
    -------
    low_hz, high_hz : float
        110 and 140 Hz from 312 Hz on; below, up to 30 Hz under 0.45 of the rate, never under
        45 Hz: 45 and 72 Hz at 160 Hz.

    Raises
    ------
    ConfigError
        If less than 8 Hz would be left.
    """
    high_hz = min(_MUSCLE_HZ[1], _OF_RATE * rate_hz)
    low_hz = max(_LOWEST_MUSCLE_HZ, high_hz - (_MUSCLE_HZ[1] - _MUSCLE_HZ[0]))
    if high_hz - low_hz < _NARROWEST_HZ:
        raise ConfigError(
            f"The muscle index needs a rate of at least "
            f"{(_LOWEST_MUSCLE_HZ + _NARROWEST_HZ) / _OF_RATE:.0f} Hz, got {rate_hz:g} Hz: leave "
            f"it out."
        )
    return low_hz, high_hz


def muscle_index(samples: Samples, rate_hz: float, line_hz: float = 0.0) -> Floats:
    """How much a window sounds like muscle: density at `muscle_band_hz` over that at 20-40 Hz.

    The spectrum of muscle is flat up to 100 Hz and more, that of the brain falls steeply [1]_.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Half a second or more of raw signal in microvolts; a Hann window is laid over it.
    rate_hz : float
        Sampling rate.
    line_hz : float
        Mains frequency: 2 Hz on either side of it and of its harmonics are not counted. 0 for
        none.

    Returns
    -------
    index : ndarray, shape (n_channels,)
        Ratio of mean power densities; for brain alone well below 1, for muscle near 1 and above.
        NaN for a silent channel.

    Raises
    ------
    ConfigError
        If the rate is too low, or the window too short to tell the bands apart.

    References
    ----------
    .. [1] Goncharova, McFarland, Vaughan, Wolpaw. EMG contamination of EEG: spectral and
       topographical characteristics. Clinical Neurophysiology, 2003.
    """
    high, low = _bins(samples.shape[1], rate_hz, line_hz)
    centred = samples - samples.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred * np.hanning(samples.shape[1]), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    brain = power[:, low].mean(axis=1)
    index: Floats = np.full(len(brain), np.nan)
    np.divide(power[:, high].mean(axis=1), brain, out=index, where=brain > 0)
    return index


def _bins(
    n_times: int, rate_hz: float, line_hz: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Bins of the muscle band and of 20-40 Hz, shape (n_times // 2 + 1,) each."""
    frequencies = np.fft.rfftfreq(n_times, 1 / rate_hz)
    clear = np.ones(len(frequencies), dtype=bool)
    if line_hz:
        off_hz = np.abs(frequencies - line_hz * np.round(frequencies / line_hz))
        clear = (off_hz > _LINE_WIDTH_HZ) | (frequencies < line_hz / 2)
    high, low = (
        clear & (frequencies >= first) & (frequencies <= last)
        for first, last in (muscle_band_hz(rate_hz), _BRAIN_HZ)
    )
    if not (high.any() and low.any()):
        raise ConfigError(
            f"The muscle index needs a window of half a second, got {n_times / rate_hz:g} s: make "
            f"it longer."
        )
    return high, low


def _ridge(covariance: Floats) -> Floats:
    size = len(covariance)
    level = _RIDGE * float(np.trace(covariance)) / size
    return (level if level > 0 else 1.0) * np.eye(size)


def _information(mixing: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """C^-1 A, shape (n_channels, n_sources), and A' C^-1 A, how well the sources are known."""
    weighted: Floats = np.asarray(np.linalg.solve(noise, mixing), dtype=np.float64)
    return weighted, mixing.T @ weighted
