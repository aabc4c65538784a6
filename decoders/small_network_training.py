"""Training of a small convolutional network; `small_network` serves it without torch.

Kernels start as waves of different rates under a Hann window, so that few trials need not find
rhythms first. The head and whatever a norm does are for training alone: norms are folded away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.messages import Samples
from .bands import Floats
from .small_network import SECOND_POOL, SECOND_TAPS, first_pool, n_features
from .small_network_config import SmallNetworkConfig

_LOWEST_HZ = 2.0


class TrainedNetwork(nn.Module):
    """The network with norms and head.

    Parameters
    ----------
    config : SmallNetworkConfig
        What was chosen.
    n_channels, n_times, n_classes : int
        Size of a window, and number of logits.
    """

    def __init__(
        self, config: SmallNetworkConfig, n_channels: int, n_times: int, n_classes: int
    ) -> None:
        super().__init__()
        self.config, maps = config, config.n_maps
        self.spatial = nn.Linear(n_channels, maps, bias=False)
        self.kernels = nn.Parameter(_waves(config))
        n = n_features(config, n_times)
        self.dropout = nn.Dropout(config.dropout)
        if config.kind == "wave":
            self.norm1, self.norm2 = nn.BatchNorm1d(maps), nn.BatchNorm1d(maps)
            self.later = nn.Parameter(torch.randn(maps, SECOND_TAPS) / SECOND_TAPS**0.5)
            self.mixing = nn.Linear(maps, maps, bias=False)
        self.norm = nn.BatchNorm1d(n, affine=False)
        self.head = nn.Linear(n, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        """From windows (batch, n_channels, n_times) to (batch, n_features)."""
        maps = _slid(self.spatial.weight @ x, self.kernels)  # (batch, n_maps, n)
        if self.config.kind == "power":
            return maps.square().mean(dim=2).clamp(min=1e-12).log()
        maps = F.avg_pool1d(F.elu(self.norm1(maps)), first_pool(self.config))
        maps = _slid(self.dropout(maps), self.later)
        maps = F.elu(self.norm2(self.mixing.weight @ maps))
        return F.avg_pool1d(maps, SECOND_POOL).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (batch, n_classes)."""
        logits: Tensor = self.head(self.dropout(self.norm(self.features(x))))
        return logits

    @torch.no_grad()
    def folded(self, scale_uv: float) -> dict[str, Floats]:
        """Weights as `SmallNetwork` takes them, for signal in microvolts."""
        found = {"filters": self.spatial.weight[None] / scale_uv, "kernels": self.kernels}
        if self.config.kind == "wave":
            gain1, offsets = _affine(self.norm1)
            gain2, shifts = _affine(self.norm2)
            found |= {"kernels": gain1[:, None] * self.kernels, "offsets": offsets}
            found |= {"later": self.later, "mixing": gain2[:, None] * self.mixing.weight}
            found["shifts"] = shifts
        return {name: one.double().numpy() for name, one in found.items()}


def train(
    windows: Samples,
    labels: NDArray[Any],
    config: SmallNetworkConfig,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Floats]:
    """Train a network from nothing.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_channels, n_times)
        Conditioned windows in microvolts, all finite.
    labels : ndarray, shape (n_windows,)
        Class of each; classes weigh alike, however many windows they have.
    config : SmallNetworkConfig
        What was chosen.
    clock : callable
        Seconds, for the time limit.

    Returns
    -------
    weights : dict of str to ndarray
        As `SmallNetwork` takes them. The same for the same windows, labels and seed, unless the
        time limit strikes.
    """
    network, scale_uv = trained(windows, labels, config, clock)
    return network.folded(scale_uv)


def trained(
    windows: Samples,
    labels: NDArray[Any],
    config: SmallNetworkConfig,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[TrainedNetwork, float]:
    """The network itself, in eval mode, and how many microvolts are 1 to it; see `train`.

    Parameters
    ----------
    windows, labels, config, clock
        As for `train`.

    Returns
    -------
    network : TrainedNetwork
        In eval mode.
    scale_uv : float
        What windows are divided by.
    """
    scale_uv = float(np.sqrt(np.mean(np.square(windows, dtype=np.float64))))
    x = torch.from_numpy((windows / scale_uv).astype(np.float32))
    classes, numbers = np.unique(labels, return_inverse=True)
    y = torch.from_numpy(numbers.astype(np.int64))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order, and nobody else's cores
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = TrainedNetwork(config, x.shape[1], x.shape[2], len(classes))
            _descend(network, x, y, clock)
    finally:
        torch.set_num_threads(threads)
    return network.eval(), scale_uv


def _descend(network: TrainedNetwork, x: Tensor, y: Tensor, clock: Callable[[], float]) -> None:
    config, deadline = network.config, clock() + network.config.limit_s
    parts = max(1, round(len(x) / config.batch))
    weight = len(y) / torch.bincount(y).clamp(min=1).float() / (int(y.max()) + 1)
    search = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    decay = torch.optim.lr_scheduler.OneCycleLR(
        search, config.learning_rate, total_steps=config.steps
    )
    network.train()
    done = 0
    while done < config.steps:
        for rows in torch.randperm(len(x)).tensor_split(parts):
            if done == config.steps or clock() > deadline:
                return
            loss = F.cross_entropy(network(x[rows]), y[rows], weight)
            search.zero_grad()
            loss.backward()
            search.step()
            decay.step()
            done += 1


def _waves(config: SmallNetworkConfig) -> Tensor:
    """Kernels to begin with, (n_maps, n_taps), each of unit size."""
    time_s = torch.arange(config.n_taps) / config.rate_hz
    rates_hz = torch.linspace(_LOWEST_HZ, config.top_hz, config.n_maps)
    phase = 2 * math.pi * torch.rand(config.n_maps)
    waves = torch.cos(2 * math.pi * rates_hz[:, None] * time_s + phase[:, None])
    waves = waves * torch.hann_window(config.n_taps + 2, periodic=False)[1:-1]
    return waves / waves.square().sum(dim=1, keepdim=True).sqrt()


def _slid(maps: Tensor, kernels: Tensor) -> Tensor:
    """Each map (batch, m, n) with its kernel (m, k), (batch, m, n - k + 1)."""
    return F.conv1d(maps, kernels[:, None], groups=len(kernels))


def _affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """What a norm does when it serves: gain and offset of each map."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return gain, norm.bias - gain * norm.running_mean
