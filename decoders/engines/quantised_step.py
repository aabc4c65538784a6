"""A student's step in 8-bit integers, made from its 32-bit graph after training.

Rounded are the large matrices of the mixing layer, the gathering and the blocks, as `quantise`
rounds them in training. In the graph these are the products with a constant matrix that have a
layer norm before them and another behind: the embeddings of patches have none before, the readings
of channels none behind. Everything else stays in floating point, the state included.

- `quantise_step` finds the range of every input beforehand, on a stream of hops, and writes
  quantise and dequantise operations [1]_, which every engine reads. A weight has 7 bits: where a
  processor adds two products in 16 bits no sum of them can overflow, which it would not report.
- `quantise_by_hop` finds the range of every input anew in every hop. Nothing has to be heard
  beforehand and no artefact is out of range, but it is made for ONNX Runtime; TensorRT does not
  read it.
- `fold_weights` makes the step of a student that was *trained* with rounding as small as these:
  its exported graph holds 32-bit weights and rounds them when it runs.

References
----------
.. [1] Jacob et al. Quantization and training of neural networks for efficient
   integer-arithmetic-only inference. CVPR, 2018.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import ConfigError, EngineError
from .engine import Bools, Hop
from .step_shape import StepShape, refuse_difference

_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # shapes are known: no advice, please


def quantise_step(
    model: bytes,
    shape: StepShape,
    hops: Iterable[tuple[Hop, Bools]],
    *,
    symmetric: bool = False,
) -> bytes:
    """Round the large matrices of a step to integers; ranges are those of a stream.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote of a plain student.
    shape : StepShape
        Its interface.
    hops : iterable of (ndarray of float32, ndarray of bool)
        A stream as it will be heard, artefacts and absent rows included, for example that of
        `calibration_hops`: hops of shape (n_rows, hop) in microvolts, and which rows are there.
        Some hundred are enough.
    symmetric : bool
        Inputs in signed integers around zero, as TensorRT needs them; otherwise unsigned, with a
        zero point.

    Returns
    -------
    quantised : bytes
        A checked ONNX file of the same interface and metadata.

    Raises
    ------
    ConfigError
        If there is no hop, one has another shape or is not finite, or a library is missing.
    EngineError
        If the model is not the step of a plain student of this shape.
    """
    _, ort, quantization = _libraries()
    graph = _read(model)
    _check_interface(graph, shape)
    names = rounded_products(graph)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    stream = _Stream(session, shape, hops)
    kind = quantization.QuantType.QInt8 if symmetric else quantization.QuantType.QUInt8

    def write(path: Path) -> None:
        quantization.quantize_static(
            graph,
            path,
            stream,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
            activation_type=kind,
            weight_type=quantization.QuantType.QInt8,
            calibration_providers=["CPUExecutionProvider"],
            extra_options={
                "ActivationSymmetric": symmetric,
                # What leaves a product goes into a norm or a sum, in floating point.
                "OpTypesToExcludeOutputQuantization": ["MatMul"],
            },
        )

    return _written(graph, write)


def quantise_by_hop(model: bytes) -> bytes:
    """Round the large matrices of a step to integers; ranges are those of each hop.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote of a plain student.

    Returns
    -------
    quantised : bytes
        A checked ONNX file of the same interface and metadata.

    Raises
    ------
    ConfigError
        If a library is missing.
    EngineError
        If the model is not the step of a plain student.
    """
    _, _, quantization = _libraries()
    graph = _read(model)
    names = rounded_products(graph)

    def write(path: Path) -> None:
        quantization.quantize_dynamic(
            graph,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
        )

    return _written(graph, write)


def fold_weights(model: bytes) -> bytes:
    """Keep as integers the weights that a graph would round in every hop.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote of a `FakeQuantStudent` whose ranges are frozen.

    Returns
    -------
    folded : bytes
        A checked ONNX file of the same interface, metadata and rounding.

    Raises
    ------
    ConfigError
        If a library is missing.
    EngineError
        If the model is no step that rounds weights.
    """
    onnx, _, _ = _libraries()
    graph = _read(model)
    constants = {one.name: one for one in graph.graph.initializer}
    rounding = [
        node
        for node in graph.graph.node
        if node.op_type == "QuantizeLinear" and set(node.input) <= set(constants)
    ]
    if not rounding:
        raise EngineError(
            "The step rounds no weights, needed is that of a student made by `prepare`: use "
            "`quantise_step` for a plain one."
        )
    for node in rounding:
        _fold(onnx, graph.graph, node, constants)
    _drop_unused(graph.graph)
    return _checked(onnx, graph)


def rounded_products(graph: Any) -> list[str]:
    """Names of the products to round, in order.

    Parameters
    ----------
    graph : onnx.ModelProto
        The step of a plain student.

    Returns
    -------
    names : list of str
        Of nodes that multiply by a constant matrix, between two layer norms.

    Raises
    ------
    EngineError
        If there is none.
    """
    matrices = {one.name for one in graph.graph.initializer if len(one.dims) == 2}
    behind: set[str] = set()  # values that a norm went into
    for node in graph.graph.node:
        if node.op_type == "LayerNormalization" or behind.intersection(node.input):
            behind.update(node.output)
    before: set[str] = set()  # values that go into a norm
    for node in reversed(graph.graph.node):
        if node.op_type == "LayerNormalization" or before.intersection(node.output):
            before.update(node.input)
    found = [
        node.name
        for node in graph.graph.node
        if node.op_type == "MatMul"
        and node.input[1] in matrices
        and node.input[0] in behind
        and node.output[0] in before
    ]
    if not found:
        raise EngineError(
            "The compiled step has no product that may be rounded, needed is one of a plain "
            "student: a rounded one is not rounded again."
        )
    return found


# --- ranges ------------------------------------------------------------------------------------


class _Stream:
    """What `quantize_static` reads: hops with the state that the hops before them have left."""

    def __init__(self, session: Any, shape: StepShape, hops: Iterable[tuple[Hop, Bools]]) -> None:
        self._session, self._shape, self._hops = session, shape, iter(hops)
        self._names = [one.name for one in session.get_outputs()]
        self._state: dict[str, Any] = dict(shape.empty_state())
        self._n_heard = 0

    def get_next(self) -> dict[str, Any] | None:
        """Inputs of the next hop, None at the end."""
        heard = next(self._hops, None)
        if heard is None:
            if not self._n_heard:
                raise ConfigError(
                    "Calibration got no hop, needed are some hundred: give it windows of signal."
                )
            return None
        hop_uv, usable = self._checked(*heard)
        inputs = {"hop_uv": hop_uv, "usable": usable, **self._state}
        said = dict(zip(self._names, self._session.run(None, inputs), strict=True))
        self._state = {name: said[f"next_{name}"] for name in self._shape.state}
        self._n_heard += 1
        return inputs

    def _checked(self, hop_uv: Hop, usable: Bools) -> tuple[Hop, Bools]:
        hop_uv, usable = np.asarray(hop_uv, np.float32), np.asarray(usable, np.bool_)
        wanted = self._shape.inputs["hop_uv"][0]
        if hop_uv.shape != wanted or usable.shape != wanted[:1]:
            raise ConfigError(
                f"Calibration hop {self._n_heard} has shapes {hop_uv.shape} and {usable.shape}, "
                f"the step needs {wanted} and {wanted[:1]}: cut it for this model."
            )
        if not np.isfinite(hop_uv[usable]).all():
            raise ConfigError(
                f"Calibration hop {self._n_heard} holds NaN or infinity in a usable row, allowed "
                f"are finite numbers: say that the row is absent."
            )
        return hop_uv, usable


# --- ONNX ----------------------------------------------------------------------------------------


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxruntime.quantization
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Rounding to integers needs the library {error.name!r}, which is not installed: "
            f"pip install 'diverloop[compile]'."
        ) from error
    return onnx, onnxruntime, onnxruntime.quantization


def _read(model: bytes) -> Any:
    onnx, _, _ = _libraries()
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_from_string(model)
    except DecodeError as error:
        raise EngineError(
            f"The compiled step ({len(model)} bytes) is no ONNX file: compile it again."
        ) from error


def _check_interface(graph: Any, shape: StepShape) -> None:
    found = {
        one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim)
        for one in graph.graph.input
    }
    refuse_difference(found, {name: dims for name, (dims, _) in shape.inputs.items()})


def _written(graph: Any, write: Callable[[Path], None]) -> bytes:
    """What the library writes into a file, with the metadata that the graph had before."""
    onnx, _, _ = _libraries()
    metadata = [(one.key, one.value) for one in graph.metadata_props]
    graph.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        write(path)
        rounded = onnx.load_from_string(path.read_bytes())
    del rounded.metadata_props[:]
    for key, value in metadata:
        rounded.metadata_props.add(key=key, value=value)
    return _checked(onnx, rounded)


def _checked(onnx: Any, graph: Any) -> bytes:
    onnx.checker.check_model(graph, full_check=True)
    return bytes(graph.SerializeToString(deterministic=True))


def _fold(onnx: Any, graph: Any, rounding: Any, constants: dict[str, Any]) -> None:
    """Weights (out, in) through quantise, dequantise, transpose: to integers and dequantise."""
    readers = {name: node for node in graph.node for name in node.input}
    back = readers[rounding.output[0]]
    turn = readers[back.output[0]]
    assert (back.op_type, turn.op_type) == ("DequantizeLinear", "Transpose")
    weight, scale = (onnx.numpy_helper.to_array(constants[name]) for name in rounding.input[:2])
    steps = np.rint(weight / scale[:, None]).clip(-128, 127).astype(np.int8)
    whole = onnx.numpy_helper.from_array(np.ascontiguousarray(steps.T), f"{rounding.input[0]}_int8")
    graph.initializer.append(whole)
    back.input[0] = whole.name
    back.output[0] = turn.output[0]
    del back.attribute[:]
    back.attribute.append(onnx.helper.make_attribute("axis", 1))
    graph.node.remove(rounding)
    graph.node.remove(turn)


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    known = {name for node in graph.node for name in (*node.input, *node.output)}
    values = [one for one in graph.value_info if one.name in known]
    del graph.value_info[:]
    graph.value_info.extend(values)
