"""A conservative neural bandit over updates of the head: the deep alternative to LinUCB.

A small network learns the gain of each action from the context; how sure it is of one comes from
the features of its last hidden layer, as if only the last layer were learnt. That is NeuralUCB
with the covariance of the last layer alone, which is what makes it quick enough.

References
----------
- Zhou, Li, Gu. Neural contextual bandits with UCB-based exploration. ICML, 2020.
- Xu, Wen, Zhao, Gu. Neural contextual bandits with deep representation and shallow
  exploration. ICLR, 2022.
- Polyak. Some methods of speeding up the convergence of iteration methods. USSR Computational
  Mathematics and Mathematical Physics, 1964.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats, PrototypeHead
from .situation import NAMES
from .update_bandit import LEARNT, UpdateBandit, UpdateBanditConfig

MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True)
class NeuralUCBConfig(UpdateBanditConfig):
    """What a person may choose, beside what every update bandit has.

    Parameters
    ----------
    hidden : int
        Units of each of the two hidden layers, 2 to 256.
    kept : int
        Gains that the network is trained on again, the newest, 8 to 4096.
    batch : int
        Gains in each step of training.
    every : int
        Gains from one step of training to the next.
    learning_rate : float
        Of gradient descent with momentum, above 0 and at most 0.2.
    decay : float
        Pulls weights to zero; 0 or more.
    width : float
        How far doubt speaks for an action; 0 or more.
    seed : int
        Of the first weights and of which gains are trained on; 0 or more.
    """

    hidden: int = 32
    kept: int = 512
    batch: int = 64
    every: int = 6
    learning_rate: float = 5e-2
    decay: float = 1e-3
    width: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {
            "hidden": (2, 256), "kept": (8, 4096), "batch": (1, 256), "every": (1, 1000),
            "learning_rate": (1e-6, 0.2), "decay": (0, 10), "width": (0, 100),
            "seed": (0, 2**32 - 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= (got := getattr(self, name)) <= high:
                raise ConfigError(
                    f"{name} of a neural bandit must be from {low} to {high}, got {got}: leave it "
                    f"out to get {NeuralUCBConfig.__dataclass_fields__[name].default}."
                )


class NeuralPolicy:
    """The gain of each action by a network with two hidden layers, on the CPU in float64.

    It trains by a step of descent after every few gains, on gains drawn from the newest. The
    features that a covariance is made of change while the network learns, so it is only roughly
    how sure the network is; the bound on what is offered does not rest on it.

    Parameters
    ----------
    n_actions, n_features : int
        Of the choice and of its context.
    config : NeuralUCBConfig
        What a person chose.
    """

    def __init__(self, n_actions: int, n_features: int, config: NeuralUCBConfig) -> None:
        self._config = config
        self._random = np.random.default_rng(config.seed)
        self._scale = np.sqrt(config.hidden)  # deep features have a length of at most 1
        self._body, self._last = _network(n_actions, n_features, config)
        self._inverses = np.stack([np.eye(config.hidden)] * n_actions)
        self._contexts = np.zeros((config.kept, n_features))
        self._actions = np.zeros(config.kept, dtype=np.int64)
        self._gains = np.zeros(config.kept)
        self._count = 0
        self._weights = [*self._body.parameters(), *self._last.parameters()]
        self._speeds = [torch.zeros_like(weight) for weight in self._weights]

    def bounds(self, context: Floats) -> tuple[Floats, Floats]:
        """Expected gain of each action, and how far the truth may be from it.

        Parameters
        ----------
        context : ndarray, shape (n_features,)
            What is known before the choice.

        Returns
        -------
        means, widths : ndarray, shape (n_actions,)
            Add them for the upper bound, subtract for the lower.
        """
        with torch.no_grad():
            hidden = self._body(torch.from_numpy(context))
            means: Floats = self._last(hidden).numpy()
        deep = hidden.numpy() / self._scale
        doubt = np.einsum("h,ahg,g->a", deep, self._inverses, deep)
        return means, self._config.width * np.sqrt(np.maximum(doubt, 0.0))

    def learn(self, context: Floats, action: int, gain: float) -> None:
        """An action was taken there, and this came of it."""
        place = self._count % self._config.kept
        self._contexts[place], self._actions[place] = context, action
        self._gains[place] = gain
        self._count += 1
        self._narrow(context, action)
        if self._count % self._config.every == 0:
            known = min(self._count, self._config.kept)
            self._step(self._random.integers(known, size=min(self._config.batch, known)))

    def _narrow(self, context: Floats, action: int) -> None:
        """One observation more: the inverse covariance by the formula of Sherman and Morrison."""
        with torch.no_grad():
            deep = self._body(torch.from_numpy(context)).numpy() / self._scale
        inverse = self._inverses[action]
        seen = inverse @ deep
        self._inverses[action] = inverse - np.outer(seen, seen) / (1 + deep @ seen)

    def _step(self, chosen: np.typing.NDArray[np.int64]) -> None:
        contexts = torch.from_numpy(self._contexts[chosen])
        actions = torch.from_numpy(self._actions[chosen])
        gains = torch.from_numpy(self._gains[chosen])
        guessed = self._last(self._body(contexts)).gather(1, actions[:, None])[:, 0]
        # Gains of single updates have heavy tails: beyond one unit an error counts linearly.
        loss = nn.functional.huber_loss(guessed, gains)
        slopes = torch.autograd.grad(loss, self._weights)
        # By hand: the first step of an optimiser of torch imports its compiler, for seconds.
        with torch.no_grad():
            for weight, speed, slope in zip(self._weights, self._speeds, slopes, strict=True):
                speed.mul_(MOMENTUM).add_(slope + self._config.decay * weight)
                weight.sub_(self._config.learning_rate * speed)


class NeuralUCB(UpdateBandit):
    """NeuralUCB chooses the update; the same conservative bound says whether it is offered.

    Parameters
    ----------
    head : PrototypeHead
        As calibrated.
    config : NeuralUCBConfig
        What a person chose.
    """

    Config = NeuralUCBConfig

    def __init__(self, head: PrototypeHead, config: NeuralUCBConfig = NeuralUCBConfig()) -> None:
        super().__init__(head, config, NeuralPolicy(len(LEARNT), len(NAMES), config))


def _network(
    n_actions: int, n_features: int, config: NeuralUCBConfig
) -> tuple[nn.Sequential, nn.Linear]:
    """Body and last layer. All actions begin at a gain of zero, so that only doubt counts."""
    random = torch.Generator().manual_seed(config.seed)
    n = config.hidden
    layers = [_layer(n_features, n), _layer(n, n), _layer(n, n_actions)]
    for layer in layers[:2]:
        nn.init.xavier_uniform_(layer.weight, generator=random)
    nn.init.zeros_(layers[2].weight)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh()), layers[2]


def _layer(n_in: int, n_out: int) -> nn.Linear:
    """What it draws as it is made is put back: the random numbers of others stay as they are."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(n_in, n_out, dtype=torch.float64)
    nn.init.zeros_(layer.bias)
    return layer
