"""Entropy: centre, scale and temperature under which the head is sure, and yet uses every class.

A few steps of gradient descent on the mean entropy of the last windows, plus how far the mean
probability is from how often each class is expected [1]_ [2]_. The first term alone has an easy way
out, everything into one class; the second closes it. Both hold only as long as the stream does hold
the classes as often as expected: this is the least safe step that needs no reward.

References
----------
.. [1] Wang, Shelhamer, Liu, Olshausen, Darrell. Tent: fully test-time adaptation by entropy
   minimization. ICLR, 2021.
.. [2] Li, Wang, Luo, Jiang, Wu. T-TIME: test-time information maximization ensemble for
   plug-and-play BCIs. IEEE Trans. Biomedical Engineering, 2024.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead, softmax
from ..ranges import require
from ..trial import Reward, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyConfig:
    """How far and how fast the head follows its own entropy.

    Parameters
    ----------
    rate : float
        Step of the gradient descent, above 0 to 10.
    steps : int
        Of it with every trial, 1 to 50.
    balance : float
        Weight of how far the mean probability is from the expected one, 0 to 100.
    hold : float
        Weight of the squared way from calibration, 0 to 100.
    most_trials : int
        The last ones are looked at, 2 to 1000.
    fewest : int
        Trials before anything moves, 2 to `most_trials`.
    most_log : float
        Largest logarithm of a scale and of the temperature, 0 to 2.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    rate: float = 0.05
    steps: int = 2
    balance: float = 2.0
    hold: float = 0.1
    most_trials: int = 60
    fewest: int = 15
    most_log: float = 0.5

    def __post_init__(self) -> None:
        require(
            self, rate=(1e-6, 10), steps=(1, 50), balance=(0, 100), hold=(0, 100),
            most_trials=(2, 1000), fewest=(2, self.most_trials), most_log=(0, 2),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objective:
    """What is made small, as a function of centre, log scales and log temperature.

    Parameters
    ----------
    head : PrototypeHead
        As calibration left it.
    points : ndarray, shape (n_windows, n_directions)
        Windows in its space.
    expected : ndarray, shape (n_classes,)
        Share of windows that each class should have.
    balance, hold : float
        Weights of the second and the third term.
    """

    head: PrototypeHead
    points: Floats
    expected: Floats
    balance: float
    hold: float

    def value_and_gradient(self, where: Floats) -> tuple[float, Floats]:
        """Value and gradient at shift, log scales and log temperature, one behind the other.

        Parameters
        ----------
        where : ndarray, shape (2 * n_directions + 1,)
            All zero is the head as calibration left it.

        Returns
        -------
        value : float
            In nats.
        gradient : ndarray, shape (2 * n_directions + 1,)
            Of the value.
        """
        head, n_directions = self.head, self.points.shape[1]
        shift, logs, heat = where[:n_directions], where[n_directions:-1], where[-1]
        scaled = np.exp(logs) * self.points
        squares = np.einsum("kd,kd->k", head.prototypes, head.prototypes)
        raw = (scaled - shift) @ head.prototypes.T - 0.5 * squares + head.log_priors
        over = 1 / (head.temperature * np.exp(heat))
        shares = softmax(raw * over)
        value, slope = self._of_scores(shares)
        at_points = over * slope @ head.prototypes
        gradient = np.concatenate(
            [
                -at_points.sum(axis=0),
                (at_points * scaled).sum(axis=0),
                [-(slope * raw).sum() * over],
            ]
        )
        return value + 0.5 * self.hold * float(where @ where), gradient + self.hold * where

    def _of_scores(self, shares: Floats) -> tuple[float, Floats]:
        """Entropy and balance, and their derivative by the scores, shape (n_windows, n_classes)."""
        n_windows = len(shares)
        logs = np.log(np.maximum(shares, 1e-300))
        entropy = -(shares * logs).sum(axis=1, keepdims=True)
        mean = shares.mean(axis=0)
        ratio = np.log(np.maximum(mean, 1e-300)) - np.log(self.expected)
        pull = shares * (ratio - (shares * ratio).sum(axis=1, keepdims=True))
        slope = (-shares * (logs + entropy) + self.balance * pull) / n_windows
        return float(entropy.mean() + self.balance * (mean @ ratio)), slope


class Entropy:
    """Learner: centre, scale of each direction and temperature, by the head's own entropy.

    Parameters
    ----------
    head : PrototypeHead
        To begin with, and what is held to.
    config : EntropyConfig
        What was chosen.
    """

    Config = EntropyConfig

    def __init__(self, head: PrototypeHead, config: EntropyConfig = EntropyConfig()) -> None:
        self.config = config
        self._head = self._first = head
        self._where = np.zeros(2 * len(head.centre) + 1)
        self._last: deque[tuple[Floats, Floats]] = deque(maxlen=config.most_trials)
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
        """Keep a trial, and go a few steps down."""
        features = trial.features
        if not features.size or not np.isfinite(features).all() or trial.quality <= 0:
            return
        usual = trial.shares(trial.prior, len(self._first.classes)).mean(axis=0)
        self._last.append((features, usual))
        if len(self._last) < self.config.fewest:
            return
        objective, before = self._objective(), 0.0
        for _ in range(self.config.steps):
            before, gradient = objective.value_and_gradient(self._where)
            self._where = self._bounded(self._where - self.config.rate * gradient)
        self._head = self._at(self._where)
        self._said = f"entropy of the last {len(self._last)} trials, objective {before:.3f}"

    def hear(self, reward: Reward) -> None:
        """Pass over a reward."""

    def adopt(self, head: PrototypeHead) -> None:
        """Go on from another head, which from here on is the one that is held to."""
        self._head = self._first = head
        self._where = np.zeros(2 * len(head.centre) + 1)

    def _objective(self) -> Objective:
        expected = np.mean([usual for _, usual in self._last], axis=0)
        return Objective(
            head=self._first,
            points=self._first.project(np.concatenate([one for one, _ in self._last])),
            expected=np.maximum(expected, 1e-3),
            balance=self.config.balance,
            hold=self.config.hold,
        )

    def _bounded(self, where: Floats) -> Floats:
        n_directions = len(self._first.centre)
        kept = where.copy()
        kept[n_directions:] = np.clip(
            kept[n_directions:], -self.config.most_log, self.config.most_log
        )
        return kept

    def _at(self, where: Floats) -> PrototypeHead:
        n_directions = len(self._first.centre)
        stretch = np.exp(where[n_directions:-1])
        return replace(
            self._first,
            basis=self._first.basis * stretch,
            centre=self._first.centre * stretch + where[:n_directions],
            temperature=self._first.temperature * float(np.exp(where[-1])),
        )
