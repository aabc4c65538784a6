"""Mains taken out in space: the directions in which it is loud against everything else.

A notch takes a slice of the spectrum from every direction; this takes a few directions from the
whole spectrum. Which ones is found by a joint diagonalisation of the covariance at the mains
frequency and that of all the rest, as zapline does [1]_ [2]_; unlike zapline the result is one
fixed matrix, so it costs no delay, but what the brain has in these directions goes with the mains.

References
----------
.. [1] de Cheveigne. ZapLine: a simple and effective method to remove power line artifacts.
   NeuroImage, 2020.
.. [2] de Cheveigne, Parra. Joint decorrelation, a versatile tool for multichannel data analysis.
   NeuroImage, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples, StreamSpec
from ..runtime.signal.cleaning import Floats, Projection
from .cleaning_fit import check_calibration, cleaned, settled

_HIGH_PASS_HZ = 1.0
_SEGMENT_S = 2.0
_AT_HZ, _BESIDE_HZ = 0.5, (2.0, 6.0)
_HIGHEST = 0.45  # of the rate: amplifiers' own low-passes end near there
_CLEAR_RATIO = 4.0  # 6 dB over the frequencies beside it
_MOST_SHARE = 0.25
_RIDGE = 1e-4  # of the mean channel's power


@dataclass(frozen=True, slots=True)
class _Spectra:
    """Cross-spectra of a calibration: mean density at mains, beside it, and power of the rest."""

    line: Floats
    beside: Floats
    rest: Floats


def fit_line_projection(
    samples: Samples, spec: StreamSpec, line_hz: float, *, n_remove: int | None = None
) -> Projection:
    """The directions of mains and its harmonics, as a fixed projection.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw calibration in microvolts, 10 s or more.
    spec : StreamSpec
        Its rows and rate.
    line_hz : float
        Mains frequency, in [40, 70] and below 0.45 of the rate.
    n_remove : int, optional
        How many directions to take out, at most half of the rows; None takes those in which mains
        stands 6 dB or more above the frequencies beside it, at most a quarter of the rows.

    Returns
    -------
    projection : Projection
        No source at all where no direction is that loud.

    Raises
    ------
    ConfigError
        If there is too little signal, fewer than 4 rows, NaN, or a setting is out of range.
    """
    check_calibration(samples, spec, least_s=10.0, least_rows=4)
    if not 40 <= line_hz <= 70 or line_hz >= _HIGHEST * spec.rate_hz:
        raise ConfigError(
            f"line_hz must be in [40, 70] Hz and below {_HIGHEST * spec.rate_hz:g} Hz, got "
            f"{line_hz:g} Hz."
        )
    if n_remove is not None and not 0 <= n_remove <= len(samples) // 2:
        raise ConfigError(
            f"n_remove must be in 0 to {len(samples) // 2}, half of the rows, got {n_remove}."
        )
    still = settled(samples, spec.rate_hz, _HIGH_PASS_HZ)
    spectra = _spectra(still, spec.rate_hz, line_hz)
    noise = spectra.rest + _RIDGE * np.trace(spectra.rest) / len(still) * np.eye(len(still))
    unmixing = linalg.eigh(spectra.line, noise)[1].T[::-1]
    ratios = _ratios(unmixing, spectra)
    n_sources = _how_many(ratios) if n_remove is None else n_remove
    unmixing = unmixing[:n_sources]
    notes = tuple(
        f"Mains direction {k}: {10 * np.log10(ratio):.1f} dB over the frequencies beside it."
        for k, ratio in enumerate(ratios[:n_sources])
    )
    covariance = np.cov(still)
    return cleaned(noise @ unmixing.T, unmixing, covariance, notes or ("No clear mains.",))


def line_excess_db(samples: Samples, rate_hz: float, line_hz: float) -> Floats:
    """How far mains stands out of the spectrum, channel by channel.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Signal in microvolts, 2 s or more.
    rate_hz : float
        Sampling rate.
    line_hz : float
        Frequency to look at.

    Returns
    -------
    excess_db : ndarray, shape (n_channels,)
        Mean density within 0.5 Hz of it over that at 2 to 6 Hz on either side; NaN for a silent
        channel.
    """
    frequencies, transform = _transform(samples, rate_hz)
    power = (transform.real**2 + transform.imag**2).mean(axis=0)
    off_hz = np.abs(frequencies - line_hz)
    at, beside = (power[:, chosen].mean(axis=1) for chosen in _at_and_beside(off_hz))
    ratio = np.divide(at, beside, out=np.full(len(at), np.nan), where=(beside > 0) & (at > 0))
    excess: Floats = 10 * np.log10(ratio)
    return excess


def _spectra(samples: Floats, rate_hz: float, line_hz: float) -> _Spectra:
    frequencies, transform = _transform(samples, rate_hz)
    harmonics = np.arange(line_hz, _HIGHEST * rate_hz, line_hz)
    off_hz = np.abs(frequencies[:, None] - harmonics).min(axis=1)
    size = len(samples)
    line, beside = np.zeros((size, size)), np.zeros((size, size))
    for harmonic in harmonics:
        at, near = (
            _density(transform[:, :, chosen])
            for chosen in _at_and_beside(np.abs(frequencies - harmonic))
        )
        # The spectrum falls: each harmonic counts by how far it stands out where it is.
        level = np.trace(near) or 1.0
        line += at / level
        beside += near / level
    rest = _density(transform[:, :, off_hz > _BESIDE_HZ[0]])
    return _Spectra(line, beside, rest)


def _transform(samples: Samples, rate_hz: float) -> tuple[Floats, NDArray[np.complex128]]:
    """Frequencies, and spectra of half-overlapping segments (n_segments, n_channels, n_bins)."""
    length = min(round(_SEGMENT_S * rate_hz), samples.shape[1])
    starts = range(0, samples.shape[1] - length + 1, max(1, length // 2))
    segments = np.stack([samples[:, start : start + length] for start in starts])
    segments = (segments - segments.mean(axis=2, keepdims=True)) * np.hanning(length)
    frequencies: Floats = np.asarray(np.fft.rfftfreq(length, 1 / rate_hz), dtype=np.float64)
    return frequencies, np.fft.rfft(segments, axis=2)


def _at_and_beside(off_hz: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return off_hz <= _AT_HZ, (off_hz > _BESIDE_HZ[0]) & (off_hz < _BESIDE_HZ[1])


def _density(transform: NDArray[np.complex128]) -> Floats:
    """Mean cross-spectrum over segments and bins, the real part: (n_channels, n_channels)."""
    flat = transform.swapaxes(0, 1).reshape(transform.shape[1], -1)
    density: Floats = (flat @ flat.conj().T).real / flat.shape[1]
    return density


def _ratios(unmixing: Floats, spectra: _Spectra) -> Floats:
    """Density at mains over that beside it, direction by direction."""
    at, beside = (
        np.einsum("ki,ij,kj->k", unmixing, part, unmixing)
        for part in (spectra.line, spectra.beside)
    )
    ratios: Floats = at / np.maximum(beside, np.finfo(float).tiny)
    return ratios


def _how_many(ratios: Floats) -> int:
    """Leading directions that are clearly mains; the first that is not ends the count."""
    most = max(1, int(_MOST_SHARE * len(ratios)))
    clear = ratios[:most] >= _CLEAR_RATIO
    return most if clear.all() else int(np.argmin(clear))
