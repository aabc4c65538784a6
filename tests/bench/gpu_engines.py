"""Every engine for an NVIDIA GPU, built, checked, timed and profiled in one go, as JSON.

    python tests/bench/gpu_engines.py [--student eeg-s] [--rows 64,256] [--hops 2000]
        [--limit-s 440] [--anyway] > gpu.json

Prepared for a machine that has a GPU and no network: it reads nothing but the installed package.
What cannot run there is listed with ``"not measured"`` and the reason, and the rest goes on: each
engine runs in a process of its own, so that one which crashes, or leaves CUDA in an error, takes
nothing along. Where there is no GPU at all, only plans of TensorRT-RTX are built, which needs none;
``--anyway`` tries every engine all the same, to see this script at work.

For each engine and number of rows there is

- ``open_s``, from the graph or weights to the first embedding, building or compiling included;
- ``disagreement`` with the reference (torch, 32 bits, processor) over 60 hops of noise of 1 to
  200 uV with rows that come and go, beside what the precision allows;
- ``hop_ms``, wall-clock time of `Engine.hear`, so with the copies to the GPU and back, hop after
  hop; and ``paced_ms``, with a pause of 30 ms before each hop, in which a GPU may lower its clocks,
  as it may between the hops of a session;
- ``gpu``, what the profiler of torch saw on the device in 20 hops: busy time and number of kernels
  and copies in a hop, and the five that took longest;
- ``memory_mib``, what opening it took from the GPU beside what CUDA itself takes.

``meets_target`` says whether the 99th percentile of ``hop_ms`` is at most 1 ms. Figures are of
this machine and of nothing else; electrodes are at random places.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import importlib.metadata
import json
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diverloop.decoders.engines.engine import TOLERANCE, Engine, EngineAbout, disagreement
from diverloop.decoders.engines.half_precision import to_half
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.engines.tensorrt_build import build_plan
from diverloop.decoders.engines.tensorrt_engine import TensorRtEngine
from diverloop.decoders.engines.torch_engine import TorchEngine
from diverloop.decoders.shipped import open_student
from diverloop.runtime.errors import DiverloopError

NOT = "not measured"
NO_GPU = "no NVIDIA GPU"
TARGET_P99_MS = 1.0
PROBE_HOPS, WARM_UP_HOPS, PACED_HOPS, PROFILED_HOPS = 60, 50, 100, 20
PAUSE_S = 0.03
LONGEST_S = 12.0
ONE_ENGINE_S = 150
SIZES_UV = (1.0, 10.0, 50.0, 200.0)
CAPABILITIES = ((8, 6), (8, 9), (12, 0))
PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt_rtx", "triton")


class OnGpu:
    """Engine: torch on the GPU, kernel by kernel, eager or by `torch.compile`; to compare with."""

    def __init__(self, step: Step, compiled: bool) -> None:
        self._step = step.eval().cuda()
        self._shape = StepShape.of(step.student.config, step.places.shape[1])
        self._run = torch.compile(self._step) if compiled else self._step
        kinds = {"float32": torch.float32, "bool": torch.bool}
        self._host = {
            name: torch.zeros(dims, dtype=kinds[kind], pin_memory=True)
            for name, (dims, kind) in list(self._shape.inputs.items())[:2]
        }
        self.about = EngineAbout(
            name="torch-compile-gpu" if compiled else "torch-eager-gpu",
            precision="fp32",
            device=torch.cuda.get_device_name(),
            version=torch.__version__,
        )
        self.restart()

    def restart(self) -> None:
        """Forget the stream."""
        self._state = [torch.from_numpy(a).cuda() for a in self._shape.empty_state().values()]

    def hear(self, hop_uv: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """Embedding of the next hop."""
        self._host["hop_uv"].numpy()[...] = hop_uv
        self._host["usable"].numpy()[...] = usable
        with torch.inference_mode():
            given = [one.to("cuda", non_blocking=True) for one in self._host.values()]
            embedding, *self._state = self._run(*given, *self._state)
            return embedding.cpu().numpy()

    def close(self) -> None:
        """Release its memory."""
        self._state.clear()


# --- which engines ---------------------------------------------------------------------------


class Case:
    """What an engine is opened from: the files that the first process wrote."""

    def __init__(self, folder: Path, student: str, rows: int) -> None:
        self.student, self.rows, self.folder = student, rows, folder
        probe = np.load(folder / f"probe-{rows}.npz", allow_pickle=False)
        self.hops, self.usable, self.expected = (probe[k] for k in ("hops", "usable", "expected"))
        self.places = torch.from_numpy(probe["places"])

    def step(self) -> Step:
        """The student on its electrodes."""
        return step_of(self.student, self.places)

    def graph(self, precision: str) -> bytes:
        """The exported step."""
        return (self.folder / f"step-{self.rows}-{precision}.onnx").read_bytes()

    def shape(self) -> StepShape:
        """Its interface."""
        return StepShape.of(open_student(self.student)[0].config, self.rows)


def onnx_runtime(provider: str, precision: str, **options: str) -> Callable[[Case], Engine]:
    """ONNX Runtime on a provider."""
    return lambda case: OnnxEngine(
        case.graph(precision),
        case.shape(),
        precision=precision,
        provider=provider,
        options=options,
    )


def tensorrt(flavour: Any, precision: str) -> Callable[[Case], Engine]:
    """A plan for the GPU that is here, built and loaded."""
    return lambda case: TensorRtEngine(
        build_plan(case.graph(precision), flavour=flavour).plan,
        case.shape(),
        precision=precision,
        flavour=flavour,
    )


ENGINES: dict[str, Callable[[Case], Engine]] = {
    "torch eager, processor": lambda case: TorchEngine(case.step()),
    "onnxruntime, processor": onnx_runtime("cpu", "fp32"),
    "torch CUDA graph, fp32": lambda case: TorchEngine(case.step(), mode="cuda"),
    "torch CUDA graph, fp16": lambda case: TorchEngine(case.step(), mode="cuda", precision="fp16"),
    "torch eager, GPU": lambda case: OnGpu(case.step(), compiled=False),
    "tensorrt, fp16": tensorrt("tensorrt", "fp16"),
    "tensorrt, fp32": tensorrt("tensorrt", "fp32"),
    "onnxruntime CUDA, fp32": onnx_runtime("cuda", "fp32", use_tf32="0"),
    "onnxruntime CUDA, fp16": onnx_runtime("cuda", "fp16", use_tf32="0"),
    "torch.compile, GPU": lambda case: OnGpu(case.step(), compiled=True),
    "tensorrt_rtx, fp16": tensorrt("tensorrt_rtx", "fp16"),
    "tensorrt_rtx, fp32": tensorrt("tensorrt_rtx", "fp32"),
    "onnxruntime TensorRT, fp32": onnx_runtime("tensorrt", "fp32"),
    "onnxruntime TensorRT, fp16": onnx_runtime("tensorrt", "fp16", trt_fp16_enable="1"),
}
"""Most wanted first: when the time is up, the rest is not measured."""


# --- one engine ------------------------------------------------------------------------------


def measured(engine_name: str, case: Case, hops: int) -> dict[str, Any]:
    """All figures of one engine on one number of rows."""
    free = free_mib()
    begun = time.perf_counter()
    try:
        engine = ENGINES[engine_name](case)
        engine.hear(case.hops[0], case.usable[0])  # torch.compile begins its work here
        opened_s = seconds_since(begun)
        engine.restart()
        said = np.stack([engine.hear(*one) for one in zip(case.hops, case.usable, strict=True)])
    except (DiverloopError, RuntimeError, AssertionError, ImportError) as error:
        return {NOT: f"{type(error).__name__}: {first_line(error)}"}
    found: dict[str, Any] = {"engine": str(engine.about), "open_s": opened_s}
    if free is not None:
        found["memory_mib"] = round(free - (free_mib() or 0.0), 1)
    found["disagreement"] = float(f"{disagreement(said, case.expected):.3g}")
    found["allowed"] = TOLERANCE[engine.about.precision]
    found["agrees"] = found["disagreement"] <= found["allowed"]
    engine.restart()
    list(timed(engine, case, WARM_UP_HOPS))
    found["hop_ms"] = spread(list(timed(engine, case, hops)))
    found["paced_ms"] = spread(list(timed(engine, case, PACED_HOPS, PAUSE_S)))
    found["meets_target"] = found["hop_ms"]["p99"] <= TARGET_P99_MS
    if torch.cuda.is_available():
        found["gpu"] = profiled(engine, case)
    engine.close()
    return found


def timed(engine: Engine, case: Case, hops: int, pause_s: float = 0.0) -> Iterator[float]:
    """Milliseconds of each hop; fewer hops than asked for where they take too long."""
    end = time.perf_counter() + LONGEST_S
    for turn in range(hops):
        if time.perf_counter() > end:
            break
        place = turn % len(case.hops)
        if pause_s:
            time.sleep(pause_s)
        begun = time.perf_counter_ns()
        engine.hear(case.hops[place], case.usable[place])
        yield (time.perf_counter_ns() - begun) / 1e6


def spread(times_ms: list[float]) -> dict[str, float]:
    """Percentiles, rounded to a tenth of a microsecond."""
    shares = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
    found = {name: round(float(np.percentile(times_ms, q)), 4) for name, q in shares.items()}
    return {**found, "hops": len(times_ms)}


def profiled(engine: Engine, case: Case) -> dict[str, Any]:
    """What the GPU did in a hop."""
    activity = torch.profiler.ProfilerActivity.CUDA
    try:
        with torch.profiler.profile(activities=[activity]) as profile:
            list(timed(engine, case, PROFILED_HOPS))
        seen = [one for one in profile.key_averages() if one.self_device_time_total > 0]
    except (RuntimeError, AttributeError, AssertionError) as error:
        return {NOT: first_line(error)}
    if not seen:
        return {NOT: "the profiler saw nothing on the device"}
    seen.sort(key=lambda one: -one.self_device_time_total)
    return {
        "busy_us": round(sum(one.self_device_time_total for one in seen) / PROFILED_HOPS, 2),
        "kernels_and_copies": round(sum(one.count for one in seen) / PROFILED_HOPS, 1),
        "longest_us": {
            one.key[:80]: round(one.self_device_time_total / PROFILED_HOPS, 2) for one in seen[:5]
        },
    }


def free_mib() -> float | None:
    """Free memory of the GPU."""
    return torch.cuda.mem_get_info()[0] / 2**20 if torch.cuda.is_available() else None


# --- all of them -----------------------------------------------------------------------------


def prepare(folder: Path, student: str, rows: int) -> dict[str, Any]:
    """Write graphs and the reference's answers for one number of rows."""
    torch.manual_seed(rows)
    places = 60 * torch.randn(1, rows, 3)
    step = step_of(student, places)
    begun = time.perf_counter()
    graph = export_step(step, {"name": student})
    exported_s = seconds_since(begun)
    (folder / f"step-{rows}-fp32.onnx").write_bytes(graph)
    (folder / f"step-{rows}-fp16.onnx").write_bytes(to_half(graph))
    rng = np.random.default_rng(rows)
    sizes = np.repeat(SIZES_UV, PROBE_HOPS // len(SIZES_UV))[:, None, None]
    hops = sizes * rng.standard_normal((PROBE_HOPS, rows, step.student.config.hop))
    hops, usable = hops.astype(np.float32), rng.random((PROBE_HOPS, rows)) > 0.1
    reference = TorchEngine(step)
    expected = np.stack([reference.hear(*one) for one in zip(hops, usable, strict=True)])
    np.savez(
        folder / f"probe-{rows}.npz",
        hops=hops,
        usable=usable,
        expected=expected,
        places=places.numpy(),
    )
    return {"export_s": exported_s}


def step_of(student: str, places: torch.Tensor) -> Step:
    """A shipped student on electrodes."""
    modality = 1 if student.startswith("ieeg") else 0
    return Step(open_student(student)[0].requires_grad_(False), places, modality)


def rtx_plans(folder: Path, rows: list[int]) -> list[dict[str, Any]]:
    """Plans of TensorRT-RTX for other machines' GPUs: no GPU is needed."""
    found = []
    for n in rows:
        for precision in ("fp32", "fp16"):
            graph = (folder / f"step-{n}-{precision}.onnx").read_bytes()
            for capability in CAPABILITIES:
                row: dict[str, Any] = {"rows": n, "precision": precision, "for": capability}
                begun = time.perf_counter()
                try:
                    built = build_plan(graph, compute_capability=capability, flavour="tensorrt_rtx")
                    row |= {"bytes": len(built.plan), "build_s": seconds_since(begun)}
                except DiverloopError as error:
                    row[NOT] = first_line(error)
                found.append(row)
    return found


def in_a_process(name: str, folder: Path, chosen: argparse.Namespace, left_s: float) -> Any:
    """One engine on all numbers of rows, as its own process tells."""
    if left_s < 10:
        return {NOT: "the time was up"}
    command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
    command += ["--student", chosen.student, "--rows", chosen.rows, "--hops", str(chosen.hops)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=min(left_s, ONE_ENGINE_S), check=False
        )
    except subprocess.TimeoutExpired as error:
        return {NOT: f"it took longer than {error.timeout:.0f} s"}
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        told = ended.stderr.strip().splitlines() or ["it said nothing"]
        return {NOT: f"its process ended with {ended.returncode}: {told[-1][:200]}"}
    return json.loads(lines[-1])


def machine() -> dict[str, Any]:
    """What the figures are of."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "gpu": None if gpu is None else gpu.name,
        "compute_capability": None if gpu is None else [gpu.major, gpu.minor],
        "gpu_memory_gib": None if gpu is None else round(gpu.total_memory / 2**30, 1),
        "cuda_of_torch": torch.version.cuda,
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "versions": versions,
    }


def seconds_since(begun: float) -> float:
    """Rounded to hundredths."""
    return round(time.perf_counter() - begun, 2)


def first_line(error: BaseException) -> str:
    """Of its message, short."""
    return (str(error).strip().splitlines() or ["no reason given"])[0][:300]


def main() -> None:
    parser = argparse.ArgumentParser(description="Engines for an NVIDIA GPU, as JSON.")
    parser.add_argument("--student", default="eeg-s")
    parser.add_argument("--rows", default="64,256")
    parser.add_argument("--hops", type=int, default=2000)
    parser.add_argument("--limit-s", type=float, default=440.0)
    parser.add_argument("--anyway", action="store_true", help="try the engines without a GPU too")
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    rows = [int(one) for one in chosen.rows.split(",")]
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the exporter misses operators that no student has
    if chosen.one:
        cases = {str(n): Case(chosen.folder, chosen.student, n) for n in rows}
        print(json.dumps({n: measured(chosen.one, case, chosen.hops) for n, case in cases.items()}))
        return
    begun = time.perf_counter()
    report: dict[str, Any] = {"student": chosen.student, "machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report["graphs"] = {n: prepare(folder, chosen.student, n) for n in rows}
        if torch.cuda.is_available() or chosen.anyway:
            report["target_p99_ms"] = TARGET_P99_MS
            report["engines"] = {
                one: in_a_process(one, folder, chosen, chosen.limit_s - seconds_since(begun))
                for one in ENGINES
            }
        if not torch.cuda.is_available():
            report[NOT] = NO_GPU
            report["plans"] = rtx_plans(folder, rows)
    report["wall_s"] = seconds_since(begun)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
