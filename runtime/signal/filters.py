"""Causal filters with state: any cut of the stream gives the same output, to the last bit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ..errors import ConfigError
from ..messages import Samples

Sos = NDArray[np.float64]
"""Second-order sections, shape (n_sections, 6)."""


def band_pass(low_hz: float, high_hz: float, order: int, rate_hz: float) -> Sos:
    """Butterworth band-pass.

    Parameters
    ----------
    low_hz, high_hz : float
        Edges (-3 dB), ``0 < low_hz < high_hz < rate_hz / 2``.
    order : int
        Order of the low-pass prototype, 1 to 8; the band-pass has twice as many poles.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    sos : ndarray, shape (order, 6)
        Second-order sections, which stay accurate where one long polynomial does not.

    Raises
    ------
    ConfigError
        If the band does not fit below half the rate.
    """
    if not 0 < low_hz < high_hz < rate_hz / 2:
        raise ConfigError(
            f"A band must satisfy 0 < low < high < {rate_hz / 2:g} Hz (half the rate), got "
            f"{low_hz:g} to {high_hz:g} Hz."
        )
    _check_order(order)
    return np.asarray(signal.butter(order, (low_hz, high_hz), "bandpass", output="sos", fs=rate_hz))


def high_pass(low_hz: float, order: int, rate_hz: float) -> Sos:
    """Butterworth high-pass.

    Parameters
    ----------
    low_hz : float
        Edge (-3 dB), ``0 < low_hz < rate_hz / 2``.
    order : int
        1 to 8.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    sos : ndarray, shape (ceil(order / 2), 6)
        Second-order sections.

    Raises
    ------
    ConfigError
        If the edge does not lie below half the rate.
    """
    if not 0 < low_hz < rate_hz / 2:
        raise ConfigError(
            f"A high-pass must lie in (0, {rate_hz / 2:g}) Hz (half the rate), got {low_hz:g} Hz."
        )
    _check_order(order)
    return np.asarray(signal.butter(order, low_hz, "highpass", output="sos", fs=rate_hz))


def notch(line_hz: float, quality: float, rate_hz: float) -> Sos:
    """Notches at the mains frequency and at its harmonics below half the rate.

    Parameters
    ----------
    line_hz : float
        50 or 60 Hz as a rule.
    quality : float
        Frequency over bandwidth; 30 leaves the neighbouring bands alone.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    sos : ndarray, shape (n_harmonics, 6)
        One section per harmonic; none if even the first lies beyond half the rate.

    Raises
    ------
    ConfigError
        If the frequency or the quality is not positive.
    """
    if line_hz <= 0 or quality <= 0:
        raise ConfigError(
            f"A notch needs a positive frequency and quality, got {line_hz:g} Hz and {quality:g}."
        )
    harmonics = np.arange(line_hz, 0.98 * rate_hz / 2, line_hz)
    sections = [np.hstack(signal.iirnotch(f, quality, fs=rate_hz)) for f in harmonics]
    return np.array(sections).reshape(-1, 6)


def settle_samples(sos: Sos) -> int:
    """How long a start is felt: until the slowest pole has decayed to 1 %.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
        A stable filter.

    Returns
    -------
    n_samples : int
        0 for no filter at all.
    """
    if not len(sos):
        return 0
    _, poles, _ = signal.sos2zpk(sos)
    slowest = float(np.abs(poles).max())
    return 0 if slowest == 0 else math.ceil(math.log(0.01) / math.log(slowest))


def group_delay_s(sos: Sos, low_hz: float, high_hz: float, rate_hz: float) -> float:
    """Median group delay over a band: what the filter adds to the latency.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
        The filter.
    low_hz, high_hz : float
        Edges of the band.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    delay_s : float
        Minus the slope of the phase, in seconds.
    """
    if not len(sos):
        return 0.0
    frequencies = np.linspace(low_hz, high_hz, 256)
    _, response = signal.sosfreqz(sos, worN=frequencies, fs=rate_hz)
    slope = np.gradient(np.unwrap(np.angle(response)), 2 * np.pi * frequencies)
    return float(np.median(-slope))


class SosFilter:
    """A filter with one state per channel.

    The state starts as if the first sample had stood there for ever, so that an offset makes no
    step at the start.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
        Coefficients; no section at all passes the signal on.
    """

    def __init__(self, sos: Sos) -> None:
        self._sos = np.ascontiguousarray(sos, dtype=np.float64)
        self._steady = signal.sosfilt_zi(self._sos) if len(self._sos) else np.zeros((0, 2))
        self._state: NDArray[np.float64] | None = None

    def restart(self) -> None:
        """Forget the past: the next sample is a first one."""
        self._state = None

    def process(self, samples: Samples) -> Samples:
        """Filter the next samples.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            The signal; not changed.

        Returns
        -------
        filtered : ndarray of float64, shape (n_channels, n_times)
            New memory, or `samples` itself if there is nothing to filter with.
        """
        if not len(self._sos) or not samples.shape[1]:
            return samples
        if self._state is None:
            self._state = self._steady[:, None, :] * samples[None, :, :1]
        filtered, self._state = signal.sosfilt(self._sos, samples, axis=1, zi=self._state)
        return np.asarray(filtered)


def _check_order(order: int) -> None:
    if not 1 <= order <= 8:
        raise ConfigError(f"A filter's order must be in 1 to 8, got {order}.")
