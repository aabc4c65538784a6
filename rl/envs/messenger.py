"""Who is told what: nothing, what a detector says, the same about other trials, or the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..trial import Reward, Trial

NOTHING, ERRORS, SHUFFLED, TRUTH = "nothing", "errors", "shuffled", "truth"
TOLD = (NOTHING, ERRORS, SHUFFLED, TRUTH)


class Messenger:
    """Hands rewards to a learner as it is told them.

    Parameters
    ----------
    told : str
        ``"nothing"``; ``"errors"``, the detector's scores; ``"shuffled"``, scores of other trials;
        ``"truth"``, what was meant.
    seed : int
        Of the shuffling.
    """

    def __init__(self, told: str, seed: int) -> None:
        self._told = told
        self._rng = np.random.default_rng([seed, 7])
        self._earlier: list[Reward] = []

    def tell(self, trial: Trial, meant: int, rewards: Sequence[Reward]) -> tuple[Reward, ...]:
        """What the arm hears after a trial.

        Parameters
        ----------
        trial : Trial
            As decided.
        meant : int
            The option that was meant.
        rewards : sequence of Reward
            What became known, of this trial or of earlier ones.

        Returns
        -------
        heard : tuple of Reward
            Its share.
        """
        if self._told == TRUTH:
            right = float(trial.decided == meant)
            truth = Reward(
                trial=trial.number, value=right, meant=meant, at_s=trial.at_s, source="cue"
            )
            return (truth,)
        if self._told == ERRORS:
            return tuple(rewards)
        if self._told == SHUFFLED:
            return tuple(self._mixed(reward) for reward in rewards)
        return ()

    def _mixed(self, reward: Reward) -> Reward:
        """What was said of an earlier trial, told of this one: as often right, about nothing."""
        place = int(self._rng.integers(len(self._earlier))) if self._earlier else -1
        other = self._earlier[place] if self._earlier else Reward(trial=reward.trial)
        self._earlier.append(reward)
        return replace(reward, log_odds=other.log_odds, value=other.value)
