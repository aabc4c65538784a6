"""One arm lives through one world: what the live session does, on a clock that the trials give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.prototype_head import PrototypeHead
from ..envelope.config import EnvelopeConfig
from ..envelope.envelope import Envelope
from ..envelope.version import ROLL_BACK, Proposal
from ..envs.messenger import Messenger
from ..learners.learner import Learner
from ..trial import Reward, Trial
from .arms import Arm
from .worlds import World


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """How an arm fared.

    Parameters
    ----------
    right : ndarray of bool, shape (n_trials,)
        Whether each decision was what was meant.
    sessions : ndarray of int, shape (n_trials,)
        Which session each trial is of.
    promotions, rollbacks : int
        Of the envelope; 0 where none holds the arm.
    """

    right: NDArray[np.bool_]
    sessions: NDArray[np.int64]
    promotions: int = 0
    rollbacks: int = 0

    def accuracy(self, start: float = 0.0) -> float:
        """Share of right decisions from a share of the course on."""
        return float(self.right[round(start * len(self.right)) :].mean())


def live(world: World, arm: Arm, envelope: EnvelopeConfig | None, *, seed: int) -> Course:
    """Let an arm decide all that a person asks.

    Parameters
    ----------
    world : World
        Fresh.
    arm : Arm
        What is tried.
    envelope : EnvelopeConfig or None
        What holds it; None lets every head serve as soon as the learner has it.
    seed : int
        Of what is shuffled.

    Returns
    -------
    course : Course
        In truth.
    """
    learner = arm.make(world.head)
    server = _Held(world.head, learner, envelope) if envelope and arm.held else _Free(learner)
    messenger = Messenger(arm.told, seed)
    right, sessions = [], []
    while (shown := world.show()) is not None:
        trial = replace(shown, decided=int(shown.posterior(server.head).argmax()))
        server.see(trial)
        told = world.take(trial.decided)
        right.append(trial.decided == told.meant)
        sessions.append(told.session)
        server.hear(messenger.tell(trial, told.meant, told.rewards), trial.at_s)
    return Course(
        right=np.array(right),
        sessions=np.array(sessions),
        promotions=server.promotions,
        rollbacks=server.rollbacks,
    )


class _Free:
    """The learner's head serves, whatever it is."""

    promotions = rollbacks = 0

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    @property
    def head(self) -> PrototypeHead:
        return self._learner.head

    def see(self, trial: Trial) -> None:
        self._learner.see(trial)

    def hear(self, rewards: tuple[Reward, ...], now_s: float) -> None:
        for reward in rewards:
            self._learner.hear(reward)


class _Held:
    """The envelope's head serves, and the learner proposes."""

    def __init__(self, head: PrototypeHead, learner: Learner, config: EnvelopeConfig) -> None:
        self._learner = learner
        self._envelope = Envelope(head, config)
        self._since: list[int] = []

    @property
    def head(self) -> PrototypeHead:
        return self._envelope.serving.head

    @property
    def promotions(self) -> int:
        return self._envelope.figures().n_promotions

    @property
    def rollbacks(self) -> int:
        return self._envelope.figures().n_rollbacks

    def see(self, trial: Trial) -> None:
        self._envelope.see(trial)
        self._learner.see(trial)
        self._since.append(trial.number)

    def hear(self, rewards: tuple[Reward, ...], now_s: float) -> None:
        for reward in rewards:
            self._envelope.hear(reward)
            self._learner.hear(reward)
        proposal = Proposal(
            head=self._learner.head, rule=self._learner.rule, trials=tuple(self._since)
        )
        self._envelope.propose(proposal)
        version = self._envelope.review(now_s)
        if version is None:
            return
        self._since.clear()
        # After a step that was shortened the learner stays where it is: the envelope follows it.
        if version.rule == ROLL_BACK:
            self._learner.adopt(version.head)
