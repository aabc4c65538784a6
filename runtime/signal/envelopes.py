"""What the research guards share: strengths, what is usual for them, and runs above a limit.

A guard boils the signal down to the strength of a band in every channel, learns how its logarithm
is usually distributed, and asks how long it stays above that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import Samples
from .filters import Sos, high_pass, notch

Floats = NDArray[np.float64]

_NAMES = 6
_NOTCH_HZ = 30.0  # wide, so that it rings briefly
_FAST_HZ = 65.0
_FLAT = 0.5  # of what a flat spectrum would give


class LogNormal:
    """Mean and spread of a logarithm in every row, forgotten exponentially.

    Parameters
    ----------
    n_rows : int
        Rows.
    memory : float
        Time constant, in columns; a row is known once it has learnt as many.
    needed : float, optional
        Columns after which a row is known, if not `memory`.
    """

    def __init__(self, n_rows: int, memory: float, needed: float | None = None) -> None:
        self.mean = np.zeros(n_rows)
        self._variance = np.zeros(n_rows)
        self._seen = np.zeros(n_rows)
        self._memory, self._needed = memory, memory if needed is None else needed

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows that have learnt enough, shape (n_rows,)."""
        return self._seen >= self._needed

    def deviation(self) -> Floats:
        """Standard deviation of the logarithm, shape (n_rows,)."""
        return np.sqrt(self._variance)

    def learn(self, logs: Floats, rows: NDArray[np.bool_]) -> None:
        """Take the next columns into account.

        Parameters
        ----------
        logs : ndarray, shape (n_rows, n_columns)
            Natural logarithms.
        rows : ndarray of bool, shape (n_rows,)
            Which rows learn; the others stay as they are.
        """
        n_columns = logs.shape[1]
        self._seen += np.where(rows, n_columns, 0)
        # While little is known every column counts alike, later by its age.
        share = np.where(rows, n_columns / np.clip(self._seen, n_columns, self._memory), 0.0)
        mean = logs.mean(axis=1)
        off = mean - self.mean
        within = np.square(logs - mean[:, None]).mean(axis=1) if n_columns > 1 else 0.0
        self._variance = (1 - share) * (self._variance + share * off * off) + share * within
        self.mean += share * off


class Runs:
    """Where rows rise above a limit and come down again, across steps.

    Parameters
    ----------
    n_rows : int
        Rows.
    every : int
        Samples from one column to the next.
    """

    def __init__(self, n_rows: int, every: int) -> None:
        self._every = every
        self._above = np.zeros(n_rows, bool)
        self._since = np.zeros(n_rows, np.int64)

    def restart(self) -> None:
        """Forget what had begun."""
        self._above[:] = False

    def ended(self, above: NDArray[np.bool_], first: int) -> list[tuple[int, int, int]]:
        """Row, first and stop of every run that is over.

        Parameters
        ----------
        above : ndarray of bool, shape (n_rows, n_columns)
            The next columns.
        first : int
            Stream index of the first of them.

        Returns
        -------
        runs : list of (int, int, int)
            In samples, row by row.
        """
        if not (above.any() or self._above.any()):
            return []
        turns = np.diff(above, axis=1, prepend=self._above[:, None])
        over = []
        for row, column in zip(*np.nonzero(turns), strict=True):
            at = first + int(column) * self._every
            if above[row, column]:
                self._since[row] = at
            else:
                over.append((int(row), int(self._since[row]), at))
        self._above = above[:, -1].copy()
        return over


def require(name: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside its range, both ends included, with a `ConfigError`."""
    if not low <= value <= high:
        raise ConfigError(f"{name} must be in {low:g} to {high:g}, got {value:g}.")


def thinning(rate_hz: float, step: int, enough_hz: float) -> int:
    """How many samples may be averaged into one: a power of two that divides the step."""
    every = 1
    while rate_hz / (2 * every) >= enough_hz and step % (2 * every) == 0:
        every *= 2
    return every


def thinned(samples: Samples, every: int) -> Samples:
    """Means of `every` neighbours, shape (n_channels, n_times / every)."""
    if every == 1:
        return samples
    total = samples[:, ::every].astype(np.float64)
    for start in range(1, every):
        total += samples[:, start::every]
    return total / every


def smoothing(time_s: float, rate_hz: float) -> Sos:
    """Two equal real poles: a low-pass that never rings and never falls below zero."""
    pole = math.exp(-1 / (time_s * rate_hz))
    return np.array([[(1 - pole) ** 2, 0, 0, 1, -2 * pole, pole * pole]])


def mains_notch(line_hz: float, rate_hz: float) -> list[Sos]:
    """What stands in front of a guard's bands: a notch at the mains, or nothing if that is 0."""
    return [notch(line_hz, _NOTCH_HZ, rate_hz)] if line_hz else []


def muscle_band(rate_hz: float) -> list[Sos]:
    """The band in which muscle is heard, from 65 Hz on; nothing if the rate is too low for it."""
    return [high_pass(_FAST_HZ, 3, rate_hz)] if 0.45 * rate_hz > _FAST_HZ else []


def muscle_share(rate_hz: float) -> float:
    """How strong `muscle_band` may be beside a band of 50 Hz before a burst is taken for muscle.

    As a ratio of amplitudes: half of what a flat spectrum, as muscle has, gives in a band that is
    as wide as the rate allows.
    """
    return _FLAT * math.sqrt(max(0.0, 0.45 * rate_hz - _FAST_HZ) / 50)


def listing(names: Sequence[str]) -> str:
    """Names for a sentence, the first six of them."""
    shown = ", ".join(names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"
