"""Power by frequency of the last seconds, counted piece by piece as they come."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..runtime.errors import ConfigError
from .trace_store import TraceStore

HIGHEST_HZ = 150.0
"""Beyond it nothing is counted: no panel shows more."""
BANDS = {
    "delta": (1, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 80),
}  # fmt: skip
"""Edges in Hz of the usual names of rhythms."""
MAINS_HZ = (50, 60)

_HUM = 10.0  # times its surroundings: a peak of mains that is worth a word
_NEAR_HZ, _AROUND_HZ = 1.0, 5.0
_LEAST_DB = -120.0


class Spectrum:
    """Welch's average of the newest pieces of every channel.

    Parameters
    ----------
    store : TraceStore
        Where the signal is.
    length_s : float
        Of a piece: frequencies are ``1 / length_s`` apart.
    hop_s : float
        From one piece to the next.
    n_pieces : int
        How many are averaged.

    Raises
    ------
    ConfigError
        If a length is not positive or no piece is to be averaged.

    References
    ----------
    Welch (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE
    Transactions on Audio and Electroacoustics 15: 70-73.
    """

    def __init__(
        self, store: TraceStore, length_s: float = 1.0, hop_s: float = 1 / 3, n_pieces: int = 10
    ) -> None:
        if not (length_s > 0 and hop_s > 0 and n_pieces > 0):
            raise ConfigError(
                f"A spectrum needs pieces longer than 0 s, got {length_s:g} s every {hop_s:g} s, "
                f"{n_pieces} of them: leave them out for 1 s, a third of it, 10."
            )
        self._store, self._length_s, self._hop_s = store, length_s, hop_s
        self._pieces: deque[NDArray[np.floating]] = deque(maxlen=n_pieces)
        self._age, self._next = -1, 0

    @property
    def length(self) -> int:
        """Samples in a piece."""
        return max(round(self._length_s * self._store.rate_hz), 4)

    @property
    def hop(self) -> int:
        """Samples from one piece to the next."""
        return max(round(self._hop_s * self._store.rate_hz), 1)

    @property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Of the rows of a density, shape (n_frequencies,)."""
        return frequencies_hz(self.length, self._store.rate_hz)

    def advance(self) -> bool:
        """Count what has come.

        Returns
        -------
        changed : bool
            Whether there is anything new.
        """
        store, length, hop = self._store, self.length, self.hop
        newest = (store.stop - length) // hop if store.stop >= length else -1
        changed = store.age != self._age
        if changed:
            self._pieces.clear()
            self._age, self._next = store.age, 0
        most = self._pieces.maxlen or 1
        oldest = max(self._next, newest - most + 1, -(-store.first // hop))
        for piece in range(oldest, newest + 1):
            samples = store.read(piece * hop, piece * hop + length)
            self._pieces.append(density(samples, store.rate_hz))
            changed = True
        self._next = max(self._next, newest + 1)
        return changed

    def mean(self) -> NDArray[np.floating]:
        """Power density now.

        Returns
        -------
        density : ndarray, shape (n_frequencies, n_channels)
            Square microvolts per Hz; NaN for channels of which no piece was complete. No column
            before the first piece.
        """
        if not self._pieces:
            return np.zeros((len(self.frequencies_hz), 0))
        pieces = np.stack(self._pieces)
        known = np.isfinite(pieces[:, :1])
        counts = known.sum(axis=0)
        total = np.where(known, pieces, 0.0).sum(axis=0)
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


class Spectrogram:
    """Power of one channel over time.

    Parameters
    ----------
    store : TraceStore
        Where the signal is.
    seconds : float
        How far back.
    length_s, hop_s : float
        Of a column; from one column to the next.
    """

    def __init__(
        self,
        store: TraceStore,
        seconds: float = 60.0,
        length_s: float = 1.0,
        hop_s: float = 0.1,
    ) -> None:
        self._store, self.seconds = store, seconds
        self._length_s, self._hop_s = length_s, hop_s
        self.channel = 0
        """Which row of the stream; what is known starts anew with another."""
        self.power_db: NDArray[np.floating] = np.zeros((0, 0), np.float32)
        """Shape (n_frequencies, n_columns), newest at the right; NaN where nothing is known."""
        self._key: tuple[int, int] = (-1, -1)
        self._next = 0
        self._begin()

    @property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Of the rows of `power_db`, shape (n_frequencies,)."""
        return frequencies_hz(self._length, self._store.rate_hz)

    def advance(self) -> int:
        """Count what has come.

        Returns
        -------
        n_new : int
            Columns that are new at the right of `power_db`.
        """
        if self._key != (self._store.age, self.channel):
            self._begin()
        hop, length = self._hop, self._length
        newest = (self._store.stop - length) // hop if self._store.stop >= length else -1
        n_columns = self.power_db.shape[1]
        oldest = max(self._next, newest - n_columns + 1, -(-self._store.first // hop))
        if newest < oldest or not self._store.spec:
            return 0
        first = oldest * hop
        samples = self._store.read(first, newest * hop + length)[:, self.channel]
        pieces = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop].T
        new = decibel(density(pieces, self._store.rate_hz))
        self.power_db = np.concatenate([self.power_db[:, new.shape[1] :], new], axis=1)
        self._next = newest + 1
        return int(new.shape[1])

    def _begin(self) -> None:
        rate_hz = self._store.rate_hz
        self._length = max(round(self._length_s * rate_hz), 4)
        self._hop = max(round(self._hop_s * rate_hz), 1)
        self._key, self._next = (self._store.age, self.channel), 0
        shape = len(self.frequencies_hz), max(round(self.seconds * rate_hz / self._hop), 1)
        self.power_db = np.full(shape, np.nan, np.float32)


def frequencies_hz(length: int, rate_hz: float) -> NDArray[np.float64]:
    """The frequencies that are counted in pieces of a length.

    Parameters
    ----------
    length : int
        Samples.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    frequencies : ndarray, shape (n_frequencies,)
        From 0 to half the rate, or `HIGHEST_HZ`.
    """
    found = fft.rfftfreq(length, 1 / rate_hz)
    return np.asarray(found[found <= HIGHEST_HZ])


def density(samples: NDArray[np.floating], rate_hz: float) -> NDArray[np.floating]:
    """Power density of one piece, tapered by a Hann window, its mean taken off.

    Parameters
    ----------
    samples : ndarray, shape (n_times, n_channels)
        Microvolts.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    density : ndarray, shape (n_frequencies, n_channels)
        Square microvolts per Hz; NaN for a channel of which a sample is missing.
    """
    length = len(samples)
    taper = np.hanning(length + 1)[:-1].astype(np.float32)[:, None]
    centred = np.ascontiguousarray(((samples - samples.mean(axis=0)) * taper).T)
    n_wanted = len(frequencies_hz(length, rate_hz))
    found = fft.rfft(centred, axis=1)[:, :n_wanted].T
    power = (found.real**2 + found.imag**2) / (rate_hz * float((taper**2).sum()))
    twice = slice(1, (length + 1) // 2)  # every frequency but 0 and half the rate is there twice
    power[twice] *= 2
    return np.asarray(power)


def decibel(power: NDArray[np.floating]) -> NDArray[np.floating]:
    """Power on a logarithmic scale.

    Parameters
    ----------
    power : ndarray
        Square microvolts per Hz.

    Returns
    -------
    level : ndarray
        Decibel above 1 square microvolt per Hz, -120 at least; NaN stays.
    """
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_LEAST_DB / 10))))


def hum(frequencies: NDArray[np.floating], power: NDArray[np.floating]) -> tuple[int, float] | None:
    """The mains frequency that stands out of a spectrum.

    Parameters
    ----------
    frequencies : ndarray, shape (n_frequencies,)
        Hz.
    power : ndarray, shape (n_frequencies,)
        Square microvolts per Hz.

    Returns
    -------
    found : (int, float) or None
        50 or 60, and by how many decibels it stands above what is beside it; None if neither does.
    """
    found: list[tuple[float, int]] = []
    for mains_hz in MAINS_HZ:
        away = np.abs(frequencies - mains_hz)
        near = power[away <= _NEAR_HZ]
        beside = power[(away > _NEAR_HZ) & (away <= _AROUND_HZ)]
        if len(near) and len(beside) and near.max() > _HUM * np.median(beside) > 0:
            found.append((float(near.max() / np.median(beside)), mains_hz))
    if not found:
        return None
    ratio, mains_hz = max(found)
    return mains_hz, float(10 * np.log10(ratio))
