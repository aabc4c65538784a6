"""One process among several that train the same model: who it is, and what the others have.

`torchrun` starts the processes and tells each its number through the environment. Without it there
is one process, number 0, and everything here is a matter of course.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The own process among its peers.

    Parameters
    ----------
    rank : int
        Number of this process; 0 is the one that writes and speaks.
    n : int
        How many there are.
    device : torch.device
        Where this process computes.
    """

    rank: int
    n: int
    device: torch.device

    def mean(self, values: Sequence[float]) -> list[float]:
        """Average numbers over the processes; every process must call it, with as many numbers."""
        if self.n == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(shared)
        return [float(value) / self.n for value in shared.tolist()]

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Add up a tensor over the processes; every process must call it, with the same shape."""
        if self.n == 1:
            return sums
        shared = sums.to(self.device, copy=True)
        distributed.all_reduce(shared)
        return shared

    def wait(self) -> None:
        """Go on when every process has come this far."""
        if self.n > 1:
            distributed.barrier()


def join(device: str = "auto") -> Ranks:
    """Join the processes that `torchrun` started; the connection lasts until this process ends.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where to compute: NCCL connects GPUs, gloo connects CPUs.

    Returns
    -------
    ranks : Ranks
        This process and its peers; the same ones at every call.

    Raises
    ------
    ConfigError
        If a GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device is 'cuda' and torch sees no GPU: install torch for CUDA, or use device 'cpu'."
        )
    rank, n = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    here = torch.device("cpu")
    if device != "cpu" and torch.cuda.is_available():
        here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(here)
    if n > 1 and not distributed.is_initialized():
        # Not closed sooner: torch cannot open a second connection through the same torchrun.
        distributed.init_process_group("nccl" if here.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Ranks(rank=rank, n=n, device=here)


class Together(nn.Module):
    """A module, and calls that are run inside its forward pass.

    DDP and FSDP do their work around ``forward``. A loss that uses several parts of a model, one
    after the other, is therefore computed by a function that is called from within it.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, call: Callable[[nn.Module], Any]) -> Any:
        """Return ``call(module)``."""
        return call(self.module)


class Spread:
    """A module spread over the processes.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained, on its device. With ``"fsdp"`` its parameters become shards.
    ranks : Ranks
        The processes.
    sharding : {"ddp", "fsdp"}
        Each process holds all of the model, or a part.
    """

    def __init__(self, module: nn.Module, ranks: Ranks, sharding: str) -> None:
        self._together: nn.Module = Together(module)
        self._ddp: DistributedDataParallel | None = None
        self._sharded = ranks.n > 1 and sharding == "fsdp"
        if self._sharded:
            _shard(self._together, ranks)
        elif ranks.n > 1:
            # A batch without positions leaves a table unused on one process and not on another.
            self._ddp = DistributedDataParallel(self._together, find_unused_parameters=True)

    def __call__(self, call: Callable[[nn.Module], Any]) -> Any:
        """Run ``call(module)`` so that its gradients are shared."""
        return (self._ddp or self._together)(call)

    def look(self, call: Callable[[nn.Module], Any]) -> Any:
        """Run ``call(module)`` without gradients; every process must do so."""
        with torch.no_grad():
            return self._together(call)

    def holding_back(self, hold: bool) -> AbstractContextManager[None]:
        """While the block lasts, gradients are added up here and not shared, if ``hold``."""
        if self._sharded:
            self._together.set_requires_gradient_sync(not hold)  # type: ignore[operator]
            return nullcontext()
        if self._ddp is not None and hold:
            return self._ddp.no_sync()
        return nullcontext()


def _shard(together: nn.Module, ranks: Ranks) -> None:
    """Shard each block of every list of blocks by itself, then what is left.

    A shard is put together while its block's forward pass runs, and not before: a module whose
    blocks are looked into from outside says ``sharded_as_one``.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.n,))
    parts = list(together.modules())
    as_one = {
        id(inner) for part in parts if getattr(part, "sharded_as_one", False)
        for inner in part.modules()
    }  # fmt: skip
    for part in parts:
        if isinstance(part, nn.ModuleList) and id(part) not in as_one:
            for block in part:
                fully_shard(block, mesh=mesh)
    fully_shard(together, mesh=mesh, reshard_after_forward=False)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Put a tensor together if it is sharded; every process must call it."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own_rows(tensor: torch.Tensor) -> tuple[int, torch.Tensor] | None:
    """Find what this process alone holds of a tensor that is cut along its first dimension.

    Parameters
    ----------
    tensor : torch.Tensor
        Plain, or sharded as FSDP does it.

    Returns
    -------
    found : tuple of (int, Tensor) or None
        First row and rows, which are not copied; None if every process holds all of the tensor,
        or it is cut in another way.
    """
    from torch.distributed.tensor import DTensor, Shard

    if not isinstance(tensor, DTensor) or tensor.placements != (Shard(0),):
        return None
    size = -(-tensor.shape[0] // tensor.device_mesh.size())  # as torch.chunk cuts
    first = min(tensor.device_mesh.get_local_rank() * size, tensor.shape[0])
    return first, tensor.to_local()


@runtime_checkable
class Gathering(Protocol):
    """A part of a model that learns statistics from what passes through it.

    Batches of an update are seen by several processes, in no order. What they add up to is
    learnt once, when the update is made, so that it does not matter who saw what.
    """

    def take_sums(self) -> torch.Tensor:
        """Sums over the batches since the last call, in float64."""

    def learn(self, sums: torch.Tensor) -> None:
        """Learn from the sums of all processes."""


def learn_together(module: nn.Module, ranks: Ranks) -> None:
    """Let every part that gathers statistics learn from what all processes saw.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained.
    ranks : Ranks
        The processes; each must call this.
    """
    parts = [part for part in module.modules() if isinstance(part, Gathering)]
    if not parts:
        return
    sums = [part.take_sums() for part in parts]
    total = ranks.total(torch.cat(sums))
    for part, own in zip(parts, total.split([len(one) for one in sums]), strict=True):
        part.learn(own)
