"""What is compared: a rule of adaptation, what it is told, and whether an envelope holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import PrototypeHead
from ..learners.learner import Learner
from ..trial import Reward, Trial

NOTHING, ERRORS, SHUFFLED, TRUTH = "nothing", "errors", "shuffled", "truth"

FROZEN, ORACLE = "frozen", "oracle"
"""Names of the two arms that all others are measured between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the table.

    Parameters
    ----------
    name : str
        What it is called there.
    make : callable
        From the calibrated head to the rule.
    told : str
        ``"nothing"``; ``"errors"``, the detector's scores; ``"shuffled"``, scores of other trials;
        ``"truth"``, what was meant.
    held : bool
        Whether an envelope decides what serves; the oracle is what could be had, so none holds it.
    """

    name: str
    make: Callable[[PrototypeHead], Learner]
    told: str
    held: bool = True


class Messenger:
    """Hands rewards to an arm as it is told them.

    Parameters
    ----------
    told : str
        See `Arm`.
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
        """What was said of an earlier trial, under this one's name: as often right, about nothing."""
        self._earlier.append(reward)
        other = self._earlier[int(self._rng.integers(len(self._earlier)))]
        return replace(reward, log_odds=other.log_odds, value=other.value)
