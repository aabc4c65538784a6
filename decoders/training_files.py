"""Checkpoints of a training run, whole or absent.

A checkpoint is one safetensors file, so reading one cannot run code, and a run that was sharded
over eight GPUs can go on with one. (`torch.distributed.checkpoint` keeps its table of contents as
a pickle, which is why it is not used.) Sharded tensors are put together one at a time on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from ..runtime.errors import BundleError, ConfigError
from ..runtime.json_text import parsed_json
from .ranks import Ranks, cut_like, whole
from .whole_files import whole_file

_FORMAT = "diverloop-training-1"
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
    """

    step: int
    seconds: float
    settings: Mapping[str, Any]


def save_checkpoint(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, mark: Mark, ranks: Ranks
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
        Every process must call this; number 0 writes.

    Returns
    -------
    path : Path
        The new checkpoint.
    """
    path = folder / f"step-{mark.step:09d}.safetensors"
    arrays: dict[str, torch.Tensor] = {}
    for name, tensor in _named_state(module, optimizer).items():
        full = whole(tensor)
        if ranks.rank == 0:
            arrays[name] = full
    if ranks.rank == 0:
        note = {"format": _FORMAT, "step": mark.step, "seconds": mark.seconds}
        text = json.dumps({**note, "settings": dict(mark.settings)})
        with whole_file(path) as draft:
            safetensors.torch.save_file(arrays, draft, {"training": text})
        for old in checkpoints(folder)[_KEPT:]:
            old.unlink(missing_ok=True)
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
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def read_mark(path: Path) -> Mark:
    """Read where a run stood.

    Raises
    ------
    BundleError
        If the file is not a checkpoint, or a damaged one.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            note = parsed_json((file.metadata() or {})["training"])
        if note["format"] != _FORMAT:
            raise KeyError(note["format"])
        return Mark(step=note["step"], seconds=note["seconds"], settings=note["settings"])
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise BundleError(
            f"{path} cannot be read as a checkpoint of diverloop ({error}): delete it, the run "
            f"goes on from the one before."
        ) from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a checkpoint.

    Parameters
    ----------
    path : Path
        As `TrainReport.checkpoint` gives it.

    Returns
    -------
    state : dict of str to torch.Tensor
        For `torch.nn.Module.load_state_dict`; on the CPU, not sharded.
    """
    read_mark(path)
    with safetensors.safe_open(path, framework="pt") as file:
        return {
            name.removeprefix("model/"): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118 - not a dict
            if name.startswith("model/")
        }


def newest_checkpoint(folder: Path, settings: Mapping[str, Any]) -> tuple[Path, Mark] | None:
    """Find where to go on.

    Parameters
    ----------
    folder : Path
        Where checkpoints live.
    settings : mapping
        What this run depends on.

    Returns
    -------
    found : tuple of (Path, Mark), optional
        The newest checkpoint that can be read; None to begin at the beginning.

    Raises
    ------
    ConfigError
        If it belongs to another run.
    BundleError
        If there are checkpoints and none can be read.
    """
    damaged: BundleError | None = None
    for path in checkpoints(folder):
        try:
            mark = read_mark(path)
        except BundleError as error:
            damaged = damaged or error
            continue
        _refuse_another(path, mark.settings, settings)
        return path, mark
    if damaged is not None:
        raise damaged
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
    """Put weights and optimiser state back where they were.

    Parameters
    ----------
    path : Path
        A checkpoint of the same model: see `newest_checkpoint`.
    module : torch.nn.Module
        What is trained; may be sharded, in another way than before.
    optimizer : torch.optim.Optimizer
        Its optimiser, without state.
    """
    with safetensors.safe_open(path, framework="pt") as file, torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(cut_like(file.get_tensor(f"model/{name}"), tensor))
        kept: dict[str, list[str]] = {}
        for key in file.keys():  # noqa: SIM118 - not a dict
            kind, name = key.split("/", 1)
            if kind != "model":
                kept.setdefault(name, []).append(kind)
        for name, parameter in module.named_parameters():
            for kind in kept.get(name, ()):
                value = file.get_tensor(f"{kind}/{name}")
                if kind != "step":
                    value = cut_like(value, parameter)
                elif optimizer.defaults.get("fused"):  # else AdamW keeps its step on the CPU
                    value = value.to(parameter.device)
                optimizer.state[parameter][kind] = value
