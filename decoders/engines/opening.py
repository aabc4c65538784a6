"""Which engine runs a student here: what was asked for, what the machine has, what passes its test.

An engine that was named is tried first. ``"auto"`` takes the first that this machine has: TensorRT,
a CUDA graph in torch, ONNX Runtime, torch. Whatever is opened has to reproduce the stored probe
before it may serve; one that does not, or that cannot be opened, is passed over or refused, as the
session says. Behind an engine on a GPU stands one on the processor.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ...runtime.bundle import Bundle
from ...runtime.catalog import nearest
from ...runtime.errors import BundleError, ConfigError, EngineError
from .compiled import Compiled, Probe
from .engine import TOLERANCE, Engine
from .standby import StandbyEngine
from .step_shape import StepShape

if TYPE_CHECKING:
    from ..student_encoder import StudentEncoder, StudentEncoderConfig
    from .step_export import Step

T = TypeVar("T")

ENGINES: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torch": ("fp32",),
    "torch-compiled": ("fp32",),
    "torch-cuda": ("fp32", "fp16"),
    "onnxruntime-cuda": ("fp32", "fp16"),
    "onnxruntime-tensorrt": ("fp32", "fp16"),
    "tensorrt": ("fp16", "fp32", "int8"),
}
"""Name -> precisions, the usual one first."""

_TARGETS = {"fp32": "cpu", "int8": "cpu-int8", "fp16": "gpu"}
_ON_A_GPU = ("torch-cuda", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt")
_IN_TORCH = ("torch", "torch-compiled", "torch-cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What a session asks for.

    Parameters
    ----------
    name : str
        ``"auto"``, or a key of `ENGINES`.
    precision : str
        Empty for the engine's usual one.
    fallback : bool
        Whether another engine may run where this one cannot; without it the session does not start.
    """

    name: str = "auto"
    precision: str = ""
    fallback: bool = True

    @classmethod
    def parse(cls, text: str, *, fallback: bool = True) -> Self:
        """Read ``"NAME"`` or ``"NAME:PRECISION"``; raises `ConfigError` for what there is not."""
        name, _, precision = text.partition(":")
        if name != "auto" and name not in ENGINES:
            raise ConfigError(f"No engine is called {name!r}. {nearest(name, ('auto', *ENGINES))}")
        if precision and precision not in ENGINES.get(name, ()):
            allowed = ", ".join(ENGINES.get(name, ())) or "none: auto chooses"
            raise ConfigError(
                f"The engine {name} has no precision {precision!r}; allowed are {allowed}."
            )
        return cls(name=name, precision=precision, fallback=fallback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An engine, and what a person should know of how it came to be chosen.

    Parameters
    ----------
    engine : Engine
        Tested against the probe.
    choice : str
        ``"NAME:PRECISION"``: what opens the same engine again.
    notes : tuple of str
        Why others were passed over, a sentence each.
    """

    engine: Engine
    choice: str
    notes: tuple[str, ...] = ()


def reference_engine(encoder: StudentEncoder) -> Engine:
    """A student in torch, as it was trained.

    Parameters
    ----------
    encoder : StudentEncoder
        Brings weights, places and modality.

    Returns
    -------
    engine : Engine
        The one that every other is checked against.

    Raises
    ------
    ConfigError
        If torch is not installed.
    BundleError
        If the weights are not those of the architecture.
    """
    return _in_torch(encoder, "torch", "fp32")


def untaught(config: StudentEncoderConfig) -> StudentEncoder:
    """A student on its rows, before it knows what they usually read.

    Parameters
    ----------
    config : StudentEncoderConfig
        Rows, modality and the student's name.

    Returns
    -------
    encoder : StudentEncoder
        With the architecture and the hash of the student in its configuration.

    Raises
    ------
    ConfigError, BundleError
        If there is no such student, or it is damaged.
    """
    import numpy as np

    from ..shipped import FOR_MODALITY, open_student
    from ..student_encoder import StudentEncoder

    name = config.student or FOR_MODALITY[config.modality]
    student, sha256 = open_student(name)
    architecture = student.config
    settings = replace(
        config, student=name, architecture=architecture.to_dict(), sha256=sha256, streams=True
    )
    weights = {key: one.numpy() for key, one in student.state_dict().items()}
    usual = np.zeros((len(config.positions_mm), architecture.n_readings))
    return StudentEncoder(settings, weights, usual)


def step_of(encoder: StudentEncoder) -> Step:
    """The step that `step_export` writes; raises what `reference_engine` does.

    Parameters
    ----------
    encoder : StudentEncoder
        Brings weights, places and modality.

    Returns
    -------
    step : Step
        In eval mode.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ConfigError(
            "The student was not compiled, and to run it as it is needs torch, which is not "
            "installed: run `diverloop compile` where torch is, or pip install "
            "'diverloop[torch]'."
        ) from error
    import numpy as np

    from ..student import Student
    from ..student_encoder import MODALITIES
    from .step_export import Step

    with torch.random.fork_rng(devices=[]):
        student = Student(encoder.architecture)
    weights = {name: torch.from_numpy(np.array(one)) for name, one in encoder.weights.items()}
    try:
        student.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise BundleError(
            f"The bundle's arrays are not those of the student on its card "
            f"({str(error).splitlines()[-1].strip()}): fit the model again."
        ) from error
    unknown = (np.nan,) * 3
    places = [unknown if place is None else place for place in encoder.config.positions_mm]
    modality = MODALITIES.index(encoder.config.modality)
    return Step(student.eval(), torch.tensor([places], dtype=torch.float32), modality)


def open_engine(encoder: StudentEncoder, bundle: Bundle, choice: EngineChoice) -> Opened:
    """The engine that shall run a bundle's student on this machine.

    Parameters
    ----------
    encoder : StudentEncoder
        The bundle's.
    bundle : Bundle
        Knows where what was compiled from it lies.
    choice : EngineChoice
        What was asked for.

    Returns
    -------
    opened : Opened
        Engine and notes.

    Raises
    ------
    EngineError
        If nothing can run it, or what was named cannot and nothing else may.
    """
    return _Opening(encoder, bundle, choice).run()


class _Opening:
    """One search for an engine."""

    def __init__(self, encoder: StudentEncoder, bundle: Bundle, choice: EngineChoice) -> None:
        self._encoder, self._choice = encoder, choice
        self._shape = StepShape.of(encoder.architecture, len(encoder.config.positions_mm))
        self._notes: list[str] = []
        self._compiled = self._tried(lambda: Compiled.of(bundle.folder, bundle.card.sha256))
        self._probe: Probe | None = None
        if self._compiled is not None:
            self._probe = self._tried(self._compiled.probe)

    def run(self) -> Opened:
        for name, precision in self._candidates():
            engine = self._tried(partial(self._tested, name, precision))
            if engine is not None:
                engine = self._with_spare(engine, name)
                choice = f"{name}:{precision}"
                return Opened(engine=engine, choice=choice, notes=tuple(self._notes))
        raise EngineError(" ".join(self._notes))

    def _tried(self, what: Callable[[], T]) -> T | None:
        """Its result, or None and a note, if other engines may take its place."""
        try:
            return what()
        except (EngineError, ConfigError, BundleError) as error:
            if not self._choice.fallback:
                raise
            self._notes.append(str(error))
            return None

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Names and precisions in the order they are tried."""
        if self._choice.name != "auto":
            name = self._choice.name
            yield name, self._choice.precision or ENGINES[name][0]
            if not self._choice.fallback:
                return
        elif gpu_here():
            if _installed("tensorrt") or _installed("tensorrt_rtx"):
                yield from (("tensorrt", p) for p in ("fp16", "fp32") if self._has(p))
            if _installed("torch"):
                yield "torch-cuda", "fp32"
        if self._has("fp32"):
            yield "onnxruntime", "fp32"
        elif not self._notes:
            self._notes.append(
                "The model was not compiled, so the student runs in torch: `diverloop compile` "
                "makes it several times faster."
            )
        yield "torch", "fp32"

    def _has(self, precision: str) -> bool:
        return self._compiled is not None and self._compiled.find(precision) is not None

    def _tested(self, name: str, precision: str) -> Engine:
        engine = self._made(name, precision)
        if name in ("torch", "torch-compiled") and self._probe is None:
            return engine  # its own reference
        with ExitStack() as unless_it_passes:
            unless_it_passes.callback(engine.close)
            error = self._known_probe().error_of(engine)
            if not error <= TOLERANCE[precision]:
                raise EngineError(
                    f"{engine.about} fails its self-test: it is {error:.2g} away from the stored "
                    f"output, allowed is {TOLERANCE[precision]:g}; compile the model again, or "
                    f"choose another engine."
                )
            unless_it_passes.pop_all()
        return engine

    def _known_probe(self) -> Probe:
        if self._probe is None:
            from .compiling import make_probe

            self._probe = make_probe(step_of(self._encoder))
        return self._probe

    def _made(self, name: str, precision: str) -> Engine:
        if name in _IN_TORCH:
            return _in_torch(self._encoder, name, precision)
        if name == "tensorrt":
            from .tensorrt_plans import open_tensorrt

            return open_tensorrt(self._asked(), self._shape, precision)
        graph = self._graph("fp32" if precision == "bf16" else precision)
        if name == "openvino":
            from .openvino_engine import OpenVinoEngine

            return OpenVinoEngine(graph, self._shape, precision=precision)
        from .onnx_engine import OnnxEngine

        provider = name.partition("-")[2] or "cpu"
        return OnnxEngine(graph, self._shape, precision=precision, provider=provider)

    def _asked(self) -> Compiled:
        if self._compiled is None:
            raise EngineError(
                f"The engine {self._choice.name} runs compiled students, and this bundle was not "
                f"compiled: run `diverloop compile` on it."
            )
        return self._compiled

    def _graph(self, precision: str) -> bytes:
        compiled = self._asked()
        file = compiled.find(precision)
        if file is None:
            there = ", ".join(sorted({one.precision for one in compiled.index.files})) or "none"
            raise EngineError(
                f"The bundle was not compiled for {precision} (there is {there}): run `diverloop "
                f"compile` with --target {_TARGETS[precision]}."
            )
        return compiled.read(file)

    def _with_spare(self, engine: Engine, name: str) -> Engine:
        """Behind a GPU, a processor: opened now, so that it can take over at once."""
        if name not in _ON_A_GPU or not self._choice.fallback:
            return engine
        plain = "onnxruntime" if self._has("fp32") else "torch"
        spare = self._tried(lambda: self._tested(plain, "fp32"))
        if spare is None:
            return engine
        n_rows = len(self._encoder.config.positions_mm)
        return StandbyEngine(engine, spare, self._encoder.architecture, n_rows)


def gpu_here() -> bool:
    """Whether an NVIDIA driver is loaded; costs nothing and imports nothing."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _in_torch(encoder: StudentEncoder, name: str, precision: str) -> Engine:
    step = step_of(encoder)
    from .torch_engine import TorchEngine

    modes: dict[str, Any] = {"torch": "eager", "torch-compiled": "compiled", "torch-cuda": "cuda"}
    return TorchEngine(step, modes[name], precision)
