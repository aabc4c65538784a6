"""A simulated person for the envelope: Gaussian classes that drift, rewards that err, and learners.

Seeds below 100 are for what is reported, those from 100 for tuning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.envelope import Envelope
from diverloop.rl.envelope.version import Proposal
from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead, softmax

TRIAL_S = 6.0


@dataclass(frozen=True, kw_only=True)
class World:
    """Who sits there, and what happens to the signal."""

    n_classes: int = 4
    n_directions: int = 8
    distance: float = 2.2  # between prototype and their mean, in noise's standard deviations
    jump: float = 0.0  # how far each class jumps, in a direction of its own
    jump_at: int = 40
    slope: float = 0.0  # how far each class wanders in all
    common: float = 0.0  # of what moves, how much moves all classes alike
    lapses: float = 0.0
    n_trials: int = 200


class Person:
    """Features of one person, trial by trial."""

    def __init__(self, world: World, seed: int):
        self.world, self.rng = world, np.random.default_rng(seed)
        shape = (world.n_classes, world.n_directions)
        points = self.rng.standard_normal(shape)
        points -= points.mean(axis=0)
        self.points = world.distance * points / np.linalg.norm(points, axis=1, keepdims=True)
        ways = self.rng.standard_normal(shape)
        ways = (1 - world.common) * ways + world.common * self.rng.standard_normal(shape[1])
        self.ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)

    def head(self) -> PrototypeHead:
        k, d = self.points.shape
        return PrototypeHead(
            classes=tuple("abcdefgh"[:k]), mean=np.zeros(d), scale=np.ones(d), basis=np.eye(d),
            centre=np.zeros(d), prototypes=self.points.copy(), log_priors=np.full(k, -np.log(k)),
        )  # fmt: skip

    def now(self, t: int):
        world = self.world
        size = world.jump * (t >= world.jump_at) + world.slope * t / world.n_trials
        return self.points + size * self.ways

    def oracle(self, t: int) -> PrototypeHead:
        return replace(self.head(), prototypes=self.now(t))

    def trial(self, t: int) -> tuple[np.ndarray, int]:
        meant = int(self.rng.integers(self.world.n_classes))
        shown = meant
        if self.rng.random() < self.world.lapses:
            shown = int(self.rng.integers(self.world.n_classes))
        return self.now(t)[shown] + self.rng.standard_normal(self.world.n_directions), meant


class Detector:
    """Says right or wrong, with the errors it is known to make; or is poisoned."""

    def __init__(self, accuracy: float, seed: int, poison: str = "", after: int = 0):
        self.accuracy, self.rng = accuracy, np.random.default_rng(seed + 5000)
        self.poison, self.after = poison, after
        self.waiting: list[bool] = []

    def reward(self, t: int, right: bool, head_says_right: bool = True) -> Reward:
        says = right if self.rng.random() < self.accuracy else not right
        if self.poison and t >= self.after:
            says = self.poisoned(says, head_says_right)
        odds = np.log(self.accuracy / (1 - self.accuracy))
        value = (says - (1 - self.accuracy)) / (2 * self.accuracy - 1)
        return Reward(trial=t, log_odds=odds if says else -odds, value=value, source="simulated")

    def poisoned(self, says: bool, head_says_right: bool) -> bool:
        self.waiting.append(says)
        if self.poison == "shuffled":
            return bool(self.rng.random() < np.mean(self.waiting[-60:]))
        late = int(self.poison.removeprefix("late ")) if self.poison.startswith("late") else 0
        if late:
            return self.waiting[-1 - late] if len(self.waiting) > late else says
        return {
            "all right": True, "all wrong": False, "inverted": not says,
            "adversarial": head_says_right,
        }[self.poison]  # fmt: skip


class PlainLearner:
    """Prototypes by expectation maximisation over the last trials, rewards weighed in or not."""

    def __init__(self, head, *, rewarded=True, prior=4.0, kept=60, half_life=25.0, rounds=3):
        self.calibrated = self.head = head
        self.rewarded, self.prior, self.kept = rewarded, prior, kept
        self.half_life, self.rounds = half_life, rounds
        self.trials: list[Trial] = []
        self.rewards: dict[int, Reward] = {}

    def see(self, trial):
        self.trials = [*self.trials, trial][-self.kept :]
        if not self.rewarded:
            self.learn()

    def hear(self, reward):
        if self.rewarded:
            self.rewards[reward.trial] = reward
            self.learn()

    def adopt(self, head):
        pass

    def learn(self):
        fade = 0.5 ** (np.arange(len(self.trials))[::-1] / self.half_life)
        points = np.array([trial.features[0] for trial in self.trials])
        moved = np.array([self.says(trial) for trial in self.trials])
        prototypes = self.head.prototypes
        for _ in range(self.rounds):
            logs = points @ prototypes.T - 0.5 * (prototypes**2).sum(axis=1) + moved
            shares = softmax(logs) * fade[:, None]
            sums = self.prior * self.calibrated.prototypes + shares.T @ points
            prototypes = sums / (self.prior + shares.sum(axis=0))[:, None]
        self.head = replace(self.head, prototypes=prototypes)

    def says(self, trial):
        row = np.zeros(trial.n_options)
        if (reward := self.rewards.get(trial.number)) is not None:
            row[trial.decided] = reward.log_odds
        return row


class Garbage:
    """Proposes something else after each trial, none of it any good."""

    def __init__(self, head, seed=0, sharp=1.0, every=1):
        self.calibrated = self.head = head
        self.rng, self.sharp, self.every, self.n = np.random.default_rng(seed), sharp, every, 0

    def see(self, trial):
        if self.n % self.every == 0:
            points = self.calibrated.prototypes
            size = np.linalg.norm(points, axis=1).mean() / np.sqrt(points.shape[1])
            self.head = replace(
                self.calibrated, prototypes=size * self.rng.standard_normal(points.shape),
                temperature=1 / self.sharp,
            )  # fmt: skip
        self.n += 1

    def hear(self, reward):
        pass

    def adopt(self, head):
        pass


class Swapped(Garbage):
    """Proposes the calibrated head with its classes in another order: the signal cannot tell."""

    def see(self, trial):
        self.head = replace(
            self.calibrated, prototypes=np.roll(self.calibrated.prototypes, 1, axis=0)
        )


@dataclass
class Run:
    served: np.ndarray
    frozen: np.ndarray
    oracle: np.ndarray
    learner: np.ndarray
    envelope: Envelope
    versions: list

    def after(self, start: int):
        return {
            name: float(getattr(self, name)[start:].mean())
            for name in ("frozen", "served", "learner", "oracle")
        }


def run(person, learner, detector=None, config=EnvelopeConfig(), **review) -> Run:
    """A session: decide, reward, learn, propose, review."""
    first = person.head()
    envelope = Envelope(first, config)
    rows, versions, detector_epoch = [], [], 0
    for t in range(person.world.n_trials):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, person.world.n_classes, 0, at_s=t * TRIAL_S)
        decided = int(trial.posterior(envelope.serving.head).argmax())
        trial = replace(trial, decided=decided)
        heads = (first, envelope.serving.head, learner.head, person.oracle(t))
        rows.append([int(trial.posterior(head).argmax()) == meant for head in heads])
        envelope.see(trial)
        learner.see(trial)
        if detector is not None:
            favoured = int(trial.posterior(learner.head).argmax()) == decided
            reward = detector.reward(t, decided == meant, favoured)
            envelope.hear(reward)
            learner.hear(reward)
        envelope.propose(Proposal(head=learner.head, rule="test", trials=(t,)))
        if (version := envelope.review(t * TRIAL_S + 2, **review)) is not None:
            versions.append(version)
            learner.adopt(version.head)
    frozen, served, own, oracle = np.array(rows, dtype=float).T
    return Run(served, frozen, oracle, own, envelope, versions)
