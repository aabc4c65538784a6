"""Calibrate artefact subspace reconstruction: how loud each direction is when the signal is clean.

The steps are those of the method's authors [1]_ [2]_: shape the spectrum so that eyes and muscle
count more than rhythms, leave out loud windows, take the geometric median of block covariances,
and set a limit for each of its directions from the mean and the spread of clean windows. The
mean is where windows crowd [3]_ and the spread that of the quiet side, where the authors fit a
truncated generalised normal distribution: as deaf to loud windows, and simpler.

References
----------
.. [1] Mullen, Kothe, Chi et al. Real-time neuroimaging and cognitive monitoring using wearable dry
   EEG. IEEE Trans. Biomed. Eng., 2015.
.. [2] Chang, Hsu, Pion-Tonachini, Jung. Evaluation of artifact subspace reconstruction for
   automatic artifact components removal in multi-channel EEG recordings. IEEE Trans. Biomed. Eng.,
   2020.
.. [3] Rousseeuw, Leroy. A robust scale estimator based on the shortest half. Statistica
   Neerlandica, 1988.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import INTRACRANIAL, Samples, StreamSpec
from ..runtime.signal.asr import Asr
from ..runtime.signal.cleaning import Floats
from ..runtime.signal.filters import Sos, SosFilter, high_pass
from .cleaning_fit import check_calibration, settled

_HIGH_PASS_HZ = 0.5
# Gain 1/3 at theta and alpha, 9 times that below 2 Hz (blinks), 3 times from 15 Hz on, and 9 times
# in the muscle band: corner and decibels of each shelf.
_SLOW_HZ, _SLOW_DB, _BETA_HZ, _FAST_HZ, _SHELF_DB = 2.0, 19.1, 14.5, 57.0, 9.54
_WINDOW_S, _HOP_S = 0.5, 0.17
_BLOCK_SAMPLES = 100
_CLEAN_Z, _BAD_SHARE = (-3.5, 5.0), 0.1  # a window may have a tenth of its channels outside
_FEWEST_CLEAN_S = 15.0
_CROWD = 0.25


def fit_asr(samples: Samples, spec: StreamSpec, cutoff: float = 20.0) -> Asr:
    """Limits and clean covariance from a calibration.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw calibration in microvolts, a minute of rest or more, at least 30 s; most of it clean.
    spec : StreamSpec
        Its rows and rate; scalp EEG. Rows of kind ``"ecog"``, ``"seeg"`` or ``"lfp"`` are refused.
    cutoff : float
        Deviations above the clean mean that a direction may reach, in [5, 100]; 20 to 30 are
        usual, less changes brain signal too.

    Returns
    -------
    asr : Asr
        Ready to be shown the stream.

    Raises
    ------
    ConfigError
        If there is too little signal or too little of it is clean, fewer than 4 rows, NaN,
        intracranial rows, a rate under 100 Hz, or a cutoff out of range.
    """
    check_calibration(samples, spec, least_s=30.0, least_rows=4)
    _check_kind(spec)
    if not 5 <= cutoff <= 100 or spec.rate_hz < 100:
        raise ConfigError(
            f"ASR needs a cutoff in [5, 100] and a rate of at least 100 Hz, got {cutoff:g} and "
            f"{spec.rate_hz:g} Hz."
        )
    still = settled(samples, spec.rate_hz, _HIGH_PASS_HZ)
    shape = spectral_shape(spec.rate_hz)
    shaped: Floats = np.asarray(SosFilter(shape).process(still), dtype=np.float64)
    shaped = shaped[:, _clean_samples(still, spec.rate_hz)]
    if shaped.shape[1] < _FEWEST_CLEAN_S * spec.rate_hz:
        raise ConfigError(
            f"ASR needs {_FEWEST_CLEAN_S:g} s of clean signal, got "
            f"{shaped.shape[1] / spec.rate_hz:.1f} s: record a minute of rest without artefacts."
        )
    powers, axes = np.linalg.eigh(_median_covariance(shaped))
    mixing = (axes * np.sqrt(np.maximum(powers, 0))) @ axes.T
    mean, spread = _usual(_loudness(axes.T @ shaped, spec.rate_hz))
    threshold = (mean + cutoff * spread)[:, None] * axes.T
    sos = np.vstack([high_pass(_HIGH_PASS_HZ, 2, spec.rate_hz), shape])
    return Asr(mixing, threshold, sos, spec.rate_hz, window_s=_WINDOW_S)


def spectral_shape(rate_hz: float) -> Sos:
    """The filter through which ASR looks: deaf to rhythms, keen on eyes and muscle.

    Parameters
    ----------
    rate_hz : float
        Sampling rate, at least 100 Hz.

    Returns
    -------
    sos : ndarray, shape (3, 6)
        A low shelf and two high shelves [1]_; gain 3 below 1 Hz, 0.33 at 3 to 13 Hz, 1 at 16 to
        40 Hz and 3 from 80 Hz (or near half the rate) on, with soft transitions.

    References
    ----------
    .. [1] Bristow-Johnson. Cookbook formulae for audio equalizer biquad filter coefficients, 2005.
    """
    fast_hz = min(_FAST_HZ, math.sqrt(40.0 * (rate_hz / 2 - 1)))
    sos = np.vstack(
        [
            _shelf(_SLOW_HZ, _SLOW_DB, rate_hz, low=True),
            _shelf(_BETA_HZ, _SHELF_DB, rate_hz, low=False),
            _shelf(fast_hz, _SHELF_DB, rate_hz, low=False),
        ]
    )
    sos[0, :3] /= 3.0
    return sos


def _check_kind(spec: StreamSpec) -> None:
    inside = [c.name for c in spec.channels if c.kind in INTRACRANIAL]
    if inside:
        raise ConfigError(
            f"ASR would take out spikes and seizures, got {len(inside)} intracranial rows "
            f"({inside[0]} first): leave it out of this stream's conditioning."
        )


def _shelf(corner_hz: float, gain_db: float, rate_hz: float, *, low: bool) -> Floats:
    """One section that lifts what lies below, or above, its corner; shape (6,)."""
    a = 10 ** (gain_db / 40)
    turn = 2 * math.pi * corner_hz / rate_hz
    cosine, alpha = math.cos(turn), math.sin(turn) / math.sqrt(2)
    # A high shelf is a low shelf seen from half the rate: the cosine changes its sign, and so do
    # the odd coefficients.
    c, odd = (cosine, 1.0) if low else (-cosine, -1.0)
    root = 2 * math.sqrt(a) * alpha
    top = [
        a * ((a + 1) - (a - 1) * c + root),
        odd * 2 * a * ((a - 1) - (a + 1) * c),
        a * ((a + 1) - (a - 1) * c - root),
    ]
    bottom = [
        (a + 1) + (a - 1) * c + root,
        odd * -2 * ((a - 1) + (a + 1) * c),
        (a + 1) + (a - 1) * c - root,
    ]
    return np.array([*top, *bottom]) / bottom[0]


def _loudness(samples: Floats, rate_hz: float) -> Floats:
    """RMS of overlapping windows, shape (n_rows, n_windows)."""
    width, hop = round(_WINDOW_S * rate_hz), max(1, round(_HOP_S * rate_hz))
    windows = np.lib.stride_tricks.sliding_window_view(samples, width, axis=1)[:, ::hop]
    loudness: Floats = np.sqrt(np.einsum("rwt,rwt->rw", windows, windows) / width)
    return loudness


def _usual(loudness: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of the clean windows, row by row.

    Where windows crowd most, in the shortest interval that holds a quarter of them, lies the clean
    mean. The spread is read below it, since blinks and movements only stretch the upper tail: the
    5th percentile of a normal distribution lies 1.645 deviations below its mean.
    """
    values = np.sort(loudness, axis=1)
    count = max(2, round(_CROWD * values.shape[1]))
    widths = values[:, count - 1 :] - values[:, : values.shape[1] - count + 1]
    start = np.argmin(widths, axis=1)
    rows = np.arange(len(values))
    mean = (values[rows, start] + values[rows, start + count - 1]) / 2
    spread: Floats = (mean - np.percentile(values, 5, axis=1)) / 1.645
    return mean, np.maximum(spread, 1e-3 * mean)


def _clean_samples(still: Floats, rate_hz: float) -> NDArray[np.bool_]:
    """Samples that no window with many bad channels covers, shape (n_times,)."""
    loudness = _loudness(still, rate_hz)
    mean, spread = _usual(loudness)
    z = (loudness - mean[:, None]) / np.maximum(spread, np.finfo(float).tiny)[:, None]
    bad = ((z < _CLEAN_Z[0]) | (z > _CLEAN_Z[1])).mean(axis=0) > _BAD_SHARE
    width, hop = round(_WINDOW_S * rate_hz), max(1, round(_HOP_S * rate_hz))
    clean = np.ones(still.shape[1], dtype=bool)
    for index in np.flatnonzero(bad):
        clean[index * hop : index * hop + width] = False
    return clean


def _median_covariance(samples: Floats) -> Floats:
    """Geometric median of block covariances, by Weiszfeld's steps; (n_rows, n_rows)."""
    n_blocks = samples.shape[1] // _BLOCK_SAMPLES
    blocks = samples[:, : n_blocks * _BLOCK_SAMPLES].reshape(len(samples), n_blocks, -1)
    by_block = blocks.swapaxes(0, 1)
    powers = (by_block @ by_block.swapaxes(1, 2)).reshape(n_blocks, -1) / _BLOCK_SAMPLES
    median: Floats = np.median(powers, axis=0)
    for _ in range(200):
        distance = np.linalg.norm(powers - median, axis=1)
        weights = 1 / np.maximum(distance, 1e-12 * max(float(distance.max()), 1e-300))
        moved = weights @ powers / weights.sum()
        done = np.linalg.norm(moved - median) <= 1e-6 * np.linalg.norm(moved)
        median = moved
        if done:
            break
    return median.reshape(len(samples), -1)
