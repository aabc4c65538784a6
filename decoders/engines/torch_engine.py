"""torch: the reference that every other engine is checked against, and CUDA graphs on a GPU.

Eager runs the student's own code. Compiled hands it to `torch.compile`. On a GPU the step is
captured once as a CUDA graph, with its state in place on the device: a hop is two small copies,
one launch and one copy back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.errors import EngineError
from .engine import Bools, EngineAbout, Hop
from .step_export import Step
from .step_shape import StepShape

Mode = Literal["eager", "compiled", "cuda"]

_NAMES = {"eager": "torch", "compiled": "torch-compiled", "cuda": "torch-cuda"}
_WARM_UP = 3  # runs before a capture, as CUDA graphs ask for


class TorchEngine:
    """Engine: a student's step in torch.

    Parameters
    ----------
    step : Step
        A student on its electrodes; moved to the GPU for ``"cuda"``.
    mode : str
        ``"eager"`` or ``"compiled"`` on the processor, ``"cuda"`` on an NVIDIA GPU.
    precision : str
        ``"fp32"``; ``"fp16"`` for ``"cuda"`` alone.

    Raises
    ------
    EngineError
        If there is no GPU that torch can use, or its memory is too small.
    """

    def __init__(self, step: Step, mode: Mode = "eager", precision: str = "fp32") -> None:
        device = _device(mode)
        self._shape = StepShape.of(step.student.config, step.places.shape[1])
        self._precision = precision
        self.about = EngineAbout(
            name=_NAMES[mode],
            precision=precision,
            device="cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            version=torch.__version__,
        )
        if device.type == "cpu":
            torch.set_num_threads(1)  # more wait for each other while another process runs
        try:
            self._step = step.eval().to(device)
            self._inputs = {
                name: torch.from_numpy(np.zeros(dims, kind)).to(device)
                for name, (dims, kind) in self._shape.inputs.items()
            }
            self._staged = {name: self._host(name) for name in ("hop_uv", "usable")}
            if mode == "cuda":
                self._run = self._captured()
            else:
                self._run = self._plain(torch.compile(step) if mode == "compiled" else step)
                self._run()
        except RuntimeError as error:
            raise EngineError(
                f"torch cannot run the student on {self.about.device} "
                f"({str(error).splitlines()[0][:200]}): choose the engine onnxruntime."
            ) from error
        self.restart()

    def restart(self) -> None:
        """Forget the stream; raises `EngineError` if the GPU is gone."""
        try:
            for name in self._shape.state:
                self._inputs[name].zero_()
        except RuntimeError as error:
            raise EngineError(self._stopped(error)) from error

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop; see `Engine.hear`."""
        if not self._inputs:
            raise EngineError(f"{self.about} stopped: it is closed; open it again.")
        try:
            for name, given in (("hop_uv", hop_uv), ("usable", usable)):
                self._staged[name].numpy()[...] = given
                if self._staged[name] is not self._inputs[name]:
                    self._inputs[name].copy_(self._staged[name], non_blocking=True)
            embedding: NDArray[np.float32] = self._run().float().cpu().numpy().copy()
        except RuntimeError as error:  # CUDA's errors are such, the loss of the device included
            raise EngineError(self._stopped(error)) from error
        return embedding

    def close(self) -> None:
        """Release its memory."""
        self._inputs.clear()
        self._run = _closed

    def _stopped(self, error: RuntimeError) -> str:
        reason = str(error).splitlines()[0][:200]
        return f"{self.about} stopped: {reason}; open it again, or choose another."

    def _host(self, name: str) -> Tensor:
        """Where numpy puts what comes: the input itself, or memory that a GPU can fetch from."""
        given = self._inputs[name]
        if given.device.type == "cpu":
            return given
        return torch.zeros(given.shape, dtype=given.dtype, pin_memory=True)

    def _advance(self, step: Callable[..., tuple[Tensor, ...]]) -> Tensor:
        """One hop; the next state is copied over the last."""
        with torch.autocast(
            self._inputs["tail"].device.type, torch.float16, enabled=self._precision == "fp16"
        ):
            embedding, *state = step(*self._inputs.values())
        for name, value in zip(self._shape.state, state, strict=True):
            self._inputs[name].copy_(value)
        return embedding

    def _plain(self, step: Callable[..., tuple[Tensor, ...]]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with torch.inference_mode():
                return self._advance(step)

        return run

    def _captured(self) -> Callable[[], Tensor]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._advance(self._step)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            embedding = self._advance(self._step)

        def run() -> Tensor:
            graph.replay()
            return embedding

        return run


def _device(mode: Mode) -> torch.device:
    if mode != "cuda":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise EngineError(
            "torch finds no NVIDIA GPU that it can use (none is there, the driver is missing, or "
            "this torch is built for the processor): choose the engine onnxruntime."
        )
    return torch.device("cuda")


def _closed() -> Tensor:
    raise RuntimeError("the engine is closed")
