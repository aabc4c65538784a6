"""ONNX Runtime: the engine that a plain installation has, on the processor.

One thread, no spinning, no memory that grows, and all inputs and outputs bound once. The rings of
keys and values are read and written in place: the graph's only use of them is to put one slot's
worth in, which ONNX Runtime does without a copy where input and output are the same memory. The
rest of the state, which is small, has two copies that take turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError, EngineError
from .engine import Bools, EngineAbout, Hop
from .step_shape import StepShape, refuse_difference

_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


class OnnxEngine:
    """Engine: a compiled step in ONNX Runtime.

    Parameters
    ----------
    model : bytes
        What `export_step` wrote.
    shape : StepShape
        Its interface.
    precision : str
        Of the model: a key of `TOLERANCE`.
    provider : str
        ``"cpu"``, ``"cuda"`` or ``"tensorrt"``; the last two need the extra ``gpu``.
    options : mapping of str to str
        More settings of the provider.

    Raises
    ------
    EngineError
        If the model is none, is of another interface, or the provider is not there.
    """

    def __init__(
        self,
        model: bytes,
        shape: StepShape,
        *,
        precision: str = "fp32",
        provider: str = "cpu",
        options: Mapping[str, str] | None = None,
    ) -> None:
        ort = _onnxruntime()
        self._session = _open(ort, model, provider, dict(options or {}))
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        refuse_difference({one.name: tuple(one.shape) for one in ends}, shape.dims())
        device = "cpu" if provider == "cpu" else "gpu 0"
        name = "onnxruntime" if provider == "cpu" else f"onnxruntime-{provider}"
        self.about = EngineAbout(
            name=name, precision=precision, device=device, version=ort.__version__
        )
        self._shape = shape
        self._where = "cpu" if provider == "cpu" else "cuda"
        self._hop, self._usable, self._embedding = (
            ort.OrtValue.ortvalue_from_numpy(_zeros(shape, name))
            for name in ("hop_uv", "usable", "embedding")
        )
        empty = shape.empty_state()
        self._empty = empty
        self._states = [
            {
                name: ort.OrtValue.ortvalue_from_numpy(array.copy(), self._where, 0)
                for name, array in empty.items()
            }
            for _ in range(2)
        ]
        for name in shape.rings:
            self._states[1][name] = self._states[0][name]
        self._bindings = [self._bound(0, 1), self._bound(1, 0)]
        self._turn = 0
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 3
        for _ in range(2):  # memory is planned on the first run of each binding
            self.hear(np.zeros_like(self._hop.numpy()), np.ones(len(self._usable.numpy()), bool))
        self.restart()

    def restart(self) -> None:
        """Forget the stream."""
        for name, empty in self._empty.items():
            self._states[self._turn][name].update_inplace(empty)

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop; see `Engine.hear`."""
        expected = self._shape.inputs["hop_uv"][0]
        if hop_uv.shape != expected:
            raise EngineError(
                f"{self.about} was given a hop of shape {hop_uv.shape}, a step reads {expected}: "
                f"cut the stream as the model says."
            )
        if self._session is None:
            raise EngineError(f"{self.about} is closed: open it again.")
        self._hop.update_inplace(np.ascontiguousarray(hop_uv, dtype=np.float32))
        self._usable.update_inplace(np.ascontiguousarray(usable))
        try:
            self._session.run_with_iobinding(self._bindings[self._turn], self._run_options)
        except _failures() as error:
            raise EngineError(
                f"{self.about} stopped: {_first_line(error)}; open it again, or choose another."
            ) from error
        self._turn = 1 - self._turn
        embedding: NDArray[np.float32] = self._embedding.numpy().copy()
        return embedding

    def close(self) -> None:
        """Release its memory."""
        self._bindings.clear()
        self._states.clear()
        self._session = None

    def _bound(self, before: int, after: int) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("hop_uv", self._hop)
        binding.bind_ortvalue_input("usable", self._usable)
        binding.bind_ortvalue_output("embedding", self._embedding)
        for name in self._shape.state:
            binding.bind_ortvalue_input(name, self._states[before][name])
            binding.bind_ortvalue_output(f"next_{name}", self._states[after][name])
        return binding


def metadata_of(model: bytes) -> dict[str, str]:
    """What a model says of itself; raises `EngineError` if it is none.

    Parameters
    ----------
    model : bytes
        An ONNX file.

    Returns
    -------
    metadata : dict of str to str
        All of it.
    """
    session = _open(_onnxruntime(), model, "cpu", {})
    return dict(session.get_modelmeta().custom_metadata_map)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ConfigError(
            "A compiled student needs the library 'onnxruntime', which is not installed: "
            "pip install onnxruntime."
        ) from error
    return onnxruntime


def _failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: many kinds without a common root of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (getattr(state, name) for name in dir(state))
    own = (one for one in kinds if isinstance(one, type) and issubclass(one, Exception))
    return (*own, RuntimeError, ValueError)


def _open(ort: Any, model: bytes, provider: str, options: dict[str, str]) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.log_severity_level = 3
    for key in _SPINNING:  # a spinning thread takes the core that the source needs
        settings.add_session_config_entry(key, "0")
    wanted = _PROVIDERS[provider]
    if wanted not in ort.get_available_providers():
        raise EngineError(
            f"This onnxruntime has no {wanted} (it has "
            f"{', '.join(ort.get_available_providers())}): install 'diverloop[gpu]' instead of "
            f"the plain one, or choose the engine onnxruntime."
        )
    try:
        session = ort.InferenceSession(model, settings, providers=[(wanted, options)])
    except _failures() as error:
        raise EngineError(
            f"ONNX Runtime cannot read the compiled student ({_first_line(error)}): compile it "
            f"again."
        ) from error
    if session.get_providers()[0] != wanted:  # it falls back with a line on stderr
        raise EngineError(
            f"ONNX Runtime could not start {wanted} and offers {session.get_providers()[0]}: "
            f"check driver and CUDA libraries, or choose the engine onnxruntime."
        )
    return session


_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def _zeros(shape: StepShape, name: str) -> NDArray[np.generic]:
    dims, kind = {**shape.inputs, **shape.outputs}[name]
    return np.zeros(dims, np.dtype(kind))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
