"""Small worlds for learners: classes in a plane or in space, and people who drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diverloop.rl.trial import Trial
from diverloop.runtime.prototype_head import PrototypeHead


@dataclass
class World:
    """A person whose classes lie somewhere, a head that was fitted before they moved."""

    seed: int
    distance: float = 2.6
    n_classes: int = 4

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        axes = np.linalg.qr(self.rng.normal(size=(self.n_classes, self.n_classes)))[0]
        self.means = self.distance * axes
        names = tuple("abcdefgh"[: self.n_classes])
        meant = np.repeat(np.arange(self.n_classes), 30)
        self.head = PrototypeHead.fit(self.draw(meant), np.array(names)[meant], names)

    def draw(self, meant):
        return self.means[meant] + self.rng.normal(size=(len(meant), self.n_classes))

    def shift(self, by):
        """Move all classes along one direction."""
        self.means = self.means + by * np.ones(self.n_classes) / np.sqrt(self.n_classes)

    def jump(self, by):
        """Move every class somewhere else."""
        ways = self.rng.normal(size=self.means.shape)
        self.means = self.means + by * ways / np.linalg.norm(ways, axis=1, keepdims=True)

    def accuracy(self, head, n=1000):
        meant = np.random.default_rng(7).integers(0, self.n_classes, n)
        noise = np.random.default_rng(8).normal(size=(n, self.n_classes))
        said = head.scores(self.means[meant] + noise).argmax(axis=1)
        return float((said == meant).mean())

    def live(self, learner, n, *, reward=None, shares=None, first=0):
        """Trials one after the other; `reward` makes one from trial and meant option."""
        meant = self.rng.choice(self.n_classes, size=n, p=shares)
        for place, (features, option) in enumerate(zip(self.draw(meant), meant, strict=True)):
            decided = int(learner.head.scores(features).argmax())
            trial = Trial.plain(first + place, features, self.n_classes, decided)
            learner.see(trial)
            if reward is not None:
                learner.hear(reward(trial, int(option)))
        return learner
