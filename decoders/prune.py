"""A smaller student from a trained one: whole attention heads and hidden units are taken out.

What is left is a plain `Student` with fewer weights, faster on any machine without sparse
arithmetic. Every kept weight is copied as it is. How much each part matters is told by what it adds
to the latents [1]_. Distil again afterwards, starting from the pruned student:
``distill(..., student=pruned)``.

Only the causal blocks are pruned. The latents, the gathering of channels and the tokens keep their
size, so an adapter that reads the embedding still fits.

References
----------
.. [1] Michel, Levy, Neubig. Are sixteen heads really better than one? NeurIPS, 2019.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.errors import ConfigError
from .corpus import Batch
from .student import Student
from .student_config import HEAD_DIM
from .student_layers import Block

Scores = tuple[NDArray[np.float64], ...]

UNITS_TOGETHER = 16
"""Hidden units are kept in multiples of this: what vector units and int8 kernels like."""

LEAST_UNITS = 32
"""Hidden units that a layer keeps at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much each part of a student matters; only the order counts, within a kind.

    Parameters
    ----------
    heads : tuple of ndarray, each of shape (n_heads,)
        Of each layer's attention heads, 0 or more.
    units : tuple of ndarray, each of shape (ffn,)
        Of each layer's hidden units, 0 or more.
    """

    heads: Scores
    units: Scores


@torch.no_grad()
def importance_of(student: Student, batches: Iterable[Batch]) -> Importance:
    """What each part adds to the latents of its layer.

    Parameters
    ----------
    student : Student
        Whose parts are weighed.
    batches : iterable of Batch
        Recordings like those that the student will hear.

    Returns
    -------
    importance : Importance
        Mean square of what a head or a hidden unit adds to the latents of its layer.

    Raises
    ------
    ConfigError
        If there is no batch.
    """
    blocks = _blocks(student)
    heads = [block.out.weight.new_zeros(_n_heads(block)) for block in blocks]
    units = [block.ffn.down.weight.new_zeros(block.ffn.down.in_features) for block in blocks]
    hooks = []
    for block, of_heads, of_units in zip(blocks, heads, units, strict=True):
        hooks.append(block.out.register_forward_pre_hook(_adding(of_heads, _energy_of_heads)))
        hooks.append(block.ffn.down.register_forward_pre_hook(_adding(of_units, _energy_of_units)))
    n_batches = 0
    try:
        for batch in batches:
            student(batch.x, batch.usable, batch.positions, batch.modality)
            n_batches += 1
    finally:
        for hook in hooks:
            hook.remove()
    _check_batches(n_batches)
    return Importance(
        heads=tuple(_scores(total / n_batches) for total in heads),
        units=tuple(_scores(total / n_batches) for total in units),
    )


def prune(student: Student, importance: Importance, keep: float = 0.6) -> Student:
    """A copy of a student without its least important heads and hidden units.

    Parameters
    ----------
    student : Student
        A plain one: prune before quantising. Not changed.
    importance : Importance
        Of this very student.
    keep : float
        Share of all heads, and of all hidden units, to keep, in (0, 1). Each kind is ranked over
        all layers at once, so that some layers lose more than others.

    Returns
    -------
    pruned : Student
        With `StudentConfig.n_heads` and `StudentConfig.ffn` set. A layer keeps at least one head
        and `LEAST_UNITS` hidden units, and hidden units in multiples of `UNITS_TOGETHER`.

    Raises
    ------
    ConfigError
        If `keep` is out of range, the importance does not fit the student or is not finite, or
        the student's matrices are not plain ones.
    """
    if not 0 < keep < 1:
        raise ConfigError(f"keep must be in (0, 1), got {keep:g}: 0.6 is a good start.")
    blocks = _blocks(student)
    _check_fit(blocks, importance)
    heads = _best(importance.heads, keep, together=1, least=1)
    units = _best(importance.units, keep, together=UNITS_TOGETHER, least=LEAST_UNITS)
    pruned = copy.deepcopy(student)
    for block, kept_heads, kept_units in zip(_blocks(pruned), heads, units, strict=True):
        _narrow_block(block, kept_heads, kept_units)
    pruned.config = replace(
        student.config,
        n_heads=tuple(len(kept) for kept in heads),
        ffn=tuple(len(kept) for kept in units),
    )
    return pruned


def _best(scores: Scores, keep: float, together: int, least: int) -> list[NDArray[np.intp]]:
    """Which entries of each layer to keep, in their old order.

    The entries of a layer are ranked and cut into groups; groups compete over all layers. As the
    groups of a layer only get weaker, what wins is always the front of its ranking.
    """
    order = [np.argsort(-layer, kind="stable") for layer in scores]
    groups = [
        layer[rank][: len(layer) // together * together].reshape(-1, together).sum(1)
        for layer, rank in zip(scores, order, strict=True)
    ]
    forced = [min(-(-least // together), len(layer)) for layer in groups]
    rivals = sorted(
        (-float(value), place)
        for place, layer in enumerate(groups)
        for value in layer[forced[place] :]
    )
    wanted = round(keep * sum(len(layer) for layer in scores) / together)
    counts = list(forced)
    for _, place in rivals[: max(0, wanted - sum(forced))]:
        counts[place] += 1
    sizes = [
        # A layer that is already smaller than one group is left as it is.
        count * together if len(layer) >= max(together, least) else len(layer)
        for count, layer in zip(counts, scores, strict=True)
    ]
    return [np.sort(rank[:size]) for rank, size in zip(order, sizes, strict=True)]


def _narrow_block(block: Block, heads: NDArray[np.intp], units: NDArray[np.intp]) -> None:
    """Keep only these heads and hidden units."""
    features = (heads[:, None] * HEAD_DIM + np.arange(HEAD_DIM)).ravel()
    _narrow(block.qkv, rows=_of_each(3, block.qkv, features))
    _narrow(block.out, columns=features)
    kept = torch.from_numpy(heads).to(block.age_bias.device)
    block.age_bias = nn.Parameter(block.age_bias.detach()[kept], block.age_bias.requires_grad)
    _narrow(block.ffn.gate_up, rows=_of_each(2, block.ffn.gate_up, units))
    _narrow(block.ffn.down, columns=units)


def _of_each(n: int, linear: nn.Linear, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same rows of each of `n` matrices that stand on top of each other."""
    firsts = np.arange(n) * (linear.out_features // n)
    return (firsts[:, None] + rows).ravel()


def _narrow(
    linear: nn.Linear,
    rows: NDArray[np.intp] | None = None,
    columns: NDArray[np.intp] | None = None,
) -> None:
    weight = linear.weight.detach()
    for axis, kept in enumerate((rows, columns)):
        if kept is not None:
            weight = weight.index_select(axis, torch.from_numpy(kept).to(weight.device))
    linear.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)
    linear.out_features, linear.in_features = weight.shape


def _blocks(student: Student) -> list[Block]:
    return [cast(Block, block) for block in student.blocks]


def _linears(block: Block) -> tuple[nn.Linear, ...]:
    ffn = block.ffn
    return block.qkv, block.out, ffn.gate_up, ffn.down


def _n_heads(block: Block) -> int:
    return block.out.in_features // HEAD_DIM


def _adding(
    total: Tensor, energy: Callable[[nn.Linear, Tensor], Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook that adds up what goes into a matrix."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        total.add_(energy(cast(nn.Linear, module), inputs[0].flatten(0, -2)))

    return hook


def _energy_of_heads(out: nn.Linear, x: Tensor) -> Tensor:
    """Mean square of what each head adds, from x (n, n_heads * 32)."""
    by_head = out.weight.reshape(len(out.weight), -1, HEAD_DIM)  # (width, n_heads, 32)
    added = torch.einsum("nhi,whi->nhw", x.reshape(len(x), -1, HEAD_DIM), by_head)
    return added.square().mean(dim=(0, 2))


def _energy_of_units(down: nn.Linear, x: Tensor) -> Tensor:
    """Mean square of what each hidden unit adds, from x (n, ffn)."""
    return x.square().mean(0) * down.weight.square().mean(0)


def _scores(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().numpy().astype(np.float64)


def _check_batches(n_batches: int) -> None:
    if not n_batches:
        raise ConfigError("Importance needs at least 1 batch, got 0: draw some from a corpus.")


def _check_fit(blocks: Sequence[Block], importance: Importance) -> None:
    """The importance is that of this student, and the student can be pruned."""
    wanted = [[_n_heads(block) for block in blocks]]
    wanted += [[block.ffn.down.in_features for block in blocks]]
    found = [[len(layer) for layer in kind] for kind in (importance.heads, importance.units)]
    if found != wanted:
        raise ConfigError(
            f"The importance is of layers with {found[0]} heads and {found[1]} hidden units, the "
            f"student has {wanted[0]} and {wanted[1]}: estimate it again for this student."
        )
    if not all(np.isfinite(layer).all() for layer in (*importance.heads, *importance.units)):
        raise ConfigError(
            "The importance holds NaN or infinity, allowed are finite numbers: look for a "
            "batch that is not finite."
        )
    kinds = {type(linear) for block in blocks for linear in _linears(block)}
    if kinds != {nn.Linear}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds - {nn.Linear}))
        raise ConfigError(
            f"A student is pruned before it is quantised, got matrices of kind {names}: use "
            f"`strip` first."
        )
