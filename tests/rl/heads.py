"""Heads, trials and a learner of few lines, for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead

CLASSES = ("left", "right")


def head(n_features: int = 4, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> PrototypeHead:
    """A head that was fitted on clusters."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(classes, 20)
    middle = {name: rng.normal(0, 2, n_features) for name in classes}
    features = np.stack([middle[name] + rng.normal(size=n_features) for name in labels])
    return PrototypeHead.fit(features, labels, classes)


def trial(number: int, n_features: int = 4, decided: int = 0) -> Trial:
    """A trial of one window."""
    features = np.random.default_rng(number).normal(size=n_features)
    return Trial.plain(number, features, len(CLASSES), decided, at_s=number / 250)


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgeConfig:
    """How far.

    Parameters
    ----------
    step : float
        At each trial.
    """

    step: float = 0.01


class Nudge:
    """A learner that moves the centre a little at each trial, and back at each reward."""

    Config = NudgeConfig

    def __init__(self, head: PrototypeHead, config: NudgeConfig | None = None) -> None:
        self.head, self.rule = head, "nothing yet"
        self._step = (config or NudgeConfig()).step

    def see(self, trial: Trial) -> None:
        self._move(self._step, f"nudged at {trial.number}")

    def hear(self, reward: Reward) -> None:
        self._move(-self._step / 2, f"heard of {reward.trial}")

    def adopt(self, head: PrototypeHead) -> None:
        self.head = head

    def _move(self, by: float, rule: str) -> None:
        self.head, self.rule = replace(self.head, centre=self.head.centre + by), rule
