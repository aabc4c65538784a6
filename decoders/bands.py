"""What the filter-bank encoders share: rows by band, shrunken covariance, honest failure.

A conditioned window has ``n_bands * n_channels`` rows, band-major: row ``band * n_channels +
channel``. Nothing here copies a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec

Floats = NDArray[np.float64]


def split_bands(samples: Samples, n_bands: int) -> Samples:
    """View a window by band.

    Parameters
    ----------
    samples : ndarray, shape (n_bands * n_channels, n_times)
        Conditioned window in microvolts.
    n_bands : int
        Number of bands.

    Returns
    -------
    by_band : ndarray, shape (n_bands, n_channels, n_times)
        A view, not a copy.

    Raises
    ------
    SchemaMismatch
        If the rows do not divide into the bands.
    """
    n_rows, n_times = samples.shape
    if n_rows % n_bands:
        raise SchemaMismatch(
            f"A window has {n_rows} rows, needed is a multiple of the {n_bands} bands: use the "
            f"conditioning that the model was fitted with."
        )
    return samples.reshape(n_bands, n_rows // n_bands, n_times)


def split_announced(samples: Samples, n_bands: int, expected: tuple[int, int]) -> Samples:
    """View a window by band, if it has the shape that the encoder was opened for.

    Parameters
    ----------
    samples : ndarray, shape (n_bands * n_channels, n_times)
        Conditioned window in microvolts.
    n_bands : int
        Number of bands.
    expected : tuple of 2 int
        Channels and samples that were announced.

    Returns
    -------
    by_band : ndarray, shape (n_bands, n_channels, n_times)
        A view, not a copy.

    Raises
    ------
    SchemaMismatch
        If the window has another shape.
    """
    by_band = split_bands(samples, n_bands)
    if by_band.shape[1:] != expected:
        raise SchemaMismatch(
            f"A window has shape {samples.shape}, announced were {n_bands} bands of {expected}: "
            f"open the encoder for this stream."
        )
    return by_band


def check_stream(spec: StreamSpec, n_rows: int) -> None:
    """Refuse a conditioned stream with another number of rows than the model has.

    Parameters
    ----------
    spec : StreamSpec
        Conditioned stream.
    n_rows : int
        Bands times channels of the model.

    Raises
    ------
    SchemaMismatch
        If the numbers differ.
    """
    if spec.n_channels != n_rows:
        raise SchemaMismatch(
            f"The conditioned stream {spec.name!r} has {spec.n_channels} rows, the model was "
            f"fitted on {n_rows} (bands times channels): use the bundle's own conditioning."
        )


def check_rate(spec: StreamSpec, rate_hz: float) -> None:
    """Refuse a conditioned stream with another rate than the model was fitted at.

    Parameters
    ----------
    spec : StreamSpec
        Conditioned stream.
    rate_hz : float
        Of the model.

    Raises
    ------
    SchemaMismatch
        If the rates differ by more than a thousandth.
    """
    if not math.isclose(spec.rate_hz, rate_hz, rel_tol=1e-3):
        raise SchemaMismatch(
            f"The conditioned stream {spec.name!r} has {spec.rate_hz:g} Hz, the model was "
            f"fitted at {rate_hz:g} Hz: use the bundle's own conditioning."
        )


def scatter(by_band: Samples, out: Floats) -> Floats:
    """Second moment of each band; band-passed signal has no mean to take off.

    Parameters
    ----------
    by_band : ndarray, shape (n_bands, n_rows, n_times)
        Signal in microvolts.
    out : ndarray, shape (n_bands, n_rows, n_rows)
        Where the result goes, in square microvolts.

    Returns
    -------
    out : ndarray
        The same array.
    """
    # A window of garbage may overflow; the caller looks at the result, not at warnings.
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(by_band, by_band.swapaxes(1, 2), out=out)
        out /= by_band.shape[2]
    return out


def shrink(covariances: Floats, n_times: int, shrinkage: float | None) -> Floats:
    """Pull covariances towards a multiple of the identity, in place.

    Parameters
    ----------
    covariances : ndarray, shape (n_bands, n_rows, n_rows)
        Finite second moments; changed.
    n_times : int
        How many samples each rests on.
    shrinkage : float, optional
        Weight of the target, in [0, 1]; None for the oracle approximating one [1]_.

    Returns
    -------
    covariances : ndarray
        The same array.

    References
    ----------
    .. [1] Chen, Wiesel, Eldar, Hero. Shrinkage algorithms for MMSE covariance estimation.
       IEEE Trans. Signal Process., 2010.
    """
    n_rows = covariances.shape[1]
    mean_power = np.einsum("bii->b", covariances) / n_rows
    weight: Floats | float
    if shrinkage is None:
        # Equation 23 of [1]_ in the form that scikit-learn uses, so that both agree.
        energy = np.einsum("bij,bij->b", covariances, covariances) / n_rows**2
        top = energy + mean_power**2
        bottom = (n_times + 1) * (energy - mean_power**2 / n_rows)
        weight = np.where(bottom > top, top / np.where(bottom > top, bottom, 1.0), 1.0)
    else:
        weight = np.full(len(covariances), shrinkage)
    covariances *= (1 - weight)[:, None, None]
    diagonal = np.arange(n_rows)
    covariances[:, diagonal, diagonal] += (weight * mean_power)[:, None]
    return covariances


def check_announced(samples: Samples, expected: tuple[int, int]) -> None:
    """Refuse a window of another shape than the encoder was opened for.

    Parameters
    ----------
    samples : ndarray, shape (n_rows, n_times)
        Conditioned window in microvolts.
    expected : tuple of 2 int
        Rows and samples that were announced.

    Raises
    ------
    SchemaMismatch
        If the shapes differ.
    """
    if samples.shape != expected:
        raise SchemaMismatch(
            f"A window has shape {samples.shape}, announced was {expected}: open the encoder for "
            f"this stream."
        )


def encode_each(
    windows: Samples, features_of: Callable[[Samples], Floats | None], n_features: int
) -> Floats:
    """Features of many windows, by the very code that serves one.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_rows, n_times)
        Conditioned windows in microvolts.
    features_of : callable
        From a window to its features, shape (n_features,); None if it cannot be encoded.
    n_features : int
        How many there are.

    Returns
    -------
    features : ndarray, shape (n_windows, n_features)
        NaN in the rows of windows that cannot be encoded.
    """
    features = np.full((len(windows), n_features), np.nan)
    for row, samples in zip(features, windows, strict=True):
        values = features_of(samples)
        if values is not None:
            row[:] = values
    return features


def embed(values: Floats | None, n_features: int, quality: float = 1.0) -> Embedding:
    """Wrap features, or say that the window could not be encoded.

    Parameters
    ----------
    values : ndarray, shape (n_features,), optional
        Features; None for a window of zeros, NaN or infinity, or with too few good channels.
    n_features : int
        How many features there would have been.
    quality : float
        0 to 1, of features that there are.

    Returns
    -------
    embedding : Embedding
        With that quality, or NaN throughout with quality 0.
    """
    if values is None:
        return Embedding(values=np.full(n_features, np.nan), quality=0.0)
    return Embedding(values=values, quality=quality)
