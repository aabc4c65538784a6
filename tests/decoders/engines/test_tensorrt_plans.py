"""Plans kept in a bundle: built once for a machine, found again, built anew for another."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compiling needs torch")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from diverloop.decoders.engines import tensorrt_engine, tensorrt_plans
from diverloop.decoders.engines.compiled import Compiled
from diverloop.decoders.engines.tensorrt_build import Plan
from diverloop.decoders.engines.tensorrt_plans import build_for, open_tensorrt
from diverloop.runtime.errors import EngineError

from ... import compiled as made


@pytest.fixture
def compiled(tmp_path):
    bundle = made.compiled(tmp_path / "one.bundle")
    return Compiled.of(bundle.folder, bundle.card.sha256)


class Machine:
    """A GPU, a driver and a library, as far as plans are concerned."""

    def __init__(self, monkeypatch):
        self.key, self.built, self.opened = "a GPU, driver 1", [], []
        monkeypatch.setattr(tensorrt_plans, "machine_key", lambda: self.key)
        monkeypatch.setattr(tensorrt_plans, "build_plan", self.build)
        monkeypatch.setattr(tensorrt_plans, "_for_this_capability", lambda *_: None)
        monkeypatch.setattr(tensorrt_engine, "TensorRtEngine", self.open)

    def build(self, graph, *, timing_cache=b"", **_):
        self.built.append((graph, timing_cache))
        content = f"plan {len(self.built)}".encode()
        return Plan(plan=content, flavour="tensorrt", version="1", timing_cache=b"times")

    def open(self, plan, shape, *, precision):
        self.opened.append((plan, precision))
        return "an engine"


def test_a_plan_is_built_once_for_a_machine_and_found_again(compiled, monkeypatch):
    machine = Machine(monkeypatch)
    for _ in range(2):
        assert open_tensorrt(compiled, made.shape(), "fp32") == "an engine"
    assert len(machine.built) == 1
    assert machine.built[0][0] == compiled.read(compiled.find("fp32"))
    assert machine.opened == [(b"plan 1", "fp32")] * 2


def test_another_driver_gets_a_plan_of_its_own_with_what_was_timed_before(compiled, monkeypatch):
    machine = Machine(monkeypatch)
    open_tensorrt(compiled, made.shape(), "fp32")
    machine.key = "a GPU, driver 2"
    open_tensorrt(compiled, made.shape(), "fp32")
    assert [cache for _, cache in machine.built] == [b"", b"times"]
    assert machine.opened[-1] == (b"plan 2", "fp32")
    assert compiled.find("fp32", "a GPU, driver 1") is not None


def test_a_bundle_that_cannot_be_written_runs_all_the_same(compiled, monkeypatch):
    machine = Machine(monkeypatch)

    def full(*_):
        raise EngineError("disk full")

    monkeypatch.setattr(compiled, "add", full)
    assert open_tensorrt(compiled, made.shape(), "fp32") == "an engine"
    assert machine.opened == [(b"plan 1", "fp32")]


def test_a_timing_cache_that_cannot_be_read_costs_only_time(compiled, monkeypatch):
    machine = Machine(monkeypatch)
    (compiled.folder / "timing.cache").mkdir()
    assert open_tensorrt(compiled, made.shape(), "fp32") == "an engine"
    assert [cache for _, cache in machine.built] == [b""]


def test_a_precision_without_a_graph_is_named(compiled, monkeypatch):
    Machine(monkeypatch)
    with pytest.raises(EngineError, match="not compiled for fp16"):
        open_tensorrt(compiled, made.shape(), "fp16")


def test_without_a_gpu_nothing_is_built(compiled, monkeypatch):
    machine = Machine(monkeypatch)
    machine.key = None
    with pytest.raises(EngineError, match="no NVIDIA GPU"):
        open_tensorrt(compiled, made.shape(), "fp32")
    assert machine.built == []


def test_a_real_plan_is_built_for_a_gpu_that_is_not_here(compiled):
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx is not installed")
    file = build_for(compiled, "fp32", (8, 9))
    assert file.made_for.startswith("compute 8.9, tensorrt_rtx ")
    assert file.name.endswith(".plan")
    assert len(compiled.read(file)) > 10_000
