"""The rungs of `precision_ladder`: students, the graphs that serve them, and their features."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding_heads import Bools, Floats, Judge, Outcome, Views
from decoding_tasks import Task

from diverloop.decoders.compress import compress
from diverloop.decoders.corpus import Batch, Corpus
from diverloop.decoders.distill import distill
from diverloop.decoders.distill_config import DistillConfig
from diverloop.decoders.engines.calibration_hops import calibration_hops
from diverloop.decoders.engines.half_precision import to_half
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.engines.quantised_step import fold_weights, quantise_by_hop, quantise_step
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.prune import importance_of, prune
from diverloop.decoders.quantise import QuantiseConfig, freeze_ranges, prepare
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student, student_note
from diverloop.decoders.teacher_files import load_teacher
from diverloop.decoders.training_plan import TrainPlan

REFERENCE = "FP32"
PRUNED = {"pruned 30 %": 0.7, "pruned 50 %": 0.5}
QAT = "INT8 trained"
CALIBRATED_ON = 300
"""Hops whose ranges a static rung knows, of ten windows at least: every artefact is in ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One form of a student."""

    name: str
    student: Student
    precision: str
    form: Callable[[bytes, StepShape, Floats], bytes]
    note: str = ""
    on_cpu: bool = True
    scored: bool = True


@dataclass(slots=True, kw_only=True)
class Site:
    """Where rungs run: some electrodes, and windows heard there to find ranges on.

    Graphs that several rungs begin with are written once.
    """

    places_mm: Floats
    modality: int
    windows_uv: Floats
    plain: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task) -> Site:
        """Of a task: ranges come from its training windows, evenly spread."""
        n_windows = max(10, CALIBRATED_ON * 50 // task.windows_train.shape[2])
        rows = np.linspace(0, len(task.windows_train) - 1, n_windows).astype(int)
        return cls(
            places_mm=task.positions_mm,
            modality=int(task.modality != "EEG"),
            windows_uv=task.windows_train[np.unique(rows)],
        )

    @classmethod
    def made(cls, n_rows: int, seed: int = 0) -> Site:
        """Pink noise on electrodes anywhere: for what depends on sizes alone."""
        rng = np.random.default_rng(seed)
        spectrum = np.fft.rfft(rng.standard_normal((10, n_rows, 1000)))
        spectrum /= np.sqrt(np.arange(spectrum.shape[2]) + 1)
        return cls(
            places_mm=(60 * rng.standard_normal((n_rows, 3))).astype(np.float32),
            modality=0,
            windows_uv=(100 * np.fft.irfft(spectrum)).astype(np.float32),
        )

    def graph(self, rung: Rung) -> tuple[bytes, StepShape]:
        """What serves there."""
        shape = StepShape.of(rung.student.config, len(self.places_mm))
        if id(rung.student) not in self.plain:
            places = torch.from_numpy(np.asarray(self.places_mm, np.float32))[None]
            step = Step(rung.student, places, self.modality)
            self.plain[id(rung.student)] = export_step(step, {"bench": "precision_ladder"})
        return rung.form(self.plain[id(rung.student)], shape, self.windows_uv), shape


def _as_it_is(model: bytes, shape: StepShape, windows_uv: Floats) -> bytes:
    return model


def _half(model: bytes, shape: StepShape, windows_uv: Floats) -> bytes:
    return to_half(model)


def _by_hop(model: bytes, shape: StepShape, windows_uv: Floats) -> bytes:
    return quantise_by_hop(model)


def _folded(model: bytes, shape: StepShape, windows_uv: Floats) -> bytes:
    return fold_weights(model)


def _static(symmetric: bool) -> Callable[[bytes, StepShape, Floats], bytes]:
    def form(model: bytes, shape: StepShape, windows_uv: Floats) -> bytes:
        hop = shape.inputs["hop_uv"][0][1]
        return quantise_step(model, shape, calibration_hops(windows_uv, hop), symmetric=symmetric)

    return form


def after_training(student: Student, prefix: str = "", scored: bool = True) -> Iterator[Rung]:
    """What needs no more training than the student has had."""
    forms: dict[str, tuple[str, Callable[[bytes, StepShape, Floats], bytes]]] = {
        REFERENCE: ("fp32", _as_it_is),
        "FP16": ("fp16", _half),
        "INT8 static": ("int8", _static(False)),
        "INT8 symmetric": ("int8", _static(True)),
        "INT8 by hop": ("int8", _by_hop),
    }
    for name, (precision, form) in forms.items():
        yield Rung(
            name=prefix + name,
            student=student,
            precision=precision,
            form=form,
            note="accuracy on the processor, in 16 bits" if precision == "fp16" else "",
            on_cpu=precision != "fp16",
            scored=scored,
        )


def random_m() -> Iterator[Rung]:
    """Size M with weights as they are drawn: what it costs, not what it is worth."""
    torch.manual_seed(0)
    student = Student(StudentConfig.named("M")).eval().requires_grad_(False)
    for rung in after_training(student, "M ", scored=False):
        if rung.name.removeprefix("M ") in (REFERENCE, "INT8 static", "INT8 by hop"):
            yield rung


# --- rungs that are trained ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What distillation needs."""

    corpus: Path
    teacher: Path
    steps: int
    out: Path


CONFIG = DistillConfig(
    max_channels=20, min_channels=2, max_seconds=4.0, min_seconds=2.0, body_rate=0.2
)
"""The scaffolding of a distillation is new each time: it learns fast, the student goes slowly."""


def trained(student: Student, how: Training) -> Iterator[Rung]:
    """Compressed, then distilled for some hundred steps; kept in a folder for the next time."""
    for name, keep in PRUNED.items():
        note = f"distilled for {how.steps} steps"
        smaller = load_student(_distilled(student, how, name, keep=keep))
        yield _pruned_rung(name, smaller, note)
    path = _distilled(student, how, QAT, weight_bits=7)
    told = student_note(path)["quantisation"]
    ranges = {name: (float(low), float(high)) for name, (low, high) in told["ranges"].items()}
    prepared = prepare(load_student(path), QuantiseConfig(**told["config"]), ranges)
    freeze_ranges(prepared)
    yield Rung(
        name=QAT, student=prepared.eval().requires_grad_(False), precision="int8", form=_folded,
        note=f"distilled for {how.steps} steps",
    )  # fmt: skip


def _distilled(student: Student, how: Training, name: str, **compression: Any) -> Path:
    corpus, teacher = Corpus.open(how.corpus), load_teacher(how.teacher)
    smaller = compress(student, teacher, corpus, CONFIG, **compression)
    smaller.requires_grad_(True)
    plan = TrainPlan(
        out=how.out / f"{name.replace(' ', '-').replace('%', 'percent')}-{how.steps}",
        steps=how.steps, batch=4, learning_rate=1e-3, validate_every=how.steps, tensorboard=False,
        device="cpu",
    )  # fmt: skip

    def told(what: str, done: int, of: int) -> None:
        if done % 50 == 0 or done == of:
            print(f"{name}, {what}: {done} of {of}", file=sys.stderr, flush=True)

    return distill(corpus, teacher, smaller.config, CONFIG, plan, told, student=smaller)


def pruned(student: Student, tasks: list[Task]) -> Iterator[Rung]:
    """Without any training afterwards; importance from training windows of the tasks."""
    batches = [_batch(task) for task in tasks]
    for name, keep in PRUNED.items():
        smaller = prune(student, importance_of(student, batches), keep)
        yield _pruned_rung(name, smaller, "not distilled afterwards: no corpus was given")


def _pruned_rung(name: str, student: Student, note: str) -> Rung:
    student.eval().requires_grad_(False)
    return Rung(name=name, student=student, precision="fp32", form=_as_it_is, note=note)


def _batch(task: Task, n: int = 16) -> Batch:
    x = torch.from_numpy(Site.of(task).windows_uv[:n])
    x = x[:, :, x.shape[2] % 50 :]
    return Batch(
        x,
        torch.from_numpy(task.positions_mm).expand(len(x), -1, -1),
        torch.full((len(x),), int(task.modality != "EEG")),
        torch.from_numpy(task.subtypes).expand(len(x), -1),
        torch.ones(x.shape[:2], dtype=torch.bool),
    )


# --- what is judged -------------------------------------------------------------------------------


class Heard:
    """Features of windows as an engine says them, hop by hop; remembers its last embeddings."""

    def __init__(self, engine: OnnxEngine, config: StudentConfig, view: str | None) -> None:
        self._engine, self._config, self._view = engine, config, view
        self.last: Floats = np.empty(0)

    def __call__(self, task: Task, windows: Floats, usable: Bools | None = None) -> Views:
        """Views of windows, each of latents and readings."""
        hop, split = self._config.hop, self._config.n_latents * self._config.width
        there = np.ones(windows.shape[1], bool) if usable is None else usable
        said = []
        for window in windows[:, :, windows.shape[2] % hop :]:
            self._engine.restart()
            parts = np.split(window, window.shape[1] // hop, axis=1)
            said.append([self._engine.hear(part, there) for part in parts])
        self.last = np.array(said)  # (n_windows, n_hops, n_features)
        mean = self.last.mean(axis=1)
        views = {"mean": [mean[:, :split], mean[:, split:]]}
        if task.evoked:
            by_hop = [self.last[:, :, :split], self.last[:, :, split:]]
            views["hops"] = [part.reshape(len(windows), -1) for part in by_hop]
        return views if self._view is None else {self._view: views[self._view]}


class Balanced(Judge):
    """Scores in which every class counts the same."""

    def __call__(self, outcome: Outcome, scores: Floats | None = None) -> tuple[float, Floats]:
        """Score in points of per cent, and that of every draw."""
        task = self._task
        if task.score == "auc":
            return super().__call__(outcome, scores)
        right = self.right(outcome.test if scores is None else scores, outcome.temperature)
        of = np.array([task.y_test[task.groups_test == name][0] for name in self._names])
        whole, drawn = [], []
        for which in np.unique(of):
            mine = of == which
            counts = self._counts[:, mine]
            whole.append(right[mine].mean())
            with np.errstate(invalid="ignore"):
                drawn.append((counts @ right[mine]) / counts.sum(axis=1))
        return 100 * float(np.mean(whole)), 100 * np.nanmean(drawn, axis=0)
