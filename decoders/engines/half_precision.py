"""A compiled step in 16-bit floating point, for GPUs, whose precision is that of the graph.

TensorRT 11 and TensorRT-RTX have no switch for a precision: a network computes in the types that
its graph names. So the weights, the tokens and the attention become 16 bits wide in the graph
itself, while what goes in and comes out keeps its 32 bits, so that `StepShape` holds for both.

The token front stays in 32 bits up to the first norm: raw signal reaches from 0.1 uV to an
amplifier's rails, and its square, the logarithm and the reciprocal root of that leave the range of
16 bits (6e-8 to 65504) at both ends. So does the tail of samples that the state carries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...runtime.errors import ConfigError, EngineError

_FLOAT, _HALF = 1, 10  # of onnx.TensorProto.DataType
_NORM = "LayerNormalization"
_TAIL = "next_tail"


def to_half(model: bytes) -> bytes:
    """Turn a step of 32-bit floating point into one of 16-bit.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote; not changed.

    Returns
    -------
    model : bytes
        A checked ONNX file of the same interface and metadata.

    Raises
    ------
    ConfigError
        If the libraries that convert are not installed.
    EngineError
        If the bytes are no ONNX model, or not that of a student.
    """
    onnx, convert = _libraries()
    source = _parsed(onnx, model)
    front = _front(source.graph)
    _own_constants(source.graph, front)
    names = sorted(node.name for node in front)
    half = convert(source, keep_io_types=True, node_block_list=names)
    _skip_round_trips(half.graph)
    _drop_unread(half.graph)
    _sort(half.graph)
    del half.graph.value_info[:]  # the converter's notes name casts that are gone
    onnx.checker.check_model(half, full_check=True)
    return bytes(half.SerializeToString(deterministic=True))


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Half precision needs the library {error.name!r}, which is not installed: "
            f"pip install 'diverloop[compile]'."
        ) from error
    return onnx, convert_float_to_float16


def _parsed(onnx: Any, model: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        source = onnx.load_from_string(model)
    except DecodeError as error:
        raise EngineError(
            f"These {len(model)} bytes are no ONNX model ({error}): compile the student again."
        ) from error
    outputs = {one.name for one in source.graph.output}
    if _TAIL not in outputs or not any(node.op_type == _NORM for node in source.graph.node):
        raise EngineError(
            f"This ONNX model has no norm or no output {_TAIL!r}, so it is no student: give what "
            f"`diverloop compile` wrote in 32-bit floating point."
        )
    for place, node in enumerate(source.graph.node):
        node.name = f"{node.op_type}_{place}"  # the front is told apart by name alone
    return source


def _front(graph: Any) -> list[Any]:
    """Nodes that stay in 32 bits: all before the first norm, and what makes the next tail."""
    maker = _makers(graph)
    norm = next(node for node in graph.node if node.op_type == _NORM)
    waiting = [name for name in (*norm.input, _TAIL) if name in maker]
    found: dict[str, Any] = {}
    while waiting:
        node = maker[waiting.pop()]
        if node.name not in found:
            found[node.name] = node
            waiting += [name for name in node.input if name in maker]
    return list(found.values())


def _makers(graph: Any) -> dict[str, Any]:
    return {name: node for node in graph.node for name in node.output}


def _own_constants(graph: Any, front: Iterable[Any]) -> None:
    """Give the front its own copies, which the converter would round where others read them."""
    floats = {one.name: one for one in graph.initializer if one.data_type == _FLOAT}
    copied: set[str] = set()
    for node in front:
        for place, name in enumerate(node.input):
            if name not in floats:
                continue
            node.input[place] = own = f"{name}_32"
            if own not in copied:
                copied.add(own)
                graph.initializer.add().CopyFrom(floats[name])
                graph.initializer[-1].name = own


def _skip_round_trips(graph: Any) -> None:
    """Read what was 32 bits wide where it is, not after a cast to 16 bits and back."""
    maker = _makers(graph)
    origin = {
        node.output[0]: maker[node.input[0]].input[0]
        for node in graph.node
        if _casts_to(node, _FLOAT) and _casts_to(maker.get(node.input[0]), _HALF)
    }
    outputs = {one.name for one in graph.output}
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = origin.get(name, name)
        if node.output[0] in origin and node.output[0] in outputs:  # a cast of nothing
            node.input[0] = origin[node.output[0]]


def _casts_to(node: Any, kind: int) -> bool:
    return node is not None and node.op_type == "Cast" and node.attribute[0].i == kind


def _drop_unread(graph: Any) -> None:
    """Take out nodes and constants that nothing reads any more."""
    outputs = {one.name for one in graph.output}
    while True:
        read = outputs.union(*(node.input for node in graph.node))
        unread = [node for node in graph.node if not read.intersection(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for one in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(one)


def _sort(graph: Any) -> None:
    """Every node behind those it reads, as the format asks; the converter puts casts last."""
    maker = _makers(graph)
    done: dict[str, Any] = {}
    waiting = [node for node in reversed(graph.node)]
    while waiting:
        node = waiting[-1]
        before = [maker[name] for name in node.input if name in maker]
        missing = [one for one in before if one.name not in done]
        if missing:
            waiting += missing
        else:
            done[waiting.pop().name] = node
    ordered = [type(node).FromString(node.SerializeToString()) for node in done.values()]
    del graph.node[:]
    graph.node.extend(ordered)
