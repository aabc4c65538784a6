"""Evoked epoch: the mean amplitude of every channel in short stretches of time.

An evoked response has the same sign and delay every time, so its amplitudes themselves are
features; with a shrunken covariance, linear discriminant analysis reads them nearly as well as
they can be read [1]_. Behind xDAWN filters all rows have unit power, and shrinkage treats them
alike.

References
----------
.. [1] Blankertz, Lemm, Treder, Haufe, Müller. Single-trial analysis and classification of ERP
   components: a tutorial. NeuroImage, 2011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from .bands import Floats, check_rate, check_stream, embed, encode_each, split_announced
from .missing import MissingChannels
from .xdawn import evoked_classes, mean_covariance, xdawn_filters


@dataclass(frozen=True, slots=True, kw_only=True)
class EvokedEpochConfig:
    """What can be chosen about `EvokedEpoch`.

    Parameters
    ----------
    rate_hz : float
        Rate of the conditioned stream: it says how many samples a stretch has.
    bin_s : float
        Length of a stretch, at least one sample; the last one may be shorter.
    start_s : float
        Where the first stretch begins, from the beginning of the window.
    stop_s : float, optional
        Where the last stretch ends; None for the end of the window.
    baseline_s : float
        The mean of so much from the beginning of the window is taken off; 0 for nothing.
    clip_sd : float, optional
        Samples beyond so many standard deviations of their channel (by the median, so that loud
        moments do not count) are held there: a blink must not outweigh a hundred flashes. None
        holds nothing.
    n_filters : int
        xDAWN filters for each evoked class, whose output takes the place of the channels; fewer
        are kept where there are fewer independent channels. 0 takes the channels as they are.
    evoked : tuple of str
        Classes that filters are learnt for; empty for all but the most common one.
    """

    rate_hz: float
    bin_s: float = 0.02  # on the mean of eight training parts better than 30 or 50 ms
    start_s: float = 0.0
    stop_s: float | None = None
    baseline_s: float = 0.0
    clip_sd: float | None = 4.0
    n_filters: int = 16
    evoked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "evoked", tuple(self.evoked))
        if not 0 < self.rate_hz < math.inf:
            raise ConfigError(
                f"rate_hz must be positive, got {self.rate_hz} Hz: give the conditioned stream's."
            )
        if not self.bin_s * self.rate_hz >= 1:
            raise ConfigError(
                f"bin_s must be at least one sample, 1 / {self.rate_hz:g} s, got {self.bin_s} s: "
                f"raise it."
            )
        for name in ("start_s", "baseline_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} must be at least 0 s, got {getattr(self, name)} s: raise it."
                )
        if self.stop_s is not None and not self.stop_s >= self.start_s + self.bin_s:
            raise ConfigError(
                f"stop_s must be at least start_s + bin_s, got {self.stop_s} s: raise it."
            )
        if self.clip_sd is not None and not self.clip_sd > 0:
            raise ConfigError(
                f"clip_sd must be positive, got {self.clip_sd}: leave it out to hold nothing."
            )
        if self.n_filters < 0:
            raise ConfigError(f"n_filters must be at least 0, got {self.n_filters}: raise it.")

    def averaging(self, n_times: int) -> Floats:
        """What turns a window into amplitudes by multiplication from the right.

        Parameters
        ----------
        n_times : int
            Samples in a window.

        Returns
        -------
        matrix : ndarray, shape (n_times, n_bins)
            Each column averages one stretch and takes the baseline off.

        Raises
        ------
        SchemaMismatch
            If the window ends before the last stretch or the baseline does.
        """
        stop_s = n_times / self.rate_hz if self.stop_s is None else self.stop_s
        first, stop = round(self.start_s * self.rate_hz), round(stop_s * self.rate_hz)
        n_baseline = round(self.baseline_s * self.rate_hz)
        step = self.bin_s * self.rate_hz
        # A remainder of less than half a stretch would be noisier than the rest.
        n_bins = round((stop - first) / step)
        if n_bins < 1 or max(stop, n_baseline) > n_times:
            raise SchemaMismatch(
                f"A window has {n_times / self.rate_hz:g} s, needed is enough for start_s "
                f"{self.start_s:g}, stop_s {stop_s:g} and baseline_s {self.baseline_s:g}: use "
                f"longer windows."
            )
        edges = np.minimum(first + np.round(step * np.arange(n_bins + 1)).astype(int), stop)
        edges[-1] = stop
        matrix = np.zeros((n_times, n_bins))
        for column, (begin, end) in enumerate(pairwise(edges)):
            matrix[begin:end, column] = 1 / (end - begin)
        if n_baseline:
            matrix[:n_baseline] -= 1 / n_baseline
        return matrix


class EvokedEpoch:
    """Encoder: amplitudes of each channel, or of each xDAWN filter, stretch by stretch.

    Parameters
    ----------
    config : EvokedEpochConfig
        What was chosen.
    filters : ndarray, shape (n_filters, n_channels), optional
        Spatial filters; None takes the channels as they are.
    covariance : ndarray, shape (1, n_channels, n_channels)
        Mean covariance of the training windows, in square microvolts: what stands in for masked
        channels follows from it.
    limits : ndarray, shape (n_channels,)
        Where the samples of each channel are held, in microvolts, positive.
    n_times : int
        Samples in a window.

    Notes
    -----
    Features are ordered by channel, then by time, in microvolts (of unit power behind filters). A
    window that is silent or not finite is encoded as NaN with quality 0, and so is one with too
    few usable channels (`MissingChannels`); a masked row that can be spared is not looked at.
    """

    Config = EvokedEpochConfig

    def __init__(
        self,
        config: EvokedEpochConfig,
        filters: Floats | None,
        covariance: Floats,
        limits: Floats,
        n_times: int,
    ) -> None:
        fits = covariance.shape[:2] == (1, len(limits)) and bool((limits > 0).all())
        if not fits or (filters is None) != (config.n_filters == 0):
            raise BundleError(
                f"Filters {None if filters is None else filters.shape}, covariance "
                f"{covariance.shape} and limits {limits.shape} do not fit each other and n_filters "
                f"{config.n_filters}: fit the model again."
            )
        self.config = config
        self._filters, self._limits, self._n_times = filters, limits[:, None], n_times
        self._missing = MissingChannels(covariance, None if filters is None else filters[None])
        self._averaging = config.averaging(n_times)
        n_rows = covariance.shape[1] if filters is None else len(filters)
        self.n_features = n_rows * self._averaging.shape[1]
        self._opened = False

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any] | None, config: EvokedEpochConfig) -> Self:
        """Learn what stands in for a lost channel, and filters if there are to be any.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, each locked to a flash, all finite.
        labels : ndarray, shape (n_windows,), optional
            Class of each window; needed for filters only.
        config : EvokedEpochConfig
            What was chosen.

        Returns
        -------
        encoder : EvokedEpoch
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there is no window, one is silent or not finite, or the labels do not suffice for
            filters.
        """
        if len(windows) == 0:
            raise ConfigError("Got 0 windows, needed is at least 1: select trials to fit on.")
        mean_covariance(windows)  # refuses what cannot be learnt from
        limits = _limits(windows, config.clip_sd)
        held = np.clip(windows, -limits[:, None], limits[:, None])
        covariance, filters = mean_covariance(held), None
        if config.n_filters:
            names = np.full(len(windows), "") if labels is None else np.asarray(labels).astype(str)
            evoked = evoked_classes(names, config.evoked)
            filters = xdawn_filters(held, names, evoked, config.n_filters, covariance)
        return cls(config, filters, covariance[None], limits, windows.shape[2])

    @classmethod
    def from_arrays(cls, config: EvokedEpochConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        filters = take(arrays, "filters", 2) if config.n_filters else None
        n_times = int(take(arrays, "n_times", 1)[0])
        return cls(config, filters, take(arrays, "scatter", 3), take(arrays, "limits", 1), n_times)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        arrays = {
            "scatter": self._missing.covariance,
            "limits": self._limits[:, 0],
            "n_times": np.array([self._n_times], dtype=np.float64),
        }
        return arrays if self._filters is None else {"filters": self._filters, **arrays}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and set aside memory for one window.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows or another rate, or windows are not as long
            as those of the fit.
        """
        check_stream(spec, self._missing.covariance.shape[1])
        check_rate(spec, self.config.rate_hz)
        self._check_length(n_times)
        self._missing.open(n_times)
        self._opened = True

    def encode(self, window: Window) -> Embedding:
        """Features of one window.

        Parameters
        ----------
        window : Window
            Conditioned window, locked to a flash as those of the fit were.

        Returns
        -------
        embedding : Embedding
            Amplitudes; quality 1, less where channels are masked (`MaskedFilters`). NaN with
            quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._opened:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._missing.covariance.shape[1], self._n_times)
        by_band = split_announced(window.samples, 1, expected)
        if window.usable is None or window.usable.all():
            values = self._features(by_band[0], self._filters, self._limits)
            return embed(values, self.n_features)
        masked = self._missing.filters_for(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        picked = self._missing.pick(by_band, masked)[0]
        values = self._features(picked, masked.filters[0], self._limits[window.usable])
        return embed(values, self.n_features, masked.quality)

    def encode_many(self, windows: Samples) -> Floats:
        """Features of many windows, by the very code that serves one.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that cannot be encoded.
        """
        self._check_length(windows.shape[2])

        def features_of(samples: Samples) -> Floats | None:
            return self._features(samples, self._filters, self._limits)

        return encode_each(windows, features_of, self.n_features)

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._opened = False
        self._missing.close()

    def _check_length(self, n_times: int) -> None:
        if n_times != self._n_times:
            raise SchemaMismatch(
                f"Windows have {n_times} samples, the model was fitted on {self._n_times}: use "
                f"the model's own window length and rate."
            )

    def _features(self, samples: Samples, filters: Floats | None, limits: Floats) -> Floats | None:
        # Asked before anything is held: infinity would pass for a loud moment.
        if not (np.isfinite(samples).all() and samples.any()):
            return None
        amplitudes = np.clip(samples, -limits, limits) @ self._averaging
        if filters is not None:
            amplitudes = filters @ amplitudes
        flat: Floats = amplitudes.ravel()
        return flat


def _limits(windows: Samples, clip_sd: float | None) -> Floats:
    """Where the samples of each channel are held, shape (n_channels,)."""
    if clip_sd is None:
        return np.full(windows.shape[1], np.finfo(np.float64).max)
    # For a Gaussian the median of the absolute value is 0.6745 standard deviations.
    limits: Floats = clip_sd * np.median(np.abs(windows), axis=(0, 2)) / 0.6745
    # A channel that is silent half of the time has no scale to go by.
    return np.where(limits > 0, limits, np.finfo(np.float64).max)
