"""Masked channels: what the filters would have seen there, told from the channels that are left.

Neighbouring electrodes see much the same, so a lost channel is mostly known: its best linear
estimate from the usable ones follows from the covariance of the calibration data (Gaussian
conditioning, as in [1]_). Putting the estimate in front of a fitted spatial filter gives another
spatial filter that never looks at what is masked, so nothing has to be fitted again.

An average reference needs care. Without the lost channels it is another average, so all rows that
are left are shifted. The reference shows in the covariance, as a group of rows that sum to zero;
the shift is estimated along with the lost rows.

References
----------
.. [1] Anderson. An Introduction to Multivariate Statistical Analysis, section 2.5. Wiley, 2003.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from ..runtime.errors import BundleError, SchemaMismatch
from ..runtime.messages import Samples
from .bands import Floats

Usable = NDArray[np.bool_]

RIDGE = 1e-3
"""Weight of the identity, as a share of the mean power: 1e-4 to 1e-2 decode alike."""

FEWEST = 3
LEAST_SHARE = 1 / 3
_REMEMBERED = 8
_SILENT = 1e-9


def shared_references(covariance: Floats) -> list[NDArray[np.intp]]:
    """Groups of rows that share an average reference: all of a cap, or those of one shaft.

    Parameters
    ----------
    covariance : ndarray, shape (n_rows, n_rows)
        Covariance of referenced signal.

    Returns
    -------
    groups : list of ndarray of int
        Rows of each group, two at least; their sum has no power. Empty without such a reference.
    """
    powers, axes = np.linalg.eigh(covariance)
    silent = axes[:, powers <= _SILENT * powers[-1]]
    # Rows belong together if the directions without power do not tell them apart.
    together = np.abs(silent @ silent.T) > 0.1 / len(covariance)
    _, labels = connected_components(together, directed=False)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [rows for rows in groups if len(rows) > 1 and _cancels(covariance[np.ix_(rows, rows)])]


def _cancels(covariance: Floats) -> bool:
    """Whether the sum of the rows has no power."""
    return bool(covariance.sum() <= _SILENT * len(covariance) * np.trace(covariance))


def stand_in(
    covariance: Floats, usable: Usable, groups: list[NDArray[np.intp]], ridge: float = RIDGE
) -> Floats:
    """Matrix that puts the best linear estimate in the place of masked rows.

    Parameters
    ----------
    covariance : ndarray, shape (..., n_rows, n_rows)
        Covariance of the signal when all rows were good.
    usable : ndarray of bool, shape (n_rows,)
        False in masked rows; at least one is True.
    groups : list of ndarray of int
        Rows that share an average reference, from `shared_references`. They may be referenced
        to any average, or to none: the matrix takes the average of the usable ones away first.
    ridge : float
        Weight of the identity in what is inverted, as a share of the usable rows' mean power.

    Returns
    -------
    matrix : ndarray, shape (..., n_rows, n_rows)
        To be multiplied with a window. Columns of masked rows are zero. Usable rows pass
        unchanged, but for the reference.
    """
    known = what_is_left(usable, groups)
    unknown = np.eye(len(usable)) - known
    seen = known @ covariance @ known
    power = np.trace(seen, axis1=-2, axis2=-1)[..., None, None] / usable.sum()
    power = np.where(power > 0, power, 1.0)
    # What is not known gets power of its own: the inverse then exists, and elsewhere is the same.
    regular = seen + ridge * power * known + power * unknown
    # Everything here is symmetric but the product: its transpose is what `solve` gives.
    estimate = np.linalg.solve(regular, known @ covariance @ unknown).swapaxes(-1, -2)
    matrix: Floats = (known + estimate) @ known
    matrix[..., ~usable] = 0.0
    return matrix


def what_is_left(usable: Usable, groups: list[NDArray[np.intp]]) -> Floats:
    """Projection onto what is left of the signal: usable rows, less their group's average.

    Parameters
    ----------
    usable : ndarray of bool, shape (n_rows,)
        False in masked rows.
    groups : list of ndarray of int
        Rows that share an average reference, from `shared_references`.

    Returns
    -------
    known : ndarray, shape (n_rows, n_rows)
        To be multiplied with a window; rows and columns of masked rows are zero.
    """
    known = np.diag(usable.astype(np.float64))
    for rows in groups:
        left = rows[usable[rows]]
        if len(left):
            known[np.ix_(left, left)] -= 1 / len(left)
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFilters:
    """Spatial filters for one mask.

    Parameters
    ----------
    filters : ndarray, shape (n_bands, n_filters, n_usable)
        For the usable channels alone.
    runs : tuple of (int, int, int)
        Where the usable channels lie: first among the usable, one past the last, first of all.
    quality : float
        Share of what the filters see that is still known, 0 to 1, by the calibration data.
    """

    filters: Floats
    runs: tuple[tuple[int, int, int], ...]
    quality: float


class MissingChannels:
    """Filters for any mask, made when the mask changes and kept for the last few.

    Parameters
    ----------
    covariance : ndarray, shape (n_bands, n_channels, n_channels)
        Mean covariance of each band, from calibration data without masked channels.
    filters : ndarray, shape (n_bands, n_filters, n_channels), optional
        Spatial filters of each band; None for all channels as they are.

    Raises
    ------
    BundleError
        If the shapes do not fit each other, or the covariance is not finite.
    """

    def __init__(self, covariance: Floats, filters: Floats | None) -> None:
        n_bands, n_channels, n_columns = covariance.shape
        fits = n_channels == n_columns and bool(np.isfinite(covariance).all())
        if filters is not None:
            fits = fits and (n_bands, n_channels) == (filters.shape[0], filters.shape[2])
        if not fits:
            raise BundleError(
                f"The calibration's covariance {covariance.shape} is not finite or does not fit "
                f"the filters {None if filters is None else filters.shape}: fit the model again."
            )
        self._covariance, self._filters = covariance, filters
        self._groups = shared_references(covariance.sum(axis=0))
        self._made: OrderedDict[bytes, MaskedFilters | None] = OrderedDict()
        self._picked: Floats | None = None

    @property
    def covariance(self) -> Floats:
        """Mean covariance of each band, shape (n_bands, n_channels, n_channels)."""
        return self._covariance

    def open(self, n_times: int) -> None:
        """Set aside memory for one window of `n_times` samples."""
        n_bands, n_channels, _ = self._covariance.shape
        self._picked = np.empty((n_bands, n_channels, n_times))

    def close(self) -> None:
        """Give the memory back."""
        self._picked = None

    def filters_for(self, usable: Usable) -> MaskedFilters | None:
        """Filters that do not look at masked channels.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_bands * n_channels,)
            False in masked rows. A channel counts as masked if it is in any band.

        Returns
        -------
        masked : MaskedFilters or None
            None if fewer than a third of the channels are left, or fewer than 3.

        Raises
        ------
        SchemaMismatch
            If the mask has another length.
        """
        key = usable.tobytes()
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        n_bands, n_channels, _ = self._covariance.shape
        if usable.shape != (n_bands * n_channels,):
            raise SchemaMismatch(
                f"A mask has shape {usable.shape}, needed is one value for each of the "
                f"{n_bands * n_channels} rows: use the bundle's own conditioning."
            )
        good: Usable = np.all(usable.reshape(n_bands, n_channels), axis=0)
        self._made[key] = self._make(good)
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return self._made[key]

    def pick(self, by_band: Samples, masked: MaskedFilters) -> Floats:
        """Copy the usable channels together; masked ones are not touched, whatever they hold.

        Parameters
        ----------
        by_band : ndarray, shape (n_bands, n_channels, n_times)
            Conditioned window, as long as `open` was told.
        masked : MaskedFilters
            From `filters_for`.

        Returns
        -------
        picked : ndarray, shape (n_bands, n_usable, n_times)
            Overwritten by the next call.
        """
        if self._picked is None:
            raise RuntimeError("pick was called before open: open the encoder first.")
        for first, stop, source in masked.runs:
            self._picked[:, first:stop] = by_band[:, source : source + stop - first]
        return self._picked[:, : masked.runs[-1][1]]

    def _make(self, usable: Usable) -> MaskedFilters | None:
        n_channels = len(usable)
        if usable.sum() < max(FEWEST, LEAST_SHARE * n_channels):
            return None
        matrix = stand_in(self._covariance, usable, self._groups)
        filters = matrix if self._filters is None else self._filters @ matrix
        return MaskedFilters(
            filters=np.ascontiguousarray(filters[:, :, usable]),
            runs=_runs(np.flatnonzero(usable)),
            quality=self._explained(np.eye(n_channels) - matrix),
        )

    def _explained(self, off: Floats) -> float:
        """Share of the filters' output power that is left, from the matrix of what is missed."""
        through = off if self._filters is None else self._filters @ off
        whole = np.eye(off.shape[1]) if self._filters is None else self._filters
        missed, power = _power(through, self._covariance), _power(whole, self._covariance)
        return float(np.clip(1 - np.mean(missed / power), 0.0, 1.0))


def _power(filters: Floats, covariance: Floats) -> Floats:
    """Power behind all filters of a band together, shape (n_bands,)."""
    total: Floats = ((filters @ covariance) * filters).sum(axis=(1, 2))
    return total


def _runs(rows: NDArray[np.intp]) -> tuple[tuple[int, int, int], ...]:
    """Neighbouring rows in one go: few slices are copied faster than many rows."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    stops = np.cumsum([len(part) for part in parts])
    return tuple(
        (int(stop) - len(part), int(stop), int(part[0]))
        for part, stop in zip(parts, stops, strict=True)
    )
