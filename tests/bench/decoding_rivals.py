"""What a learnt encoder has to be compared with: covariances and two convolutional networks.

`Tangent` is the product's `FilterbankCovariance` where power tells the classes apart, and xDAWN
covariances in the tangent space (pyriemann) where a response does. Both are fitted again in every
fold. `train_network` trains EEGNet or ShallowFBCSPNet of braindecode from scratch on the broadband
windows.

References
----------
Rivet, Souloumiac, Attina, Gibert. xDAWN algorithm to enhance evoked potentials. 2009.
Lawhern et al. EEGNet: a compact convolutional neural network for EEG-based BCIs. 2018.
Schirrmeister et al. Deep learning with convolutional neural networks for EEG decoding. 2017.
"""

from __future__ import annotations

import importlib.machinery
import sys
import time
import types
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from decoding_heads import Bools, Fitted, Floats, Ints, Outcome, Views, folds_of, temperature_of
from decoding_tasks import Task

from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.decoders.missing import shared_references, stand_in
from diverloop.runtime.messages import Channel, StreamSpec, Window

XDAWN_FILTERS = 4
NETWORKS = {"eegnet": ("EEGNet", 125), "shallow": ("ShallowFBCSPNet", 250)}
"""Name -> class in braindecode, and the rate in hertz that its authors' sizes are meant for."""


class Tangent:
    """Source: covariances in the tangent space of their mean."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def fitted(self, rows: Ints) -> Fitted:
        """Fit on some windows of the training part."""
        return (_Evoked if self._task.evoked else _Power)(self._task, rows)


class _Power:
    def __init__(self, task: Task, rows: Ints) -> None:
        self._task = task
        config = FilterbankCovarianceConfig(n_bands=task.n_bands, n_components=12)
        windows = task.banded_train[rows].astype(np.float64)
        self._encoder = FilterbankCovariance.fit(windows, None, config)

    def train(self, rows: Ints) -> Views:
        windows = self._task.banded_train[rows].astype(np.float64)
        return {"tangent": [self._encoder.encode_many(windows)]}

    def test(self, usable: Bools | None = None) -> Views:
        windows = self._task.banded_test.astype(np.float64)
        if usable is None:
            return {"tangent": [self._encoder.encode_many(windows)]}
        n_rows, n_times = windows.shape[1:]
        spec = StreamSpec(
            name="test", rate_hz=100.0, channels=tuple(Channel(name=str(i)) for i in range(n_rows))
        )
        self._encoder.open(spec, n_times)
        mask = np.tile(usable, self._task.n_bands)
        found = []
        for samples in without(windows, usable, self._task):
            window = Window(
                samples=samples, first_sample=0, stop_sample=n_times, due_ns=0, usable=mask
            )
            found.append(self._encoder.encode(window).values.copy())
        return {"tangent": [np.array(found)]}


class _Evoked:
    def __init__(self, task: Task, rows: Ints) -> None:
        from pyriemann.estimation import XdawnCovariances
        from pyriemann.tangentspace import TangentSpace

        self._task = task
        windows = task.banded_train[rows].astype(np.float64)
        # An average reference leaves one direction without power, which xDAWN would divide by.
        self._kept = windows.shape[1] - task.referenced
        self._xdawn = XdawnCovariances(
            nfilter=min(XDAWN_FILTERS, self._kept), estimator="lwf", xdawn_estimator="lwf"
        )
        self._tangent = TangentSpace()
        y = task.y_train[rows]
        self._tangent.fit(self._xdawn.fit_transform(windows[:, : self._kept], y), y)
        self._covariance = np.mean([x @ x.T / x.shape[1] for x in windows], axis=0)

    def _encode(self, windows: Floats) -> Views:
        covariances = self._xdawn.transform(windows[:, : self._kept].astype(np.float64))
        return {"tangent": [self._tangent.transform(covariances)]}

    def train(self, rows: Ints) -> Views:
        return self._encode(self._task.banded_train[rows])

    def test(self, usable: Bools | None = None) -> Views:
        windows = self._task.banded_test
        if usable is None:
            return self._encode(windows)
        groups = shared_references(self._covariance)
        matrix = stand_in(self._covariance, usable, groups)
        return self._encode(matrix @ without(windows, usable, self._task).astype(np.float64))


def without(windows: Floats, usable: Bools, task: Task) -> Floats:
    """Windows whose lost channels are zero, and out of the average reference if there is one."""
    n_bands = windows.shape[1] // len(usable)
    found = windows.reshape(len(windows), n_bands, len(usable), -1).copy()
    if task.referenced:
        found -= found[:, :, usable].mean(axis=2, keepdims=True)
    found[:, :, ~usable] = 0.0
    return found.reshape(windows.shape)


# --- networks ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """How long a network may be trained."""

    epochs: int = 150
    patience: int = 25
    batch: int = 32
    learning_rate: float = 1e-3
    limit_s: float = 120.0
    seed: int = 0


def braindecode_models() -> Any:
    """braindecode's models, imported past torchaudio.

    braindecode imports torchaudio at its door, and torchaudio's library does not load where torch
    was built for the CPU alone. Neither network here calls it, so a stand-in takes its place.
    """
    if "torchaudio" not in sys.modules:
        for name in ("torchaudio", "torchaudio.functional", "torchaudio.transforms"):
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
            module.__path__ = []
            module.__getattr__ = _nothing  # type: ignore[method-assign]
            sys.modules[name] = module
            if "." in name:
                setattr(sys.modules["torchaudio"], name.split(".")[1], module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from braindecode import models
    return models


def _nothing(name: str) -> type:
    """A class that can be imported and inherited from; dunders stay missing, as Python expects."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


def train_network(task: Task, name: str, plan: NetworkPlan) -> Outcome:
    """Train on the first folds' groups, stop by the last fold's, score the test windows."""
    import torch

    kind, rate_hz = NETWORKS[name]
    torch.manual_seed(plan.seed)
    scale = float(np.sqrt((task.windows_train**2).mean()))
    windows = [slower(part, rate_hz) / scale for part in (task.windows_train, task.windows_test)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = getattr(braindecode_models(), kind)(
            n_chans=windows[0].shape[1], n_outputs=len(task.classes), n_times=windows[0].shape[2]
        )
    learn, stop = folds_of(task)[-1]
    _train(network, windows[0], task.y_train, learn, stop, plan)
    held_out, test = (_scores(network, part) for part in windows)
    # Only the last fold was held out, so only that can say how sure the network should be.
    part = {"y_train": task.y_train[stop], "groups_train": task.groups_train[stop]}
    temperature = temperature_of(_Part(task.score, **part), held_out[stop])  # type: ignore[arg-type]
    return Outcome(held_out=held_out, test=test, temperature=temperature, loss=float("nan"))


@dataclass(frozen=True, slots=True)
class _Part:
    score: str
    y_train: Ints
    groups_train: Ints


def slower(windows: Floats, rate_hz: int) -> Floats:
    """Neighbouring samples averaged, from 500 Hz to a divisor of it."""
    step = 500 // rate_hz
    n_times = windows.shape[2] // step * step
    parts = windows[:, :, :n_times].reshape(*windows.shape[:2], -1, step)
    return parts.mean(axis=3)


def _train(network: Any, x: Floats, y: Ints, learn: Ints, stop: Ints, plan: NetworkPlan) -> None:
    import torch
    from torch.nn import functional as F

    x_all, y_all = torch.from_numpy(x), torch.from_numpy(y)
    counts = torch.bincount(y_all[learn], minlength=int(y.max()) + 1)
    weight = len(learn) / (len(counts) * counts.clamp(min=1)).float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-2)
    rng, began = np.random.default_rng(plan.seed), time.monotonic()
    best, kept, since = np.inf, None, 0
    for _ in range(plan.epochs):
        network.train()
        order = rng.permutation(learn)
        for rows in np.array_split(order, max(1, len(order) // plan.batch)):
            loss = F.cross_entropy(network(x_all[rows]), y_all[rows], weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scores = torch.from_numpy(_scores(network, x[stop]))
        now = float(F.cross_entropy(scores, y_all[stop], weight.double()))
        since += 1
        if now < best:
            best, since = now, 0
            kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if since > plan.patience or time.monotonic() - began > plan.limit_s:
            break
    if kept is not None:
        network.load_state_dict(kept)


def _scores(network: Any, x: Floats) -> Floats:
    import torch

    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(x[i : i + 64])) for i in range(0, len(x), 64)]
    return np.asarray(torch.cat(parts).double().numpy())
