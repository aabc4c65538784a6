"""How long a hop takes in every engine that this machine has: the subject of a benchmark.

Every engine runs in a process of its own, so that memory, threads and libraries do not mix. For one
number of channels and one context all of them are opened, filled with a whole context, and then
take turns: a block of hops each, A B C, A B C, round after round, so that whatever else the machine
does falls on all of them alike. The order turns from round to round. Only one works at a time.

latency
    Of each hop, from the signal in one array to the embedding in another: median, p99, p99.9.
jitter
    p99 less the median, and the standard deviation.
throughput
    Hops a second, from the sum of the latencies.
memory
    Most memory of the process less what it held before the engine was opened, libraries included.
start-up
    From starting the process to the first embedding; opening alone beside it. A plan or a kernel
    that is built on opening counts.
ticks
    A second Python thread keeps time at 1 kHz: the share of ticks that came over 1 ms late, with
    the engine idle and with it running without a pause. An engine that holds the interpreter's
    lock through a hop shows here.
ratio
    Median of the reference engine by median of this one, with a 95 % interval: rounds are drawn
    with replacement, the same for both.
floor
    What the arithmetic and the bytes of a hop take at this machine's peaks; see `measuring_floor`.
    It is that of 32-bit floats on one thread, also beside engines that use less or more.

Signal is noise, electrodes are made up, and for a context that the student was not trained for its
biases of age are cut or repeated: none of it changes what a hop costs.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...runtime.errors import ConfigError, DiverloopError, EngineError
from ..student_config import RATE_HZ
from .measuring_figures import Name, against_floor, ratios_of, summarise
from .measuring_floor import Peaks, floor_of
from .measuring_process import Worker, machine_figures
from .measuring_shelf import Shelf, with_context
from .measuring_worker import TEACHER
from .opening import ENGINES, EngineChoice

_TEACHER_SHARE = 10  # one hop of it for so many of the others

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringPlan:
    """What is to be measured.

    Parameters
    ----------
    student : str
        A shipped student, or the path of one.
    engines : tuple of str
        ``"NAME"`` or ``"NAME:PRECISION"``, as a session names them.
    channels : tuple of int
        Numbers of rows.
    contexts : tuple of int
        Hops that a hop attends to; empty for the student's own.
    rounds, hops : int
        Rounds, and hops of each engine in a round.
    rest_s : float
        Pause before every hop. 0 keeps everything in the caches; the hop's own 0.1 s is what a
        session does.
    ticks_s : float
        How long ticks are counted, with and without the engine; 0 leaves it out.
    teacher : bool
        Whether the smallest teacher is timed too, a tenth as often.
    teacher_window_s : float
        What it reads for every hop, in whole seconds: 1 is the least that it can read.
    seed : int
        Of everything drawn.
    """

    student: str = "eeg-s"
    engines: tuple[str, ...] = ("torch", "onnxruntime", "openvino")
    channels: tuple[int, ...] = (1, 8, 32, 64, 128, 256)
    contexts: tuple[int, ...] = ()
    rounds: int = 20
    hops: int = 50
    rest_s: float = 0.0
    ticks_s: float = 2.0
    teacher: bool = False
    teacher_window_s: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.engines:
            EngineChoice.parse(name)
        if not self.engines or "auto" in self.engines:
            raise ConfigError(
                f"engines must name at least one and not 'auto', got {list(self.engines)}: choose "
                f"of {', '.join(ENGINES)}."
            )
        for what in ("channels", "contexts"):
            if any(n < 1 for n in getattr(self, what)):
                raise ConfigError(
                    f"{what} must be at least 1, got {list(getattr(self, what))}: raise them."
                )
        if not self.channels or self.rounds < 2 or self.hops < 2:
            raise ConfigError(
                f"Measuring needs channels, and at least 2 rounds of 2 hops, got "
                f"{list(self.channels)}, {self.rounds} and {self.hops}: raise them."
            )
        if self.rest_s < 0 or self.ticks_s < 0 or self.teacher_window_s % 1 > 0:
            raise ConfigError(
                f"rest_s and ticks_s must not be negative and teacher_window_s must be whole, got "
                f"{self.rest_s:g}, {self.ticks_s:g} and {self.teacher_window_s:g}: change them."
            )
        if self.teacher_window_s < 1:
            raise ConfigError(
                f"teacher_window_s must be at least 1, got {self.teacher_window_s:g}: raise it."
            )

    def wanted(self) -> list[tuple[str, str]]:
        """Engine and precision of each, the teacher last."""
        chosen = [EngineChoice.parse(name) for name in self.engines]
        found = [(one.name, one.precision or ENGINES[one.name][0]) for one in chosen]
        return [*dict.fromkeys(found), *([(TEACHER, "fp32")] if self.teacher else [])]


def measure_all(
    plan: MeasuringPlan, progress: Told = lambda what, done, of: None
) -> dict[str, Any]:
    """Measure every engine on every size.

    Parameters
    ----------
    plan : MeasuringPlan
        What is wanted.
    progress : callable
        Told what is being done, how far, and of how much.

    Returns
    -------
    figures : dict
        Plain numbers and text, as JSON holds them: ``machine``, ``plan``, ``peaks``, ``floors``,
        ``engines`` (one entry for each engine and size; ``refused`` where it could not run) and
        ``ratios``.

    Raises
    ------
    ConfigError, BundleError
        If there is no such student, or torch is not installed.
    EngineError
        If a process ends without a word.
    """
    from ..shipped import open_student

    student, sha256 = open_student(plan.student)
    contexts = plan.contexts or (student.config.context,)
    sizes = [(channels, context) for context in contexts for channels in plan.channels]
    engines: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    configs = [(replace(student.config, context=context), n) for n, context in sizes]
    machine = machine_figures(configs)
    peaks = Peaks(**machine["peaks"])
    with tempfile.TemporaryDirectory(prefix="diverloop-engines-") as folder:
        for place, (channels, context) in enumerate(sizes):
            progress(f"channels {channels}, context {context}", place, len(sizes))
            shelf = Shelf(with_context(student, context), channels, Path(folder), plan.seed)
            found, compared = _one_size(plan, shelf)
            engines += found
            ratios += compared
    floors = [
        {
            "channels": config_and_rows[1],
            "context": config_and_rows[0].context,
            **floor_of(*config_and_rows, peaks, shapes_ms).to_dict(),
        }
        for config_and_rows, shapes_ms in zip(configs, machine["shapes_ms"], strict=True)
    ]
    return {
        "machine": _machine(),
        "student": {"name": plan.student, "sha256": sha256},
        "hop_ms": 1e3 * student.config.hop / RATE_HZ,
        "plan": asdict(plan),
        "peaks": asdict(peaks),
        "floors": floors,
        "engines": against_floor(engines, floors),
        "ratios": ratios,
    }


def _one_size(
    plan: MeasuringPlan, shelf: Shelf
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Figures of all engines on one size, and their ratios to the reference."""
    size = {"channels": shelf.channels, "context": shelf.config.context}
    found: list[dict[str, Any]] = []
    workers: dict[Name, Worker] = {}
    refused: dict[Name, str] = {}
    try:
        for name in plan.wanted():
            try:
                workers[name] = Worker(shelf.order(*name, plan.teacher_window_s))
            except DiverloopError as error:
                refused[name] = str(error)
        rounds_ms = _in_turns(plan, workers, shelf.config.context, refused)
        for name, worker in workers.items():
            if name not in refused:
                found.append({**_entry(name, size), **_figures(plan, worker, rounds_ms[name])})
    finally:
        for worker in workers.values():
            worker.close()
    found += [{**_entry(name, size), "refused": why} for name, why in refused.items()]
    ratios = [
        {**_entry(name, size), **one} for name, one in ratios_of(rounds_ms, plan.seed).items()
    ]
    return found, ratios


def _entry(name: Name, size: dict[str, int]) -> dict[str, Any]:
    return {"engine": name[0], "precision": name[1], **size}


def _figures(plan: MeasuringPlan, worker: Worker, rounds_ms: list[list[float]]) -> dict[str, Any]:
    """What one engine's entry says; memory first, before anything else is asked of it."""
    found = {**worker.opened, **summarise(rounds_ms), "memory_mb": worker.memory_mb()}
    if plan.ticks_s:
        found["ticks"] = worker.ticks(plan.ticks_s)
    return found


def _in_turns(
    plan: MeasuringPlan, workers: dict[Name, Worker], context: int, refused: dict[Name, str]
) -> dict[Name, list[list[float]]]:
    """Milliseconds of each hop, round by round; who stops is out, and is told of in `refused`."""
    taken: dict[Name, list[list[float]]] = {name: [] for name in workers}
    names = list(workers)
    for turn in range(-1, plan.rounds):
        start = turn % max(1, len(names))
        for name in names[start:] + names[:start]:
            if name in refused:
                continue
            n_hops = plan.hops if turn >= 0 else max(plan.hops, context + 1)
            if name[0] == TEACHER:
                n_hops = max(2, plan.hops // _TEACHER_SHARE)
            try:
                times_ms = workers[name].block(n_hops, plan.rest_s if turn >= 0 else 0.0)
            except EngineError as error:
                refused[name] = str(error)
                taken[name].clear()
                continue
            if turn >= 0:  # the round before the first fills the context
                taken[name].append(times_ms)
    return taken


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
