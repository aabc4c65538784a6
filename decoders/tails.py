"""Tails: what share of the calibration windows was at least as odd.

Among n calibration windows that were drawn like it, a new one has the rank r from the top with
probability 1 / (n + 1), whatever the distribution is: r / (n + 1) is a valid p value [1]_. Beyond
the oddest calibration window there is no rank left; there the tail is taken to go on as an
exponential as long as that of the largest tenth [2]_, so that strange can still be told from
stranger. Nothing is promised of those values but their order.

References
----------
.. [1] Vovk, Gammerman, Shafer. Algorithmic Learning in a Random World. Springer, 2005.
.. [2] Balkema, de Haan. Residual life time at great age. Ann. Probab., 1974.
"""

from __future__ import annotations

import numpy as np

from .bands import Floats

_COUNTED = 3  # ways: one may have drifted, two may see the same, what is strange shows in three
_LARGEST = 10  # one in so many makes the tail
_SHORTEST = 1e-3


def log_tails(ranks: Floats, values: Floats) -> Floats:
    """Logarithm of the share that is at least as large, the value itself counted in.

    Parameters
    ----------
    ranks : ndarray, shape (n_ways, n_windows)
        Calibration, each row ascending, at least two windows.
    values : ndarray, shape (n_ways,)
        One window.

    Returns
    -------
    log_tails : ndarray, shape (n_ways,)
        Natural logarithms, at most 0, never rising with the value.
    """
    n = ranks.shape[1]
    found = np.empty(len(values))
    for place, (row, value) in enumerate(zip(ranks, values, strict=True)):
        found[place] = np.log((1 + n - np.searchsorted(row, value)) / (n + 1))
        if value > row[-1]:
            found[place] -= (value - row[-1]) / _length(row)
    return found


def surprise(log_tails: Floats) -> float:
    """How odd a window is in all, from the three ways that it is oddest in.

    Parameters
    ----------
    log_tails : ndarray, shape (n_ways,)
        From `log_tails`.

    Returns
    -------
    surprise : float
        Their sum as a negative natural logarithm; to be ranked, not to be read as a probability.
    """
    return -float(np.sort(log_tails)[:_COUNTED].sum())


def own_surprises(ranks: Floats) -> Floats:
    """Surprise of each calibration window among the others.

    Parameters
    ----------
    ranks : ndarray, shape (n_ways, n_windows)
        Calibration in the order of the windows, at least three.

    Returns
    -------
    surprises : ndarray, shape (n_windows,)
        As `surprise` says.
    """
    order = np.argsort(ranks, axis=1)
    in_order = np.take_along_axis(ranks, order, axis=1)
    place = np.argsort(order, axis=1)
    found = np.empty(ranks.shape[1])
    for window in range(len(found)):
        others = np.stack([np.delete(*one) for one in zip(in_order, place[:, window], strict=True)])
        found[window] = surprise(log_tails(others, ranks[:, window]))
    return found


def largest_with(ascending: Floats, alpha: float) -> float:
    """Largest value whose tail is at least `alpha`.

    Parameters
    ----------
    ascending : ndarray, shape (n_windows,)
        Calibration.
    alpha : float
        In (0, 1).

    Returns
    -------
    value : float
        Extrapolated if alpha is below ``1 / (n_windows + 1)``.
    """
    n = len(ascending)
    # Rounding must not turn 0.05 * 20 = 1 into 2.
    needed = int(np.ceil(alpha * (n + 1) - 1e-9)) - 1
    if needed >= 1:
        return float(ascending[n - min(needed, n)])
    return float(ascending[-1] - _length(ascending) * min(0.0, np.log(alpha * (n + 1))))


def _length(ascending: Floats) -> float:
    """Mean excess of the largest tenth: how slowly the tail beyond the largest falls."""
    k = min(len(ascending) - 1, max(3, len(ascending) // _LARGEST))
    return float(max((ascending[-k:] - ascending[-k - 1]).mean(), _SHORTEST))
