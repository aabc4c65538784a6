"""Several rewards of one trial as one: an error potential and an undo, say.

Detectors that look at different things err independently, so their log-odds add [1]_. They are
capped all the same: nobody's reliability is known well enough for more.

References
----------
.. [1] Good. Probability and the weighing of evidence. Griffin, 1950.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..trial import UNKNOWN, Reward

MOST_LOG_ODDS = 4.0
"""Largest sum, in nats: 1 error in 55."""


def fuse(rewards: Sequence[Reward], *, most: float = MOST_LOG_ODDS) -> Reward:
    """One reward that says what all say together.

    Parameters
    ----------
    rewards : sequence of Reward
        Of one trial, at least one, in any order. The last one of a source stands for the source:
        a detector that speaks twice of one decision has looked at the same thing twice.
    most : float
        Largest size of the sum of log-odds, in nats.

    Returns
    -------
    reward : Reward
        `value` is that of the rewards that say something, weighed by how much they say; `meant` is
        the last that is known; `at_s` is the time of the last.
    """
    by_source = {one.source or str(place): one for place, one in enumerate(rewards)}
    heard = list(by_source.values())
    last = max(heard, key=lambda one: one.at_s)
    known = [one.meant for one in heard if one.meant != UNKNOWN]
    weights = np.array([abs(one.log_odds) for one in heard])
    values = np.array([one.value for one in heard])
    value = float(weights @ values / weights.sum()) if weights.sum() > 0 else last.value
    return replace(
        last,
        log_odds=float(np.clip(sum(one.log_odds for one in heard), -most, most)),
        value=value,
        meant=known[-1] if known else UNKNOWN,
        source=", ".join(dict.fromkeys(one.source for one in heard if one.source)),
    )
