"""From a bundle to the files that engines run: graphs in several precisions, and the probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from ...runtime.bundle import Bundle
from ...runtime.errors import ConfigError, EngineError
from ..student_encoder import StudentEncoder
from .compiled import Compiled, CompiledFile, Probe, about_of
from .engine import TOLERANCE, Bools, Hop
from .onnx_engine import OnnxEngine
from .opening import step_of
from .step_shape import StepShape

if TYPE_CHECKING:
    from .step_export import Step

PRECISIONS = ("fp32", "fp16", "int8")

_PROBE_HOPS = 40  # more than a context, so that the oldest slots are given up as well
_SEED = 20261126
_MADE_WITH = ("torch", "onnx", "onnxscript", "onnxruntime")

Said = Callable[[str, int, int], None]
HopPairs = Iterable[tuple[Hop, Bools]]


def compile_bundle(
    encoder: StudentEncoder,
    bundle: Bundle,
    precisions: Sequence[str] = ("fp32",),
    calibration: HopPairs | None = None,
    progress: Said = lambda what, done, of: None,
) -> list[tuple[CompiledFile, float]]:
    """Compile a bundle's student; what was compiled of the same bundle before stays.

    Parameters
    ----------
    encoder : StudentEncoder
        The bundle's.
    bundle : Bundle
        Read from a folder.
    precisions : sequence of str
        Of `PRECISIONS`.
    calibration : iterable of (hop, usable), optional
        Conditioned signal of the model's rows; needed for ``"int8"``.
    progress : callable
        Told what is being done, how far, and of how much.

    Returns
    -------
    made : list of (CompiledFile, float)
        Each file with its `disagreement` on the probe, run on ONNX Runtime.

    Raises
    ------
    ConfigError
        If a library is missing, or there is nothing to calibrate on.
    EngineError
        If a compiled student does not say what torch says, or the disk refuses.
    """
    _check(bundle, precisions, calibration)
    assert bundle.folder is not None
    sha256 = bundle.card.sha256
    progress("exporting the step", 0, len(precisions) + 1)
    step = step_of(encoder)
    from .step_export import export_step

    shape = StepShape.of(encoder.architecture, len(encoder.config.positions_mm))
    about = about_of(bundle.card.to_json(), sha256, student_sha256=encoder.config.sha256)
    graph = export_step(step, about)
    compiled = _folder(bundle, sha256)
    probe = make_probe(step)
    compiled.add_probe(probe)
    made = []
    for place, precision in enumerate(("fp32", *(p for p in precisions if p != "fp32"))):
        progress(f"making {precision}", place + 1, len(precisions) + 1)
        content = _in_precision(graph, shape, precision, calibration)
        error = _error_of(content, shape, precision, probe)
        made.append((compiled.add(content, precision), error))
    return made


def make_probe(step: Step) -> Probe:
    """Signal that shows what an engine can get wrong, with what torch makes of it.

    Parameters
    ----------
    step : Step
        The student on its electrodes.

    Returns
    -------
    probe : Probe
        Slow waves and noise from 1 to 100 uV, a step, a flat row, and absent rows that hold NaN.
    """
    shape = StepShape.of(step.student.config, step.places.shape[1])
    n_rows, hop = shape.inputs["hop_uv"][0]
    rng = np.random.default_rng(_SEED)
    size = 10 ** rng.uniform(0, 2, (n_rows, 1))
    noise = size * rng.standard_normal((n_rows, _PROBE_HOPS * hop))
    phase = rng.uniform(0, 2 * np.pi, (n_rows, 1))
    slow = size * np.sin(2 * np.pi * 7.0 / 500 * np.arange(noise.shape[1]) + phase)
    signal = (noise + slow).astype(np.float32)
    signal[rng.integers(n_rows), noise.shape[1] // 2 :] += 80
    signal[rng.integers(n_rows), -5 * hop :] = 0
    hops = np.ascontiguousarray(signal.reshape(n_rows, _PROBE_HOPS, hop).transpose(1, 0, 2))
    usable = rng.random((_PROBE_HOPS, n_rows)) > 0.1
    usable[0] = True
    hops[~usable] = np.nan
    from .torch_engine import TorchEngine

    engine = TorchEngine(step)
    said = [engine.hear(one, there) for one, there in zip(hops, usable, strict=True)]
    return Probe(hops_uv=hops, usable=usable, embeddings=np.stack(said))


def _check(bundle: Bundle, precisions: Sequence[str], calibration: HopPairs | None) -> None:
    if bundle.folder is None or bundle.card.encoder != "student":
        raise ConfigError(
            f"Only a student can be compiled, and this model's encoder is "
            f"{bundle.card.encoder!r}, which runs as it is: fit one with --encoder student."
        )
    if unknown := [one for one in precisions if one not in PRECISIONS]:
        raise ConfigError(
            f"A student is compiled to {', '.join(PRECISIONS)}, got {unknown[0]!r}: choose one."
        )
    if "int8" in precisions and calibration is None:
        raise ConfigError(
            "8-bit integers need signal to find their ranges on: name recordings of the model's "
            "rows with --on."
        )


def _folder(bundle: Bundle, sha256: str) -> Compiled:
    """The folder with what it holds of this very bundle, or an empty one."""
    assert bundle.folder is not None
    versions = {name: metadata.version(name) for name in _MADE_WITH}
    try:
        found = Compiled.of(bundle.folder, sha256)
    except EngineError:
        found = None
    if found is not None and found.index.versions == versions:
        return found
    return Compiled.begin(bundle.folder, sha256, versions)


def _in_precision(
    graph: bytes, shape: StepShape, precision: str, calibration: HopPairs | None
) -> bytes:
    if precision == "fp16":
        from .half_precision import to_half

        return to_half(graph)
    if precision == "int8":
        from .quantised_step import quantise_step

        assert calibration is not None
        # Symmetric: as fast on a processor, and TensorRT reads no other.
        return quantise_step(graph, shape, calibration, symmetric=True)
    return graph


def _error_of(content: bytes, shape: StepShape, precision: str, probe: Probe) -> float:
    engine = OnnxEngine(content, shape, precision=precision)
    error = probe.error_of(engine)
    engine.close()
    if not error <= TOLERANCE[precision]:
        raise EngineError(
            f"The student compiled to {precision} is {error:.2g} away from torch, allowed is "
            f"{TOLERANCE[precision]:g}: it was not kept."
        )
    return error
