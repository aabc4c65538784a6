"""What is compared: a rule of adaptation, what it is told, and whether an envelope holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...runtime.catalog import find
from ...runtime.prototype_head import PrototypeHead
from ..learners.learner import Learner
from ..trial import Reward, Trial

NOTHING, ERRORS, SHUFFLED, TRUTH = "nothing", "errors", "shuffled", "truth"

FROZEN, ORACLE = "frozen", "oracle"
"""Names of the two arms that all others are measured between."""
RECENTRED, PSEUDO, ENTROPY = "recentred", "pseudo-labels", "entropy"
REWARD, SHUFFLED_REWARD, BANDIT = "reward", "reward, shuffled", "bandit"


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


def usual_arms() -> tuple[Arm, ...]:
    """The ladder, from doing nothing to knowing everything."""

    def arm(name: str, learner: str, told: str, held: bool = True) -> Arm:
        kind = find("learner", learner)
        return Arm(name=name, make=lambda head: kind(head, kind.Config()), told=told, held=held)

    return (
        arm(FROZEN, "frozen", NOTHING, held=False),
        arm(RECENTRED, "recentring", NOTHING),
        arm(ENTROPY, "entropy", NOTHING),
        arm(PSEUDO, "pseudo_labels", NOTHING),
        arm(REWARD, "reward", ERRORS),
        arm(SHUFFLED_REWARD, "reward", SHUFFLED),
        arm(BANDIT, "bandit", ERRORS),
        arm(ORACLE, "reward", TRUTH, held=False),
    )


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
        """What was said of an earlier trial, told of this one: as often right, about nothing."""
        self._earlier.append(reward)
        other = self._earlier[int(self._rng.integers(len(self._earlier)))]
        return replace(reward, log_odds=other.log_odds, value=other.value)
