"""xDAWN covariance: how a flash's window resembles the response that is looked for, made linear.

Spatial filters are learnt under which the evoked response is largest against all the rest [1]_.
Below the filtered window the mean responses are written, and the covariance of the whole says how
much of each response is in the window, where, and how loud the rest is [2]_. Seen from the
training data's Riemannian mean that becomes a vector for a linear classifier [3]_.

Flashes come faster than responses end, so every window also holds its neighbours' responses. What
is evoked is therefore the *difference* between a class's mean and the mean of all other windows:
the response to the rhythm of the flashes, which is in both, cancels.

References
----------
.. [1] Rivet, Souloumiac, Attina, Gibert. xDAWN algorithm to enhance evoked potentials: application
   to brain-computer interface. IEEE Trans. Biomed. Eng., 2009.
.. [2] Barachant, Congedo. A plug&play P300 BCI using information geometry. arXiv 1409.0107, 2014.
.. [3] Barachant, Bonnet, Congedo, Jutten. Multiclass brain-computer interface classification by
   Riemannian geometry. IEEE Trans. Biomed. Eng., 2012.
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
from .bands import Floats, check_stream, embed, encode_each, scatter, shrink, split_announced
from .missing import MissingChannels
from .positive_definite import inverse_root, riemannian_mean

RIDGE = 1e-2
"""Weight of the identity in the covariance that the filters divide by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XdawnConfig:
    """What can be chosen about `XdawnCovariance`.

    Parameters
    ----------
    n_filters : int
        Spatial filters for each evoked class, at least 1; fewer are kept where there are fewer
        independent channels.
    shrinkage : float, optional
        Weight of the identity in each window's covariance, in (0, 1]; None lets the data decide.
    evoked : tuple of str
        Classes with a response of their own. Empty takes all but the most common one: the targets
        of a speller.
    """

    n_filters: int = 6  # best of 3, 4, 6 and 8, over eight training parts
    shrinkage: float | None = None
    evoked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "evoked", tuple(self.evoked))
        if self.n_filters < 1:
            raise ConfigError(f"n_filters must be at least 1, got {self.n_filters}: raise it.")
        if self.shrinkage is not None and not 0 < self.shrinkage <= 1:
            raise ConfigError(
                f"shrinkage must be in (0, 1], got {self.shrinkage}: leave it out to let the "
                f"data decide."
            )


class XdawnCovariance:
    """Encoder: covariance of a window with the mean responses, in the tangent space.

    Parameters
    ----------
    config : XdawnConfig
        What was chosen.
    filters : ndarray, shape (n_filters, n_channels)
        Spatial filters, those of the first evoked class first; their output has unit power.
    prototypes : ndarray, shape (n_prototypes, n_times)
        Filtered mean windows, of each evoked class and of the others.
    whitener : ndarray, shape (n_prototypes + n_filters, n_prototypes + n_filters)
        Inverse square root of the mean covariance.
    covariance : ndarray, shape (1, n_channels, n_channels)
        Mean covariance of the training windows, in square microvolts: what stands in for masked
        channels follows from it.

    Notes
    -----
    Of k = n_prototypes + n_filters rows come ``k * (k + 1) / 2`` features. They are all in the
    same unit, and most of them say nothing: a classifier should not blow them up to equal spread.
    A window that is silent or not finite is encoded as NaN with quality 0, and so is one with too
    few usable channels (`MissingChannels`); a masked row that can be spared is not looked at.
    """

    Config = XdawnConfig

    def __init__(
        self,
        config: XdawnConfig,
        filters: Floats,
        prototypes: Floats,
        whitener: Floats,
        covariance: Floats,
    ) -> None:
        size = len(prototypes) + len(filters)
        if whitener.shape != (size, size) or len(covariance) != 1:
            raise BundleError(
                f"Filters {filters.shape}, prototypes {prototypes.shape}, whitener "
                f"{whitener.shape} and covariance {covariance.shape} do not fit each other: fit "
                f"the model again."
            )
        self.config = config
        self._filters, self._prototypes, self._whitener = filters, prototypes, whitener
        self._missing = MissingChannels(covariance, filters[None])
        row, column = np.triu_indices(size)
        # Off-diagonal elements count twice in the matrix norm, and the vector keeps the norm.
        self._scale = np.where(row == column, 1.0, np.sqrt(2.0))
        self._upper = row * size + column
        self.n_features = len(self._upper)
        self._work: _Work | None = None

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: XdawnConfig) -> Self:
        """Learn filters, mean responses and mean covariance.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, each locked to a flash, all finite.
        labels : ndarray, shape (n_windows,)
            Class of each window, at least two different ones.
        config : XdawnConfig
            What was chosen.

        Returns
        -------
        encoder : XdawnCovariance
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If there are fewer than two classes, an evoked one has no window, nothing is left
            beside them, or a window is silent or not finite.
        """
        names = np.asarray(labels).astype(str)
        evoked = evoked_classes(names, config.evoked)
        covariance = mean_covariance(windows)
        filters = xdawn_filters(windows, names, evoked, config.n_filters, covariance)
        groups = [names == name for name in evoked]
        if not np.logical_or.reduce(groups).all():
            groups.append(~np.logical_or.reduce(groups))
        means = [filters @ windows[rows].mean(axis=0) for rows in groups]
        prototypes = np.concatenate(means)
        work = _Work(prototypes, len(filters))
        found = np.empty((len(windows), *work.covariance.shape[1:]))
        for each, samples in zip(found, windows, strict=True):
            # None was silent for `mean_covariance`, so none is here.
            each[:] = work.fill(samples, filters, config.shrinkage)
        whitener = inverse_root(riemannian_mean(found))
        return cls(config, filters, prototypes, whitener, covariance[None])

    @classmethod
    def from_arrays(cls, config: XdawnConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        filters, prototypes = take(arrays, "filters", 2), take(arrays, "prototypes", 2)
        return cls(
            config, filters, prototypes, take(arrays, "whitener", 2), take(arrays, "scatter", 3)
        )

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {
            "filters": self._filters,
            "prototypes": self._prototypes,
            "whitener": self._whitener,
            "scatter": self._missing.covariance,
        }

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
            If the stream has another number of rows, or windows are not as long as those that
            the responses were learnt from.
        """
        check_stream(spec, self._filters.shape[1])
        self._check_length(n_times)
        self._work = _Work(self._prototypes, len(self._filters))
        self._missing.open(n_times)

    def encode(self, window: Window) -> Embedding:
        """Features of one window.

        Parameters
        ----------
        window : Window
            Conditioned window, locked to a flash as those of the fit were.

        Returns
        -------
        embedding : Embedding
            Tangent vector; quality 1, less where channels are masked (`MaskedFilters`). NaN
            with quality 0 if the window cannot be encoded.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if self._work is None:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (self._filters.shape[1], self._prototypes.shape[1])
        by_band = split_announced(window.samples, 1, expected)
        if window.usable is None or window.usable.all():
            return embed(self._features(by_band[0], self._filters, self._work), self.n_features)
        masked = self._missing.filters_for(window.usable)
        if masked is None:
            return embed(None, self.n_features)
        picked = self._missing.pick(by_band, masked)[0]
        values = self._features(picked, masked.filters[0], self._work)
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
        work = _Work(self._prototypes, len(self._filters))
        return encode_each(
            windows, lambda samples: self._features(samples, self._filters, work), self.n_features
        )

    def close(self) -> None:
        """Give the memory back. Calling it twice is harmless."""
        self._work = None
        self._missing.close()

    def _check_length(self, n_times: int) -> None:
        if n_times != self._prototypes.shape[1]:
            raise SchemaMismatch(
                f"Windows have {n_times} samples, the responses were learnt from "
                f"{self._prototypes.shape[1]}: use the model's own window length and rate."
            )

    def _features(self, samples: Samples, filters: Floats, work: _Work) -> Floats | None:
        covariance = work.fill(samples, filters, self.config.shrinkage)
        if covariance is None:
            return None
        # The whitener is symmetric, so its transpose is itself.
        powers, axes = np.linalg.eigh(self._whitener @ covariance @ self._whitener)
        if not powers[0] > 0:
            return None
        tangent = (axes * np.log(powers)) @ axes.T
        flat: Floats = tangent.ravel()[self._upper] * self._scale
        return flat


class _Work:
    """Memory for one window: the responses, and below them the filtered window."""

    def __init__(self, prototypes: Floats, n_filters: int) -> None:
        n_prototypes, n_times = prototypes.shape
        self._rows = np.empty((1, n_prototypes + n_filters, n_times))
        self._rows[0, :n_prototypes] = prototypes
        self._filtered = self._rows[0, n_prototypes:]
        self.covariance = np.empty((1, self._rows.shape[1], self._rows.shape[1]))

    def fill(self, samples: Samples, filters: Floats, shrinkage: float | None) -> Floats | None:
        """Shrunken covariance, or None if there is nothing to learn from the window."""
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(filters, samples, out=self._filtered)
        scatter(self._rows, self.covariance)
        power = np.einsum("bii->b", self.covariance)
        # A finite sum of squares bounds every element.
        if not (np.isfinite(power).all() and self._filtered.any()):
            return None
        shrink(self.covariance, self._rows.shape[2], shrinkage)
        only: Floats = self.covariance[0]
        return only


def evoked_classes(names: NDArray[np.str_], wanted: tuple[str, ...]) -> list[str]:
    """Classes with a response of their own: at least one, each with a window.

    Parameters
    ----------
    names : ndarray of str, shape (n_windows,)
        Class of each window.
    wanted : tuple of str
        Those classes; empty for all but the most common one.

    Raises
    ------
    ConfigError
        If there are fewer than two classes, or a wanted one has no window.
    """
    known, counts = np.unique(names, return_counts=True)
    if len(known) < 2:
        raise ConfigError(f"Needed are at least 2 classes, got {len(known)}: add trials.")
    if absent := sorted(set(wanted) - set(known.tolist())):
        raise ConfigError(
            f"The evoked classes must be among {known.tolist()}, got also {absent}: name others."
        )
    return list(wanted) or [str(name) for name in np.delete(known, counts.argmax())]


def mean_covariance(windows: Samples) -> Floats:
    """Mean covariance of windows, in square microvolts: (n_channels, n_channels).

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_channels, n_times)
        Conditioned windows in microvolts.

    Raises
    ------
    ConfigError
        If a window is silent or not finite.
    """
    n_channels = windows.shape[1]
    work, total = np.empty((1, n_channels, n_channels)), np.zeros((n_channels, n_channels))
    for index, samples in enumerate(windows):
        power = np.trace(scatter(samples[None], work)[0])
        if not (np.isfinite(power) and power > 0):
            raise ConfigError(
                f"Window {index} is silent, or holds NaN or infinity, allowed is finite signal: "
                f"leave its trial out of the fit."
            )
        total += work[0]
    mean: Floats = total / len(windows)
    return mean


def xdawn_filters(
    windows: Samples,
    names: NDArray[np.str_],
    evoked: list[str],
    n_filters: int,
    covariance: Floats,
) -> Floats:
    """Spatial filters under which evoked responses stand out most.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_channels, n_times)
        Conditioned windows in microvolts.
    names : ndarray of str, shape (n_windows,)
        Class of each window.
    evoked : list of str
        Classes to find filters for.
    n_filters : int
        How many for each; fewer where fewer directions have power.
    covariance : ndarray, shape (n_channels, n_channels)
        From `mean_covariance`.

    Returns
    -------
    filters : ndarray, shape (n_found, n_channels)
        Those of the first class first, each class's strongest first.
    """
    from scipy.linalg import eigh

    # A reference, or a channel that others repeat, leaves directions without any power.
    powers = np.linalg.eigvalsh(covariance)
    n_kept = min(n_filters, int((powers > 1e-9 * powers[-1]).sum()))
    noise = shrink(covariance[None].copy(), windows.shape[2], RIDGE)[0]
    found = []
    for name in evoked:
        response = windows[names == name].mean(axis=0) - windows[names != name].mean(axis=0)
        _, axes = eigh(response @ response.T / windows.shape[2], noise)
        found.append(axes[:, ::-1][:, :n_kept].T)
    return np.concatenate(found)
