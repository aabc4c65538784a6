"""One engine in a process of its own, measured on request.

`measuring` starts it with ``python -m diverloop.decoders.engines.measuring_worker`` and writes one
line of JSON for each thing it wants; each is answered by one line. The first is the order: which
engine, on what. Between requests the process waits, so that several engines can take turns on a
machine without meeting in memory, threads or libraries.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError, DiverloopError, EngineError
from ..student_config import RATE_HZ, StudentConfig
from .engine import Bools, Engine, EngineAbout, Hop
from .measuring_floor import measure_peaks, time_at_shapes
from .measuring_ticks import ticks_lost
from .opening import ENGINES
from .step_shape import StepShape

TEACHER = "teacher-tiny"
"""Not an engine that can serve: the smallest teacher, which reads its whole window every hop."""

_N_HOPS = 64  # different ones, heard over and over
_AMPLITUDE_UV = 20.0
_MODES = {"torch": "eager", "torch-compiled": "compiled", "torch-cuda": "cuda"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker is to open.

    Parameters
    ----------
    engine : str
        A key of `ENGINES`, or `TEACHER`.
    precision : str
        One of that engine's.
    channels : int
        Rows of the stream.
    config : StudentConfig
        Of the student.
    student, graph : str
        Paths of its weights and of its compiled step; empty where not needed.
    window_s : float
        What the teacher reads.
    seed : int
        Of places and signal.
    """

    engine: str
    precision: str
    channels: int
    config: StudentConfig
    student: str = ""
    graph: str = ""
    window_s: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        known = {TEACHER: ("fp32",), **ENGINES}
        if self.precision not in known.get(self.engine, ()):
            raise ConfigError(
                f"There is no engine {self.engine!r} of precision {self.precision!r} to measure: "
                f"choose of {', '.join(known)}."
            )
        if self.channels < 1:
            raise ConfigError(f"channels must be at least 1, got {self.channels}: give more.")

    def to_json(self) -> str:
        """One line; `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """From `to_json`."""
        settings = json.loads(line)
        return cls(**{**settings, "config": StudentConfig.from_dict(settings["config"])})


class Bench:
    """An engine that is measured, in this process.

    Parameters
    ----------
    make_engine : callable
        Opens the engine: what it takes until its first embedding is the time of opening.
    hops : list of (hop_uv, usable)
        Heard over and over.
    clock_ns : callable
        Monotonic nanoseconds.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        hops: list[tuple[Hop, Bools]],
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._clock_ns, self._hops = clock_ns, _endless(hops)
        start = clock_ns()
        self.engine = make_engine()
        self.hear()
        self.open_s = (clock_ns() - start) / 1e9

    def hear(self) -> NDArray[np.float32]:
        """The embedding of the next hop."""
        return self.engine.hear(*next(self._hops))

    def block(self, n_hops: int, rest_s: float = 0.0) -> list[int]:
        """Nanoseconds of each of so many hops, resting before each."""
        found = []
        for _ in range(n_hops):
            hop_uv, usable = next(self._hops)
            if rest_s:
                time.sleep(rest_s)
            start = self._clock_ns()
            self.engine.hear(hop_uv, usable)
            found.append(self._clock_ns() - start)
        return found

    def ticks(self, seconds: float) -> dict[str, dict[str, float]]:
        """`ticks_lost` while nothing runs, and while this engine does."""
        return ticks_lost(self.hear, seconds)


def hops_of(n_channels: int, hop: int, seed: int) -> list[tuple[Hop, Bools]]:
    """Noise of 20 uV on rows that are all there, as a list of hops."""
    rng = np.random.default_rng(seed)
    signal = _AMPLITUDE_UV * rng.standard_normal((_N_HOPS, n_channels, hop))
    usable = np.ones(n_channels, bool)
    return [(one, usable) for one in signal.astype(np.float32)]


def places_mm(n_channels: int, seed: int) -> NDArray[np.float32]:
    """Made-up electrodes, shape (1, n_channels, 3): what they cost does not depend on where."""
    rng = np.random.default_rng(seed)
    return (60 * rng.standard_normal((1, n_channels, 3))).astype(np.float32)


def open_engine(order: Order) -> Engine:
    """Open what an order asks for.

    Parameters
    ----------
    order : Order
        Paths in it must exist where its engine needs them.

    Returns
    -------
    engine : Engine
        Open.

    Raises
    ------
    ConfigError, EngineError, BundleError
        If this machine cannot run it.
    """
    if order.engine == TEACHER:
        return TeacherWindow(order.channels, order.config.hop, order.window_s)
    if order.engine in _MODES:
        return _in_torch(order)
    shape, graph = StepShape.of(order.config, order.channels), Path(order.graph).read_bytes()
    if order.engine == "openvino":
        from .openvino_engine import OpenVinoEngine

        return OpenVinoEngine(graph, shape, precision=order.precision)
    if order.engine == "tensorrt":
        from .tensorrt_build import build_plan
        from .tensorrt_engine import TensorRtEngine

        plan = build_plan(graph)
        return TensorRtEngine(plan.plan, shape, precision=order.precision)
    from .onnx_engine import OnnxEngine

    provider = order.engine.partition("-")[2] or "cpu"
    return OnnxEngine(graph, shape, precision=order.precision, provider=provider)


class TeacherWindow:
    """Engine, for comparison only: the smallest teacher on the last seconds, anew for every hop.

    Parameters
    ----------
    n_rows : int
        Rows of the stream.
    hop : int
        Samples of a hop at 500 Hz.
    window_s : float
        Whole seconds of signal that it reads.
    """

    def __init__(self, n_rows: int, hop: int, window_s: float) -> None:
        import torch

        from ..teacher import Teacher, TeacherConfig

        torch.set_num_threads(1)
        torch.manual_seed(0)
        config = TeacherConfig.named("tiny", RATE_HZ)
        self.about = EngineAbout(
            name=TEACHER, precision="fp32", device="cpu", version=torch.__version__
        )
        self._teacher = Teacher(config, with_heads=False).eval()
        self._window = np.zeros((1, n_rows, round(window_s * RATE_HZ)), np.float32)
        self._hop = hop

    def restart(self) -> None:
        """Forget the window."""
        self._window[...] = 0

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Mean of the features of all electrodes; see `Engine.hear`."""
        import torch

        self._window[..., : -self._hop] = self._window[..., self._hop :]
        self._window[0, :, -self._hop :] = hop_uv
        with torch.inference_mode():
            features = self._teacher(
                torch.from_numpy(self._window), usable=torch.from_numpy(usable)[None]
            )
            embedding: NDArray[np.float32] = features.mean((1, 2))[0].numpy()
        return embedding

    def close(self) -> None:
        """Nothing is held outside it."""


def memory_mb(key: str) -> float | None:
    """``"VmRSS"`` or ``"VmHWM"``: memory of this process, now or at most; None off Linux."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{key}:"))


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Open the engine of the first line, then answer line by line until there are no more.

    Parameters
    ----------
    requests, answers : text file
        JSON, one object a line. The first is an `Order`, or ``shapes``: a list of pairs of a
        student's settings and a number of rows, for the peaks of this machine. After an order a
        request has one key: ``block`` (hops, rest in seconds), ``ticks`` (seconds), ``memory``.
    """

    def answer(found: object) -> None:
        answers.write(json.dumps(found) + "\n")
        answers.flush()

    line = requests.readline()
    if "shapes" in (asked := json.loads(line)):
        answer(_machine(asked["shapes"]))
        return
    before_mb = memory_mb("VmRSS")
    try:
        order = Order.from_json(line)
        bench = Bench(
            lambda: open_engine(order),
            hops_of(order.channels, order.config.hop, order.seed),
        )
    except DiverloopError as error:
        answer({"refused": str(error)})
        return
    answer({"about": asdict(bench.engine.about), "open_s": bench.open_s})
    for line in requests:
        answer(_answer(json.loads(line), bench, before_mb))
    bench.engine.close()


def _machine(shapes: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
    students = [(StudentConfig.from_dict(config), rows) for config, rows in shapes]
    shapes_ms = [time_at_shapes(config, rows) for config, rows in students]
    return {"peaks": asdict(measure_peaks()), "shapes_ms": shapes_ms}


def _answer(asked: dict[str, Any], bench: Bench, before_mb: float | None) -> object:
    try:
        if "block" in asked:
            return bench.block(*asked["block"])
        if "ticks" in asked:
            return bench.ticks(asked["ticks"])
    except EngineError as error:
        return {"refused": str(error)}
    most_mb = memory_mb("VmHWM")
    return None if most_mb is None or before_mb is None else most_mb - before_mb


def _endless(hops: list[tuple[Hop, Bools]]) -> Iterator[tuple[Hop, Bools]]:
    while True:
        yield from hops


def _in_torch(order: Order) -> Engine:
    import torch

    from ..student_files import load_student
    from .step_export import Step
    from .torch_engine import TorchEngine

    modality = 1 if order.config.high_gamma else 0
    places = torch.from_numpy(places_mm(order.channels, order.seed))
    step = Step(load_student(order.student), places, modality)
    mode: Any = _MODES[order.engine]
    return TorchEngine(step, mode, order.precision)


def main() -> None:
    """Serve on what this process was started with."""
    # Whatever a library prints goes to the errors: the answers have the way out for themselves.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
