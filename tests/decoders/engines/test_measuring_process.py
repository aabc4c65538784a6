"""A process that holds one engine: it answers, refuses in words, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the engine that runs here is torch")

from diverloop.decoders.engines import measuring_process
from diverloop.decoders.engines.measuring_process import Worker, machine_figures
from diverloop.decoders.engines.measuring_worker import Order
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import save_student
from diverloop.runtime.errors import EngineError

TINY = StudentConfig(width=32, n_layers=1, n_latents=2, context=3, n_readings=2)


def order(student: str, **other: object) -> Order:
    settings: dict[str, object] = {
        "engine": "torch",
        "precision": "fp32",
        "channels": 3,
        "config": TINY,
        "student": student,
    }
    return Order(**{**settings, **other})  # type: ignore[arg-type]


def test_a_worker_measures_in_a_process_of_its_own_and_ends_with_its_caller(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_student(Student(TINY), path, {})
    with Worker(order(str(path))) as worker:
        times_ms = worker.block(4)
        memory_mb = worker.memory_mb()
        process = worker._process._process
        assert process.poll() is None
    assert process.returncode == 0
    assert len(times_ms) == 4
    assert np.all(np.array(times_ms) > 0)
    assert memory_mb is None or memory_mb > 10  # torch alone is more
    assert worker.opened["name"] == "torch"
    assert 0 < worker.opened["open_s"] < worker.opened["start_up_s"]
    worker.close()


def test_what_cannot_be_opened_is_refused_in_the_workers_own_words(tmp_path):
    with pytest.raises(EngineError, match=r"nothing\.safetensors"):
        Worker(order(str(tmp_path / "nothing.safetensors")))


def test_a_process_that_ends_without_an_answer_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(measuring_process, "_MODULE", "diverloop.no_such_module")
    with pytest.raises(EngineError, match=r"ended \(.*no_such_module"):
        machine_figures([(TINY, 3)])
