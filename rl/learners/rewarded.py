"""Reward: what became known of decisions settles what the signal alone leaves open.

Soft labels come from the signal, from what was probable beforehand and from the reward, by Bayes'
rule: an error only says that it was not the decided option, and the others share [1]_ [2]_.
Prototypes follow the soft labels, held back by a prior, and stored trials are read again as the
prototypes move. A reward is put to its trial by number, however late it comes, as long as the trial
is kept. A reward that says nothing leaves what pseudo-labels would do.

Self-training has fixed points in which two classes are exchanged, and no signal tells them from the
right one; rewards do. So a learner also asks what exchanging two prototypes would explain.

References
----------
.. [1] Kim, Kirchner, Stefes, Kirchner. Intrinsic interactive reinforcement learning: using
   error-related potentials for real world human-robot interaction. Scientific Reports, 2017.
.. [2] Xavier Fidêncio, Klaes, Iossifidis. Error-related potentials in reinforcement
   learning-based brain-machine interfaces. Frontiers in Human Neuroscience, 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..ranges import require
from ..trial import UNKNOWN, Reward, Trial
from .memory import Layout, Memory
from .replay import Rule, faded
from .replay import replay as read_again
from .soft_labels import soft_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardedConfig:
    """How rewards move a head.

    Parameters
    ----------
    half_life : float
        Trials after which one counts half, 5 to 1000.
    own, common : float
        Windows that it takes to move a class, or all of them together, half of the way from where
        the prior holds them; above 0 to 1000.
    leak : float
        Share of the way by which the prior follows the prototypes with every reward, 0 to 1; less
        with one that says less than a nat.
    lapse : float
        Share of trials in which the signal has nothing to do with what was meant, 0 to 0.9.
    patience : int
        Trials after which a reward is not waited for any longer, 0 to 100.
    unanswered : float
        What a trial without a reward counts then, 0 to 1; 0 drops it.
    even : float
        Trials of each class that are added when it is counted how frequent the classes are, above 0
        to 1000.
    rounds : int
        How often the stored trials are read again, 1 to 20.
    most_trials : int
        That are stored, 10 to 1000.
    exchange : float
        How much better, in nats, the stored trials and their rewards must be explained before two
        classes are exchanged, 0 to 1000.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    half_life: float = 30.0
    own: float = 3.0
    common: float = 2.0
    leak: float = 0.02
    lapse: float = 0.15
    patience: int = 5
    unanswered: float = 0.5
    even: float = 1000.0
    rounds: int = 3
    most_trials: int = 100
    exchange: float = 3.0

    def __post_init__(self) -> None:
        require(
            self, half_life=(5, 1000), own=(1e-3, 1000), common=(1e-3, 1000), leak=(0, 1),
            lapse=(0, 0.9), patience=(0, 100), unanswered=(0, 1), rounds=(1, 20), even=(1e-3, 1000),
            most_trials=(10, 1000), exchange=(0, 1000),
        )  # fmt: skip


class Rewarded:
    """Learner: prototypes from trials, their rewards and what was probable beforehand.

    Parameters
    ----------
    head : PrototypeHead
        To begin with.
    config : RewardedConfig
        What was chosen.
    """

    Config = RewardedConfig

    def __init__(self, head: PrototypeHead, config: RewardedConfig = RewardedConfig()) -> None:
        self.config = config
        self._head, self._anchor = head, head.prototypes
        self._memory = Memory(config.most_trials)
        self._rule = Rule(
            own=config.own, common=config.common, lapse=config.lapse, least_confidence=0.0,
            most_share=3.0, rounds=config.rounds, even=config.even,
        )  # fmt: skip
        self._said = "nothing yet"

    @property
    def head(self) -> PrototypeHead:
        """What it would decide with now."""
        return self._head

    @property
    def rule(self) -> str:
        """What it last did."""
        return self._said

    def see(self, trial: Trial) -> None:
        """Store a trial; one that has waited in vain is learnt from without a reward."""
        if not self._memory.add(trial, self._head):
            return
        waited = self._memory.trials()[: -self.config.patience or None]
        if self.config.unanswered and waited and not waited[-1].rewards:
            self._learn("a trial without a reward")

    def hear(self, reward: Reward) -> None:
        """Put a reward to its trial, and read all stored trials again."""
        if self._memory.tell(reward):
            # What nobody confirmed must not become what the prior holds to.
            says = 1.0 if reward.meant != UNKNOWN else min(abs(reward.log_odds), 1.0)
            leak = self.config.leak * says
            self._anchor = self._anchor + leak * (self._head.prototypes - self._anchor)
            # Only what speaks against a decision can speak for another order of the classes.
            against = reward.log_odds < 0 or reward.meant != UNKNOWN
            self._learn(f"reward of trial {reward.trial}", against)

    def adopt(self, head: PrototypeHead) -> None:
        """Go on from another head; stored trials are read with it."""
        self._head, self._anchor = head, head.prototypes
        self._memory.project(head)

    def _learn(self, why: str, exchange: bool = False) -> None:
        layout, temperature = self._memory.layout(), self._head.temperature
        worth = faded(layout, self.config.half_life) * self._answered()
        before = self._head.prototypes
        swap = self._exchanged(layout, worth, before) if exchange else list(range(len(before)))
        start, anchor = before[swap], self._anchor[swap]
        moved = read_again(layout, worth, start, anchor, temperature, self._rule)
        self._anchor = anchor
        self._head = replace(self._head, prototypes=moved)
        self._said = why

    def _answered(self) -> Floats:
        """1 for trials with a reward, less for those that have waited in vain, 0 while waiting."""
        trials = self._memory.trials()
        late = len(trials) - self.config.patience
        return np.array([
            1.0 if one.rewards else self.config.unanswered * (place < late)
            for place, one in enumerate(trials)
        ])  # fmt: skip

    def _exchanged(self, layout: Layout, worth: Floats, prototypes: Floats) -> list[int]:
        """Order of prototypes that explains the stored trials and their rewards best."""
        trust = worth * np.sqrt(layout.n_windows)
        order = list(range(len(prototypes)))

        def explained(candidate: list[int]) -> float:
            labels = soft_labels(
                layout, prototypes[candidate], self._head.temperature, self.config.lapse
            )
            return float(trust @ labels.log_likelihood)

        best, bar = order, explained(order) + self.config.exchange
        for one, other in combinations(order, 2):
            candidate = order.copy()
            candidate[one], candidate[other] = other, one
            if (gain := explained(candidate)) > bar:
                best, bar = candidate, gain
        return best
