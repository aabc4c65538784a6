"""Checkpoints of a training run, whole or absent.

A checkpoint is a folder of safetensors files and a table of contents in JSON (``shards``), so
reading one cannot run code, and a run that was sharded over eight GPUs can go on with one.
(`torch.distributed.checkpoint` keeps its table of contents as a pickle, which is why it is not
used.)

It holds the weights, what the optimiser knows, running statistics and the step. Learning rate,
random states and the place in the data are functions of seed and step (``training``), so there is
nothing of them to keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from ..runtime.errors import BundleError, ConfigError
from .ranks import Ranks, own_rows
from .shards import Shards, retire, write_shards

_FORMAT = "diverloop-training-2"
_KEPT = 2  # the newest, and the one before it should a disk have lied


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a run stood when its checkpoint was written.

    Parameters
    ----------
    step : int
        Updates made.
    seconds : float
        Time spent so far.
    settings : mapping
        What the run depends on: it can go on only under the same.
    waiting : list of mapping
        Steps that are not yet in a row of the log.
    """

    step: int
    seconds: float
    settings: Mapping[str, Any]
    waiting: list[Mapping[str, float]] = field(default_factory=list)


_MARKED = tuple(one.name for one in fields(Mark))


def save_checkpoint(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    mark: Mark,
    ranks: Ranks,
    shard_bytes: int = 1 << 32,
) -> Path:
    """Write weights, optimiser state and step, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where checkpoints live; the two newest are kept.
    module : torch.nn.Module
        What is trained.
    optimizer : torch.optim.Optimizer
        Its optimiser.
    mark : Mark
        Where the run stands.
    ranks : Ranks
        Every process must call this; each writes a part, on a disk that they share.
    shard_bytes : int
        Largest file.

    Returns
    -------
    path : Path
        The new checkpoint, a folder.
    """
    path = folder / f"step-{mark.step:09d}"
    note = {"format": _FORMAT, **asdict(mark)}
    write_shards(path, _named_state(module, optimizer), note, ranks, shard_bytes)
    if ranks.rank == 0:
        for old in checkpoints(folder)[_KEPT:]:
            retire(old)
    ranks.wait()
    return path


def _named_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Every tensor of model and optimiser, by name, in the same order on every process."""
    state = {f"model/{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for kind, value in optimizer.state.get(parameter, {}).items():
            state[f"{kind}/{name}"] = value
    return state


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, the newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def read_mark(path: Path) -> Mark:
    """Read where a run stood.

    Raises
    ------
    BundleError
        If the folder is not a checkpoint, or a damaged one.
    """
    return _mark(Shards(path))


def _mark(shards: Shards) -> Mark:
    note = shards.index.note
    try:
        if note["format"] != _FORMAT:
            raise ValueError(f"its format is {note['format']!r}, this version reads {_FORMAT!r}")
        return msgspec.convert({key: note[key] for key in _MARKED}, Mark)
    except (KeyError, ValueError) as error:
        raise BundleError(
            f"{shards.path} cannot be read as a checkpoint of diverloop ({error}): delete it, the "
            f"run goes on from the one before."
        ) from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a checkpoint, put together and checked by their hashes.

    Parameters
    ----------
    path : Path
        As `TrainReport.checkpoint` gives it.

    Returns
    -------
    state : dict of str to torch.Tensor
        For `torch.nn.Module.load_state_dict`; on the CPU, not sharded.

    Raises
    ------
    BundleError
        If the folder is not a checkpoint, a shard is missing, or one has been altered.
    """
    shards = Shards(path)
    _mark(shards)
    shards.verify()
    return {
        name.removeprefix("model/"): shards.whole(name)
        for name in shards.index.tensors
        if name.startswith("model/")
    }


def newest_checkpoint(
    folder: Path, settings: Mapping[str, Any], ranks: Ranks
) -> tuple[Path, Mark] | None:
    """Find where to go on.

    Parameters
    ----------
    folder : Path
        Where checkpoints live.
    settings : mapping
        What this run depends on.
    ranks : Ranks
        Every process must call this; each compares the hashes of a part of the shards.

    Returns
    -------
    found : tuple of (Path, Mark), optional
        The newest checkpoint that is whole; None to begin at the beginning.

    Raises
    ------
    ConfigError
        If it belongs to another run.
    BundleError
        If there are checkpoints and none is whole.
    """
    damaged: BundleError | None = None
    for path in checkpoints(folder):
        error: BundleError | None = None
        try:
            shards = Shards(path)
            mark = _mark(shards)
            _refuse_another(path, mark.settings, settings)
            shards.verify(ranks.rank, ranks.n)
        except BundleError as found:
            error = found
        # All go on from the same one, whoever saw the damage.
        if not ranks.mean([float(error is not None)])[0]:
            return path, mark
        damaged = (
            damaged
            or error
            or BundleError(f"{path} is damaged, as another process saw: delete it.")
        )
    if damaged is not None:
        raise damaged
    older = sorted(folder.glob("step-*.safetensors"))
    if older:
        raise ConfigError(
            f"{older[-1]} was written by an earlier version, as a single file: finish the run "
            f"with that version, or choose another folder."
        )
    return None


def _refuse_another(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    was = dict(_flat("", theirs))
    now = dict(_flat("", json.loads(json.dumps(ours))))  # tuples become lists, as on disk
    for name in [*now, *was]:
        if was.get(name) != now.get(name):
            raise ConfigError(
                f"{path} belongs to another run ({name} was {_short(was.get(name))}, now "
                f"{_short(now.get(name))}): choose another folder, or the same settings to go on."
            )


def _flat(prefix: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put weights and optimiser state back where they were; a process reads what it will hold.

    Parameters
    ----------
    path : Path
        A checkpoint of the same model: see `newest_checkpoint`.
    module : torch.nn.Module
        What is trained; may be sharded, in another way than before.
    optimizer : torch.optim.Optimizer
        Its optimiser, without state.
    """
    shards = Shards(path)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            _fill(tensor, shards, f"model/{name}")
        kept: dict[str, list[str]] = {}
        for key in shards.index.tensors:
            kind, name = key.split("/", 1)
            if kind != "model":
                kept.setdefault(name, []).append(kind)
        for name, parameter in module.named_parameters():
            for kind in kept.get(name, ()):
                key = f"{kind}/{name}"
                if kind == "step":
                    # AdamW keeps its step on the CPU, unless it is fused.
                    fused = optimizer.defaults.get("fused")
                    value = shards.whole(key).to(parameter.device if fused else "cpu")
                else:
                    value = torch.zeros_like(parameter)
                    _fill(value, shards, key)
                optimizer.state[parameter][kind] = value


def _fill(tensor: torch.Tensor, shards: Shards, key: str) -> None:
    """Read into a tensor what this process holds of it."""
    own = own_rows(tensor)
    if own is None:
        tensor.copy_(shards.whole(key))
    elif len(own[1]):
        own[1].copy_(shards.rows(key, own[0], own[0] + len(own[1])))
