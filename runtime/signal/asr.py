"""Artefact subspace reconstruction: directions that are suddenly far too loud are taken out.

A calibration says how loud each direction of the signal space is when the signal is clean. While
the loop runs, the principal directions of the last half second are compared with that; those that
exceed it are taken out, and what they held is reconstructed from the others by the calibration's
covariance [1]_ [2]_. Nothing is looked ahead: the matrix rests on samples that have already come,
so an artefact is met at the end of the step in which it grows loud, and its beginning gets through.

References
----------
.. [1] Mullen, Kothe, Chi et al. Real-time neuroimaging and cognitive monitoring using wearable dry
   EEG. IEEE Trans. Biomed. Eng., 2015.
.. [2] Chang, Hsu, Pion-Tonachini, Jung. Evaluation of artifact subspace reconstruction for
   automatic artifact components removal in multi-channel EEG recordings. IEEE Trans. Biomed. Eng.,
   2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from ..bundle import take
from ..errors import BundleError, ConfigError
from ..messages import Samples
from .cleaning import Floats
from .filters import Sos, SosFilter

_SINGULAR = 1e-10  # of the largest eigenvalue: directions that a reference has emptied
_NOTABLE = 1e-3  # share of a loud direction that must be unknown before it counts as unknown


class Asr:
    """The online half: step by step, which matrix reconstructs the signal.

    It is shown the raw signal in steps of equal length, about 64 ms, on a grid fixed at the first
    sample, so what it says does not depend on how the stream was cut. Meant for scalp EEG: in
    intracranial signal a spike or a seizure is exactly what it would take out.

    Parameters
    ----------
    mixing : ndarray, shape (n_channels, n_channels)
        M, root of the clean calibration's covariance of the shaped signal, in microvolts.
    threshold : ndarray, shape (n_channels, n_channels)
        T: the power along a direction v may be at most the squared length of T v.
    sos : ndarray, shape (n_sections, 6)
        Shapes the spectrum before powers are compared, a high-pass included; the signal itself
        does not go through it.
    rate_hz : float
        Sampling rate.
    window_s : float
        How far back powers are averaged, in [0.1, 5].
    most_removed : float
        Share of the directions that may be taken out at once, in (0, 0.5].

    Raises
    ------
    ConfigError
        If the shapes do not fit each other, a value is not finite, or a setting out of range.

    Notes
    -----
    Taking out the directions D and filling in from the others is the same matrix as a
    `Projection` along D with the calibration's covariance C = M M': I - D (D' C^-1 D)^-1 D' C^-1.
    Only a system as large as the number of directions taken out is solved.
    """

    def __init__(
        self,
        mixing: Floats,
        threshold: Floats,
        sos: Sos,
        rate_hz: float,
        window_s: float = 0.5,
        most_removed: float = 0.5,
    ) -> None:
        self._mixing, self._threshold, self._sos = (
            np.array(part, dtype=np.float64) for part in (mixing, threshold, sos)
        )
        self._rate_hz, self._window_s, self._most = rate_hz, window_s, most_removed
        self._check()
        self._filter = SosFilter(self._sos)
        self._clean = self._mixing @ self._mixing.T
        self._limit = self._threshold.T @ self._threshold
        self._still = np.eye(self.n_channels)
        self._still.flags.writeable = False
        self._rows: NDArray[np.intp] | None = None
        self._usable: NDArray[np.bool_] | None = None
        self._powers = np.zeros((0, 0, 0))
        self._next = 0
        self._n_over = self._n_removed = 0

    def _check(self) -> None:
        square = (len(self._mixing), len(self._mixing))
        if self._mixing.shape != square or self._threshold.shape != square:
            raise ConfigError(
                f"ASR needs a square mixing and threshold of equal size, got "
                f"{self._mixing.shape} and {self._threshold.shape}: fit it again."
            )
        if self._sos.ndim != 2 or self._sos.shape[1] != 6:
            raise ConfigError(
                f"ASR needs second-order sections (n_sections, 6), got {self._sos.shape}."
            )
        if not all(np.isfinite(p).all() for p in (self._mixing, self._threshold, self._sos)):
            raise ConfigError("ASR's arrays must be finite, got NaN or infinity: fit it again.")
        if not (self._rate_hz > 0 and 0.1 <= self._window_s <= 5 and 0 < self._most <= 0.5):
            raise ConfigError(
                f"ASR needs a positive rate, window_s in [0.1, 5] and most_removed in (0, 0.5], "
                f"got {self._rate_hz:g} Hz, {self._window_s:g} s and {self._most:g}."
            )

    @property
    def n_channels(self) -> int:
        """Rows that it was fitted on."""
        return len(self._mixing)

    @property
    def n_removed(self) -> int:
        """Directions taken out by the last matrix."""
        return self._n_removed

    @property
    def n_over(self) -> int:
        """Directions over their threshold in the last step; more than `n_removed` is too many.

        Where a signal is that disturbed, cleaning it is no answer: abstain.
        """
        return self._n_over

    def restart(self) -> None:
        """Samples were lost: the next step does not follow the last one."""
        self._filter.restart()
        self._powers[:] = 0
        self._next = 0
        self._n_over = self._n_removed = 0

    def look(self, samples: Samples, first_sample: int, usable: NDArray[np.bool_]) -> Floats:
        """Take the next step of raw signal and say how to clean from here on.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, step)
            Raw signal in microvolts; each step as long as the first.
        first_sample : int
            Stream index of its first sample; not used, the grid is the caller's.
        usable : ndarray of bool, shape (n_channels,)
            False in masked rows: they are neither looked at nor changed.

        Returns
        -------
        matrix : ndarray, shape (n_channels, n_channels)
            Reconstruction; masked rows have row and column of the identity. Read-only: the
            identity itself where nothing is over its threshold.

        Notes
        -----
        After a start, what has not come yet counts as silence, so that a short look does not pass
        for a loud one.
        """
        if not np.isfinite(samples).all():
            samples = np.where(np.isfinite(samples), samples, 0.0)
        shaped = self._filter.process(samples)
        covariance = self._averaged(shaped)
        if self._usable is None or not np.array_equal(usable, self._usable):
            self._cut_down(usable)
        if self._rows is not None:
            covariance = covariance[np.ix_(self._rows, self._rows)]
        return self._reconstruction(covariance)

    def _averaged(self, shaped: Samples) -> Floats:
        """Mean power of the last window, cross terms included; one slot a step."""
        step = shaped.shape[1]
        if not len(self._powers):
            n_steps = max(1, round(self._window_s * self._rate_hz / step))
            self._powers = np.zeros((n_steps, self.n_channels, self.n_channels))
        np.matmul(shaped, shaped.T, out=self._powers[self._next])
        self._next = (self._next + 1) % len(self._powers)
        mean: Floats = self._powers.sum(axis=0)
        mean /= len(self._powers) * step
        return mean

    def _cut_down(self, usable: NDArray[np.bool_]) -> None:
        """Limits and calibration covariance of the good rows alone."""
        self._usable = usable.copy()
        self._rows = None if usable.all() else np.flatnonzero(usable)
        cut = slice(None) if self._rows is None else np.ix_(self._rows, self._rows)
        self._limit_cut = np.ascontiguousarray(self._limit[cut])
        clean = self._clean[cut]
        self._weight = np.linalg.pinv(clean, rcond=_SINGULAR, hermitian=True)
        powers, axes = np.linalg.eigh(clean)
        self._floor = _SINGULAR * powers.max(initial=0.0) or 1.0
        self._unknown = axes[:, powers <= self._floor]

    def _reconstruction(self, covariance: Floats) -> Floats:
        self._n_over = self._n_removed = 0
        # If limit - covariance is positive definite, no direction at all is over its limit, and
        # the factorisation that finds out costs a tenth of the eigenvalues.
        if not len(covariance) or lapack.dpotrf(self._limit_cut - covariance)[1] == 0:
            return self._still
        powers, axes = np.linalg.eigh(covariance)
        over = powers > np.einsum("ij,ij->j", axes, self._limit_cut @ axes)
        # An empty direction has a limit of nothing, and what rounding leaves in it is no artefact.
        over &= powers > _SINGULAR * powers[-1]
        self._n_over = int(over.sum())
        over[: len(over) - int(self._most * len(over))] = False
        self._n_removed = int(over.sum())
        return self._without(axes[:, over]) if self._n_removed else self._still

    def _without(self, loud: Floats) -> Floats:
        weight = self._weight
        if (np.abs(self._unknown.T @ loud) > _NOTABLE).any():
            # The calibration was silent there, a loose electrode for example: nothing is filled in.
            weight = weight + self._unknown @ self._unknown.T / self._floor
        weighted = loud.T @ weight
        change = loud @ np.linalg.solve(weighted @ loud, weighted)
        matrix = np.eye(self.n_channels)
        if self._rows is None:
            matrix -= change
        else:
            matrix[np.ix_(self._rows, self._rows)] -= change
        matrix.flags.writeable = False
        return matrix

    def to_arrays(self, prefix: str = "") -> dict[str, Floats]:
        """What was learnt, for a bundle.

        Parameters
        ----------
        prefix : str
            In front of each name, where several steps share a bundle's part.

        Returns
        -------
        arrays : dict of str to ndarray
            ``mixing``, ``threshold``, ``sos``, and ``settings``: rate, window and share.
        """
        return {
            f"{prefix}mixing": self._mixing.copy(),
            f"{prefix}threshold": self._threshold.copy(),
            f"{prefix}sos": self._sos.copy(),
            f"{prefix}settings": np.array([self._rate_hz, self._window_s, self._most]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        mixing, threshold, sos = (
            take(arrays, prefix + name, 2) for name in ("mixing", "threshold", "sos")
        )
        settings = take(arrays, f"{prefix}settings", 1)
        if len(settings) != 3:
            raise BundleError(f"ASR has 3 settings, got {len(settings)}: fit the model again.")
        try:
            return cls(mixing, threshold, sos, *map(float, settings))
        except ConfigError as error:
            raise BundleError(str(error)) from error
