"""Half precision: the same step within its tolerance, with the same interface, whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the step comes from torch")
onnx = pytest.importorskip("onnx", reason="a model must be exported and converted")
pytest.importorskip("onnxscript", reason="a model must be exported first")

from diverloop.decoders.engines.engine import TOLERANCE, disagreement
from diverloop.decoders.engines.half_precision import to_half
from diverloop.decoders.engines.onnx_engine import OnnxEngine, metadata_of
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import EngineError

CONFIG = StudentConfig(
    width=64, n_layers=2, n_latents=4, context=8, high_gamma=True, n_readings=3, scale_uv=200.0
)
ROWS, HOPS = 6, 60
HALF, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


@pytest.fixture(scope="module")
def single() -> bytes:
    torch.manual_seed(11)
    torch.set_num_threads(1)
    places = 60 * torch.randn(1, ROWS, 3)
    student = Student(CONFIG).eval().requires_grad_(False)
    return export_step(Step(student, places, 1), {"name": "a test"})


@pytest.fixture(scope="module")
def half(single: bytes) -> bytes:
    return to_half(single)


@pytest.fixture(scope="module")
def engines(single: bytes, half: bytes):
    shape = StepShape.of(CONFIG, ROWS)
    found = OnnxEngine(single, shape), OnnxEngine(half, shape, precision="fp16")
    yield found
    for engine in found:
        engine.close()


def embeddings(engine, size_uv: float, seed: int) -> np.ndarray:
    """Of noise on a slow drift, with rows that come and go and NaN in those that are gone."""
    rng = np.random.default_rng(seed)
    engine.restart()
    drift = np.cumsum(rng.standard_normal((ROWS, HOPS)), axis=1) * size_uv
    found = []
    for hop in range(HOPS):
        signal = size_uv * rng.standard_normal((ROWS, CONFIG.hop)) + drift[:, hop, None]
        usable = rng.random(ROWS) > 0.2
        signal[~usable] = np.nan
        found.append(engine.hear(signal.astype(np.float32), usable))
    return np.stack(found)


@pytest.mark.parametrize("size_uv", [1.0, 20.0, 200.0])
def test_it_agrees_with_32_bits_over_noise_drifts_and_missing_rows(engines, size_uv):
    single, half = (embeddings(engine, size_uv, seed=3) for engine in engines)
    assert disagreement(half, single) <= TOLERANCE["fp16"]


@pytest.mark.parametrize("size_uv", [1e-3, 3e5])
def test_signal_that_16_bits_cannot_square_or_even_hold_does_no_harm(engines, size_uv):
    single, half = (embeddings(engine, size_uv, seed=4) for engine in engines)
    assert disagreement(half, single) <= TOLERANCE["fp16"]


def test_the_tail_of_samples_is_carried_to_the_last_bit(single, half):
    rng = np.random.default_rng(5)
    shape = StepShape.of(CONFIG, ROWS)
    inputs = {
        "hop_uv": rng.standard_normal((ROWS, CONFIG.hop)).astype(np.float32),
        "usable": np.ones(ROWS, bool),
        **shape.empty_state(),
    }
    tails = [run(model, inputs)["next_tail"] for model in (single, half)]
    np.testing.assert_array_equal(*tails)
    assert np.any(tails[0] != tails[0].astype(np.float16))


def run(model: bytes, inputs) -> dict[str, np.ndarray]:
    """All outputs of one hop."""
    ort = pytest.importorskip("onnxruntime", reason="something must run the model")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def test_interface_and_metadata_are_those_of_the_single_precision_step(single, half):
    interfaces = [
        [one.SerializeToString() for one in (*graph.input, *graph.output)]
        for graph in (onnx.load_from_string(model).graph for model in (single, half))
    ]
    assert interfaces[0] == interfaces[1]
    assert metadata_of(half) == metadata_of(single)


def test_every_matrix_behind_the_first_norm_is_16_bits_wide(half):
    graph = onnx.load_from_string(half).graph
    first = next(i for i, node in enumerate(graph.node) if node.op_type == "LayerNormalization")
    kinds = {one.name: one.data_type for one in graph.initializer}
    weights = [
        kinds[name]
        for node in list(graph.node)[first:]
        if node.op_type == "MatMul"
        for name in node.input
        if name in kinds
    ]
    assert len(weights) >= 4 * CONFIG.n_layers
    assert set(weights) == {HALF}


def test_no_value_goes_to_16_bits_and_straight_back(half):
    graph = onnx.load_from_string(half).graph
    narrowed = {node.output[0] for node in graph.node if is_cast(node, HALF)}
    widened = {node.input[0] for node in graph.node if is_cast(node, FLOAT)}
    assert narrowed
    assert not narrowed & widened


def is_cast(node, kind: int) -> bool:
    """Whether a node turns numbers into a kind."""
    return node.op_type == "Cast" and node.attribute[0].i == kind


def test_it_is_smaller_and_the_same_each_time(single, half):
    assert len(half) < len(single)
    assert to_half(single) == half


@pytest.mark.parametrize("damage", [b"no model at all", b"\xff" * 40])
def test_bytes_that_are_no_model_are_refused(damage):
    with pytest.raises(EngineError, match=r"no ONNX model .*compile the student again"):
        to_half(damage)


def test_a_model_that_is_no_student_is_refused():
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", value[:1], value[1:])
    with pytest.raises(EngineError, match="so it is no student"):
        to_half(helper.make_model(graph).SerializeToString())
