"""TensorRT plans: real ones are built here, without a GPU; what cannot be built is refused."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the step comes from torch")
onnx = pytest.importorskip("onnx", reason="a model must be exported first")
pytest.importorskip("onnxscript", reason="a model must be exported first")

from diverloop.decoders.engines import tensorrt_build
from diverloop.decoders.engines.half_precision import to_half
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.tensorrt_build import (
    Plan,
    build_plan,
    machine_key,
    trt_module,
)
from diverloop.decoders.shipped import open_student
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError, EngineError

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed"
)
ADA = (8, 9)


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    student = Student(StudentConfig(width=32, n_layers=1, n_latents=2, context=6)).eval()
    return export_step(Step(student, 60 * torch.randn(1, 4, 3), 0), {"name": "a test"})


@pytest.fixture(scope="module")
def single(model: bytes) -> Plan:
    return build_on(model, ADA)


def build_on(model: bytes, capability: tuple[int, int]) -> Plan:
    """A plan of TensorRT-RTX."""
    return build_plan(model, compute_capability=capability, flavour="tensorrt_rtx")


# --- real plans ------------------------------------------------------------------------------


@needs_rtx
def test_a_real_plan_is_built_for_a_named_gpu_without_any(model, single):
    half = build_on(to_half(model), ADA)
    assert half.plan != single.plan
    for plan in (single, half):
        assert (plan.flavour, plan.compute_capability) == ("tensorrt_rtx", ADA)
        assert plan.version == trt_module("tensorrt_rtx").__version__
        assert plan.timing_cache == b""
        assert len(plan.plan) > 10_000


@needs_rtx
@pytest.mark.long
def test_the_shipped_student_is_built_and_takes_less_room_in_half_precision():
    torch.manual_seed(0)
    student, _ = open_student("eeg-s")
    single = export_step(Step(student, 60 * torch.randn(1, 8, 3), 0), {"name": "eeg-s"})
    plans = [build_on(one, ADA) for one in (single, to_half(single))]
    weights = 2 * sum(one.numel() for one in student.parameters())  # bytes of them in 16 bits
    assert weights < len(plans[1].plan) < len(plans[0].plan) - weights // 2


@needs_rtx
def test_a_graph_that_was_quantised_is_built_as_it_is(model, single):
    plan = build_on(with_quantised_weights(model), ADA)
    assert len(plan.plan) != len(single.plan)  # the bytes differ from build to build anyway


@needs_rtx
def test_a_zero_point_that_tensorrt_does_not_know_is_refused_in_one_sentence(model):
    with pytest.raises(EngineError, match="zero point is not supported"):
        build_on(with_quantised_weights(model, zero=3), ADA)


def with_quantised_weights(model: bytes, zero: int = 0) -> bytes:
    """A quantise and a dequantise node around every matrix, as quantisation puts them."""
    source = onnx.load_from_string(model)
    graph, helper = source.graph, onnx.helper
    graph.initializer.append(helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.01]))
    graph.initializer.append(helper.make_tensor("zero", onnx.TensorProto.INT8, [], [zero]))
    floats = {one.name for one in graph.initializer if len(one.dims) == 2 and one.data_type == 1}
    nodes, made = [], 0
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in floats:
            name, made = node.input[1], made + 1
            nodes += [
                helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"q{made}"]),
                helper.make_node("DequantizeLinear", [f"q{made}", "scale", "zero"], [f"d{made}"]),
            ]
            node.input[1] = f"d{made}"
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    assert made > 4
    del graph.node[:]
    graph.node.extend(copies)
    return source.SerializeToString()


# --- refusals --------------------------------------------------------------------------------


@needs_rtx
def test_a_damaged_graph_is_refused_in_one_sentence(model):
    with pytest.raises(EngineError, match=r"cannot read the compiled student \(model: .*\): comp"):
        build_on(model[: len(model) // 2], ADA)


@needs_rtx
def test_a_node_that_tensorrt_does_not_know_is_named(model):
    source = onnx.load_from_string(model)
    source.graph.node[20].op_type = "Unheard"
    source.graph.node[20].name = "the_culprit"
    with pytest.raises(EngineError, match="the_culprit") as caught:
        build_on(source.SerializeToString(), ADA)
    assert "\n" not in str(caught.value)


@needs_rtx
def test_a_gpu_that_the_library_does_not_build_for_is_refused_with_those_it_does(model):
    with pytest.raises(ConfigError, match=r"builds for SM.*SM89.*, got SM90: choose"):
        build_on(model, (9, 0))


@needs_rtx
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to build for")
def test_the_gpu_of_this_machine_is_not_built_for_where_there_is_none(model):
    with pytest.raises(EngineError, match="no NVIDIA GPU that CUDA can use"):
        build_plan(model, flavour="tensorrt_rtx")


@needs_rtx
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_gpu_of_this_machine_is_built_for(model):
    assert build_plan(model).compute_capability is None
    assert torch.cuda.get_device_name() in str(machine_key())


def test_a_plan_of_nothing_and_a_flavour_of_nobody_are_refused():
    with pytest.raises(ConfigError, match="plan is empty"):
        Plan(plan=b"", flavour="tensorrt", version="1")
    with pytest.raises(ConfigError, match=r"flavour must be one of .*, got 'onnx'"):
        Plan(plan=b"x", flavour="onnx", version="1")
    with pytest.raises(ConfigError, match=r"flavour must be one of .*, got 'onnx'"):
        trt_module("onnx")


# --- which library ---------------------------------------------------------------------------


def installed(monkeypatch, *names: str) -> None:
    """Only these flavours are there, and each is a module of that name."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name in names else None
    )
    for name in names:
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__name__=name, __version__="9"))


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
    [
        (("tensorrt", "tensorrt_rtx"), None, "tensorrt"),
        (("tensorrt_rtx",), None, "tensorrt_rtx"),
        (("tensorrt", "tensorrt_rtx"), "tensorrt_rtx", "tensorrt_rtx"),
    ],
)
def test_tensorrt_is_preferred_unless_the_other_is_named(monkeypatch, there, wanted, found):
    installed(monkeypatch, *there)
    assert trt_module(wanted).__name__ == found


def test_without_either_it_is_said_what_to_install(monkeypatch):
    installed(monkeypatch)
    with pytest.raises(ConfigError, match=r"diverloop\[tensorrt\]' or .*diverloop\[tensorrt-rtx"):
        trt_module()
    with pytest.raises(ConfigError, match=r"needs the library 'tensorrt_rtx', which is not"):
        trt_module("tensorrt_rtx")


def test_a_library_that_is_there_and_cannot_be_loaded_is_named(monkeypatch):
    installed(monkeypatch, "tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ConfigError, match=r"'tensorrt' is installed and cannot be loaded"):
        trt_module()


def test_one_that_cannot_be_loaded_gives_way_to_the_other_unless_it_was_named(monkeypatch):
    installed(monkeypatch, "tensorrt", "tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert trt_module().__name__ == "tensorrt_rtx"
    with pytest.raises(ConfigError, match="cannot be loaded"):
        trt_module("tensorrt")


def test_a_builder_that_does_not_start_without_a_gpu_is_refused_in_one_sentence(monkeypatch):
    def builder(log):
        log.log("error", "CUDA initialization failure with cudaError 35\nmore")
        raise TypeError("factory function returned nullptr")

    severity = SimpleNamespace(ERROR="error", INTERNAL_ERROR="internal")
    logger = type("ILogger", (), {"Severity": severity})
    library = SimpleNamespace(__name__="tensorrt", ILogger=logger, Builder=builder)
    monkeypatch.setattr(tensorrt_build, "trt_module", lambda flavour: library)
    with pytest.raises(EngineError, match=r"cannot start: there is no NVIDIA GPU .*; choose"):
        build_plan(b"model")


class Config:
    """A builder's settings that write down what is asked of them."""

    def __init__(self, accepts: bool = True) -> None:
        self.accepts, self.asked = accepts, []

    def clear_flag(self, flag):
        self.asked.append(("clear", flag))

    def set_memory_pool_limit(self, pool, size):
        self.asked.append((pool, size))

    def create_timing_cache(self, kept):
        self.asked.append(("cache", kept))
        return f"cache of {kept!r}"

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        self.asked.append(("attach", cache))
        return self.accepts


TENSORRT = SimpleNamespace(
    __name__="tensorrt",
    BuilderFlag=SimpleNamespace(TF32="tf32"),
    MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
)


def test_tensorrt_proper_rounds_nothing_to_tf32_and_names_no_gpu():
    config = Config()
    tensorrt_build._configure(TENSORRT, config, None)
    assert ("clear", "tf32") in config.asked
    with pytest.raises(ConfigError, match=r"not for compute capability 8\.9"):
        tensorrt_build._configure(TENSORRT, config, ADA)


def test_a_timing_cache_is_used_again_and_one_of_another_machine_is_replaced():
    config = Config()
    assert tensorrt_build._attach_timing_cache(TENSORRT, config, b"old") == "cache of b'old'"
    foreign = Config(accepts=False)
    assert tensorrt_build._attach_timing_cache(TENSORRT, foreign, b"old") == "cache of b''"
    assert foreign.asked[-1] == ("attach", "cache of b''")


@needs_rtx
def test_the_logger_keeps_the_last_errors_and_nothing_else():
    trt = trt_module("tensorrt_rtx")
    log = tensorrt_build.collecting_logger(trt)
    for number in range(100):
        log.log(trt.ILogger.Severity.ERROR, f"error {number}")
        log.log(trt.ILogger.Severity.WARNING, "warning")
    assert log.errors == [f"error {number}" for number in range(84, 100)]


# --- the machine -----------------------------------------------------------------------------


class Driver:
    """What the driver's libraries answer: one GPU, or none, with or without NVML."""

    def __init__(self, gpus: int = 1, nvml: bool = True) -> None:
        self.gpus, self.nvml = gpus, nvml

    def cuInit(self, flags):
        return 0 if self.gpus else 100

    def cuDeviceGetCount(self, count):
        count._obj.value = self.gpus
        return 0

    def cuDeviceGet(self, device, place):
        return 0

    def cuDeviceGetName(self, text, size, device):
        text.value = b"NVIDIA Test 1"
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = 13010
        return 0

    def nvmlInit_v2(self):
        return 0 if self.nvml else 9

    def nvmlShutdown(self):
        return 0

    def nvmlSystemGetDriverVersion(self, text, size):
        text.value = b"580.1"
        return 0


@pytest.mark.parametrize(
    ("driver", "key"),
    [
        (Driver(), "NVIDIA Test 1, driver 580.1, tensorrt 9"),
        (Driver(nvml=False), "NVIDIA Test 1, driver of CUDA 13.1, tensorrt 9"),
        (Driver(gpus=0), None),
    ],
)
def test_the_key_names_gpu_driver_and_library_or_nothing(monkeypatch, driver, key):
    installed(monkeypatch, "tensorrt")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert machine_key() == key


def test_without_a_driver_there_is_no_key(monkeypatch):
    def missing(name):
        raise OSError(name)

    installed(monkeypatch, "tensorrt")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert machine_key() is None
