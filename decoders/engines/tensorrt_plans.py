"""TensorRT plans kept in a bundle: built once for a GPU, its driver and the library, found again.

A plan runs on what it was built for and nothing else, so its key is all three; with the bundle's
hash in the index, that names it. TensorRT-RTX also builds for a named compute capability where no
GPU is, for example in the laboratory for the machine at the bedside.
"""

from __future__ import annotations

from contextlib import suppress

from ...runtime.errors import EngineError
from .compiled import Compiled, CompiledFile
from .engine import Engine
from .step_shape import StepShape
from .tensorrt_build import NO_GPU, Flavour, build_plan, flavour_of, machine_key, trt_module

_CACHE = "timing.cache"
_PORTABLE: Flavour = "tensorrt_rtx"


def open_tensorrt(compiled: Compiled, shape: StepShape, precision: str) -> Engine:
    """The step on the GPU that is here; its plan is built if none was.

    Parameters
    ----------
    compiled : Compiled
        Graphs and plans of the bundle.
    shape : StepShape
        The step's interface.
    precision : str
        Of the graph.

    Returns
    -------
    engine : Engine
        Loaded, not yet tested.

    Raises
    ------
    EngineError, ConfigError
        If there is no GPU, no library, no graph of that precision, or the plan cannot be built.
    """
    key = machine_key()
    if key is None:
        raise EngineError(f"TensorRT cannot run: {NO_GPU}; choose the engine onnxruntime.")
    from .tensorrt_engine import TensorRtEngine

    file = compiled.find(precision, key) or _for_this_capability(compiled, precision)
    if file is not None:
        return TensorRtEngine(compiled.read(file), shape, precision=precision)
    cache, known = compiled.folder / _CACHE, b""
    with suppress(OSError):  # only speed is lost without it
        known = cache.read_bytes()
    plan = build_plan(_graph(compiled, precision), timing_cache=known)
    with suppress(EngineError, OSError):  # a bundle that cannot be written runs all the same
        compiled.add(plan.plan, precision, key)
        cache.write_bytes(plan.timing_cache)
    return TensorRtEngine(plan.plan, shape, precision=precision)


def build_for(compiled: Compiled, precision: str, capability: tuple[int, int]) -> CompiledFile:
    """Build a plan for GPUs that need not be here; TensorRT-RTX alone can.

    Parameters
    ----------
    compiled : Compiled
        Holds the graph; gets the plan.
    precision : str
        Of the graph.
    capability : tuple of int
        For example ``(8, 9)``.

    Returns
    -------
    file : CompiledFile
        Its entry.

    Raises
    ------
    EngineError, ConfigError
        If the library is not installed, there is no graph, or the plan cannot be built.
    """
    graph = _graph(compiled, precision)
    plan = build_plan(graph, compute_capability=capability, flavour=_PORTABLE)
    return compiled.add(plan.plan, precision, _capability_key(capability))


def _for_this_capability(compiled: Compiled, precision: str) -> CompiledFile | None:
    """A plan that was built elsewhere for such GPUs, by the same library."""
    import torch

    if flavour_of(trt_module()) != _PORTABLE or not torch.cuda.is_available():
        return None
    return compiled.find(precision, _capability_key(torch.cuda.get_device_capability()))


def _capability_key(capability: tuple[int, int]) -> str:
    version = trt_module(_PORTABLE).__version__
    return f"compute {capability[0]}.{capability[1]}, {_PORTABLE} {version}"


def _graph(compiled: Compiled, precision: str) -> bytes:
    file = compiled.find(precision)
    if file is None:
        raise EngineError(
            f"The bundle was not compiled for {precision}, which a TensorRT plan is built from: "
            f"run `diverloop compile` with --target gpu."
        )
    return compiled.read(file)
