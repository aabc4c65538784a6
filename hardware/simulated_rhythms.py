"""Generators of simulated signal: each makes the next block, causally, and remembers its state.

Every generator draws from the random generator it is handed and takes the same number of draws
whatever the participant does, so that two runs differ only by what feedback changed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Block = NDArray[np.float64]
"""Signal of one block, shape (n_rows, n_times)."""

RMS_BAND_HZ = (0.5, 100.0)  # the background's amplitude is stated over this band


def pink_sections(rate_hz: float, slope: float = 1.2, lowest_hz: float = 0.5) -> Block:
    """Design a filter that turns white noise into noise of power ``1 / f ** slope``.

    Poles and zeros alternate evenly along the logarithm of frequency, which bends a flat
    spectrum into a straight slope; the ripple stays below 1 dB.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.
    slope : float
        Exponent of the power spectrum, 0 to 2; resting EEG has 1 to 2 [1]_.
    lowest_hz : float
        Below it the spectrum is flat.

    Returns
    -------
    sections : ndarray, shape (n_sections, 6)
        Second-order sections; output is 1 rms over 0.5 to 100 Hz for white noise of 1 rms.

    References
    ----------
    .. [1] He. Scale-free brain activity: past, present, and future. Trends in Cognitive Sciences,
       2014.
    """
    ratio = 4.0  # one pole every two octaves
    count = int(math.log(0.4 * rate_hz / lowest_hz, ratio)) + 1
    poles_hz = lowest_hz * ratio ** np.arange(count)
    zeros_hz = poles_hz * ratio ** (slope / 2)
    poles, zeros = (np.exp(-2 * np.pi * hz / rate_hz) for hz in (poles_hz, zeros_hz))
    sections = np.asarray(signal.zpk2sos(zeros, poles, 1.0), dtype=np.float64)
    high_hz = min(RMS_BAND_HZ[1], 0.5 * rate_hz)
    grid_hz = np.geomspace(RMS_BAND_HZ[0], high_hz, 2000)
    _, response = signal.sosfreqz(sections, worN=grid_hz, fs=rate_hz)
    power = float(np.trapezoid(np.abs(response) ** 2, grid_hz)) / (0.5 * rate_hz)
    sections[0, :3] /= math.sqrt(power)
    return sections


def resonator_sections(rate_hz: float, centre_hz: float, width_hz: float) -> Block:
    """Design a filter that turns white noise into a rhythm of 1 rms that waxes and wanes.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.
    centre_hz, width_hz : float
        Peak, and width at half power; the envelope lasts about ``1 / (pi * width_hz)`` seconds.

    Returns
    -------
    sections : ndarray, shape (1, 6)
        One second-order section.
    """
    numerator, denominator = signal.iirpeak(centre_hz, centre_hz / width_hz, fs=rate_hz)
    # A peak filter is half of 1 minus an all-pass, so its output power is numerator[0] exactly.
    return np.concatenate([numerator / math.sqrt(numerator[0]), denominator])[None, :]


def band_sections(rate_hz: float, low_hz: float, high_hz: float) -> Block:
    """Design a filter that turns white noise into band noise of 1 rms.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.
    low_hz, high_hz : float
        Edges of the band.

    Returns
    -------
    sections : ndarray, shape (2, 6)
        Second-order sections.
    """
    sections = np.asarray(
        signal.butter(2, [low_hz, high_hz], btype="bandpass", fs=rate_hz, output="sos")
    )
    grid_hz = np.linspace(0.0, 0.5 * rate_hz, 20_001)
    _, response = signal.sosfreqz(sections, worN=grid_hz, fs=rate_hz)
    sections[0, :3] /= math.sqrt(float(np.mean(np.abs(response) ** 2)))
    return sections


class Coloured:
    """White noise through a filter, row by row.

    Parameters
    ----------
    sections : ndarray, shape (n_sections, 6)
        The filter.
    n_rows : int
        Independent rows.
    """

    def __init__(self, sections: Block, n_rows: int) -> None:
        self._sections = sections
        self._state = np.zeros((len(sections), n_rows, 2))

    def block(self, rng: np.random.Generator, n_times: int) -> Block:
        """Make the next ``(n_rows, n_times)`` samples."""
        white = rng.standard_normal((self._state.shape[1], n_times))
        out, self._state = signal.sosfilt(self._sections, white, axis=-1, zi=self._state)
        return np.asarray(out)


class Wander:
    """A slow random walk that is pulled back to zero, straight between block ends.

    Parameters
    ----------
    n_rows : int
        Independent rows.
    relaxation_s : float
        How long it remembers.
    block_s : float
        Length of a block.
    """

    def __init__(self, n_rows: int, relaxation_s: float, block_s: float) -> None:
        self._keep = math.exp(-block_s / relaxation_s)
        self._value = np.zeros(n_rows)

    def block(self, rng: np.random.Generator, n_times: int) -> Block:
        """Make the next ``(n_rows, n_times)`` samples; 1 rms in the long run."""
        before = self._value
        push = math.sqrt(1 - self._keep**2) * rng.standard_normal(len(before))
        self._value = self._keep * before + push
        share = np.arange(1, n_times + 1) / n_times
        return before[:, None] + (self._value - before)[:, None] * share


class Bursts:
    """A gain that jumps about like bursts: often little, sometimes much; 1 on average."""

    _SHAPE = 1.5  # of the gamma distribution: the smaller, the burstier

    def __init__(self, n_rows: int) -> None:
        self._value = np.ones(n_rows)

    def block(self, rng: np.random.Generator, n_times: int) -> Block:
        """Make the next ``(n_rows, n_times)`` samples."""
        before = self._value
        self._value = rng.gamma(self._SHAPE, 1 / self._SHAPE, len(before))
        share = np.arange(1, n_times + 1) / n_times
        return before[:, None] + (self._value - before)[:, None] * share


class Mains:
    """Line hum whose frequency and strength drift, with a third harmonic where the rate allows.

    Parameters
    ----------
    line_hz : float
        Nominal frequency.
    rate_hz : float
        Sampling rate.
    block_s : float
        Length of a block.
    """

    _DRIFT_HZ = 0.02  # European and American grids stay within this most of the time

    def __init__(self, line_hz: float, rate_hz: float, block_s: float) -> None:
        self._line_hz, self._rate_hz = line_hz, rate_hz
        self._wander = Wander(2, 20.0, block_s)
        self._cycles = 0.0

    def block(self, rng: np.random.Generator, n_times: int) -> Block:
        """Make the next ``(1, n_times)`` samples, about 1 rms."""
        drift, swell = self._wander.block(rng, n_times)
        steps = (self._line_hz + self._DRIFT_HZ * drift) / self._rate_hz
        cycles = self._cycles + np.cumsum(steps)
        self._cycles = float(cycles[-1] % 1.0)
        hum = np.sin(2 * np.pi * cycles)
        if 3 * self._line_hz < 0.45 * self._rate_hz:
            hum += 0.3 * np.sin(6 * np.pi * cycles)
        return np.asarray(math.sqrt(2) * (1 + 0.1 * swell) * hum)[None, :]


class Blinks:
    """Eye blinks at random moments, each a smooth bump of about 0.3 s.

    Parameters
    ----------
    per_min : float
        Mean rate.
    rate_hz : float
        Sampling rate.
    block_s : float
        Length of a block.
    """

    _LENGTH_S = 0.3

    def __init__(self, per_min: float, rate_hz: float, block_s: float) -> None:
        self._chance = per_min / 60 * block_s
        self._rate_hz, self._block_s = rate_hz, block_s
        self._now_s = 0.0
        self._open: list[tuple[float, float]] = []  # start and size of each blink going on

    def block(self, rng: np.random.Generator, n_times: int) -> Block:
        """Make the next ``(1, n_times)`` samples; the peak of a blink is 1 on average."""
        chance, place, size = rng.random(3)
        if chance < self._chance and not self._open:
            self._open.append((self._now_s + place * self._block_s, 0.7 + 0.6 * size))
        times_s = self._now_s + np.arange(n_times) / self._rate_hz
        out = np.zeros(n_times)
        for start_s, peak in self._open:
            phase = np.clip((times_s - start_s) / self._LENGTH_S, 0.0, 1.0)
            # The root makes the lid close faster than it opens.
            out += peak * np.sin(np.pi * np.sqrt(phase)) ** 2
        self._now_s += self._block_s
        self._open = [one for one in self._open if one[0] + self._LENGTH_S > self._now_s]
        return out[None, :]


def smooth_step(times_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
    """Rise from 0 at time 0 to 1 at `length_s`, as half a cosine.

    Parameters
    ----------
    times_s : ndarray
        Times, in seconds.
    length_s : float
        Length of the rise.

    Returns
    -------
    gain : ndarray, same shape
        0 to 1.
    """
    share = np.clip(times_s / length_s, 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * share))
