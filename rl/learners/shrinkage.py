"""Prototypes from few and uncertain windows: a shift that all share, and what each adds to it.

A change of cap or of posture moves every class alike; learning and fatigue move them one by one.
The common part rests on windows of all classes, so it is known after few of them; the part of a
class is held back by a prior until the class itself has been seen often enough [1]_. A class has
no more say in the common part than its prior allows, however often it occurs: a stream in which one
class dominates cannot pull the others along.

References
----------
.. [1] Efron, Morris. Stein's estimation rule and its competitors: an empirical Bayes approach.
   J. American Statistical Association, 1973.
"""

from __future__ import annotations

import numpy as np

from ...runtime.prototype_head import Floats


def class_means(shares: Floats, points: Floats) -> tuple[Floats, Floats]:
    """How many windows each class has, in parts of windows, and where they lie.

    Parameters
    ----------
    shares : ndarray, shape (n_windows, n_classes)
        How much of each window belongs to each class, 0 or more.
    points : ndarray, shape (n_windows, n_directions)
        In the head's space.

    Returns
    -------
    counts : ndarray, shape (n_classes,)
        Sum of shares.
    means : ndarray, shape (n_classes, n_directions)
        Weighted means; zero for a class without a window.
    """
    counts = shares.sum(axis=0)
    means = (shares.T @ points) / np.maximum(counts, 1e-12)[:, None]
    return counts, means


def common_shift(
    anchor: Floats, counts: Floats, means: Floats, *, own: float, common: float
) -> Floats:
    """Shift that all classes share, shape (n_directions,).

    Parameters
    ----------
    anchor : ndarray, shape (n_classes, n_directions)
        Where the classes were.
    counts, means : ndarray
        As `class_means` gives them.
    own : float
        Windows that it takes to move a class half of its own way.
    common : float
        Effective windows that it takes to move all half of the common way.

    Returns
    -------
    shift : ndarray, shape (n_directions,)
        The most probable one if what classes add to it is normal around zero.
    """
    say = counts * own / (counts + own)
    shift: Floats = say @ (means - anchor) / (say.sum() + common)
    return shift


def shrunk(anchor: Floats, counts: Floats, means: Floats, *, own: float, common: float) -> Floats:
    """Where the classes most probably are now, shape (n_classes, n_directions).

    Parameters
    ----------
    anchor, counts, means, own, common
        As for `common_shift`.

    Returns
    -------
    prototypes : ndarray, shape (n_classes, n_directions)
        Anchor, plus what all share, plus what each adds.
    """
    shift = common_shift(anchor, counts, means, own=own, common=common)
    rest = means - anchor - shift
    prototypes: Floats = anchor + shift + (counts / (counts + own))[:, None] * rest
    return prototypes
