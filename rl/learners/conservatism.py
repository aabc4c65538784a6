"""Whether one may go on with something new: only while it cannot have cost more than agreed.

The account holds what was earned less ``1 - alpha`` times what the baseline would have earned on
the same trials. As long as the baseline itself is played it grows by ``alpha`` of what that earns;
this is what there is to explore with [1]_. It is checked at checkpoints, as in CLUCB2.

References
----------
.. [1] Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy. Conservative contextual linear bandits.
   NeurIPS, 2017.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


class Conservatism:
    """The account, and what it allows.

    The bound is one of a normal sum at each checkpoint, not one that holds at all of them at once;
    that the share of sessions that break it stays below `delta` is tested, not proven.

    Parameters
    ----------
    alpha : float
        Share of the baseline's earnings that may be lost.
    delta : float
        Probability with which the bound may be wrong.
    memory : float
        Trials after which what was won or lost has faded to a third; infinite keeps all.
    """

    def __init__(self, alpha: float, delta: float, memory: float = float("inf")) -> None:
        self._alpha, self._sigmas = alpha, NormalDist().inv_cdf(1 - delta)
        self._fading = 1 - 1 / memory
        self.balance = 0.0
        self.variance = 0.0
        self.trials = 0

    def note(self, earned: float, baseline: float) -> None:
        """One trial is over: what was earned, and what the baseline would have earned."""
        self.balance = self._fading * self.balance + earned - (1 - self._alpha) * baseline
        # Where both decide the same, only the little that they may differ by is uncertain.
        self.variance = self._fading**2 * self.variance + (earned - baseline) ** 2
        self.variance += (self._alpha * baseline) ** 2
        self.trials += 1

    def floor(self, lead: float, error: float, baseline: float, ahead: int) -> float:
        """Lower bound of the account after some more trials with the new.

        Parameters
        ----------
        lead, error : float
            By how much the new is expected to earn more than the baseline, a trial, and the
            standard error of that.
        baseline : float
            What the baseline is expected to earn a trial.
        ahead : int
            Trials to the next checkpoint.

        Returns
        -------
        floor : float
            In trials' worth; below 0 the new must wait.
        """
        expected = self.balance + ahead * (lead + self._alpha * baseline)
        return expected - self._sigmas * sqrt(self.variance + (ahead * error) ** 2)
