"""Windows of several recordings, or people, made alike before anything is learnt from them.

Each recording has a reference: the mean covariance of its windows, band by band, without labels.
Its inverse root makes the recording white on average, as in Euclidean alignment [1]_. What is white
has lost its units and its loud directions, though, which a decoder may choose by. So windows can be
coloured again, all in the same way: as the mean of the recordings is.

A new session gets its reference from its first windows (`SessionReference`): causal, without
labels, and pulled towards the common one while there are few. As only good windows with every
electrode count, and mixing would spread a bad electrode over all, matrices belong behind
masks: into an encoder, not into a conditioner.

References
----------
.. [1] He, Wu. Transfer learning for brain-computer interfaces: a Euclidean space data alignment
   approach. IEEE Trans. Biomed. Eng., 2020.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError
from ..runtime.messages import Samples
from .linear import Floats

_SILENT = 1e-9  # share of the largest power: a reference, or a repeated channel, leaves no power


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentConfig:
    """What can be chosen about an alignment.

    Parameters
    ----------
    n_bands : int
        Bands of the conditioned stream.
    coloured : bool
        Give all recordings the common colour, and thereby units; False leaves them white.
    ridge : float
        Weight of the identity in a reference, as a share of its mean power, in [0, 1): directions
        that are nearly silent are not blown up.
    prior_windows : float
        How many windows the common reference counts for in that of a new session, 0 or more.
    """

    n_bands: int = 1
    coloured: bool = True
    ridge: float = 1e-3
    prior_windows: float = 20.0

    def __post_init__(self) -> None:
        if self.n_bands < 1:
            raise ConfigError(f"n_bands must be at least 1, got {self.n_bands}: count the bands.")
        if not 0 <= self.ridge < 1:
            raise ConfigError(f"ridge must be in [0, 1), got {self.ridge}: 0.001 is usual.")
        if not self.prior_windows >= 0:
            raise ConfigError(
                f"prior_windows must be 0 or more, got {self.prior_windows}: change it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """Recordings made alike.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
        In microvolts if coloured, without unit if white.
    references : dict of hashable to ndarray, shape (n_bands, n_channels, n_channels)
        Of each recording, in square microvolts.
    common : ndarray, shape (n_bands, n_channels, n_channels)
        Their mean.
    """

    windows: Samples
    references: Mapping[Hashable, Floats]
    common: Floats


def align(windows: Samples, recordings: NDArray[Any], config: AlignmentConfig) -> Aligned:
    """Make recordings alike; labels are not looked at.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
        Conditioned windows in microvolts, all finite.
    recordings : ndarray, shape (n_windows,)
        Recording, or person, of each.
    config : AlignmentConfig
        What was chosen.

    Returns
    -------
    aligned : Aligned
        For training. Every window of a recording has a part in its reference, so an accuracy that
        is cross-validated within one knows the held-out windows, though not their labels.

    Raises
    ------
    ConfigError
        If lengths differ, or a recording has no power or is not finite.
    """
    names = np.asarray(recordings).tolist()
    if len(names) != len(windows) or not names:
        raise ConfigError(
            f"Each window needs its recording, got {len(windows)} windows and {len(names)} "
            f"recordings: name one for each."
        )
    places = {name: np.array([other == name for other in names]) for name in names}
    references = {name: reference_of(windows[at], config) for name, at in places.items()}
    common: Floats = np.mean(list(references.values()), axis=0)
    found = np.empty(windows.shape)
    for name, at in places.items():
        matrices = transport(references[name], common if config.coloured else None, config)
        found[at] = moved(windows[at], matrices)
    return Aligned(windows=found, references=references, common=common)


def reference_of(windows: Samples, config: AlignmentConfig) -> Floats:
    """Mean covariance of each band.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_bands * n_channels, n_times)
        Of one recording, in microvolts.
    config : AlignmentConfig
        What was chosen.

    Returns
    -------
    reference : ndarray, shape (n_bands, n_channels, n_channels)
        In square microvolts. Each window counts alike, however loud it is, and the power is that
        of the median window: one artefact must not decide.

    Raises
    ------
    ConfigError
        If there is no window, or one is silent or not finite.
    """
    covariances = _covariances(windows, config.n_bands)
    power = np.einsum("wbii->wb", covariances)
    if not len(power) or not (np.isfinite(power).all() and power.min() > 0):
        raise ConfigError(
            f"A reference needs finite signal in every band, got {len(power)} windows of which "
            f"some are silent or not finite: leave these out."
        )
    shapes = covariances / power[:, :, None, None]
    middle = np.median(power, axis=0)[:, None, None]
    found: Floats = middle * shapes.mean(axis=0)
    return found


def transport(
    reference: Floats, common: Floats | None, config: AlignmentConfig | None = None
) -> Floats:
    """Matrices that give a recording's windows another reference.

    Parameters
    ----------
    reference : ndarray, shape (n_bands, n_channels, n_channels)
        The one that they have.
    common : ndarray, shape (n_bands, n_channels, n_channels), optional
        The one that they shall have; None for white.
    config : AlignmentConfig, optional
        For its ridge.

    Returns
    -------
    matrices : ndarray, shape (n_bands, n_channels, n_channels)
        For `moved`.
    """
    ridge = (config or AlignmentConfig()).ridge
    white = _power_of(_regular(reference, ridge), -0.5)
    return white if common is None else _power_of(_regular(common, ridge), 0.5) @ white


def moved(windows: Samples, matrices: Floats) -> Samples:
    """Windows multiplied with a matrix for each band.

    Parameters
    ----------
    windows : ndarray, shape (..., n_bands * n_channels, n_times)
        In microvolts.
    matrices : ndarray, shape (n_bands, n_channels, n_channels)
        From `transport`.

    Returns
    -------
    windows : ndarray
        New ones of the same shape.
    """
    n_bands, n_channels, _ = matrices.shape
    by_band = windows.reshape(*windows.shape[:-2], n_bands, n_channels, windows.shape[-1])
    found: Samples = (matrices @ by_band).reshape(windows.shape)
    return found


class SessionReference:
    """Reference of a session that has begun, window by window, without labels.

    It has a fixed size and sees windows once and in order, so that a replay finds the same.

    Parameters
    ----------
    common : ndarray, shape (n_bands, n_channels, n_channels)
        What earlier sessions or other people had, in square microvolts.
    config : AlignmentConfig
        With which they were aligned.
    n_windows : int
        How many windows it has seen already.
    mean : ndarray, shape (n_bands, n_channels, n_channels), optional
        Their mean.

    Raises
    ------
    BundleError
        If shapes do not fit each other.
    """

    def __init__(
        self,
        common: Floats,
        config: AlignmentConfig,
        *,
        n_windows: int = 0,
        mean: Floats | None = None,
    ) -> None:
        mean = np.zeros_like(common) if mean is None else mean
        if common.ndim != 3 or len(common) != config.n_bands or mean.shape != common.shape:
            raise BundleError(
                f"References of shape {common.shape} and {mean.shape} do not fit each other and "
                f"{config.n_bands} bands: align again."
            )
        self._common, self._config = common.copy(), config
        self._mean, self.n_windows = mean.copy(), n_windows

    def add(self, window: Samples, usable: NDArray[np.bool_] | None = None) -> bool:
        """See a window.

        Parameters
        ----------
        window : ndarray, shape (n_bands * n_channels, n_times)
            Conditioned, in microvolts.
        usable : ndarray of bool, shape (n_bands * n_channels,), optional
            False in masked rows.

        Returns
        -------
        counted : bool
            False for a window with a masked row, a silent one, or one that is not finite.
        """
        if usable is not None and not usable.all():
            return False
        covariance = _covariances(window[None], self._config.n_bands)[0]
        power = np.einsum("bii->b", covariance)
        if not (np.isfinite(power).all() and power.min() > 0):
            return False
        # A window may be loud, but not so loud that it outweighs all others.
        usual = np.einsum("bii->b", self._mean if self.n_windows else self._common)
        covariance *= (np.clip(power, usual / 4, usual * 4) / power)[:, None, None]
        self.n_windows += 1
        self._mean += (covariance - self._mean) / self.n_windows
        return True

    @property
    def reference(self) -> Floats:
        """The best guess now, shape (n_bands, n_channels, n_channels); a new array."""
        total = self.n_windows + self._config.prior_windows
        share = self.n_windows / total if total else 0.0
        return share * self._mean + (1 - share) * self._common

    def matrices(self) -> Floats:
        """What makes the session's windows like those of training; for `moved`."""
        common = self._common if self._config.coloured else None
        return transport(self.reference, common, self._config)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        seen = np.array([self.n_windows], dtype=np.float64)
        return {"common": self._common, "mean": self._mean, "n_windows": seen}

    @classmethod
    def from_arrays(cls, config: AlignmentConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        seen = take(arrays, "n_windows", 1)
        if seen.shape != (1,) or not seen[0] >= 0:
            raise BundleError(f"n_windows must be one number, 0 or more, got {seen}: align again.")
        return cls(
            take(arrays, "common", 3),
            config,
            n_windows=int(seen[0]),
            mean=take(arrays, "mean", 3),
        )


def _covariances(windows: Samples, n_bands: int) -> Floats:
    """Second moments, shape (n_windows, n_bands, n_channels, n_channels)."""
    n_windows, n_rows, n_times = windows.shape
    if n_rows % n_bands:
        raise ConfigError(
            f"Windows have {n_rows} rows, needed is a multiple of the {n_bands} bands: use the "
            f"conditioning that the model was fitted with."
        )
    by_band = windows.reshape(n_windows, n_bands, n_rows // n_bands, n_times)
    with np.errstate(over="ignore", invalid="ignore"):
        found: Floats = by_band @ by_band.swapaxes(2, 3) / n_times
    return found


def _regular(reference: Floats, ridge: float) -> Floats:
    """With the weight of the identity, but nothing where there was no power at all."""
    powers, axes = np.linalg.eigh(reference)
    there = powers > _SILENT * powers[:, -1:]
    added = ridge * powers.sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True)
    powers = np.where(there, (1 - ridge) * powers + added, 0.0)
    found: Floats = (axes * powers[:, None, :]) @ axes.swapaxes(1, 2)
    return found


def _power_of(matrices: Floats, exponent: float) -> Floats:
    """Of symmetric matrices; directions without power stay without."""
    powers, axes = np.linalg.eigh(matrices)
    there = powers > _SILENT * powers[:, -1:]
    raised = np.where(there, np.where(there, powers, 1.0) ** exponent, 0.0)
    found: Floats = (axes * raised[:, None, :]) @ axes.swapaxes(1, 2)
    return found
