"""A student's step as an ONNX graph: fixed rows, fixed shapes, the state going in and out.

A fitted model knows its electrodes, so their places and the modality are constants of the graph,
and there is nothing to pad: its rows are its bucket, and a row that is absent is masked. ::

    hop_uv (rows, hop), usable (rows), state...  -->  embedding (features), next state...

The graph carries the card of the model, its hash and the hash of the student's weights in its own
metadata. It needs nothing but standard operators of one pinned set.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...runtime.errors import ConfigError
from ..student import Student, StudentState
from .step_shape import ABOUT, INPUTS, OPSET, StepShape


class Step(nn.Module):
    """One hop of one stream, with the electrodes folded in.

    Parameters
    ----------
    student : Student
        In eval mode.
    places : Tensor, shape (1, n_rows, 3)
        Electrodes in millimetres, NaN where unknown.
    modality : int
        0 EEG, 1 iEEG.
    """

    def __init__(self, student: Student, places: Tensor, modality: int) -> None:
        super().__init__()
        self.student = student
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("modality", torch.tensor([modality]), persistent=False)
        self.places: Tensor
        self.modality: Tensor

    def forward(
        self, hop_uv: Tensor, usable: Tensor, tail: Tensor, heard: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Embedding, then the next state in the order of the inputs.

        The state keeps its batch axis of one: to take it off would copy every tensor.
        """
        half = len(past) // 2
        state = StudentState(tail, past[:half], past[half:], heard)
        embedding, state = self.student.step(
            hop_uv[None], state, usable[None], self.places, self.modality
        )
        return (embedding.flatten(), state.tail, state.heard, *state.keys, *state.values)


def export_step(step: Step, about: Mapping[str, Any]) -> bytes:
    """Write a student's step as ONNX.

    Parameters
    ----------
    step : Step
        What to write; 32-bit floating point.
    about : mapping
        Goes into the graph's metadata; what JSON can hold.

    Returns
    -------
    model : bytes
        A checked ONNX file.

    Raises
    ------
    ConfigError
        If the libraries that export are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch asks for it much later, and in other words
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Compiling needs the library {error.name!r}, which is not installed: "
            f"pip install 'diverloop[compile]'."
        ) from error
    shape = StepShape.of(step.student.config, step.places.shape[1])
    inputs = tuple(torch.zeros(dims, dtype=_TYPES[kind]) for dims, kind in shape.inputs.values())
    with _quietly(), sdpa_kernel(SDPBackend.MATH), torch.inference_mode():
        program = torch.onnx.export(
            step.eval(),
            inputs,
            input_names=list(shape.inputs),
            output_names=list(shape.outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            external_data=False,
        )
    model = cast(Any, program).model_proto
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {ABOUT: json.dumps(dict(about), sort_keys=True)})
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter warns of its own future, and of operators that nobody here uses."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


_TYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


def _strip(model: Any) -> None:
    """Leave out where in somebody's source every node came from: a third of the file's text."""
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    assert [one.name for one in model.graph.input][: len(INPUTS)] == list(INPUTS)
