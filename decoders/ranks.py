"""One process among several that train the same model: who it is, and what the others have.

`torchrun` starts the processes and tells each its number through the environment. Without it there
is one process, number 0, and everything here is a matter of course.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

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


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Run a block with what `join` returns."""
    yield join(device)


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
    """Shard each block of every list of blocks by itself, then what is left."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.n,))
    for part in list(together.modules()):
        if isinstance(part, nn.ModuleList):
            for block in part:
                fully_shard(block, mesh=mesh)
    fully_shard(together, mesh=mesh, reshard_after_forward=False)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the CPU, put together if it is sharded; every process must call it."""
    from torch.distributed.tensor import DTensor

    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().to("cpu", copy=True).contiguous()


def cut_like(full: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Bring a whole tensor where ``like`` is, cut into the same shards.

    Parameters
    ----------
    full : torch.Tensor
        The same on every process.
    like : torch.Tensor
        Plain or sharded.

    Returns
    -------
    tensor : torch.Tensor
        This process's part of it.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    moved = full.to(like.device, like.dtype)
    if not isinstance(like, DTensor):
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements)
