"""Task-related components: the response to each flicker, learnt from a few phase-locked trials.

Flicker that always begins with its marker gives the same response in every trial. For every class
and sub-band the mixture of electrodes is sought that repeats best from trial to trial; a window is
then correlated with each class's mean response, seen through the mixtures of all classes at once
(ensemble) [1]_. Three trials of each class are enough.

Where the flicker runs on by itself, so that each trial meets it in another phase, there is no mean
response, and this is at chance: use `FilterBankCca`.

References
----------
.. [1] Nakanishi, Wang, Chen, Wang, Gao, Jung. Enhancing detection of SSVEPs for a high-speed brain
   speller using task-related component analysis. IEEE Trans. Biomed. Eng., 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from ..runtime.paradigms.flicker import RESTING
from .bands import Floats, check_announced, check_rate, check_stream, embed, encode_each
from .missing import MaskedFilters, MissingChannels
from .sub_bands import SubBandConfig, SubBands

FEWEST_TRIALS = 2
"""Of each class; below it nothing can repeat. Three are advised."""

_RIDGE = 1e-3  # of the mean power: a reference leaves a direction without any


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRelatedComponentsConfig(SubBandConfig):
    """What can be chosen about `TaskRelatedComponents`, beside its sub-bands.

    Parameters
    ----------
    ensemble : bool
        Whether a window is seen through the filters of all classes at once; False through those of
        the class in question alone.
    """

    ensemble: bool = True


class TaskRelatedComponents:
    """Encoder: correlation with each class's mean response.

    Parameters
    ----------
    config : TaskRelatedComponentsConfig
        What was chosen.
    filters : ndarray, shape (n_sub_bands, n_classes, n_channels)
        Spatial filter of each class.
    templates : ndarray, shape (n_classes, n_channels, n_coefficients)
        Mean response of each class, as `SubBands.coefficients`.
    covariance : ndarray, shape (n_sub_bands, n_channels, n_channels)
        Mean covariance of the calibration: what stands in for masked channels follows from it.
    n_times : int
        Samples in a window.

    Notes
    -----
    There is one feature for each class with a response, in alphabetical order of the labels; those
    of rest (`RESTING`) have none. A feature is the weighted sum over sub-bands of the squared
    correlation, with its sign. Windows have to be locked to the onset of the flicker, in training
    as in serving; sliding windows do not fit this encoder.

    A window that is silent or not finite is encoded as NaN with quality 0, and so is one with too
    few usable channels (`MissingChannels`).
    """

    Config = TaskRelatedComponentsConfig

    def __init__(
        self,
        config: TaskRelatedComponentsConfig,
        *,
        filters: Floats,
        templates: Floats,
        covariance: Floats,
        n_times: int,
    ) -> None:
        self.config = config
        self._sub_bands = SubBands(config, n_times)
        n_bands, n_classes, n_channels = filters.shape
        expected = (n_classes, n_channels, self._sub_bands.n_coefficients)
        if n_bands != config.n_sub_bands or templates.shape != expected or n_classes < 2:
            raise BundleError(
                f"Filters {filters.shape} and templates {templates.shape} do not fit each other "
                f"and {config.n_sub_bands} sub-bands of {n_times} samples: fit the model again."
            )
        self._filters, self._templates, self._n_times = filters, templates, n_times
        self._missing = MissingChannels(covariance, filters)
        self._responses = [self._response(band) for band in range(n_bands)]
        self.n_features = n_classes
        self._is_open = False

    def _response(self, band: int) -> Floats:
        """Filtered mean responses at unit power, (n_classes, n_filters * n_of_band)."""
        seen = self._filters[band] @ self._sub_bands.of(self._templates, band)
        if not self.config.ensemble:
            # Each class through its own filter alone.
            seen = seen * np.eye(len(seen))[:, :, None]
        flat: Floats = seen.reshape(len(seen), -1)
        flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        return flat

    @classmethod
    def fit(
        cls, windows: Samples, labels: NDArray[Any], config: TaskRelatedComponentsConfig
    ) -> Self:
        """Learn filters and responses.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, each at the same time after its marker.
        labels : ndarray, shape (n_windows,)
            Class of each window; at least two classes with at least two windows each, besides rest.
        config : TaskRelatedComponentsConfig
            What was chosen.

        Returns
        -------
        encoder : TaskRelatedComponents
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there are too few classes or windows, or a window is silent or not finite.
        """
        names = [str(label) for label in labels]
        classes = sorted(set(names) - set(RESTING))
        _check_enough(names, classes)
        n_times = windows.shape[2]
        sub_bands = SubBands(config, n_times)
        found = np.array([sub_bands.coefficients(samples) for samples in windows])
        covariances = np.array([sub_bands.products(one, one) for one in found])
        power = np.einsum("wbcc->wb", covariances)
        if len(bad := np.flatnonzero(~(np.isfinite(power) & (power > 0)).all(axis=1))):
            raise ConfigError(
                f"Window {bad[0]} is silent in some sub-band, or holds NaN or infinity, allowed is "
                f"finite signal: leave its trial out of the fit."
            )
        members = [np.array([name == one for name in names]) for one in classes]
        templates = np.array([found[rows].mean(axis=0) for rows in members])
        filters = [
            _repeating(sub_bands, found[rows].sum(axis=0), covariances[rows].sum(axis=0))
            for rows in members
        ]
        mean = (covariances / power[:, :, None, None]).mean(axis=0)
        return cls(
            config,
            filters=np.stack(filters, axis=1),
            templates=templates,
            covariance=mean,
            n_times=n_times,
        )

    @classmethod
    def from_arrays(
        cls, config: TaskRelatedComponentsConfig, arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(
            config,
            filters=take(arrays, "filters", 3),
            templates=take(arrays, "templates", 3),
            covariance=take(arrays, "scatter", 3),
            n_times=int(take(arrays, "n_times", 1)[0]),
        )

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {
            "filters": self._filters,
            "templates": self._templates,
            "scatter": self._missing.covariance,
            "n_times": np.array([float(self._n_times)]),
        }

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check stream and window.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window: as many as in the calibration.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows or another rate, or the window is of another
            length.
        """
        check_stream(spec, self._filters.shape[2])
        check_rate(spec, self.config.rate_hz)
        if n_times != self._n_times:
            raise SchemaMismatch(
                f"A window would have {n_times} samples, the responses were learnt with "
                f"{self._n_times}: use the bundle's own window."
            )
        self._is_open = True

    def encode(self, window: Window) -> Embedding:
        """Features of one window.

        Parameters
        ----------
        window : Window
            Conditioned window, locked to its marker as in the calibration.

        Returns
        -------
        embedding : Embedding
            Scores of the classes; quality 1, less where channels are masked (`MaskedFilters`). NaN
            with quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._is_open:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._filters.shape[2], self._n_times)
        check_announced(window.samples, expected)
        if window.usable is None or window.usable.all():
            return embed(self._features(window.samples, self._filters), self.n_features)
        masked = self._masked(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        values = self._features(window.samples[window.usable], masked.filters)
        return embed(values, self.n_features, masked.quality)

    def _masked(self, usable: NDArray[np.bool_]) -> MaskedFilters | None:
        # The rows of the stream have no bands; a masked channel is masked in all of them.
        return self._missing.filters_for(np.tile(usable, len(self._filters)))

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
        return encode_each(
            windows, lambda samples: self._features(samples, self._filters), self.n_features
        )

    def close(self) -> None:
        """Be done. Calling it twice is harmless."""
        self._is_open = False

    def _features(self, samples: Samples, filters: Floats) -> Floats | None:
        coefficients = self._sub_bands.coefficients(samples)
        if not np.isfinite(coefficients).all():
            return None
        total = np.zeros(self.n_features)
        for band, weight in enumerate(self.config.weights):
            seen = filters[band] @ self._sub_bands.of(coefficients, band)
            # A class's own filter is the only one that its response knows of.
            with np.errstate(over="ignore"):
                size = np.linalg.norm(seen, axis=None if self.config.ensemble else 1)
            if not (np.isfinite(size).all() and np.min(size) > 0):
                return None
            correlation = self._responses[band] @ seen.ravel() / size
            total += weight * correlation * np.abs(correlation)
        return total


def _check_enough(names: list[str], classes: list[str]) -> None:
    if len(classes) < 2:
        raise ConfigError(
            f"Needed are at least 2 classes besides rest, got {classes}: record trials of another."
        )
    rarest = min(classes, key=names.count)
    if names.count(rarest) < FEWEST_TRIALS:
        raise ConfigError(
            f"Class {rarest!r} has {names.count(rarest)} window, needed are at least "
            f"{FEWEST_TRIALS} and advised 3: record another block."
        )


def _repeating(sub_bands: SubBands, total: Floats, power: Floats) -> Floats:
    """Filter of each sub-band whose output repeats best, (n_sub_bands, n_channels).

    The sum of products of different trials is that of the sum of all trials, less that of each
    with itself.
    """
    from scipy.linalg import eigh

    between = sub_bands.products(total, total) - power
    n_channels = power.shape[1]
    filters = []
    for shared, own in zip(between, power, strict=True):
        regular = own + _RIDGE * np.trace(own) / n_channels * np.eye(n_channels)
        axis = eigh(shared, regular, subset_by_index=(n_channels - 1, n_channels - 1))[1][:, 0]
        # At unit power, and with a sign that does not depend on the library.
        axis = axis / np.sqrt(axis @ own @ axis)
        filters.append(axis * np.sign(axis[np.abs(axis).argmax()]))
    return np.array(filters)
