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
    return _one_edge("high-pass", low_hz, order, rate_hz)


def low_pass(high_hz: float, order: int, rate_hz: float) -> Sos:
    """Butterworth low-pass.

    Parameters
    ----------
    high_hz : float
        Edge (-3 dB), ``0 < high_hz < rate_hz / 2``.
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
    return _one_edge("low-pass", high_hz, order, rate_hz)


def notch(line_hz: float, width_hz: float, rate_hz: float, up_to_hz: float | None = None) -> Sos:
    """Band-stops of one width at the mains frequency and at its harmonics.

    Butterworth of order 2: 1.8 Hz wide, each takes 38 dB off everything within 0.1 Hz of its
    centre, so that mains may wander, and leaves what is 2 Hz away within 0.2 dB.

    Parameters
    ----------
    line_hz : float
        50 or 60 Hz as a rule.
    width_hz : float
        From edge to edge (-3 dB), the same for every harmonic; ``0 < width_hz < line_hz``.
    rate_hz : float
        Sampling rate.
    up_to_hz : float, optional
        Harmonics from here on are left alone, because nothing is read there. As a rule all
        below 0.98 of half the rate are taken; beyond, the amplifier's own filter is at work.

    Returns
    -------
    sos : ndarray, shape (2 * n_harmonics, 6)
        Two sections per harmonic; none if even the first lies too high.

    Raises
    ------
    ConfigError
        If the frequency is not positive or the width does not fit between two harmonics.
    """
    if not 0 < width_hz < line_hz:
        raise ConfigError(
            f"A notch must satisfy 0 < width < mains frequency, got a width of {width_hz:g} Hz "
            f"at {line_hz:g} Hz."
        )
    stop_hz = min(0.98 * rate_hz / 2, math.inf if up_to_hz is None else up_to_hz)
    harmonics = np.arange(line_hz, stop_hz, line_hz)
    parts = [_band_stop(centre_hz, width_hz, rate_hz) for centre_hz in harmonics]
    return np.concatenate([np.zeros((0, 6)), *parts])


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


def _one_edge(kind: str, edge_hz: float, order: int, rate_hz: float) -> Sos:
    if not 0 < edge_hz < rate_hz / 2:
        raise ConfigError(
            f"A {kind} must lie in (0, {rate_hz / 2:g}) Hz (half the rate), got {edge_hz:g} Hz."
        )
    _check_order(order)
    design = signal.butter(order, edge_hz, kind.replace("-", ""), output="sos", fs=rate_hz)
    return np.asarray(design)


def _check_order(order: int) -> None:
    if not 1 <= order <= 8:
        raise ConfigError(f"A filter's order must be in 1 to 8, got {order}.")


def _band_stop(centre_hz: float, width_hz: float, rate_hz: float) -> Sos:
    # The bilinear transform bends the frequency axis. Edges taken half a width to either side
    # would put the zero beside the centre; on the bent axis the centre is their geometric mean.
    centre = math.tan(math.pi * centre_hz / rate_hz)
    width = math.tan(math.pi * width_hz / rate_hz) * (1 + centre**2)
    low = math.hypot(width / 2, centre) - width / 2
    edges_hz = [math.atan(edge) * rate_hz / math.pi for edge in (low, low + width)]
    return np.asarray(signal.butter(2, edges_hz, "bandstop", output="sos", fs=rate_hz))
