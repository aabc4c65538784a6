"""A learner without a process of its own, for runs on a clock that waits for nobody.

Where an hour of signal passes at once, a process beside would always be too late, and by another
time in each run. Here it learns while the run stands still, so that the same run gives the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..runtime.events import Event
from ..runtime.prototype_head import PrototypeHead
from .envelope.version import Proposal
from .learners.learner import Learner
from .trial import Reward, Trial

_MOST_NUMBERS = 4096


class LearningHere:
    """What adaptation asks of a learner, done at once.

    Parameters
    ----------
    learner : Learner
        What learns.
    """

    def __init__(self, learner: Learner) -> None:
        self.tell: Callable[[Event], None] = lambda event: None
        self._learner = learner
        self._told = learner.head.sha256
        self._rests_on: deque[int] = deque(maxlen=_MOST_NUMBERS)

    def see(self, trial: Trial) -> None:
        """Tell of a decision."""
        self._learner.see(trial)
        self._rests_on.append(trial.number)

    def hear(self, reward: Reward) -> None:
        """Tell what became known of a trial."""
        self._learner.hear(reward)
        self._rests_on.append(reward.trial)

    def serve(self, head: PrototypeHead, *, adopt: bool) -> None:
        """Another head serves now; the learner goes on from it if it did not propose it."""
        self._rests_on.clear()
        if adopt:
            self._learner.adopt(head)
            self._told = self._learner.head.sha256

    def proposal(self) -> Proposal | None:
        """The head that it would like to see serve, if it is another than at the last call."""
        head = self._learner.head
        if head.sha256 == self._told:
            return None
        self._told = head.sha256
        numbers = tuple(sorted(set(self._rests_on)))
        return Proposal(head=head, rule=self._learner.rule, trials=numbers)

    def close(self) -> None:
        """Nothing to release."""
