"""How strong each rhythm is in each channel, from the signal as it streams in.

Periodograms with a Hann window, averaged with weights that fade (after Welch [1]_). The signal is
the one that the source delivers, before any conditioning. Mains hum is left out of every band: the
bins around 50 and 60 Hz and their multiples are not counted.

References
----------
.. [1] Welch. The use of fast Fourier transform for the estimation of power spectra. IEEE Trans.
   Audio Electroacoust. 15(2), 1967.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..runtime.messages import Chunk

_WINDOW_S, _HOP_S, _FADE_S = 2.0, 0.25, 2.0
_DENSEST_HZ = 1000.0  # faster streams are averaged over so many samples that this remains
_HUM_HZ, _HUM_WIDTH_HZ = (50.0, 60.0), 2.0
_HIGHEST = 0.45  # of the rate: above, anti-aliasing filters have begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of frequencies.

    Parameters
    ----------
    name : str
        For a person.
    low_hz, high_hz : float
        From, to.
    """

    name: str
    low_hz: float
    high_hz: float

    def within(self, rate_hz: float) -> Band | None:
        """What of it a stream of that rate can hold; None if that is less than half of it."""
        high_hz = min(self.high_hz, _HIGHEST * rate_hz)
        if high_hz - self.low_hz < 0.5 * (self.high_hz - self.low_hz):
            return None
        return Band(name=self.name, low_hz=self.low_hz, high_hz=high_hz)


BANDS = (
    Band(name="delta", low_hz=1, high_hz=4),
    Band(name="theta", low_hz=4, high_hz=8),
    Band(name="alpha", low_hz=8, high_hz=13),
    Band(name="beta", low_hz=13, high_hz=30),
    Band(name="gamma", low_hz=30, high_hz=70),
    Band(name="high gamma", low_hz=70, high_hz=150),
)
"""What a map offers."""


class BandPower:
    """Keeps the last two seconds of a stream, and spectra that fade over another two.

    Parameters
    ----------
    n_channels : int
        Rows of the stream.
    rate_hz : float
        Of the stream.
    """

    def __init__(self, n_channels: int, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._every = max(1, int(rate_hz // _DENSEST_HZ))
        self._n = max(16, round(_WINDOW_S * rate_hz / self._every)) * self._every
        self._kept = np.zeros((n_channels, 2 * self._n), np.float32)
        self._filled = self._fresh = 0
        self._next = -1
        self._density: NDArray[np.float64] | None = None
        n_short = self._n // self._every
        taper = _hann(n_short)
        self._taper = taper.astype(np.float32)
        self._hz = np.arange(n_short // 2 + 1) * rate_hz / self._n
        # Averaging over neighbours takes something away at the top; that is put back.
        droop = np.sinc(self._hz / rate_hz * self._every) / np.sinc(self._hz / rate_hz)
        power = 2 * self._every / rate_hz / float((taper**2).sum())
        self._scale = power / np.maximum(droop, 0.3) ** 2

    @property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Of the spectra, shape (n_frequencies,)."""
        return self._hz

    def take(self, chunk: Chunk) -> None:
        """Keep new samples; a gap begins anew, since a spectrum must not reach across it.

        Parameters
        ----------
        chunk : Chunk
            The next of the stream.
        """
        n = chunk.samples.shape[1]
        if not n or chunk.samples.shape[0] != self._kept.shape[0]:
            return
        if chunk.first_sample != self._next and self._next >= 0:
            self._filled = self._fresh = 0
        self._next = chunk.stop_sample
        samples = chunk.samples[:, -self._n :]
        new = samples.shape[1]
        if self._filled + new > self._kept.shape[1]:
            keep = min(self._n, self._filled)
            self._kept[:, :keep] = self._kept[:, self._filled - keep : self._filled]
            self._filled = keep
        self._kept[:, self._filled : self._filled + new] = samples
        self._filled += new
        self._fresh += n

    def update(self) -> bool:
        """Take a spectrum of the newest two seconds if a quarter of a second is new.

        Returns
        -------
        updated : bool
            Whether there was anything to do.
        """
        if self._filled < self._n or self._fresh < _HOP_S * self.rate_hz:
            return False
        newest = self._kept[:, self._filled - self._n : self._filled]
        if self._every > 1:
            newest = newest.reshape(len(newest), -1, self._every).mean(2)
        centred = newest - newest.mean(1, keepdims=True)
        spectrum = scipy.fft.rfft(centred * self._taper, axis=1)
        density = (spectrum.real**2 + spectrum.imag**2) * self._scale
        old = self._density
        if old is None:
            self._density = density
        else:
            share = 1 - math.exp(-self._fresh / self.rate_hz / _FADE_S)
            # What was not a number once must not stay one: such a row begins anew.
            self._density = np.where(np.isfinite(old), old + share * (density - old), density)
        self._fresh = 0
        return True

    def of(self, band: Band) -> NDArray[np.float64]:
        """Mean power density of a band.

        Parameters
        ----------
        band : Band
            Which; cut at what the rate allows.

        Returns
        -------
        density : ndarray, shape (n_channels,)
            uV^2/Hz; NaN where nothing is known, or the stream cannot hold the band.
        """
        usable = band.within(self.rate_hz)
        if self._density is None or usable is None:
            return np.full(len(self._kept), np.nan)
        chosen = (self._hz >= usable.low_hz) & (self._hz < usable.high_hz) & ~_is_hum(self._hz)
        return np.asarray(self._density[:, chosen].mean(1))


def decibels(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power density in dB re 1 uV^2/Hz; NaN where there is none.

    Parameters
    ----------
    density : ndarray
        uV^2/Hz.
    """
    return 10 * np.log10(np.where(density > 0, density, np.nan))


def _hann(n: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))


def _is_hum(hz: NDArray[np.float64]) -> NDArray[np.bool_]:
    away = [np.abs(hz - line * np.maximum(np.round(hz / line), 1)) for line in _HUM_HZ]
    return np.asarray(np.minimum(*away) < _HUM_WIDTH_HZ)
