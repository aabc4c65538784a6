"""TensorRT: a step that an NVIDIA GPU replays hop by hop as a CUDA graph.

The state never leaves the device. There are two copies of it: a hop reads one and writes the
other, the next hop goes the other way. Each direction has an execution context of its own, bound
to its addresses once and captured once, since a captured graph holds the addresses that its
context had; both work in the same scratch memory, because they never run at the same time. ::

    hop, usable:  pinned host --> device
    graph 0:      state A --> embedding, state B      and at the next hop
    graph 1:      state B --> embedding, state A
    embedding:    device --> pinned host

A hop is two small copies, one launch, one copy back and one wait, all on a stream of its own.
`Device` is the seam to CUDA, so that the order of all this is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.errors import EngineError
from .engine import Bools, EngineAbout, Hop
from .step_shape import Sized, StepShape, refuse_difference
from .tensorrt_build import (
    NO_GPU,
    Flavour,
    collecting_logger,
    flavour_of,
    lacks_gpu,
    last_error,
    trt_module,
)

_WARM_UP = 2  # runs before a capture: TensorRT settles what it does lazily in the first
_MEMORY = ("out of memory", "OutOfMemory", "cudaError 2:")


class Device(Protocol):
    """Memory and one queue of work on a GPU, used from one thread."""

    @property
    def name(self) -> str:
        """Of the GPU."""

    def reserve(self, sized: Sized, *, on_host: bool = False) -> Tensor:
        """Zeros of a shape and type, on the GPU or in pinned memory of the host."""

    def copy(self, to: Tensor, source: Tensor) -> None:
        """Queue a copy."""

    def record(
        self, work: Callable[[int], None], captures: Callable[[int], bool]
    ) -> Callable[[], None]:
        """Run work a few times, keep it as a CUDA graph, and return what queues it again.

        ``work`` and ``captures`` are given the handle of the queue. Where ``captures`` says no,
        the work itself is queued each time.
        """

    def wait(self) -> None:
        """Until all that was queued is done."""


class CudaDevice:
    """Device: the GPU that torch calls the current one, with a stream of its own.

    Raises
    ------
    EngineError
        If torch has none.
    """

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise EngineError(
                f"torch cannot serve a TensorRT engine: {NO_GPU}, or this torch is built for the "
                f"processor alone; choose the engine onnxruntime."
            )
        self.name = torch.cuda.get_device_name()
        self._stream = torch.cuda.Stream()

    def reserve(self, sized: Sized, *, on_host: bool = False) -> Tensor:
        """Zeros; see `Device.reserve`."""
        dims, kind = sized
        if on_host:
            return torch.zeros(dims, dtype=_TYPES[kind], pin_memory=True)
        with torch.cuda.stream(self._stream):
            return torch.zeros(dims, dtype=_TYPES[kind], device="cuda")

    def copy(self, to: Tensor, source: Tensor) -> None:
        """Queue a copy."""
        with torch.cuda.stream(self._stream):
            to.copy_(source, non_blocking=True)

    def record(
        self, work: Callable[[int], None], captures: Callable[[int], bool]
    ) -> Callable[[], None]:
        """Capture work; see `Device.record`."""
        handle = self._stream.cuda_stream
        for _ in range(_WARM_UP):
            work(handle)
        self.wait()
        if not captures(handle):
            return lambda: work(handle)
        graph = torch.cuda.CUDAGraph()
        # Only this thread must keep still meanwhile: others may be using the GPU.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            work(handle)

        def replay() -> None:
            with torch.cuda.stream(self._stream):
                graph.replay()

        return replay

    def wait(self) -> None:
        """Until the stream is empty."""
        self._stream.synchronize()


class TensorRtEngine:
    """Engine: a plan that `build_plan` built, on the GPU it was built for.

    Parameters
    ----------
    plan : bytes
        The plan.
    shape : StepShape
        Its interface.
    precision : str
        Of the graph it was built from: a key of `TOLERANCE`.
    flavour : str, optional
        The library that built it; as for `trt_module` if None.
    device : Device, optional
        The current GPU if None.

    Raises
    ------
    ConfigError
        If the library is not installed.
    EngineError
        If there is no GPU, the plan is damaged or of another version, GPU or model, or the GPU
        has too little memory.
    """

    def __init__(
        self,
        plan: bytes,
        shape: StepShape,
        *,
        precision: str,
        flavour: Flavour | None = None,
        device: Device | None = None,
    ) -> None:
        trt = trt_module(flavour)
        self._log = collecting_logger(trt)
        self._name = flavour_of(trt).replace("_", "-")
        self._runtime, self._engine = self._loaded(trt, plan)
        _check_interface(trt, self._engine, shape)
        self._device = CudaDevice() if device is None else device
        self.about = EngineAbout(
            name=self._name,
            precision=precision,
            device=self._device.name,
            version=str(trt.__version__),
        )
        self._turn = 0
        try:
            self._reserve(shape)
            self._contexts = [self._context(trt, 0, 1), self._context(trt, 1, 0)]
            self._replays = [self._recorded(context) for context in self._contexts]
            self.restart()
            self._device.wait()
        except RuntimeError as error:  # CUDA's errors are such, want of memory included
            raise EngineError(self._why_not(str(error))) from error

    def restart(self) -> None:
        """Forget the stream; raises `EngineError` if the GPU is gone."""
        try:
            for name, empty in self._empty.items():
                self._device.copy(self._states[self._turn][name], empty)
        except RuntimeError as error:
            raise EngineError(self._stopped(error)) from error

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop; see `Engine.hear`."""
        if not self._replays:
            raise EngineError(f"{self.about} is closed: open it again.")
        self._host_arrays["hop_uv"][...] = hop_uv
        self._host_arrays["usable"][...] = usable
        try:
            for name in ("hop_uv", "usable"):
                self._device.copy(self._fixed[name], self._host[name])
            self._replays[self._turn]()
            self._device.copy(self._host["embedding"], self._fixed["embedding"])
            self._device.wait()
        except RuntimeError as error:
            raise EngineError(self._stopped(error)) from error
        self._turn = 1 - self._turn
        embedding: NDArray[np.float32] = self._host_arrays["embedding"].copy()
        return embedding

    def close(self) -> None:
        """Release its memory on both sides."""
        self._replays = []  # graphs before the contexts they were captured from
        self._contexts = []
        self._engine = self._runtime = None
        for held in (self._states, self._fixed, self._host, self._host_arrays, self._empty):
            held.clear()
        self._scratch = torch.empty(0)

    def _loaded(self, trt: Any, plan: bytes) -> tuple[Any, Any]:
        """The runtime, which must outlive the engine, and the engine."""
        engine = runtime = None
        try:
            runtime = trt.Runtime(self._log)
            engine = runtime.deserialize_cuda_engine(plan)
        except (RuntimeError, TypeError) as error:  # TypeError: a constructor returned nothing
            if not self._log.errors:
                self._log.errors.append(str(error))
        if engine is None:
            raise EngineError(self._why_not(""))
        return runtime, engine

    def _reserve(self, shape: StepShape) -> None:
        sizes = {**shape.inputs, **shape.outputs}
        reserve = self._device.reserve
        ends = ("hop_uv", "usable", "embedding")
        self._fixed = {name: reserve(sizes[name]) for name in ends}
        self._host = {name: reserve(sizes[name], on_host=True) for name in ends}
        self._host_arrays = {name: tensor.numpy() for name, tensor in self._host.items()}
        self._states = [{name: reserve(sizes[name]) for name in shape.state} for _ in range(2)]
        self._empty = {name: reserve(sizes[name]) for name in shape.state}
        size = max(1, int(self._engine.device_memory_size_v2))
        self._scratch = reserve(((size,), "uint8"))

    def _context(self, trt: Any, before: int, after: int) -> Any:
        """A context that reads one copy of the state and writes the other."""
        context = self._engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise RuntimeError(last_error(self._log.errors))
        context.set_device_memory(self._scratch.data_ptr(), self._scratch.numel())
        places = dict(self._fixed)
        for name in self._empty:
            places[name] = self._states[before][name]
            places[f"next_{name}"] = self._states[after][name]
        for name, tensor in places.items():
            if not context.set_tensor_address(name, tensor.data_ptr()):
                raise RuntimeError(f"{name} cannot be bound: {last_error(self._log.errors)}")
        return context

    def _recorded(self, context: Any) -> Callable[[], None]:
        def work(stream: int) -> None:
            if not context.execute_async_v3(stream):
                raise RuntimeError(last_error(self._log.errors))

        # TensorRT-RTX can tell; for TensorRT a step of fixed shapes always can be captured.
        captures = getattr(context, "is_stream_capturable", lambda stream: True)
        return self._device.record(work, captures)

    def _stopped(self, error: RuntimeError) -> str:
        return f"{self.about} stopped: {_first_line(str(error))}; open it again, or choose another."

    def _why_not(self, error: str) -> str:
        told = [*self._log.errors, *([error] if error else [])]
        if lacks_gpu(told):
            return f"{self._name} cannot load its plan: {NO_GPU}; choose the engine onnxruntime."
        if any(sign in one for one in told for sign in _MEMORY):
            return (
                f"The GPU has too little free memory for the {self._name} engine "
                f"({_first_line(told[-1])}): end what else uses it, or choose the engine "
                f"onnxruntime."
            )
        return (
            f"{self._name} refuses its plan ({last_error(told)}): it is damaged, or was built "
            f"by another version or for another GPU, so build it again on this machine."
        )


_TYPES = {
    "float32": torch.float32,
    "int64": torch.int64,
    "bool": torch.bool,
    "uint8": torch.uint8,
}


def _check_interface(trt: Any, engine: Any, shape: StepShape) -> None:
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    found = {
        name: (
            tuple(engine.get_tensor_shape(name)),
            np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name,
        )
        for name in names
    }
    refuse_difference(found, {**shape.inputs, **shape.outputs}, "The plan")


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:200] if lines else "no reason given"
