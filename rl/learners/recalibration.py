"""Short recalibration: a few cued trials, and the old prototypes as what was known before.

Eight to twenty trials whose meaning is known move prototypes to where they most probably are, given
where calibration had them and how many trials there are [1]_. It is the surest step of the ladder,
and the only one that costs the person time.

References
----------
.. [1] Efron, Morris. Stein's estimation rule and its competitors: an empirical Bayes approach.
   J. American Statistical Association, 1973.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import PrototypeHead
from ..ranges import require
from ..trial import UNKNOWN, Reward, Trial
from .memory import Memory, Remembered
from .shrinkage import class_means, shrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalibrationConfig:
    """How many cued trials, and what they are held against.

    Parameters
    ----------
    fewest : int
        Cued trials before anything moves, 2 to 1000.
    most : int
        Of the last cued trials, no more are used, `fewest` to 1000.
    own, common : float
        Windows that it takes to move a class, or all of them together, half of the way; above 0 to
        1000.
    most_waiting : int
        Trials that are kept until it is known what they meant, 1 to 1000.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    fewest: int = 8
    most: int = 20
    own: float = 2.0
    common: float = 1.0
    most_waiting: int = 60

    def __post_init__(self) -> None:
        require(
            self, fewest=(2, 1000), most=(self.fewest, 1000), own=(1e-3, 1000),
            common=(1e-3, 1000), most_waiting=(1, 1000),
        )  # fmt: skip


class Recalibration:
    """Learner: prototypes from trials of which it is known what was meant.

    Parameters
    ----------
    head : PrototypeHead
        To begin with, and what is held to.
    config : RecalibrationConfig
        What was chosen.
    """

    Config = RecalibrationConfig

    def __init__(
        self, head: PrototypeHead, config: RecalibrationConfig = RecalibrationConfig()
    ) -> None:
        self.config = config
        self._head, self._anchor = head, head.prototypes
        self._memory = Memory(config.most_waiting + config.most)

    @property
    def head(self) -> PrototypeHead:
        """What it would decide with now."""
        return self._head

    @property
    def enough(self) -> bool:
        """Whether there are as many cued trials as it takes, and one of every class."""
        known = self._known()
        shares = [_meant_shares(one, len(self._anchor)).sum(axis=0) for one in known]
        return len(known) >= self.config.fewest and bool(np.all(np.sum(shares, axis=0) > 0))

    @property
    def rule(self) -> str:
        """How many cued trials it has, and whether they are enough."""
        found = len(self._known())
        state = "recalibrated with" if self.enough else "waiting for more than"
        return f"{state} {found} cued trials, {self.config.fewest} to {self.config.most} wanted"

    def see(self, trial: Trial) -> None:
        """Keep a trial until it is known what was meant."""
        self._memory.add(trial, self._head)

    def hear(self, reward: Reward) -> None:
        """Take up what a trial meant; other rewards are passed over."""
        if reward.meant == UNKNOWN or not self._memory.tell(reward) or not self.enough:
            return
        known = self._known()
        shares = np.concatenate([_meant_shares(one, len(self._anchor)) for one in known])
        points = np.concatenate([one.points for one in known])
        counts, means = class_means(shares, points)
        moved = shrunk(self._anchor, counts, means, own=self.config.own, common=self.config.common)
        self._head = replace(self._head, prototypes=moved)

    def adopt(self, head: PrototypeHead) -> None:
        """Go on from another head; cued trials are kept."""
        self._head, self._anchor = head, head.prototypes
        self._memory.project(head)

    def _known(self) -> list[Remembered]:
        known = [one for one in self._memory.trials() if _meant(one) is not None]
        return known[-self.config.most :]


def _meant(one: Remembered) -> int | None:
    """The option that was meant, if that is known and there is such an option."""
    known = [reward.meant for reward in one.rewards if 0 <= reward.meant < one.trial.n_options]
    return known[-1] if known else None


def _meant_shares(one: Remembered, n_classes: int) -> np.ndarray:
    """Share of each class in each window, weighed so that n windows count as their root."""
    options = np.zeros(one.trial.n_options)
    options[_meant(one) or 0] = 1.0
    shares: np.ndarray = one.trial.shares(options, n_classes) / np.sqrt(len(one.points))
    return shares
