"""Simulated brain signal with interictal spikes, seizures and ripples whose place is known.

It is meant to be hard in the ways in which real signal is: a 1/f background whose level drifts,
rhythms that wax and wane in several channels (alpha with closed eyes, spindles), blinks, muscle
bursts, chewing, electrode pops. Spikes are two to twelve standard deviations of the signal high.
Seizures begin in one of three ways and spread. It is no model of physiology: figures measured on
it say that a guard works as meant, not how it would do in a patient.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float64]
ONSETS = ("low-voltage fast", "rhythmic spiking", "rhythmic theta-delta")


@dataclass(kw_only=True)
class Simulated:
    """A signal and what is in it.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Microvolts.
    rate_hz : float
        Sampling rate.
    kind : str
        ``"eeg"`` or ``"seeg"``.
    spikes_s : list of float
        Time of each spike's peak.
    heights : list of float
        Height of each spike, in standard deviations of the broadband signal.
    seizures_s : list of (float, float, str)
        Begin, end and way of onset.
    ripples_s : list of (float, str)
        Middle and band of each ripple.
    """

    samples: Floats
    rate_hz: float
    kind: str
    spikes_s: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    seizures_s: list[tuple[float, float, str]] = field(default_factory=list)
    ripples_s: list[tuple[float, str]] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Length."""
        return self.samples.shape[1] / self.rate_hz

    def add(self, rows: NDArray[np.intp], at_s: float, wave: Floats, gains: Floats) -> None:
        """Add a wave to some rows, as much of it as lies inside."""
        first = max(0, round(at_s * self.rate_hz))
        wave = wave[: max(0, self.samples.shape[1] - first)]
        self.samples[rows, first : first + len(wave)] += gains[:, None] * wave


def background(
    kind: str, n_channels: int, duration_s: float, rate_hz: float, seed: int
) -> Simulated:
    """Signal without anything pathological in it."""
    rng = np.random.default_rng(seed)
    n_times = round(duration_s * rate_hz)
    level = 12.0 if kind == "eeg" else 35.0
    own, shared = pink(n_channels, n_times, rate_hz, rng), pink(3, n_times, rate_hz, rng)
    mix = rng.normal(0, 0.5, (n_channels, 3))
    drift = np.exp(0.25 * _slow(n_channels, n_times, rate_hz, 60.0, rng))
    made = Simulated(samples=level * drift * (own + mix @ shared), rate_hz=rate_hz, kind=kind)
    made.samples += rng.normal(0, 0.02 * level, made.samples.shape)
    _rhythms(made, level, rng)
    if kind == "eeg":
        _blinks(made, rng)
        _muscles(made, rng)
    _pops(made, rng)
    return made


def with_spikes(made: Simulated, every_s: float, seed: int) -> Simulated:
    """Add interictal spikes, sharp wave and slow wave, in two to five neighbouring channels."""
    rng = np.random.default_rng([seed, 1])
    n_channels = len(made.samples)
    centre = rng.integers(0, n_channels)
    scale = made.samples.std(axis=1).mean()
    at_s = 15.0 + rng.exponential(every_s)
    while at_s < made.duration_s - 2:
        rows = (centre + np.arange(rng.integers(2, 6))) % n_channels
        ratio = float(np.clip(rng.lognormal(np.log(5), 0.4), 2, 12))
        wave, peak_s = spike_wave(rng.uniform(0.03, 0.09), made.rate_hz)
        gains = scale * ratio * np.linspace(1, 0.4, len(rows)) * rng.choice([-1, 1])
        made.add(rows, at_s - peak_s, wave, gains)
        made.spikes_s.append(at_s)
        made.heights.append(ratio)
        at_s += 1.0 + rng.exponential(every_s)
    return made


def with_seizures(made: Simulated, begins_s: list[float], seed: int) -> Simulated:
    """Add seizures of 40 to 80 s, each kind of onset in turn, in a third to all of the channels."""
    rng = np.random.default_rng([seed, 2])
    n_channels = len(made.samples)
    scale = made.samples.std(axis=1).mean()
    for turn, begin_s in enumerate(begins_s):
        onset = ONSETS[(turn + seed) % len(ONSETS)]
        length_s = rng.uniform(40, 80)
        times = np.arange(round(length_s * made.rate_hz)) / made.rate_hz
        n_rows = max(3, round(n_channels * rng.uniform(0.4, 1.0)))
        rows = (rng.integers(0, n_channels) + np.arange(n_rows)) % n_channels
        peak = scale * rng.uniform(3, 6)
        for place, row in enumerate(rows):
            # The first third is in it at once, the rest follows within 15 s.
            late_s = max(0.0, (place / n_rows - 0.34) * 15 / 0.66)
            wave = _ictal(onset, times, late_s, made.rate_hz, rng)
            made.add(rows[place : place + 1], begin_s, wave, np.array([peak * rng.uniform(0.6, 1)]))
            if onset == "low-voltage fast":
                _flatten(made, int(row), begin_s, 3.0)
        made.seizures_s.append((begin_s, begin_s + length_s, onset))
    return made


def with_ripples(made: Simulated, every_s: float, seed: int) -> Simulated:
    """Add ripples and fast ripples of 5 to 12 cycles in one or two channels."""
    rng = np.random.default_rng([seed, 3])
    bands = [("ripple", 80.0, 250.0, 100.0, 200.0)]
    if made.rate_hz >= 2000:
        bands.append(("fast ripple", 250.0, 500.0, 280.0, 450.0))
    noise = {b[0]: _in_band(made.samples, b[1], b[2], made.rate_hz).std(axis=1) for b in bands}
    at_s = 15.0
    while at_s < made.duration_s - 1:
        name, _, _, low, high = bands[rng.integers(0, len(bands))]
        wave = burst(rng.uniform(low, high), rng.uniform(5, 12), made.rate_hz)
        rows = (rng.integers(0, len(made.samples)) + np.arange(rng.integers(1, 3))) % len(
            made.samples
        )
        made.add(
            rows, at_s - len(wave) / 2 / made.rate_hz, wave, noise[name][rows] * rng.uniform(5, 12)
        )
        made.ripples_s.append((at_s, name))
        at_s += 0.5 + rng.exponential(every_s)
    return made


def with_sharp_waves(made: Simulated, every_s: float, seed: int) -> Simulated:
    """Add spikes and steps without any oscillation: what makes a band-pass ring."""
    rng = np.random.default_rng([seed, 4])
    scale = made.samples.std(axis=1).mean()
    at_s = 15.0
    while at_s < made.duration_s - 1:
        rows = np.array([rng.integers(0, len(made.samples))])
        if rng.random() < 0.5:
            wave, _ = spike_wave(rng.uniform(0.015, 0.05), made.rate_hz)
        else:
            wave = np.exp(-np.arange(round(0.3 * made.rate_hz)) / (0.05 * made.rate_hz))
        made.add(rows, at_s, wave, np.array([scale * rng.uniform(5, 15)]))
        at_s += 0.5 + rng.exponential(every_s)
    return made


def pink(n_channels: int, n_times: int, rate_hz: float, rng: np.random.Generator) -> Floats:
    """Noise whose amplitude falls with frequency from 1 Hz on; standard deviation 1."""
    pole_low, pole_high = np.exp(-2 * np.pi * np.array([1.0, 20.0]) / rate_hz)
    white = rng.normal(0, 1, (n_channels, n_times))
    steep = signal.lfilter([1], [1, -pole_low], white, axis=1)
    flat = signal.lfilter([1], [1, -pole_high], rng.normal(0, 1, white.shape), axis=1)
    return np.asarray(
        (steep / steep.std() + 0.35 * flat / flat.std()) / np.sqrt(1 + 0.35**2), np.float64
    )


def spike_wave(width_s: float, rate_hz: float) -> tuple[Floats, float]:
    """A sharp wave of height 1 with a slow wave behind it, and the time of its peak."""
    times = np.arange(round(0.5 * rate_hz)) / rate_hz
    peak_s = 1.5 * width_s
    rise, fall = 0.18 * width_s, 0.30 * width_s
    sharp = np.exp(-0.5 * ((times - peak_s) / np.where(times < peak_s, rise, fall)) ** 2)
    slow = -0.45 * np.exp(-0.5 * ((times - peak_s - 0.16) / 0.055) ** 2)
    slow *= 1 / (1 + np.exp(-(times - peak_s - 0.5 * width_s) / 0.01))
    return sharp + slow, peak_s


def burst(frequency_hz: float, cycles: float, rate_hz: float) -> Floats:
    """An oscillation under a bell, so many cycles above half its height."""
    half_s = cycles / frequency_hz
    times = np.arange(-half_s, half_s, 1 / rate_hz)
    bell = np.exp(-4 * np.log(2) * (times / half_s) ** 2)
    return np.asarray(bell * np.sin(2 * np.pi * frequency_hz * times))


def _in_band(samples: Floats, low: float, high: float, rate_hz: float) -> Floats:
    sos = signal.butter(3, (low, min(high, 0.49 * rate_hz)), "bandpass", output="sos", fs=rate_hz)
    return np.asarray(signal.sosfilt(sos, samples, axis=1))


def _slow(
    n_rows: int, n_times: int, rate_hz: float, time_s: float, rng: np.random.Generator
) -> Floats:
    """A wandering level of standard deviation 1 that changes within `time_s`."""
    n_knots = max(4, int(n_times / rate_hz / time_s) + 4)
    knots = rng.normal(0, 1, (n_rows, n_knots))
    where = np.linspace(0, n_knots - 1, n_times)
    return np.array([np.interp(where, np.arange(n_knots), row) for row in knots])


def _rhythms(made: Simulated, level: float, rng: np.random.Generator) -> None:
    """Alpha that comes with closed eyes in a third of the channels, and spindles in another."""
    n_channels = len(made.samples)
    third = max(3, n_channels // 3)
    at_s = rng.uniform(20, 60)
    while at_s < made.duration_s:
        for rows, low, high, length_s, strength in (
            (np.arange(third), 8.5, 11.5, rng.uniform(5, 40), 1.5),
            (np.arange(n_channels - third, n_channels), 12.0, 14.5, rng.uniform(0.5, 1.5), 1.2),
        ):
            times = np.arange(round(length_s * made.rate_hz)) / made.rate_hz
            wave = np.sin(2 * np.pi * rng.uniform(low, high) * times + rng.uniform(0, 6))
            waxing = 1 + 0.5 * np.sin(2 * np.pi * times * rng.uniform(0.2, 0.6))
            edges = np.minimum(1, np.minimum(times, times[::-1]) / 0.4)
            gains = level * rng.uniform(0.5, strength) * rng.uniform(0.5, 1, len(rows))
            made.add(rows, at_s + rng.uniform(0, 20), wave * waxing * edges, gains)
        at_s += rng.exponential(40) + 10


def _blinks(made: Simulated, rng: np.random.Generator) -> None:
    rows = np.arange(max(2, len(made.samples) // 6))
    at_s = rng.exponential(4)
    while at_s < made.duration_s:
        times = np.arange(round(0.4 * made.rate_hz)) / made.rate_hz
        wave = np.sin(np.pi * np.minimum(times / rng.uniform(0.25, 0.4), 1)) ** 2
        made.add(rows, at_s, wave, rng.uniform(60, 200) * np.linspace(1, 0.4, len(rows)))
        at_s += 0.5 + rng.exponential(4)


def _muscles(made: Simulated, rng: np.random.Generator) -> None:
    """Bursts of 0.1 to 8 s; half of the long ones are chewing."""
    n_channels = len(made.samples)
    at_s = rng.exponential(20)
    while at_s < made.duration_s:
        length_s = float(np.exp(rng.uniform(np.log(0.1), np.log(8))))
        n_times = round(length_s * made.rate_hz)
        rows = (
            rng.integers(0, n_channels) + np.arange(rng.integers(1, n_channels // 2 + 1))
        ) % n_channels
        noise = rng.normal(0, 1, n_times + 200)
        sos = signal.butter(
            2, (20, min(250, 0.45 * made.rate_hz)), "bandpass", output="sos", fs=made.rate_hz
        )
        wave = signal.sosfilt(sos, noise)[200:] * np.hanning(n_times) ** 0.5
        if length_s > 2 and rng.random() < 0.5:
            wave *= np.sin(2 * np.pi * 0.8 * np.arange(n_times) / made.rate_hz) ** 2
        made.add(
            rows,
            at_s,
            wave / max(wave.std(), 1e-9),
            rng.uniform(10, 50) * rng.uniform(0.4, 1, len(rows)),
        )
        at_s += rng.exponential(20)


def _pops(made: Simulated, rng: np.random.Generator) -> None:
    """An electrode jumps and creeps back."""
    at_s = rng.exponential(120)
    while at_s < made.duration_s:
        wave = np.exp(-np.arange(round(2 * made.rate_hz)) / (0.5 * made.rate_hz))
        row = np.array([rng.integers(0, len(made.samples))])
        made.add(row, at_s, wave, np.array([rng.uniform(100, 600)]))
        at_s += rng.exponential(120)


def _ictal(
    onset: str, times: Floats, late_s: float, rate_hz: float, rng: np.random.Generator
) -> Floats:
    """What one channel does in a seizure; 1 is its full height."""
    since, left = times - late_s, times[-1] - times
    if onset == "low-voltage fast":
        frequency = np.interp(since, [0, 10, 30], [28, 14, 4])
        height = np.interp(since, [0, 1, 5, 15], [0, 0.15, 0.35, 1])
    elif onset == "rhythmic spiking":
        frequency = np.interp(since, [0, 15, 60], [2.5, 4, 1.5])
        height = np.interp(since, [0, 1, 6], [0, 0.7, 1])
    else:
        frequency = np.interp(since, [0, 10, 60], [6, 4.5, 2.5])
        height = np.interp(since, [0, 2, 8], [0, 0.4, 1])
    phase = 2 * np.pi * np.cumsum(frequency * (1 + 0.05 * rng.normal(size=len(times)))) / rate_hz
    wave = np.sin(phase + rng.uniform(0, 1))
    if onset == "rhythmic spiking":
        wave = 2.5 * np.maximum(0, wave) ** 6 - 0.5 * np.maximum(0, -wave)
    else:
        wave = wave + 0.3 * np.sin(2 * phase)
    return wave * height * (since > 0) * np.minimum(1, left / 3)


def _flatten(made: Simulated, row: int, begin_s: float, length_s: float) -> None:
    """A seizure with fast onset begins by silencing the background."""
    first, stop = (round(s * made.rate_hz) for s in (begin_s, begin_s + length_s))
    gain = 1 - 0.5 * np.hanning(stop - first)
    part = made.samples[row, first:stop]
    part *= gain[: len(part)]
