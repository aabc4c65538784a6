"""Pseudo-labels: what was probably meant, by the structure of the task, stands in for the label.

For a speller that is the posterior over letters, its language model included, and every flash gets
the share that the letters give it; in motor imagery it is the posterior over classes. Soft labels
of the last trials move prototypes, held back by a prior, and are read again as these move [1]_
[2]_. One class over a long time still costs the others accuracy: they are seen too rarely to be
told from its outskirts. Without a leak of the prior that loss stays bounded.

References
----------
.. [1] Wilson et al. Long-term unsupervised recalibration of cursor-based intracortical
   brain-computer interfaces using a hidden Markov model. Nature Biomedical Engineering, 2025.
.. [2] Kindermans, Tangermann, Müller, Schrauwen. Integrating dynamic stopping, transfer learning
   and language models in an adaptive zero-training ERP speller. J. Neural Engineering, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...runtime.prototype_head import PrototypeHead
from ..ranges import require
from ..trial import Reward, Trial
from .memory import Memory
from .replay import Rule, faded
from .replay import replay as read_again


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoLabelsConfig:
    """How probable labels move a head.

    Parameters
    ----------
    half_life : float
        Trials after which one counts half, 5 to 1000.
    own, common : float
        Windows that it takes to move a class, or all of them together, half of the way from where
        the prior holds them; above 0 to 1000.
    leak : float
        Share of the way by which the prior follows the prototypes with every trial, 0 to 1.
    lapse : float
        Share of trials in which the signal has nothing to do with what was meant, 0 to 0.9.
    least_confidence : float
        A trial whose likeliest option is less probable than this moves nothing, 0 to 1.
    most_share : float
        The windows of a class count for no more than this many times the mean of all classes, 1 to
        100.
    even : float
        Trials of each class that are added when it is counted how frequent the classes are, above 0
        to 1000.
    rounds : int
        How often the stored trials are read again, 1 to 20.
    most_trials : int
        That are stored, 10 to 1000.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    half_life: float = 30.0
    own: float = 4.0
    common: float = 2.0
    leak: float = 0.0
    lapse: float = 0.15
    least_confidence: float = 0.4
    most_share: float = 1.5
    even: float = 2.0
    rounds: int = 3
    most_trials: int = 100

    def __post_init__(self) -> None:
        require(
            self, half_life=(5, 1000), own=(1e-3, 1000), common=(1e-3, 1000), leak=(0, 1),
            lapse=(0, 0.9), least_confidence=(0, 1), most_share=(1, 100), even=(1e-3, 1000),
            rounds=(1, 20), most_trials=(10, 1000),
        )  # fmt: skip


class PseudoLabels:
    """Learner: prototypes from trials as the head itself understands them.

    Parameters
    ----------
    head : PrototypeHead
        To begin with.
    config : PseudoLabelsConfig
        What was chosen.
    """

    Config = PseudoLabelsConfig

    def __init__(
        self, head: PrototypeHead, config: PseudoLabelsConfig = PseudoLabelsConfig()
    ) -> None:
        self.config = config
        self._head, self._anchor = head, head.prototypes
        self._memory = Memory(config.most_trials)
        self._rule = Rule(
            own=config.own, common=config.common, lapse=config.lapse, rounds=config.rounds,
            even=config.even, least_confidence=config.least_confidence,
            most_share=config.most_share,
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
        """Store a trial, and read all stored ones again."""
        if not self._memory.add(trial, self._head):
            return
        before = self._head
        self._anchor = self._anchor + self.config.leak * (before.prototypes - self._anchor)
        layout = self._memory.layout()
        moved = read_again(
            layout, faded(layout, self.config.half_life), before.prototypes, self._anchor,
            before.temperature, self._rule,
        )  # fmt: skip
        self._head = replace(before, prototypes=moved)
        self._said = f"pseudo-labels of the last {len(self._memory)} trials"

    def hear(self, reward: Reward) -> None:
        """Pass over a reward."""

    def adopt(self, head: PrototypeHead) -> None:
        """Go on from another head; stored trials are read with it."""
        self._head, self._anchor = head, head.prototypes
        self._memory.project(head)
