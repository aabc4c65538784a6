"""OpenVINO: another way to run a compiled student on the processor, faster on some.

One thread, the caller's own: nothing is pinned and no core is kept from others. Two requests share
one compiled graph; each reads the copy of the state that the other writes, in arrays that are made
once and given to OpenVINO as they are, so that a hop binds nothing and copies only itself.

OpenVINO sends a note to its makers when it is imported. Here it is imported without the part that
does so.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError, EngineError
from .engine import Bools, EngineAbout, Hop
from .step_shape import StepShape, refuse_difference

PRECISIONS = ("fp32", "bf16", "int8")
"""What `OpenVinoEngine` can compute in."""

_TELEMETRY = "openvino_telemetry"
_BF16 = "BF16"


class OpenVinoEngine:
    """Engine: a compiled step in OpenVINO, on the processor.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote.
    shape : StepShape
        Its interface.
    precision : str
        ``"fp32"``; ``"bf16"``, to let a processor that has it round products to 16 bits; or
        ``"int8"`` for a model that says itself which of its numbers are 8-bit integers.

    Raises
    ------
    ConfigError
        If OpenVINO is not installed, or the precision is not one of these.
    EngineError
        If the model is none, is of another interface, or the processor has no such precision.
    """

    def __init__(self, model: bytes, shape: StepShape, *, precision: str = "fp32") -> None:
        if precision not in PRECISIONS:
            raise ConfigError(
                f"OpenVINO computes in {', '.join(PRECISIONS)}, got {precision!r}: choose one."
            )
        ov = _openvino()
        compiled = _compile(ov, model, shape, precision)
        self.about = EngineAbout(
            name="openvino",
            precision=precision,
            device="cpu",
            version=ov.__version__.split("-")[0],
        )
        self._hop, self._usable, self._embedding = (
            np.zeros(dims, np.dtype(kind))
            for dims, kind in (
                shape.inputs["hop_uv"],
                shape.inputs["usable"],
                shape.outputs["embedding"],
            )
        )
        self._states = [shape.empty_state(), shape.empty_state()]
        self._requests = [self._bound(ov, compiled, 0, 1), self._bound(ov, compiled, 1, 0)]
        self._turn = 0
        for _ in range(2):  # memory is planned on the first run of each request
            self.hear(self._hop, self._usable)
        self.restart()

    def restart(self) -> None:
        """Forget the stream."""
        for array in self._states[self._turn].values():
            array[...] = 0

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop; see `Engine.hear`."""
        if not self._requests:
            raise EngineError(f"{self.about} is closed: open it again.")
        self._hop[...] = hop_uv
        self._usable[...] = usable
        try:
            self._requests[self._turn].infer()
        except RuntimeError as error:
            raise EngineError(
                f"{self.about} stopped: {_reason(error)}; open it again, or choose another."
            ) from error
        self._turn = 1 - self._turn
        return self._embedding.copy()

    def close(self) -> None:
        """Release its memory."""
        self._requests.clear()

    def _bound(self, ov: Any, compiled: Any, before: int, after: int) -> Any:
        """A request that reads one copy of the state and writes the other."""
        bound = {"hop_uv": self._hop, "usable": self._usable, "embedding": self._embedding}
        bound |= self._states[before]
        bound |= {f"next_{name}": array for name, array in self._states[after].items()}
        request = compiled.create_infer_request()
        for name, array in bound.items():
            request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        return request


def _openvino() -> Any:
    """The library, imported without the part that reports its use over the network."""
    hide = not {"openvino", _TELEMETRY} & sys.modules.keys()
    if hide:
        # Python refuses to import a name that stands for None; OpenVINO then goes without it.
        sys.modules[_TELEMETRY] = cast(ModuleType, None)
    try:
        import openvino
    except ImportError as error:
        raise ConfigError(
            "The engine openvino needs the library 'openvino', which is not installed: "
            "pip install 'diverloop[openvino]'."
        ) from error
    finally:
        if hide:
            del sys.modules[_TELEMETRY]
    return openvino


def _compile(ov: Any, model: bytes, shape: StepShape, precision: str) -> Any:
    core = ov.Core()
    try:
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and _BF16 not in capabilities:  # it would go on in 32 bits
            raise EngineError(
                f"This processor has no bf16 (it has {', '.join(capabilities)}): choose fp32."
            )
        graph = core.read_model(model)
        ends = (*graph.inputs, *graph.outputs)
        refuse_difference({one.get_any_name(): _dims(one) for one in ends}, shape.dims())
        return core.compile_model(graph, "CPU", _settings(precision))
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO cannot run the compiled student ({_reason(error)}): compile it again, or "
            f"choose the engine onnxruntime."
        ) from error


def _settings(precision: str) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # nothing becomes an integer unless the model says so
        "CPU_DENORMALS_OPTIMIZATION": False,  # it would change the arithmetic of the whole thread
    }


def _dims(port: Any) -> tuple[int, ...]:
    """Shape of an input or output; -1 where it is open."""
    shape = port.get_partial_shape()
    return tuple(side.get_length() if side.is_static else -1 for side in shape)


def _reason(error: Exception) -> str:
    """The first line that says something: those before it are where in OpenVINO it arose."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("Exception from ")]
    return (said or lines or [type(error).__name__])[0][:200].rstrip(".")
