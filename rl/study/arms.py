"""What is compared: a rule of adaptation, what it is told, and whether an envelope holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...runtime.catalog import find
from ...runtime.prototype_head import PrototypeHead
from ..envs.messenger import ERRORS, NOTHING, SHUFFLED, TRUTH
from ..learners.learner import Learner

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
