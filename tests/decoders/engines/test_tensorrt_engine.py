"""TensorRT's bookkeeping with a stand-in GPU that computes by ONNX Runtime; no GPU is needed.

The stand-in queues like a GPU: nothing that was queued happens before somebody waits. A state that
goes the wrong way, a copy in the wrong order or a wait that is missing gives wrong numbers.
"""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the engine keeps its memory with torch")
onnx = pytest.importorskip("onnx", reason="a model must be exported first")
pytest.importorskip("onnxscript", reason="a model must be exported first")
ort = pytest.importorskip("onnxruntime", reason="it computes what the stand-in says")

from diverloop.decoders.engines import tensorrt_engine
from diverloop.decoders.engines.engine import TOLERANCE, Engine, disagreement
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.engines.tensorrt_build import build_plan
from diverloop.decoders.engines.tensorrt_engine import TensorRtEngine
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import EngineError

CONFIG = StudentConfig(width=32, n_layers=2, n_latents=2, context=5, n_readings=3)
ROWS = 5
SHAPE = StepShape.of(CONFIG, ROWS)
STREAM = 77  # the stand-in's handle of its queue
needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed"
)


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(5)
    torch.set_num_threads(1)
    student = Student(CONFIG).eval().requires_grad_(False)
    return export_step(Step(student, 60 * torch.randn(1, ROWS, 3), 0), {"name": "a test"})


# --- the stand-ins ---------------------------------------------------------------------------


class Gpu:
    """Device: memory of the host, and a queue that runs when somebody waits for it."""

    name = "Stand-in 1"

    def __init__(self, *, memory: int = 1 << 30) -> None:
        self.memory, self.held, self.queue, self.recording = memory, {}, [], False
        self.captured = self.plain = 0
        self.lost = False

    def reserve(self, sized, *, on_host=False):
        dims, kind = sized
        made = torch.zeros(dims, dtype=getattr(torch, kind))
        self.memory -= made.numel() * made.element_size()
        if self.memory < 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")
        self.held[made.data_ptr()] = made
        return made

    def copy(self, to, source):
        self.queue.append(lambda: to.copy_(source))

    def record(self, work, captures):
        work(STREAM)
        self.wait()
        if not captures(STREAM):
            self.plain += 1
            return lambda: work(STREAM)
        before = len(self.queue)
        work(STREAM)
        graph, self.queue = self.queue[before:], self.queue[:before]
        self.captured += 1
        return lambda: self.queue.extend(graph)

    def wait(self):
        if self.lost:
            raise RuntimeError("CUDA error: the launch timed out and was terminated\nmore")
        queue, self.queue = self.queue, []
        for one in queue:
            one()


class Context:
    """An execution context whose kernels are ONNX Runtime's, on whatever it was bound to."""

    def __init__(self, engine) -> None:
        self.engine, self.places, self.scratch = engine, {}, None

    def set_device_memory(self, memory, size):
        self.scratch = (memory, size)

    def set_tensor_address(self, name, place):
        self.places[name] = self.engine.gpu.held[place]
        return name != self.engine.unbindable

    def is_stream_capturable(self, stream):
        assert stream == STREAM
        return self.engine.capturable

    def execute_async_v3(self, stream):
        assert stream == STREAM
        assert self.scratch[1] >= self.engine.device_memory_size_v2
        bound = dict(self.places)  # a graph keeps the addresses of when it was captured
        self.engine.gpu.queue.append(lambda: self.compute(bound))
        return self.engine.executes

    def compute(self, bound):
        session = self.engine.session
        found = session.run(None, {n: bound[n].numpy().copy() for n in self.engine.inputs})
        for one, value in zip(session.get_outputs(), found, strict=True):
            bound[one.name].copy_(torch.from_numpy(value))


class LoadedPlan:
    """An engine as the library's own is asked, of an ONNX model."""

    device_memory_size_v2 = 4096
    executes, capturable, unbindable, contexts_made = True, True, None, 0

    def __init__(self, model: bytes, gpu: Gpu) -> None:
        self.gpu = gpu
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        ends = (*self.session.get_inputs(), *self.session.get_outputs())
        self.ends = {one.name: one for one in ends}
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.num_io_tensors = len(self.ends)

    def get_tensor_name(self, place):
        return list(self.ends)[place]

    def get_tensor_shape(self, name):
        return self.ends[name].shape

    def get_tensor_dtype(self, name):
        return self.ends[name].type

    def create_execution_context(self, strategy):
        assert strategy == "user managed"
        self.contexts_made += 1
        return Context(self)


class Severity:
    INTERNAL_ERROR, ERROR, INFO = range(3)


class ILogger:
    """What a logger of the library's descends from."""

    Severity = Severity


def library(answer, complaint: str = "", name: str = "tensorrt"):
    """The library, whose runtime makes this answer of any plan."""

    class Runtime:
        def __init__(self, log) -> None:
            self.log = log

        def deserialize_cuda_engine(self, plan):
            if complaint:
                self.log.log(Severity.ERROR, complaint)
                self.log.log(Severity.INFO, "never mind")
            return answer

    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
    return SimpleNamespace(
        __name__=name,
        __version__="11.4",
        ILogger=ILogger,
        Runtime=Runtime,
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
        nptype=kinds.__getitem__,
    )


@pytest.fixture
def opened(model, monkeypatch):
    """A function that opens an engine on stand-ins, and lets a test spoil the plan before."""

    def open_it(spoil=None, gpu=None, shape=SHAPE, **named):
        gpu = gpu or Gpu()
        plan = LoadedPlan(model, gpu)
        for name, value in (spoil or {}).items():
            setattr(plan, name, value)
        monkeypatch.setattr(tensorrt_engine, "trt_module", lambda flavour: library(plan, **named))
        return TensorRtEngine(b"plan", shape, precision="fp32", device=gpu), plan, gpu

    return open_it


def hops(seed: int, n: int):
    """Hops with rows that come and go."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield (20 * rng.standard_normal((ROWS, 50))).astype(np.float32), rng.random(ROWS) > 0.2


def embeddings(engine, seed: int, n: int) -> np.ndarray:
    return np.stack([engine.hear(hop, usable) for hop, usable in hops(seed, n)])


# --- what it says ----------------------------------------------------------------------------


@pytest.mark.parametrize("capturable", [True, False])
def test_it_says_what_onnx_runtime_says_over_a_stream(opened, model, capturable):
    engine, _, gpu = opened({"capturable": capturable})
    expected = embeddings(OnnxEngine(model, SHAPE), seed=1, n=15)
    assert disagreement(embeddings(engine, seed=1, n=15), expected) <= TOLERANCE["fp32"]
    assert (gpu.captured, gpu.plain) == ((2, 0) if capturable else (0, 2))


@pytest.mark.parametrize("heard", [0, 1, 2, 7])
def test_a_restart_forgets_the_stream_whichever_way_it_went(opened, model, heard):
    engine, _, _ = opened()
    for hop, usable in hops(2, heard):
        engine.hear(hop, usable)
    engine.restart()
    expected = embeddings(OnnxEngine(model, SHAPE), seed=3, n=9)
    assert disagreement(embeddings(engine, seed=3, n=9), expected) <= TOLERANCE["fp32"]


def test_the_state_is_what_makes_these_tests_worth_something(model):
    engine = OnnxEngine(model, SHAPE)
    going_on = embeddings(engine, seed=1, n=3)
    alone = []
    for hop, usable in hops(1, 3):
        engine.restart()
        alone.append(engine.hear(hop, usable))
    assert disagreement(np.stack(alone)[1:], going_on[1:]) > 100 * TOLERANCE["fp32"]


def test_an_embedding_belongs_to_the_receiver(opened):
    engine, _, _ = opened()
    (first, all_there), (second, _) = hops(4, 2)
    found = engine.hear(first, all_there)
    kept = found.copy()
    engine.hear(second, all_there)
    np.testing.assert_array_equal(found, kept)


def test_two_directions_are_bound_crosswise_and_share_one_scratch(opened):
    engine, _, _ = opened()
    there, back = engine._contexts
    for name in SHAPE.state:
        assert there.places[name] is back.places[f"next_{name}"]
        assert back.places[name] is there.places[f"next_{name}"]
        assert there.places[name] is not back.places[name]
    assert there.scratch == back.scratch
    assert {*there.places} == {*SHAPE.inputs, *SHAPE.outputs}


def test_it_is_an_engine_that_says_what_it_is(opened):
    engine, _, _ = opened(name="tensorrt_rtx")
    assert isinstance(engine, Engine)
    assert str(engine.about) == "tensorrt-rtx 11.4 (fp32, Stand-in 1)"


def test_it_can_be_closed_twice_and_is_then_refused(opened):
    engine, _, _ = opened()
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed: open it again"):
        engine.hear(*next(hops(1, 1)))


# --- what it refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("Cuda Runtime (cudaError 35: CUDA driver version is insufficient)", "no NVIDIA GPU"),
        ("[defaultAllocator] cudaError 2: out of memory", "too little free memory"),
        ("The engine plan file is not compatible, expecting 10.9\nmore", "by another version"),
        ("", "by another version or for another GPU, so build it again"),
    ],
)
def test_a_plan_that_cannot_be_loaded_is_refused_in_one_sentence(monkeypatch, complaint, said):
    monkeypatch.setattr(tensorrt_engine, "trt_module", lambda flavour: library(None, complaint))
    with pytest.raises(EngineError, match=said) as caught:
        TensorRtEngine(b"plan", SHAPE, precision="fp32", device=Gpu())
    assert "\n" not in str(caught.value)
    assert "never mind" not in str(caught.value)


def test_a_gpu_with_too_little_memory_is_refused(opened):
    with pytest.raises(EngineError, match=r"too little free memory .*choose the engine onnxrun"):
        opened(gpu=Gpu(memory=5000))


def test_a_plan_of_another_model_is_refused_by_name(opened):
    other = StepShape.of(CONFIG, ROWS + 1)
    with pytest.raises(EngineError, match=r"The plan has .*belongs to another model"):
        opened(shape=other)


@pytest.mark.parametrize("spoil", [{"executes": False}, {"unbindable": "next_tail"}])
def test_a_context_that_cannot_be_set_up_is_refused(opened, spoil):
    with pytest.raises(EngineError, match="refuses its plan"):
        opened(spoil)


def test_a_gpu_that_is_lost_on_the_way_stops_the_engine_in_one_sentence(opened):
    engine, _, gpu = opened()
    embeddings(engine, seed=1, n=2)
    gpu.lost = True
    with pytest.raises(EngineError, match=r"stopped: CUDA error: .*terminated; open it again"):
        embeddings(engine, seed=1, n=1)


# --- the real library ------------------------------------------------------------------------


@needs_rtx
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU that loads it")
def test_a_real_plan_is_refused_where_there_is_no_gpu(model):
    plan = build_plan(model, compute_capability=(8, 9), flavour="tensorrt_rtx")
    with pytest.raises(EngineError, match="no NVIDIA GPU that CUDA can use"):
        TensorRtEngine(plan.plan, SHAPE, precision="fp32", flavour="tensorrt_rtx")


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has a GPU")
def test_torch_without_a_gpu_is_refused_even_if_the_plan_was_loaded(model, monkeypatch):
    plan = LoadedPlan(model, Gpu())
    monkeypatch.setattr(tensorrt_engine, "trt_module", lambda flavour: library(plan))
    with pytest.raises(EngineError, match="this torch is built for the processor alone"):
        TensorRtEngine(b"plan", SHAPE, precision="fp32")


@needs_rtx
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_real_engine_on_a_real_gpu_says_what_onnx_runtime_says(model):
    engine = TensorRtEngine(build_plan(model).plan, SHAPE, precision="fp32")
    expected = embeddings(OnnxEngine(model, SHAPE), seed=1, n=60)
    assert disagreement(embeddings(engine, seed=1, n=60), expected) <= TOLERANCE["fp32"]
    engine.close()
