"""How sure a share is that was counted."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(n_correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion: honest for few trials and near 0 and 1.

    Parameters
    ----------
    n_correct, n : int
        Successes and attempts, ``0 <= n_correct <= n`` and n at least 1.
    level : float
        Confidence, in (0, 1).

    Returns
    -------
    low, high : float
        Bounds, in [0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    .. [1] Wilson. Probable inference, the law of succession, and statistical inference.
       J. Am. Stat. Assoc., 1927.
    """
    if not 0 <= n_correct <= n or n < 1:
        raise ValueError(f"Needed is 0 <= n_correct <= n and n >= 1, got {n_correct} and {n}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}.")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, extra = n_correct / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    # At the ends the bound is exactly 0 or 1; rounding must not put it beside them.
    low = 0.0 if n_correct == 0 else middle - half
    high = 1.0 if n_correct == n else middle + half
    return low, high
