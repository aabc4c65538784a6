"""From an ONNX step to a TensorRT plan; one code path for TensorRT and TensorRT-RTX.

Both have the same Python interface. TensorRT times its kernels on the GPU that is there and keeps
what it learnt in a timing cache. TensorRT-RTX needs no GPU to build: it writes a plan for a named
compute capability and finishes it where it is loaded, so a timing cache would do nothing there but
ask for a GPU. Precision is that of the graph (`to_half`, or quantise and dequantise nodes): TF32,
which rounds products of 32-bit numbers to 10 bits, is off, because an ``"fp32"`` engine must agree
with the reference to 1e-4.

No torch here, and no GPU is touched by importing this.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any, Literal

from ...runtime.errors import ConfigError, EngineError

Flavour = Literal["tensorrt", "tensorrt_rtx"]

FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
"""In the order of preference."""

NO_GPU = "there is no NVIDIA GPU that CUDA can use (no card, or its driver is missing or too old)"
"""How every message here says it."""

_WORKSPACE = 1 << 28  # bytes; a student's largest step needs a few MiB
_ERRORS_KEPT = 16
_NO_DRIVER = ("cudaError 35", "cudaError 100", "no CUDA-capable device")
_CUDA_NAMES = ("libcuda.so.1", "nvcuda.dll")
_NVML_NAMES = ("libnvidia-ml.so.1", "nvml.dll")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A built step.

    Parameters
    ----------
    plan : bytes
        What `TensorRtEngine` loads.
    flavour : str
        ``"tensorrt"`` or ``"tensorrt_rtx"``.
    version : str
        Of the library that built it; no other one loads it.
    compute_capability : tuple of int, optional
        The GPUs it is for, for example ``(8, 9)``; None for the one it was built on.
    timing_cache : bytes
        To give to the next `build_plan` on this machine; empty for TensorRT-RTX.
    """

    plan: bytes = field(repr=False)
    flavour: Flavour
    version: str
    compute_capability: tuple[int, int] | None = None
    timing_cache: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.flavour not in FLAVOURS:
            raise ConfigError(
                f"flavour must be one of {', '.join(FLAVOURS)}, got {self.flavour!r}: name the "
                f"library that built the plan."
            )
        if not self.plan:
            raise ConfigError("plan is empty: give what `build_plan` built.")


def trt_module(flavour: Flavour | None = None) -> Any:
    """The library itself.

    Parameters
    ----------
    flavour : str, optional
        ``"tensorrt"`` or ``"tensorrt_rtx"``; the first that can be loaded if None.

    Returns
    -------
    trt : module
        Either one.

    Raises
    ------
    ConfigError
        If it is not installed, or is there and cannot be loaded.
    """
    if flavour is not None and flavour not in FLAVOURS:
        raise ConfigError(f"flavour must be one of {', '.join(FLAVOURS)}, got {flavour!r}.")
    wanted = (flavour,) if flavour else FLAVOURS
    broken: ConfigError | None = None
    for name in wanted:
        if importlib.util.find_spec(name) is not None:
            try:
                return _imported(name)
            except ConfigError as error:  # the other one may work
                broken = broken or error
    if broken is not None:
        raise broken
    extras = " or ".join(f"pip install 'diverloop[{name.replace('_', '-')}]'" for name in wanted)
    raise ConfigError(
        f"A TensorRT engine needs the library {' or '.join(map(repr, wanted))}, which is not "
        f"installed: {extras}."
    )


def flavour_of(trt: Any) -> Flavour:
    """Which of the two a module is."""
    return "tensorrt_rtx" if trt.__name__.startswith("tensorrt_rtx") else "tensorrt"


def build_plan(
    model: bytes,
    *,
    compute_capability: tuple[int, int] | None = None,
    timing_cache: bytes = b"",
    flavour: Flavour | None = None,
) -> Plan:
    """Build a plan.

    Parameters
    ----------
    model : bytes
        An ONNX step; quantise and dequantise nodes and 16-bit types are taken as they are.
    compute_capability : tuple of int, optional
        For which GPUs, for example ``(8, 9)``, with TensorRT-RTX and without any GPU here; the
        GPU of this machine if None.
    timing_cache : bytes
        Of an earlier plan built on this machine; one of another machine is not used.
    flavour : str, optional
        As for `trt_module`.

    Returns
    -------
    plan : Plan
        For `TensorRtEngine`.

    Raises
    ------
    ConfigError
        If the library is not installed, or cannot build for such a GPU.
    EngineError
        If the graph is damaged or holds what TensorRT does not know, or there is no GPU to build
        for.
    """
    trt = trt_module(flavour)
    log = collecting_logger(trt)
    builder = _made(trt.Builder, log)
    network = _network(trt, builder)
    _parse(trt, network, log, model)
    config = builder.create_builder_config()
    _configure(trt, config, compute_capability)
    cache = _attach_timing_cache(trt, config, timing_cache)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise EngineError(_why_not_built(log, compute_capability))
    return Plan(
        plan=bytes(built),
        flavour=flavour_of(trt),
        version=str(trt.__version__),
        compute_capability=compute_capability,
        timing_cache=bytes(cache.serialize()) if cache is not None else b"",
    )


def machine_key(flavour: Flavour | None = None) -> str | None:
    """What a plan built here depends on: a plan kept under another key must be built again.

    Parameters
    ----------
    flavour : str, optional
        As for `trt_module`.

    Returns
    -------
    key : str or None
        The GPU's name, the driver's version and the library's; None without a GPU.

    Raises
    ------
    ConfigError
        If the library is not installed.
    """
    trt = trt_module(flavour)
    gpu = _gpu()
    if gpu is None:
        return None
    return f"{gpu[0]}, driver {gpu[1]}, {flavour_of(trt)} {trt.__version__}"


def collecting_logger(trt: Any) -> Any:
    """A logger for TensorRT: silent, with the last few errors in its list ``errors``."""

    class Collecting(trt.ILogger):  # type: ignore[misc]  # of a module known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                del self.errors[: 1 - _ERRORS_KEPT]
                self.errors.append(message)

    return Collecting()


def lacks_gpu(errors: list[str]) -> bool:
    """Whether TensorRT complained of a missing GPU or driver."""
    return any(sign in error for error in errors for sign in _NO_DRIVER)


def last_error(errors: list[str]) -> str:
    """The first line of the last complaint, short."""
    lines = errors[-1].strip().splitlines() if errors else []
    return lines[0][:200] if lines else "no reason given"


def _imported(name: Flavour) -> Any:
    try:
        if name == "tensorrt":
            return importlib.import_module("tensorrt")
        return importlib.import_module("tensorrt_rtx")
    except (ImportError, OSError) as error:  # a wheel whose libraries are not there
        raise ConfigError(
            f"The library {name!r} is installed and cannot be loaded ({error}): reinstall it, or "
            f"choose the engine onnxruntime."
        ) from error


def _made(kind: Any, log: Any) -> Any:
    """A `Builder` or a `Runtime`: either raises what it cannot tell by None."""
    try:
        return kind(log)
    except (RuntimeError, TypeError) as error:  # TypeError: the constructor returned nothing
        reason = NO_GPU if lacks_gpu(log.errors) else last_error(log.errors)
        raise EngineError(
            f"TensorRT cannot start: {reason}; choose the engine onnxruntime."
        ) from error


def _network(trt: Any, builder: Any) -> Any:
    # Since TensorRT 11 every network is strongly typed, and the flag changes nothing.
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return builder.create_network(0 if typed is None else 1 << int(typed))


def _parse(trt: Any, network: Any, log: Any, model: bytes) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(model):
        return
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    told = "; ".join(f"{one.node_name() or 'model'}: {one.desc()}" for one in errors[:3])
    raise EngineError(
        f"TensorRT cannot read the compiled student ({' '.join(told.split())[:400]}): compile it "
        f"again, or choose the engine onnxruntime."
    )


def _configure(trt: Any, config: Any, capability: tuple[int, int] | None) -> None:
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    captured = getattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if captured is not None:  # TensorRT-RTX: without it a CUDA graph may not be capturable
        config.set_flag(captured)
    if flavour_of(trt) != "tensorrt_rtx":
        if capability is not None:
            raise ConfigError(
                f"tensorrt builds only for the GPU of this machine, not for compute capability "
                f"{capability[0]}.{capability[1]}: leave it out, or install tensorrt-rtx."
            )
        return
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(_capability(trt, capability), 0):
        raise ConfigError(f"TensorRT-RTX refuses compute capability {capability}: leave it out.")


def _capability(trt: Any, capability: tuple[int, int] | None) -> Any:
    known = trt.ComputeCapability.__members__
    if capability is None:
        return known["CURRENT"]
    name = f"SM{capability[0]}{capability[1]}"
    if name not in known:
        offered = ", ".join(one for one in known if one.startswith("SM"))
        raise ConfigError(
            f"TensorRT-RTX {trt.__version__} builds for {offered}, got {name}: choose one of "
            f"these, or the engine torch-cuda."
        )
    return known[name]


def _attach_timing_cache(trt: Any, config: Any, kept: bytes) -> Any:
    """The cache that the build will fill; None where the flavour has none that does anything."""
    if flavour_of(trt) == "tensorrt_rtx":
        return None
    cache = config.create_timing_cache(kept)
    if cache is None or not config.set_timing_cache(cache, False):  # damaged, or of another GPU
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _why_not_built(log: Any, capability: tuple[int, int] | None) -> str:
    if lacks_gpu(log.errors):
        return (
            f"TensorRT cannot build for the GPU of this machine: {NO_GPU}; name a compute "
            f"capability to build with TensorRT-RTX, or choose the engine onnxruntime."
        )
    where = "this GPU" if capability is None else f"compute capability {capability}"
    return (
        f"TensorRT built no plan for {where} ({last_error(log.errors)}): choose the engine "
        f"torch-cuda or onnxruntime."
    )


def _gpu() -> tuple[str, str] | None:
    """Name and driver of the GPU that CUDA calls the first, without making a context on it."""
    cuda = _library(_CUDA_NAMES)
    name = None if cuda is None else _first_device(cuda)
    return None if name is None else (name, _driver(cuda, _library(_NVML_NAMES)))


def _library(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _first_device(cuda: Any) -> str | None:
    count, device = ctypes.c_int(), ctypes.c_int()
    text = ctypes.create_string_buffer(256)
    failed = (
        cuda.cuInit(0)
        or cuda.cuDeviceGetCount(ctypes.byref(count))
        or not count.value
        or cuda.cuDeviceGet(ctypes.byref(device), 0)
        or cuda.cuDeviceGetName(text, len(text), device)
    )
    return None if failed else text.value.decode()


def _driver(cuda: Any, nvml: Any) -> str:
    """Version of the driver; where only CUDA tells one, that of the CUDA it brings."""
    text = ctypes.create_string_buffer(96)
    if nvml is not None and not nvml.nvmlInit_v2():
        failed = nvml.nvmlSystemGetDriverVersion(text, len(text))
        nvml.nvmlShutdown()
        if not failed:
            return text.value.decode()
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return f"of CUDA {version.value // 1000}.{version.value % 1000 // 10}"
