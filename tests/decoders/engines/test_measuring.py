"""Measuring engines side by side: who takes turns with whom, and what comes of it."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

torch = pytest.importorskip("torch", reason="the reference is torch")

from diverloop.decoders.engines import measuring
from diverloop.decoders.engines.measuring import MeasuringPlan, measure_all
from diverloop.decoders.engines.measuring_figures import refusals, table
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import save_student
from diverloop.runtime.errors import ConfigError, EngineError

TINY = StudentConfig(width=32, n_layers=1, n_latents=2, context=9, n_readings=2)


@pytest.fixture
def student(tmp_path) -> str:
    torch.manual_seed(3)
    path = tmp_path / "tiny.safetensors"
    save_student(Student(TINY), path, {})
    return str(path)


class Played:
    """Stands for a process: it writes down what it is asked, and takes as long as it is told."""

    # Engine, channels, hops and rest of each block.
    asked: ClassVar[list[tuple[str, int, int, float]]] = []
    takes_ms: ClassVar = {"torch": 6.0, "onnxruntime": 2.0, "openvino": 3.0, "teacher-tiny": 60.0}
    stops_after: ClassVar[dict[str, int]] = {}

    def __init__(self, order) -> None:
        if order.engine == "torch-compiled":
            raise EngineError("It cannot be opened: choose another.")
        self.order, self.blocks, self.closed = order, 0, False
        self.opened = {"name": order.engine, "open_s": 0.1, "start_up_s": 0.2}

    def block(self, n_hops: int, rest_s: float) -> list[float]:
        """So many hops, all alike, slower on more channels."""
        name = self.order.engine
        self.asked.append((name, self.order.channels, n_hops, rest_s))
        self.blocks += 1
        if self.blocks > self.stops_after.get(name, 10_000):
            raise EngineError("It stopped: open it again.")
        return [self.takes_ms[name] * self.order.channels] * n_hops

    def memory_mb(self) -> float:
        """As for every process here."""
        return 40.0

    def ticks(self, seconds: float) -> dict[str, dict[str, float]]:
        """None late."""
        return {"idle": {"late_share": 0.0}, "busy": {"late_share": 0.0}}

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def played(monkeypatch) -> type[Played]:
    monkeypatch.setattr(Played, "asked", [])
    monkeypatch.setattr(Played, "stops_after", {})
    monkeypatch.setattr(measuring, "Worker", Played)
    monkeypatch.setattr(measuring.Shelf, "_graph", lambda shelf, precision: precision)
    peaks = {"gflop_per_s": 1.0, "gb_per_s": 1000.0}
    monkeypatch.setattr(
        measuring,
        "machine_figures",
        lambda students: {"peaks": peaks, "shapes_ms": [0.5] * len(students)},
    )
    return Played


def plan(student: str, **other: object) -> MeasuringPlan:
    settings: dict[str, object] = {
        "student": student,
        "engines": ("torch", "onnxruntime"),
        "channels": (2,),
        "rounds": 3,
        "hops": 4,
        "ticks_s": 0.0,
    }
    return MeasuringPlan(**{**settings, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"engines": ("abacus",)}, "abacus"),
        ({"engines": ("onnxruntime:fp64",)}, "fp64"),
        ({"engines": ("auto",)}, "auto"),
        ({"engines": ()}, "at least one"),
        ({"channels": (0,)}, "channels must be at least 1"),
        ({"channels": ()}, "needs channels"),
        ({"contexts": (0,)}, "contexts must be at least 1"),
        ({"rounds": 1}, "at least 2 rounds"),
        ({"rest_s": -0.1}, "must not be negative"),
        ({"teacher_window_s": 1.5}, "must be whole"),
        ({"teacher_window_s": 0.0}, "at least 1"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        plan("eeg-s", **wrong)


def test_a_plan_names_every_engine_once_with_the_precision_it_has():
    one = plan(
        "eeg-s", engines=("openvino", "openvino:fp32", "onnxruntime:int8", "torch"), teacher=True
    )
    assert one.wanted() == [
        ("openvino", "fp32"),
        ("onnxruntime", "int8"),
        ("torch", "fp32"),
        ("teacher-tiny", "fp32"),
    ]


def test_engines_take_turns_and_the_one_that_begins_changes(student, played):
    measure_all(plan(student, rest_s=0.5))
    filling = [("torch", 2, 10, 0.0), ("onnxruntime", 2, 10, 0.0)]  # the context, and one more
    first, second = ("torch", 2, 4, 0.5), ("onnxruntime", 2, 4, 0.5)
    assert sorted(played.asked[:2]) == sorted(filling)
    assert played.asked[2:] == [first, second, second, first, first, second]


def test_the_teacher_hears_a_tenth_of_the_hops(student, played):
    measure_all(plan(student, hops=40, teacher=True))
    assert {one[2] for one in played.asked if one[0] == "teacher-tiny"} == {4}


def test_every_size_is_measured_and_compared_with_the_reference_on_that_size(student, played):
    found = measure_all(plan(student, channels=(1, 2), contexts=(9, 3), ticks_s=1.0))
    sizes = [(1, 9), (2, 9), (1, 3), (2, 3)]
    assert [(one["channels"], one["context"]) for one in found["floors"]] == sizes
    assert [(one["channels"], one["context"]) for one in found["engines"]] == [
        size for size in sizes for _ in range(2)
    ]
    assert [one["ratio"] for one in found["ratios"]] == [3.0] * 4
    medians = {(one["engine"], one["channels"]): one["p50_ms"] for one in found["engines"]}
    assert medians["onnxruntime", 2] == 4.0
    assert medians["torch", 1] == 6.0
    assert all(one["n"] == 12 and one["memory_mb"] == 40.0 for one in found["engines"])
    assert all("ticks" in one for one in found["engines"])


def test_the_floor_stands_beside_every_engine(student, played):
    found = measure_all(plan(student))
    (floor,) = found["floors"]
    assert floor["floor_ms"] == pytest.approx(floor["mflop"])  # at 1 GFLOP/s
    for one in found["engines"]:
        assert one["times_floor"] == pytest.approx(one["p50_ms"] / floor["floor_ms"])


def test_an_engine_that_cannot_run_here_leaves_the_others_alone(student, played):
    found = measure_all(plan(student, engines=("torch", "torch-compiled", "onnxruntime")))
    assert refusals(found) == [("torch-compiled fp32", "It cannot be opened: choose another.")]
    assert [row[0] for row in table(found)] == ["onnxruntime fp32", "torch fp32"]


def test_an_engine_that_stops_on_the_way_is_not_reported_as_measured(student, played):
    played.stops_after["openvino"] = 2
    found = measure_all(plan(student, engines=("torch", "openvino", "onnxruntime")))
    assert refusals(found) == [("openvino fp32", "It stopped: open it again.")]
    assert [one["engine"] for one in found["ratios"]] == ["onnxruntime"]


def test_progress_is_told_once_for_each_size(student, played):
    told: list[tuple[str, int, int]] = []
    measure_all(plan(student, channels=(1, 2)), lambda *what: told.append(what))
    assert told == [
        ("channels 1, context 9", 0, 2),
        ("channels 2, context 9", 1, 2),
    ]


@pytest.mark.long
def test_two_real_engines_are_measured_side_by_side(student, monkeypatch):
    pytest.importorskip("onnxscript", reason="a model must be exported first")
    peaks = {"gflop_per_s": 50.0, "gb_per_s": 10.0}
    monkeypatch.setattr(
        measuring, "machine_figures", lambda students: {"peaks": peaks, "shapes_ms": [0.5]}
    )
    found = json.loads(json.dumps(measure_all(plan(student, ticks_s=0.02))))
    assert refusals(found) == []
    assert [one["name"] for one in found["engines"]] == ["torch", "onnxruntime"]
    for one in found["engines"]:
        assert one["n"] == 12
        assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["p999_ms"] <= one["max_ms"]
        assert 0 < one["open_s"] < one["start_up_s"]
        assert one["ticks"]["busy"]["ticks"] == 20
    (against,) = found["ratios"]
    assert 0 < against["low"] <= against["ratio"] <= against["high"]
    assert len(table(found)) == 2
    assert found["hop_ms"] == 100.0
