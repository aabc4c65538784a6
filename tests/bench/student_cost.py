"""What a decision costs: size, arithmetic and CPU time of teacher and students, as JSON.

    python tests/bench/student_cost.py [--repeats 60] [--channels 16,32,64,128,256] [--rest-s 0]

Weights are random: cost does not depend on them. Everything is per hop, so for one decision every
0.1 s. A teacher has to read its whole window (1 s) again for it; a student does so too where it is
said to be ``full`` (2 s, 20 hops), or reads the new hop alone (``step``) behind a full context. One
thread, plain torch, no compiler. All cases of one row of repeats are timed one after the other and
then again, so that whatever else the machine does falls on all of them alike; the order turns from
row to row. A step comes five times in a row: ``first_ms`` is the one that finds its weights driven
out of the caches by everything else here, the other four are ``wall_ms`` and ``cpu_ms``. Times are
in milliseconds of the monotonic clock, and beside them of this thread's own
CPU clock, which does not count what other programs took.

Growth is the exponent of a power law in the number of channels: the slope of log time against log
channels between the fewest and the most channels; 1 is linear. Arithmetic is counted by
torch.utils.flop_counter, a multiplication with its addition as two; what is no matrix product is
not counted there.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.teacher import Teacher, TeacherConfig

TEACHER_CHANNELS = (16, 64)
TEACHER_REPEATS = 5
WINDOW_HOPS = 20
STEPS_IN_A_ROW = 5


@dataclass(kw_only=True)
class Case:
    """One thing to time."""

    name: str
    channels: int
    call: Callable[[], Any]
    most: int
    in_a_row: int = 1
    first_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def time_once(self) -> None:
        """Run it so many times in a row and write the times down."""
        if len(self.wall_ms) >= self.most:
            return
        for place in range(self.in_a_row):
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            self.call()
            cpu_ms = (time.thread_time_ns() - cpu) / 1e6
            wall_ms = (time.perf_counter_ns() - wall) / 1e6
            if place or self.in_a_row == 1:
                self.cpu_ms.append(cpu_ms)
                self.wall_ms.append(wall_ms)
            else:
                self.first_ms.append(wall_ms)

    def report(self) -> dict[str, Any]:
        """Arithmetic and times."""
        counter = FlopCounterMode(display=False)
        # The counter does not know the CPU's fused attention; taken apart it counts its products.
        with sdpa_kernel(SDPBackend.MATH), counter:
            self.call()
        return {
            "channels": self.channels,
            "gflop_per_hop": round(counter.get_total_flops() / 1e9, 4),
            "n": len(self.wall_ms),
            **({"first_ms": _percentiles(self.first_ms)} if self.first_ms else {}),
            "wall_ms": _percentiles(self.wall_ms),
            "cpu_ms": _percentiles(self.cpu_ms),
        }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 3),
        "p99": round(float(np.percentile(values, 99)), 3),
    }


def students(channels: list[int], repeats: int) -> Iterator[Case]:
    """Both sizes, full and streaming, with positions as a montage gives them."""
    for size in ("S", "M"):
        student = Student(StudentConfig.named(size)).eval().requires_grad_(False)
        hop = student.config.hop
        for n in channels:
            places, modality = 50 * torch.randn(1, n, 3), torch.zeros(1, dtype=torch.int64)
            window, patch = 20 * torch.randn(1, n, WINDOW_HOPS * hop), 20 * torch.randn(1, n, hop)
            yield Case(
                name=f"student {size} full",
                channels=n,
                call=_full(student, window, places, modality),
                most=min(repeats, 30),
            )
            yield Case(
                name=f"student {size} step",
                channels=n,
                call=_step(student, patch, places, modality),
                most=(STEPS_IN_A_ROW - 1) * repeats,
                in_a_row=STEPS_IN_A_ROW,
            )


def _full(student: Student, window: Tensor, places: Tensor, modality: Tensor) -> Callable[[], Any]:
    return lambda: student(window, None, places, modality)


def _step(student: Student, patch: Tensor, places: Tensor, modality: Tensor) -> Callable[[], Any]:
    state = student.initial_state(1, patch.shape[1])
    for _ in range(2):
        # The shapes are those of a full context from the start; a few hops warm torch up.
        _, state = student.step(patch, state, None, places, modality)
    state = state._replace(filled=torch.full((1,), student.config.context - 1))
    return lambda: student.step(patch, state, None, places, modality)


def teachers(channels: list[int]) -> Iterator[Case]:
    """Tiny, patches of 1 s and of 0.1 s, on a window of 1 s."""
    for patch in (500, 50):
        teacher = Teacher(TeacherConfig.named("tiny", patch), with_heads=False)
        teacher.eval().requires_grad_(False)
        for n in channels:
            window = 20 * torch.randn(1, n, 500)
            yield Case(
                name=f"teacher tiny {patch / 500:g} s full",
                channels=n,
                call=lambda teacher=teacher, window=window: teacher(window),  # type: ignore[misc]
                most=TEACHER_REPEATS,
            )


def sizes() -> dict[str, dict[str, float]]:
    """Parameters, and megabytes of weights as float32 and int8."""
    modules = {
        "teacher tiny 1 s": Teacher(TeacherConfig.named("tiny", 500), with_heads=False),
        "teacher tiny 0.1 s": Teacher(TeacherConfig.named("tiny", 50), with_heads=False),
        "student S": Student(StudentConfig.named("S")),
        "student M": Student(StudentConfig.named("M")),
        "student S iEEG": Student(StudentConfig.named("S", "iEEG")),
        "student M iEEG": Student(StudentConfig.named("M", "iEEG")),
    }
    found = {}
    for name, module in modules.items():
        n = sum(parameter.numel() for parameter in module.parameters())
        found[name] = {"parameters": n, "float32_mb": round(4e-6 * n, 2)}
        found[name]["int8_mb"] = round(1e-6 * n, 2)
    return found


def growth(cases: list[Case], value: Callable[[Case], float]) -> dict[str, float]:
    """Exponent in the number of channels, between the fewest and the most."""
    found = {}
    for name in dict.fromkeys(case.name for case in cases):
        mine = sorted((c for c in cases if c.name == name), key=lambda case: case.channels)
        few, many = mine[0], mine[-1]
        if few.channels < many.channels:
            ratio = value(many) / value(few)
            found[name] = round(float(np.log(ratio) / np.log(many.channels / few.channels)), 2)
    return found


def measure(cases: list[Case], repeats: int, rest_s: float) -> None:
    """Round after round, so that what else the machine does falls on all alike."""
    for case in cases:
        case.call()
    for turn in range(repeats):
        start = turn % len(cases)
        for case in cases[start:] + cases[:start]:
            case.time_once()
        time.sleep(rest_s)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--channels", default="16,32,64,128,256")
    parser.add_argument("--rest-s", type=float, default=0.0, help="pause between rounds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels = [int(n) for n in options.channels.split(",")]
    with torch.inference_mode():
        cases = [
            *students(channels, options.repeats),
            *teachers([n for n in TEACHER_CHANNELS if n in channels]),
        ]
        measure(cases, options.repeats, options.rest_s)
        table: dict[str, list[dict[str, Any]]] = {}
        for case in cases:
            table.setdefault(case.name, []).append(case.report())
    found = {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": 1},
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "sizes": sizes(),
        "cost": table,
        "growth": {
            "wall": growth(cases, lambda case: float(np.median(case.wall_ms))),
            "cpu": growth(cases, lambda case: float(np.median(case.cpu_ms))),
        },
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
