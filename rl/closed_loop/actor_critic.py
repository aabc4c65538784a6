"""Actor and critic for the case in which only a late reward says how it goes.

The actor is a correction of what the decoder reads: a 2x2 matrix and an offset. It tries others
around its mean, each held for about a second, since what is tried for one step of 50 ms moves
nothing that anybody could judge [3]_. The critic estimates what is still to come from what a
decoder may know. Eligibility traces carry a reward back to what was tried before it [1]_; error
signals as reward of a decoder go back to [2]_.

References
----------
.. [1] Sutton, Barto. Reinforcement Learning, 2nd edition, section 13.5 (actor-critic with
   eligibility traces). MIT Press, 2018.
.. [2] Mahmoudi, Sanchez. A symbiotic brain-machine interface through value-based decision making.
   PLoS ONE, 2011. Pohlmeyer et al. Using reinforcement learning to provide stable brain-machine
   interface control despite neural input reorganization. PLoS ONE, 2014.
.. [3] Rückstieß et al. Exploring parameter space in reinforcement learning. Paladyn, 2010.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .steering import Step
from .velocity_head import VelocityHead

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCriticConfig:
    """How it tries and learns.

    Parameters
    ----------
    hold_s : float
        For which one correction is tried.
    spread : float
        Standard deviation of what is tried around the mean, of each of the six numbers.
    offset_share : float
        By how much less the offset is moved: a small one already carries the cursor away.
    actor_rate, critic_rate : float
        Steps of learning.
    trace : float
        Share of the eligibility that is left after a hold.
    discount : float
        Of reward, a hold.
    acquired, per_second, per_error : float
        Reward for a target, cost of time, and cost of what is surely an error by the error signal;
        an uncertain score costs by its probability.
    farthest : float
        Frobenius distance from no correction that the mean may reach.
    seed : int
        Of what is tried.
    """

    hold_s: float = 1.0
    spread: float = 0.1
    offset_share: float = 0.2
    actor_rate: float = 0.005
    critic_rate: float = 0.05
    trace: float = 0.5
    discount: float = 0.9
    acquired: float = 1.0
    per_second: float = 0.2
    per_error: float = 1.0
    farthest: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hold_s", "spread", "offset_share", "farthest"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of an actor-critic must be positive, got {getattr(self, name)}: give "
                    f"a positive number."
                )
        for name in ("actor_rate", "critic_rate", "acquired", "per_second", "per_error"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of an actor-critic must not be negative, got {getattr(self, name)}: "
                    f"give 0 or more."
                )
        if not (0 <= self.trace < 1 and 0 <= self.discount < 1):
            raise ConfigError(
                f"trace and discount must be at least 0 and below 1, got {self.trace} and "
                f"{self.discount}: 0.5 and 0.9 are usual."
            )


class ActorCritic:
    """Learns a correction from delayed reward alone; no target, no intention is assumed.

    Parameters
    ----------
    head : VelocityHead
        Of the calibration.
    config : ActorCriticConfig
        How it tries and learns.
    """

    Config = ActorCriticConfig

    def __init__(
        self,
        head: VelocityHead,
        config: ActorCriticConfig = ActorCriticConfig(),
    ) -> None:
        self._config = config
        self._chance = torch.Generator().manual_seed(config.seed)
        self._critic = torch.zeros(3, dtype=torch.float64)
        rows = torch.tensor([[1.0], [1.0], [config.offset_share]], dtype=torch.float64)
        self._spread = config.spread * rows.expand(3, 2)
        self.adopt(head)

    def adopt(self, head: VelocityHead) -> None:
        """Go on from another decoder; the critic stays, the traces go."""
        self._start = head
        self._mean = torch.tensor(
            np.vstack([head.correction, head.offset]), dtype=torch.float64, requires_grad=True
        )
        self._actor_trace = torch.zeros_like(self._mean)
        self._critic_trace = torch.zeros_like(self._critic)
        self._holds = 0
        self._path_s = 0.0
        self.rule = "nothing learnt yet"
        self._begin()

    @property
    def settled(self) -> VelocityHead:
        """The decoder at the mean of what is tried: what one would serve without exploring."""
        return self._with(self._mean.detach().numpy())

    def watch(self, step: Step) -> None:
        """Gather reward; at the end of a hold or of a path, learn and try something else."""
        config = self._config
        self._reward -= config.per_second * step.seconds
        for odds in step.error_log_odds:
            self._reward -= config.per_error / (1 + math.exp(-max(-50.0, min(50.0, odds))))
        self._held_s += step.seconds
        self._path_s += step.seconds
        self._speed += step.seconds * float(np.hypot(*step.velocity)) / self._start.gain
        if step.ended is not None:
            self._reward += config.acquired * step.ended
            self._learn(torch.zeros(3, dtype=torch.float64))
            self._path_s = 0.0
            self._begin()
        elif self._held_s >= config.hold_s - 1e-9:
            self._learn(self._state())
            self._begin()

    def _begin(self) -> None:
        noise = torch.randn(3, 2, generator=self._chance, dtype=torch.float64)
        self._tried = self._mean.detach() + self._spread * noise
        self.head = self._with(self._tried.numpy())
        self._reward = self._held_s = self._speed = 0.0
        self._before = self._state()

    def _state(self) -> torch.Tensor:
        """What the critic judges by: one, time on the way in tens of seconds, and speed of late."""
        speed = self._speed / self._held_s if self._held_s else 0.5
        return torch.tensor([1.0, min(self._path_s / 10, 2.0), speed], dtype=torch.float64)

    def _learn(self, after: torch.Tensor) -> None:
        config = self._config
        surprise = float(
            self._reward + config.discount * after @ self._critic - self._before @ self._critic
        )
        log_density = torch.distributions.Normal(self._mean, self._spread).log_prob(self._tried)
        (slope,) = torch.autograd.grad(log_density.sum(), self._mean)
        keep = config.discount * config.trace
        # The natural gradient of a Gaussian of fixed spread: its variance times the slope.
        natural = self._spread**2 * slope / config.spread
        self._actor_trace = keep * self._actor_trace + natural
        self._critic_trace = keep * self._critic_trace + self._before
        self._critic = self._critic + config.critic_rate * surprise * self._critic_trace
        with torch.no_grad():
            moved = self._mean + config.actor_rate * surprise * self._actor_trace
            away = moved - torch.eye(3, 2, dtype=torch.float64)
            size = float(away.norm())
            if size > config.farthest:
                moved = moved - away * (1 - config.farthest / size)
        self._mean = moved.requires_grad_()
        self._holds += 1
        self.rule = f"{self._holds} corrections tried, the last {surprise:+.2f} against expectation"

    def _with(self, numbers: Floats) -> VelocityHead:
        return replace(self._start, correction=numbers[:2].copy(), offset=numbers[2].copy())
