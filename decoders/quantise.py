"""A student that trains as if it already ran in 8-bit integers.

`prepare` makes a copy of a student whose large matrices round their weights and their inputs to
the grid that an integer engine will use; the gradient passes the rounding as if it were not there
[1]_. The copy is a `Student` in every respect, so that distillation trains it, `Student.step`
streams it and `torch.export` writes it, with a quantise operation before every such matrix.

    prepared = prepare(student, QuantiseConfig())
    calibrate(prepared, batches)      # often enough; if it costs too much, train it as well
    freeze_ranges(prepared)           # before serving or exporting
    to_int8(prepared), strip(prepared)

Weights have one scale for each output, symmetric; inputs one scale for each matrix. Outliers of the
inputs may be moved into the weights first [2]_.

What is rounded: every matrix of the blocks and of the mixing layer; keys, values and output of the
gathering. What stays in floating point: the embeddings of patches, high gamma, position and
modality (the first layer), the readings of channels (the last), every norm, all softmaxes with the
products around them, the SiLU and the gate's product, all sums into the latents, and the keys and
values that a state keeps.

References
----------
.. [1] Jacob et al. Quantization and training of neural networks for efficient
   integer-arithmetic-only inference. CVPR, 2018.
.. [2] Xiao et al. SmoothQuant: accurate and efficient post-training quantization for large
   language models. ICML, 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..runtime.errors import ConfigError
from .corpus import Batch
from .fake_quant import FakeQuantLinear, QuantiseConfig, QuantisedLinear, Watch
from .student import Student
from .student_config import StudentConfig
from .student_layers import Block, SwiGlu

__all__ = [
    "FakeQuantLinear",
    "FakeQuantStudent",
    "QuantiseConfig",
    "QuantisedLinear",
    "calibrate",
    "empty_like",
    "freeze_ranges",
    "observing",
    "prepare",
    "ranges_of",
    "rounding_note",
    "strip",
    "to_int8",
]


class FakeQuantStudent(Student):
    """A student with every large matrix a `FakeQuantLinear`; made by `prepare`.

    Parameters
    ----------
    config : StudentConfig
        As for `Student`.
    quantise : QuantiseConfig
        How to round.
    """

    def __init__(self, config: StudentConfig, quantise: QuantiseConfig) -> None:
        super().__init__(config)
        self.quantise, self.watch = quantise, Watch()
        for name in _rounded_names(self):
            owner, _, last = name.rpartition(".")
            plain = cast(nn.Linear, self.get_submodule(name))
            by_channel = name.startswith("mix.") or name == "gather.kv"
            linear = FakeQuantLinear(
                plain.in_features, plain.out_features, quantise, self.watch, by_channel
            )
            setattr(self.get_submodule(owner), last, linear)

    def linears(self) -> dict[str, FakeQuantLinear]:
        """The rounded matrices by name."""
        return {name: m for name, m in self.named_modules() if isinstance(m, FakeQuantLinear)}

    def _usable_by_hop(self, x_uv: Tensor, usable: Tensor | None) -> Tensor:
        usable = super()._usable_by_hop(x_uv, usable)
        if self.watch.observing or (self.training and not self.watch.frozen):
            self.watch.usable = usable
        return usable


def prepare(
    student: Student,
    config: QuantiseConfig,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> FakeQuantStudent:
    """Copy a student into one that rounds.

    Parameters
    ----------
    student : Student
        A trained one, pruned or not. Not changed.
    config : QuantiseConfig
        How to round.
    ranges : mapping of str to (float, float), optional
        Ranges of the inputs as `ranges_of` gave them; otherwise `calibrate`, or train, next.

    Returns
    -------
    prepared : FakeQuantStudent
        In training mode if the student was. Rounding is done in float32: train it so.

    Raises
    ------
    ConfigError
        If the ranges are not those of this student's matrices.
    """
    weight = student.norm.weight
    prepared = FakeQuantStudent(student.config, config).to(weight.device, torch.float32)
    prepared.load_state_dict(strip(student).state_dict(), strict=False)
    linears = prepared.linears()
    if ranges is not None and set(ranges) != set(linears):
        odd = sorted(set(ranges) ^ set(linears))
        raise ConfigError(
            f"Ranges must be given for {len(linears)} matrices, got {len(ranges)}, and {odd[0]!r} "
            f"is on one side only: calibrate anew."
        )
    for name, (low, high) in (ranges or {}).items():
        linears[name].set_range(weight.new_tensor(low), weight.new_tensor(high))
        linears[name].count.fill_(1)
    return prepared.train(student.training)


@contextmanager
def observing(prepared: FakeQuantStudent) -> Iterator[None]:
    """Run in floating point meanwhile, and let the ranges follow what is heard.

    Parameters
    ----------
    prepared : FakeQuantStudent
        Its frozen ranges thaw.
    """
    prepared.watch.observing, prepared.watch.frozen = True, False
    try:
        yield
    finally:
        prepared.watch.observing, prepared.watch.usable = False, None


@torch.no_grad()
def calibrate(prepared: FakeQuantStudent, batches: Iterable[Batch]) -> None:
    """Find the ranges of all inputs; smooth first, if the configuration says so.

    Parameters
    ----------
    prepared : FakeQuantStudent
        Ranges found before are forgotten.
    batches : iterable of Batch
        Some hundred segments like those to be heard, artefacts and absent channels among them.

    Raises
    ------
    ConfigError
        If nothing finite was heard.
    """
    kept = list(batches)
    if prepared.quantise.smooth is not None:
        for linear in prepared.linears().values():
            linear.peaks = torch.zeros_like(linear.weight[0])
        _hear(prepared, kept)
        _smooth(prepared, prepared.quantise.smooth)
    _hear(prepared, kept)


def freeze_ranges(prepared: FakeQuantStudent) -> None:
    """Fix all steps, for serving, for export, or for the last part of training."""
    for linear in prepared.linears().values():
        linear.freeze()
    prepared.watch.frozen = True


def ranges_of(prepared: FakeQuantStudent) -> dict[str, tuple[float, float]]:
    """Ranges of the inputs by matrix, as JSON can hold them: `prepare` takes them back."""
    least, most = prepared.quantise.input_limits
    least = -most if prepared.quantise.symmetric else least
    found = {}
    for name, linear in prepared.linears().items():
        step, zero = float(linear.step().detach()), int(linear.zero)
        found[name] = (step * (least - zero), step * (most - zero))
    return found


def to_int8(prepared: FakeQuantStudent) -> dict[str, QuantisedLinear]:
    """Every rounded matrix in integers, by name."""
    return {name: linear.integers() for name, linear in prepared.linears().items()}


@torch.no_grad()
def strip(student: Student) -> Student:
    """A plain student with the rounded weights of a prepared one; inputs are not rounded.

    Parameters
    ----------
    student : Student
        Prepared; a plain one is copied.

    Returns
    -------
    plain : Student
        What `save_student` writes. With `ranges_of`, `prepare` makes the same rounding of it.
    """
    weights = student.state_dict()
    if isinstance(student, FakeQuantStudent):
        rounded = {f"{name}.weight": m.rounded_weight() for name, m in student.linears().items()}
        weights = {**weights, **rounded}
    plain = Student(student.config).to(student.norm.weight.device)
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    return plain.train(student.training)


def _rounded_names(student: Student) -> list[str]:
    """Names of the matrices to round."""
    names = [name for name, module in student.named_modules() if isinstance(module, nn.Linear)]
    gathering = ("gather.kv", "gather.out")
    return [name for name in names if name.startswith(("blocks.", "mix.")) or name in gathering]


def _hear(prepared: FakeQuantStudent, batches: Sequence[Batch]) -> None:
    """Find the ranges anew."""
    linears = prepared.linears()
    for linear in linears.values():
        linear.count.zero_()
    with observing(prepared):
        for batch in batches:
            prepared(batch.x, batch.usable, batch.positions, batch.modality)
    if not all(linear.count for linear in linears.values()):
        raise ConfigError(
            f"Calibration found nothing finite in {len(batches)} batches, needed is at least one "
            f"segment with a usable channel: draw more, and look for NaN."
        )


def _smooth(prepared: FakeQuantStudent, strength: float) -> None:
    """Shrink the features that reach far, and let the matrix that reads them grow.

    Factors are powers of two, so that in floating point not one bit of the output changes.
    """
    for source, reader in _sources(prepared):
        assert reader.peaks is not None  # calibrate set them
        moved = strength * reader.peaks.log2()
        moved = moved - (1 - strength) * reader.weight.abs().amax(0).log2()
        factor = torch.where(moved.isfinite(), moved, 0.0).round().clamp(-12, 12).exp2()
        source.div_(factor if source.ndim == 1 else factor[:, None])
        reader.weight.mul_(factor)
        reader.peaks = None


def _sources(prepared: FakeQuantStudent) -> Iterator[tuple[Tensor, FakeQuantLinear]]:
    """What scales each feature, and the matrix that alone reads it: a gain, or rows of weights."""
    mix, gather = prepared.mix, prepared.gather
    ffns = [(mix["norm"], cast(SwiGlu, mix["ffn"]))]
    found: list[tuple[Tensor, nn.Module]] = [
        (cast(Tensor, gather.norm.weight), gather.kv),
        (gather.kv.weight.chunk(2)[-1], gather.out),
    ]
    for block in (cast(Block, each) for each in prepared.blocks):
        found += [(block.norm1.weight, block.qkv), (block.qkv.weight.chunk(3)[-1], block.out)]
        ffns.append((block.norm2, block.ffn))
    for norm, ffn in ffns:
        found += [
            (cast(Tensor, norm.weight), ffn.gate_up),
            (ffn.gate_up.weight.chunk(2)[-1], ffn.down),
        ]
    for source, reader in found:
        yield source.data, cast(FakeQuantLinear, reader)


def empty_like(student: Student) -> Student:
    """Make a student of the same make, rounding if it does, with weights not yet set."""
    if isinstance(student, FakeQuantStudent):
        return FakeQuantStudent(student.config, student.quantise)
    return Student(student.config)


def rounding_note(student: Student) -> dict[str, Any]:
    """What a card says of rounding: settings and ranges; empty for a plain student."""
    if not isinstance(student, FakeQuantStudent):
        return {}
    ranges = {name: list(ends) for name, ends in ranges_of(student).items()}
    return {"quantisation": {"config": asdict(student.quantise), "ranges": ranges}}
