"""A student tuned to a person: small updates behind its last attention, merged when they are found.

What is learnt is a low-rank update [1]_ of every matrix of the `Tail`, its norms' gains, and the
query where hops are weighted. A linear head is fitted on the untouched student first [2]_, both go
on together, and the head is thrown away: whoever fits reads the features anew. Merged, it is an
ordinary student with other weights.

References
----------
.. [1] Hu et al. LoRA: low-rank adaptation of large language models. ICLR, 2022.
.. [2] Kumar, Raghunathan, Jones, Ma, Liang. Fine-tuning can distort pretrained features and
   underperform out-of-distribution. ICLR, 2022.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ..runtime.messages import Samples
from .bands import Floats
from .student_encoder import StudentEncoder, StudentEncoderConfig
from .student_tail import Tail, split_inputs, tail_of
from .student_tuning_config import StudentTuningConfig

_AT_ONCE = 16  # windows


class TunedStudent:
    """What a fit needs of a tuned student.

    Parameters
    ----------
    encoder : StudentEncoder
        What will be served.

    Attributes
    ----------
    encoder : StudentEncoder
        The same, knowing what its rows usually read.
    config : StudentEncoderConfig
        Its configuration.
    """

    def __init__(self, encoder: StudentEncoder) -> None:
        self.encoder, self._tail = encoder, tail_of(encoder)

    @property
    def config(self) -> StudentEncoderConfig:
        """The encoder's."""
        return self.encoder.config

    def to_arrays(self) -> dict[str, NDArray[np.floating[Any]]]:
        """The encoder's, for a bundle."""
        return self.encoder.to_arrays()

    @torch.no_grad()
    def encode_many(self, inputs: Samples) -> Floats:
        """Features of windows.

        Parameters
        ----------
        inputs : ndarray, shape (n_windows, n_hops * (n_latents + n_channels) * width)
            As `TailHearing` gives them.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            As the encoder's `encode` would give them.
        """
        query = self.encoder.query
        asked = None if query is None else torch.from_numpy(query).float()
        found = []
        for first in range(0, len(inputs), _AT_ONCE):
            hops = _hops(inputs[first : first + _AT_ONCE], self.encoder)
            said = self._tail(*split_inputs(hops.flatten(0, 1), self.encoder.architecture))
            found.append(_pooled(said.unflatten(0, hops.shape[:2]), asked))
        features: Floats = torch.cat(found).double().numpy()
        return features


def tune(
    student: StudentEncoder,
    inputs: Samples,
    labels: NDArray[Any],
    config: StudentTuningConfig,
    clock: Callable[[], float] = time.monotonic,
) -> TunedStudent:
    """Tune a student to labelled windows.

    Parameters
    ----------
    student : StudentEncoder
        As `untaught` gives it; not changed.
    inputs : ndarray, shape (n_windows, n_hops * (n_latents + n_channels) * width)
        As `TailHearing` gives them.
    labels : ndarray, shape (n_windows,)
        Class of each; classes weigh alike.
    config : StudentTuningConfig
        What was chosen.
    clock : callable
        Seconds, for the time limit.

    Returns
    -------
    tuned : TunedStudent
        The same for the same windows, labels and seed, unless the time limit strikes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order, and nobody else's cores
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            tuning = _Tuning(student, inputs, labels, config)
            tuning.descend(clock)
        tuned = TunedStudent(tuning.merged())
        # Many windows tell no more of what is usual than some do.
        usual = tuned.encode_many(inputs[:: max(1, len(inputs) // 256)])
        tuned.encoder = tuned.encoder.taught(usual)
    finally:
        torch.set_num_threads(threads)
    return tuned


class _Tuning:
    """Updates, query and head, and what trains them."""

    def __init__(
        self,
        student: StudentEncoder,
        inputs: Samples,
        labels: NDArray[Any],
        config: StudentTuningConfig,
    ) -> None:
        self._student, self._config, self._inputs = student, config, inputs
        self._tail: Tail = tail_of(student).requires_grad_(False)
        numbers = np.unique(labels, return_inverse=True)[1]
        self._y = torch.from_numpy(numbers.astype(np.int64))
        counts = torch.bincount(self._y)
        self._weight = len(self._y) / counts.float() / len(counts)
        self._updates = nn.ParameterDict()
        if config.rank:
            for name, value in self._tail.named_parameters():
                self._updates.update(_update(name, value, config.rank))
        n_latents = student.architecture.n_latents * student.architecture.width
        self._query = None
        if config.pooling == "attention":
            self._query = nn.Parameter(torch.zeros(n_latents))
        features = torch.from_numpy(TunedStudent(student).encode_many(inputs)).float()
        self._mean, spread = features.mean(0), features.std(0, unbiased=False)
        self._scale = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        self._head = self._first_head((features - self._mean) / self._scale, len(counts))

    def descend(self, clock: Callable[[], float]) -> None:
        config, deadline = self._config, clock() + self._config.limit_s
        learnt = [*self._updates.values(), *self._head.parameters()]
        learnt += [] if self._query is None else [self._query]
        search = torch.optim.AdamW(learnt, lr=config.learning_rate, weight_decay=1e-2)
        decay = torch.optim.lr_scheduler.OneCycleLR(
            search, config.learning_rate, total_steps=config.steps
        )
        parts = max(1, round(len(self._y) / config.batch))
        done = 0
        while done < config.steps:
            for rows in torch.randperm(len(self._y)).tensor_split(parts):
                if done == config.steps or clock() > deadline:
                    return
                loss = self._loss(rows)
                search.zero_grad()
                loss.backward()
                search.step()
                decay.step()
                done += 1

    def merged(self) -> StudentEncoder:
        """An ordinary student with what was learnt in its weights."""
        student, config = self._student, self._config
        weights = dict(student.weights)
        with torch.no_grad():
            for name, value in self._changed().items():
                weights[self._tail.name_in_student(name)] = value.numpy()
        sha256 = _hash(weights) if config.rank else student.config.sha256
        about = {
            "from": student.config.student,
            "from_sha256": student.config.sha256,
            "weights": sorted(self._tail.name_in_student(name) for name in self._changed()),
            **asdict(config),
        }
        settings = replace(student.config, sha256=sha256, pooling=config.pooling, tuned=about)
        query = None if self._query is None else self._query.detach().double().numpy()
        return StudentEncoder(settings, weights, student.usual, query)

    def _loss(self, rows: Tensor) -> Tensor:
        config = self._config
        hops = _hops(self._inputs[rows.numpy()], self._student)
        heard = torch.randperm(hops.shape[1])[: config.n_hops]
        hops = hops[:, heard]
        told = split_inputs(hops.flatten(0, 1), self._student.architecture)
        said = functional_call(self._tail, self._changed(), told)
        pooled = _pooled(said.unflatten(0, hops.shape[:2]), self._query)
        features = F.dropout((pooled - self._mean) / self._scale, config.dropout)
        loss = F.cross_entropy(self._head(features), self._y[rows], self._weight)
        return loss + 0.5 * config.penalty * self._head.weight.square().sum()

    def _changed(self) -> dict[str, Tensor]:
        """Weights of the tail with their updates."""
        found = {}
        for name, value in self._tail.named_parameters():
            key = name.replace(".", "/")
            if key in self._updates:
                found[name] = value + self._updates[key]
            elif f"{key}:in" in self._updates:
                found[name] = value + self._updates[f"{key}:out"] @ self._updates[f"{key}:in"]
        return found

    def _first_head(self, features: Tensor, n_classes: int) -> nn.Linear:
        """Head on the student as it is; convex, so the start does not matter."""
        head = nn.Linear(features.shape[1], n_classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        search = torch.optim.LBFGS(head.parameters(), max_iter=30, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = F.cross_entropy(head(features), self._y, self._weight)
            loss = loss + 0.5 * self._config.penalty * head.weight.square().sum()
            loss.backward()
            return loss

        search.step(closure)
        return head


def _update(name: str, value: Tensor, rank: int) -> dict[str, nn.Parameter]:
    """What is learnt of one weight; nothing at first."""
    key = name.replace(".", "/")  # a dot would name a module
    if value.ndim < 2:
        return {key: nn.Parameter(torch.zeros_like(value))}
    n_out, n_in = value.shape
    rank = min(rank, n_out, n_in)
    return {
        f"{key}:in": nn.Parameter(torch.randn(rank, n_in) / n_in**0.5),
        f"{key}:out": nn.Parameter(torch.zeros(n_out, rank)),
    }


def _hops(inputs: Samples, encoder: StudentEncoder) -> Tensor:
    """Rows of windows cut into hops, (n_windows, n_hops, numbers of a hop)."""
    config = encoder.architecture
    each = config.width * (config.n_latents + len(encoder.config.positions_mm))
    rows = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
    hops: Tensor = rows.unflatten(1, (-1, each))
    return hops


def _pooled(said: Tensor, query: Tensor | None) -> Tensor:
    """Embeddings (n, n_hops, n_features) made one, (n, n_features)."""
    if query is None:
        return said.mean(dim=1)
    weights = (said[:, :, : len(query)] @ query).softmax(dim=1)
    return (weights[:, :, None] * said).sum(dim=1)


def _hash(weights: dict[str, NDArray[Any]]) -> str:
    """SHA-256 of weights, whatever their order."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(value, "<f4").tobytes())
    return found.hexdigest()
