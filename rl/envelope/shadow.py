"""A learner's heads decide beside the one that serves, and rewards say who would have done better.

Each trial is decided by the newest head that was proposed *before* it: what a learner has learnt
from a trial never counts as evidence about that trial [1]_. The evidence is therefore about the
learner, from one proposal to the next, and need not start anew with each.

References
----------
.. [1] Dawid. Present position and potential developments: the prequential approach. Journal of the
   Royal Statistical Society A, 1984.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED, UNKNOWN, Reward, Trial
from .drift_index import Residual, density, residual

WIDEST = 4.0
"""Of a reward's log odds: nothing is more certain than 98 % here, whatever it says of itself."""


class Sight(NamedTuple):
    """A trial as one head sees it: posterior, residual, and how well it fits in nats."""

    posterior: Floats
    seen_from: Residual
    fit: float


@dataclass(slots=True, eq=False)
class Beside:
    """One trial, as the serving head and a proposed one saw it, and what came of it.

    Parameters
    ----------
    trial : Trial
        As it was decided.
    epoch : int
        Of the head that served.
    served, shadow : ndarray, shape (n_options,)
        Posteriors of both; the second is empty where nothing had been proposed.
    seen_from : Residual, optional
        Where its windows lay, seen from the proposed head.
    fit : float
        How much better its windows fit the proposed head, in nats.
    reward : Reward, optional
        What came of it, once it did.
    home : float
        How well its windows fit the head as calibrated, in nats.
    gain, foreseen : float
        How much better the proposed head decided, and foresaw what came; 0 until something came.
    sight : tuple, optional
        Epoch of the head that looked back last, and what it saw.
    """

    trial: Trial
    epoch: int
    served: Floats
    shadow: Floats = field(default_factory=lambda: np.zeros(0))
    seen_from: Residual | None = None
    fit: float = 0.0
    reward: Reward | None = None
    home: float = 0.0
    gain: float = 0.0
    foreseen: float = 0.0
    sight: tuple[int, Sight] | None = None

    def seen_by(self, head: PrototypeHead, epoch: int) -> Sight:
        """What the head sees that serves under an epoch, worked out once."""
        if self.sight is None or self.sight[0] != epoch:
            posterior = self.trial.posterior(head)
            seen = residual(head, self.trial, posterior)
            self.sight = epoch, Sight(posterior, seen, density(head, self.trial))
        return self.sight[1]

    def settle(self, reward: Reward) -> None:
        """Something came of it; of several things the log odds add, and what was meant stays."""
        self.reward = reward if self.reward is None else _both(self.reward, reward)
        if self.counts:
            served = _acted(self, self.served)
            self.gain = self.worth(int(self.shadow.argmax())) - self.worth(served)
            self.foreseen = _foreseen(self, self.shadow) - _foreseen(self, self.served)

    @property
    def counts(self) -> bool:
        """Whether it says anything about the proposed heads."""
        return self.seen_from is not None and self.judged

    @property
    def judged(self) -> bool:
        """Whether anything came of it."""
        return self.reward is not None and (
            self.trial.decided != ABSTAINED or self.reward.meant != UNKNOWN
        )

    @property
    def others(self) -> Floats:
        """How probable each option is if the decided one was wrong.

        The mean of what both heads say and of knowing nothing: a head that is sure of itself and
        wrong must not be able to vouch for its own answer.
        """
        known = [self.served, self.shadow] if len(self.shadow) else [self.served]
        shares = np.mean([*known, np.full(len(self.served), 1 / len(self.served))], axis=0)
        shares[self.trial.decided] = 0
        spread: Floats = shares / shares.sum()
        return spread

    def worth(self, option: int) -> float:
        """Estimate of whether an option would have been right.

        Of the decided one the reward is an unbiased estimate. Of another it is a model's: as
        probable as that the decided one was wrong, times its share among the others. That is the
        direct half of a doubly robust estimate [1]_; the other half needs decisions made by
        chance, and decoders make none.

        Parameters
        ----------
        option : int
            The one that is asked about.

        Returns
        -------
        worth : float
            1 for right; a single estimate may lie outside 0 to 1.

        References
        ----------
        .. [1] Dudik, Langford, Li. Doubly robust policy evaluation and learning. ICML, 2011.
        """
        reward = self.reward
        if reward is None:
            return 0.5
        if reward.meant != UNKNOWN:
            return float(option == reward.meant)
        if option == self.trial.decided:
            return reward.value
        return float((1 - reward.value) * self.others[option])


class ShadowLog:
    """The last trials, each as both heads saw it; bounded.

    Parameters
    ----------
    kept : int
        How many.
    """

    def __init__(self, kept: int) -> None:
        self.records: deque[Beside] = deque(maxlen=kept)

    def see(
        self,
        trial: Trial,
        epoch: int,
        serving: PrototypeHead,
        proposed: PrototypeHead | None,
        calibrated: PrototypeHead,
    ) -> None:
        """Let both heads decide a trial; the proposed one is from before it."""
        record = Beside(trial, epoch, trial.posterior(serving), home=density(calibrated, trial))
        if proposed is not None:
            record.shadow = trial.posterior(proposed)
            record.seen_from = residual(proposed, trial, record.shadow)
            seen = record.seen_by(serving, epoch)
            record.fit = density(proposed, trial) - seen.fit
        self.records.append(record)

    def hear(self, reward: Reward) -> bool:
        """Note what came of a trial; False if it is not known any more."""
        for record in reversed(self.records):
            if record.trial.number == reward.trial:
                if not -1 <= reward.meant < record.trial.n_options:
                    return False
                record.settle(reward)
                return True
        return False

    def decided_share(self, n_trials: int) -> float:
        """In what share of the last trials anything was decided; NaN before there are any."""
        last = tuple(self.records)[-n_trials:]
        return float(np.mean([one.trial.decided != ABSTAINED for one in last])) if last else np.nan

    def forget_shadows(self) -> None:
        """What was proposed so far says nothing about what will be: evidence begins anew."""
        for record in self.records:
            record.seen_from, record.shadow = None, np.zeros(0)


def benefits(records: Sequence[Beside]) -> Floats:
    """How much better the proposed head decided each trial, shape (n_trials,)."""
    return np.array([one.gain for one in records])


def replayed(records: Sequence[Beside], new: Sequence[Floats], old: Sequence[Floats]) -> Floats:
    """How much better one head decides each trial than another, looking back, shape (n_trials,).

    Parameters
    ----------
    records : sequence of Beside
        Judged trials.
    new, old : sequence of ndarray
        Posteriors of both heads.

    Returns
    -------
    benefits : ndarray, shape (n_trials,)
        Above 0 where the new one does better.
    """
    return np.array(
        [
            one.worth(int(n.argmax())) - one.worth(int(o.argmax()))
            for one, n, o in zip(records, new, old, strict=True)
        ]
    )


def supports(records: Sequence[Beside]) -> Floats:
    """How much better the proposed head foresaw each reward, in nats, shape (n_trials,).

    Two heads that decide alike differ in how sure they were; this is what shows a slow drift long
    before decisions differ.
    """
    return np.array([one.foreseen for one in records])


def lower_bound(values: Floats, confidence: float, spread: float = 0.0) -> float:
    """One-sided lower confidence bound of a mean.

    Student's, with two trials added that differ by the most a trial can, one either way. Most
    pairs do not differ at all, and of few that do the spread cannot be known; adding to both
    discordant cells is what repairs the interval of matched proportions [1]_. The empirical
    Bernstein bound [2]_ would hold without any assumption, but at 30 trials and this range its last
    term alone is 0.8: it would never let anything pass.

    Parameters
    ----------
    values : ndarray, shape (n_trials,)
        Differences.
    confidence : float
        Of the bound.
    spread : float
        Size of the added differences.

    Returns
    -------
    bound : float
        Minus infinity of fewer than two values.

    References
    ----------
    .. [1] Agresti, Min. Simple improved confidence intervals for comparing matched proportions.
       Statistics in Medicine, 2005.
    .. [2] Maurer, Pontil. Empirical Bernstein bounds and sample variance penalization. COLT, 2009.
    """
    if len(values) < 2:
        return -float("inf")
    values = np.append(values, [spread, -spread])
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - stdtrit(len(values) - 1, confidence) * error)


def _acted(record: Beside, posterior: Floats) -> int:
    decided = record.trial.decided
    return int(posterior.argmax()) if decided == ABSTAINED else decided


def _foreseen(record: Beside, posterior: Floats) -> float:
    """Log probability of what came, up to what both heads share."""
    reward = record.reward
    if reward is None:
        return 0.0
    if reward.meant != UNKNOWN:
        return max(math.log(max(float(posterior[reward.meant]), 1e-12)), -WIDEST)
    right = float(posterior[record.trial.decided])
    return math.log1p(right * math.expm1(min(max(reward.log_odds, -WIDEST), WIDEST)))


def _both(first: Reward, second: Reward) -> Reward:
    if first.meant != UNKNOWN:
        return first
    if second.meant != UNKNOWN:
        return second
    stronger = max(first, second, key=lambda one: abs(one.log_odds))
    return Reward(
        trial=first.trial,
        log_odds=first.log_odds + second.log_odds,
        value=stronger.value,
        at_s=second.at_s,
        source=f"{first.source} and {second.source}",
    )
