"""Filter-bank covariance seen from each session's own centre, so that sessions share a classifier.

From one session to the next, and from person to person, covariances move as a whole: another cap,
other impedances, another day. Seen from its own mean each session lies around the same point, and
what tells classes apart is more alike [1]_. No label is needed for that, so a new session can be
centred on its first trials before anybody knows what was meant in them, and its centre pulled
towards the known ones along the geodesic [2]_ while there are few.

References
----------
.. [1] Zanini, Congedo, Jutten, Said, Berthoumieu. Transfer learning: a Riemannian geometry
   framework with applications to brain-computer interfaces. IEEE Trans. Biomed. Eng., 2018.
.. [2] Bhatia. Positive Definite Matrices, chapter 6. Princeton University Press, 2007.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .bands import Floats
from .filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
    covariances_of,
    mean_at_unit_power,
    principal_components,
)
from .positive_definite import inverse_root, riemannian_mean

PRIOR_WINDOWS = 20.0
"""How many windows the fitted centre counts for in `AlignedCovariance.recentred`."""


class AlignedCovariance(FilterbankCovariance):
    """Encoder: like `FilterbankCovariance`, with a centre for each recording.

    Components are learnt from all recordings together. Serving uses the centre of the last
    recording that was fitted on, or that of `recentred`.

    Parameters
    ----------
    config, filters, whiteners, covariance
        See `FilterbankCovariance`; the whiteners are those that serve.

    Notes
    -----
    What a bundle keeps is what serves: centres of earlier recordings are for training alone.
    """

    _whitener_of: Mapping[Hashable, Floats] = {}

    @property
    def recordings(self) -> frozenset[Hashable]:
        """Recordings that have a centre of their own: those that were fitted on."""
        return frozenset(self._whitener_of)

    @classmethod
    def fit(
        cls,
        windows: Samples,
        labels: NDArray[Any] | None,
        config: FilterbankCovarianceConfig,
        recordings: NDArray[Any] | None = None,
    ) -> Self:
        """Learn components, and a centre for each recording.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,), optional
            Not looked at.
        config : FilterbankCovarianceConfig
            What was chosen.
        recordings : ndarray, shape (n_windows,), optional
            Recording of each window, in the order of time; one recording if None. The one of
            the last window serves.

        Returns
        -------
        encoder : AlignedCovariance
            Ready to `encode_many` and `recentred`, and to `encode` after ``open``.

        Raises
        ------
        ConfigError
            If there is no window, one is silent in some band or not finite, or the number of
            recordings is another.
        """
        names = _names(recordings, len(windows))
        covariance = mean_at_unit_power(windows, config.n_bands)
        filters = None
        if config.n_components is not None:
            filters = principal_components(covariance, config.n_components)
        covariances = covariances_of(windows, filters, config.n_bands, config.shrinkage)
        places = {name: np.array([other == name for other in names]) for name in names}
        whitener_of = {name: _whiteners(_centre(covariances[at])) for name, at in places.items()}
        encoder = cls(config, filters, whitener_of[names[-1]], covariance)
        encoder._whitener_of = whitener_of
        return encoder

    def encode_many(self, windows: Samples, recordings: NDArray[Any] | None = None) -> Floats:
        """Features of many windows.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows in microvolts.
        recordings : ndarray, shape (n_windows,), optional
            Recording of each. One that was fitted on is seen from its own centre; any other, and
            all if None, from the centre that serves.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that cannot be encoded.
        """
        if recordings is None:
            return super().encode_many(windows)
        names = _names(recordings, len(windows))
        features = np.empty((len(windows), self.n_features))
        for name in dict.fromkeys(names):
            at = np.array([other == name for other in names])
            seen = self._seen_from(self._whitener_of.get(name, self._whiteners))
            features[at] = FilterbankCovariance.encode_many(seen, windows[at])
        return features

    def recentred(self, windows: Samples, *, prior_windows: float = PRIOR_WINDOWS) -> Self:
        """The same encoder, seen from the centre of a new session.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
            Conditioned windows of the new session's first trials, without labels; best of all
            classes equally often, and of the same part of a trial as in training: the centre of
            rest is another. Those with a masked row are to be left out. Windows that cannot be
            encoded are left out here.
        prior_windows : float
            How many windows the present centre counts for, 0 or more: few windows say little.
            With 0 the new session alone counts.

        Returns
        -------
        encoder : AlignedCovariance
            A new one, not open; this one stays as it is.

        Raises
        ------
        ConfigError
            If no window can be used, or `prior_windows` is negative.
        """
        if not prior_windows >= 0:
            raise ConfigError(f"prior_windows must be 0 or more, got {prior_windows}: change it.")
        good = windows[np.isfinite(super().encode_many(windows)).all(axis=1)]
        if not len(good):
            raise ConfigError(
                f"None of {len(windows)} windows can be used to find the centre of the session: "
                f"wait for good signal."
            )
        covariances = covariances_of(
            good, self._filters, self.config.n_bands, self.config.shrinkage
        )
        weight = len(good) / (len(good) + prior_windows)
        return self._seen_from(_moved(self._whiteners, _centre(covariances), weight))

    def _seen_from(self, whiteners: Floats) -> Self:
        """A copy with another centre."""
        made = type(self)(self.config, self._filters, whiteners, self._missing.covariance)
        made._whitener_of = self._whitener_of
        return made


def _names(recordings: NDArray[Any] | None, n_windows: int) -> list[Hashable]:
    if recordings is not None and len(recordings) != n_windows:
        raise ConfigError(
            f"Each of {n_windows} windows needs its recording, got {len(recordings)}: name one "
            f"for each."
        )
    return [0] * n_windows if recordings is None else list(np.asarray(recordings).tolist())


def _centre(covariances: Floats) -> Floats:
    """Riemannian mean of each band, shape (n_bands, n_components, n_components)."""
    return np.stack([riemannian_mean(covariances[:, band]) for band in range(covariances.shape[1])])


def _whiteners(centres: Floats) -> Floats:
    return np.stack([inverse_root(centre) for centre in centres])


def _moved(whiteners: Floats, centres: Floats, weight: float) -> Floats:
    """Whiteners of a point on the way from the centre they belong to, to another.

    The shortest way between positive matrices A and B goes through ``A^(1/2) (A^(-1/2) B
    A^(-1/2))^w A^(1/2)``, w from 0 to 1.
    """
    seen = whiteners @ centres @ whiteners
    powers, axes = np.linalg.eigh(seen)
    part = (axes * powers[:, None, :] ** weight) @ axes.swapaxes(1, 2)
    roots = np.linalg.inv(whiteners)
    return _whiteners(roots @ part @ roots)
