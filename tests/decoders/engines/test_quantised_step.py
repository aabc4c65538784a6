"""Integers where they were wanted, floating point elsewhere, and nearly the same embedding."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="students are torch")
onnx = pytest.importorskip("onnx", reason="graphs are written with onnx")
pytest.importorskip("onnxscript", reason="torch writes graphs with onnxscript")
pytest.importorskip("onnxruntime", reason="graphs are rounded with onnxruntime")

import torch

from diverloop.decoders.corpus import Batch
from diverloop.decoders.engines.calibration_hops import calibration_hops
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.engines.quantised_step import (
    fold_weights,
    quantise_by_hop,
    quantise_step,
    rounded_products,
)
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import ABOUT, StepShape
from diverloop.decoders.quantise import QuantiseConfig, calibrate, freeze_ranges, prepare
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError, EngineError

N_ROWS = 6
CONFIG = StudentConfig(width=96, n_layers=1, context=5)
SHAPE = StepShape.of(CONFIG, N_ROWS)
WHAT = {"card": "a card", "weights": "a hash"}
INT8 = 3  # of onnx.TensorProto.DataType


def made_student() -> Student:
    torch.manual_seed(3)
    student = Student(CONFIG).eval()
    for block in student.blocks:  # as drawn, the blocks would hardly add to what the tokens say
        torch.nn.init.normal_(block.out.weight, std=0.2)
        torch.nn.init.normal_(block.ffn.down.weight, std=0.1)
    return student


def places() -> torch.Tensor:
    return 60 * torch.randn(1, N_ROWS, 3, generator=torch.Generator().manual_seed(4))


def windows(seed: int, n: int = 10) -> np.ndarray:
    """Pink noise, (n, N_ROWS, 500) in microvolts."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((n, N_ROWS, 500)))
    spectrum /= np.sqrt(np.arange(spectrum.shape[2]) + 1)
    return (80 * np.fft.irfft(spectrum)).astype(np.float32)


@pytest.fixture(scope="module")
def plain() -> bytes:
    return export_step(Step(made_student(), places(), 0), WHAT)


@pytest.fixture(scope="module")
def static(plain) -> bytes:
    return quantise_step(plain, SHAPE, calibration_hops(windows(0), CONFIG.hop))


@pytest.fixture(scope="module")
def signed(plain) -> bytes:
    return quantise_step(plain, SHAPE, calibration_hops(windows(0), CONFIG.hop), symmetric=True)


@pytest.fixture(scope="module")
def by_hop(plain) -> bytes:
    return quantise_by_hop(plain)


@pytest.fixture(scope="module")
def prepared():
    student = prepare(made_student(), QuantiseConfig(weight_bits=7))
    x = torch.from_numpy(windows(0))
    batch = Batch(
        x,
        places().expand(len(x), -1, -1),
        torch.zeros(len(x), dtype=torch.int64),
        torch.full(x.shape[:2], -1),
        torch.ones(x.shape[:2], dtype=torch.bool),
    )
    calibrate(student, [batch])
    freeze_ranges(student)
    return student.eval()


def heard(model: bytes, seed: int = 1) -> np.ndarray:
    """Embeddings of a stream with artefacts and absent rows, (n_hops, n_features)."""
    engine = OnnxEngine(model, SHAPE)
    stream = calibration_hops(windows(seed), CONFIG.hop, seed)
    return np.array([engine.hear(hop, usable) for hop, usable in stream])


def cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return (found * expected).sum(axis=1) / norms


def interface(model: bytes) -> list[tuple]:
    graph = onnx.load_from_string(model).graph
    return [
        (one.name, one.type.tensor_type.elem_type, str(one.type.tensor_type.shape))
        for one in (*graph.input, *graph.output)
    ]


def operations(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


@pytest.mark.parametrize("form", ["static", "signed", "by_hop"])
def test_interface_and_metadata_are_those_of_the_plain_step(form, plain, request):
    model = request.getfixturevalue(form)
    assert interface(model) == interface(plain)
    told = {one.key: one.value for one in onnx.load_from_string(model).metadata_props}
    assert list(told) == [ABOUT]
    assert json.loads(told[ABOUT]) == WHAT


@pytest.mark.parametrize("form", ["static", "signed", "by_hop"])
def test_weights_are_integers_of_seven_bits_and_the_file_is_small(form, plain, request):
    model = request.getfixturevalue(form)
    arrays = onnx.load_from_string(model).graph.initializer
    whole = [
        onnx.numpy_helper.to_array(one)
        for one in arrays
        if one.data_type == INT8 and len(one.dims) == 2
    ]
    assert len(whole) == 4 + 4 * CONFIG.n_layers
    assert max(np.abs(one.astype(int)).max() for one in whole) <= 64
    assert len(model) < 0.45 * len(plain)


def test_what_is_rounded_is_what_rounds_in_training(plain, prepared):
    graph = onnx.load_from_string(plain)
    sizes = {one.name: tuple(one.dims) for one in graph.graph.initializer}
    nodes = {node.name: node for node in graph.graph.node}
    found = sorted(sizes[nodes[name].input[1]] for name in rounded_products(graph))
    assert found == sorted(tuple(m.weight.T.shape) for m in prepared.linears().values())


def test_a_static_step_multiplies_what_was_quantised(static):
    found = operations(static)
    n_rounded = 4 + 4 * CONFIG.n_layers
    assert found.count("QuantizeLinear") == n_rounded
    assert found.count("DequantizeLinear") == 2 * n_rounded


def test_a_step_by_hop_multiplies_integers(by_hop):
    assert operations(by_hop).count("MatMulInteger") == 4 + 4 * CONFIG.n_layers


def test_a_symmetric_step_has_every_zero_point_at_zero(signed, static):
    def zeros(model: bytes) -> list[np.ndarray]:
        graph = onnx.load_from_string(model).graph
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
        return [arrays[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]

    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros(signed))
    assert all(zero.dtype == np.uint8 for zero in zeros(static))


@pytest.mark.parametrize("form", ["static", "signed", "by_hop"])
def test_embeddings_point_where_those_of_the_plain_step_do(form, plain, request):
    expected = heard(plain)
    found = heard(request.getfixturevalue(form))
    alike = cosines(found, expected)
    assert alike.mean() > 0.99
    assert alike.min() > 0.98
    assert np.abs(found - expected).max() > 1e-4  # it does round


def test_no_state_is_rounded(static):
    graph = onnx.load_from_string(static).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    for name in SHAPE.state:
        assert makers[f"next_{name}"] not in ("QuantizeLinear", "DequantizeLinear")


def test_the_same_hops_give_the_same_file(plain, static):
    assert quantise_step(plain, SHAPE, calibration_hops(windows(0), CONFIG.hop)) == static


def test_other_hops_give_other_ranges(plain, static):
    hops = list(calibration_hops(windows(0), CONFIG.hop))
    assert quantise_step(plain, SHAPE, hops[:20]) != static


@pytest.mark.long
def test_a_student_trained_with_rounding_becomes_a_small_graph_that_says_the_same(prepared, plain):
    exported = export_step(Step(prepared, places(), 0), WHAT)
    folded = fold_weights(exported)
    assert interface(folded) == interface(exported) == interface(plain)
    assert len(folded) < 0.45 * len(exported)
    assert operations(folded).count("QuantizeLinear") == 4 + 4 * CONFIG.n_layers
    np.testing.assert_allclose(heard(folded), heard(exported), atol=1e-5)
    state, said = prepared.initial_state(1, N_ROWS), []
    with torch.inference_mode():
        for hop, usable in calibration_hops(windows(1), CONFIG.hop, 1):
            embedding, state = prepared.step(
                torch.from_numpy(hop)[None],
                state,
                torch.from_numpy(usable)[None],
                places(),
                torch.zeros(1, dtype=torch.int64),
            )
            said.append(embedding[0].numpy())
    # An input on the edge between two steps may fall to either side.
    assert cosines(heard(folded), np.array(said)).mean() > 0.999


def test_hops_are_the_same_for_the_same_seed_and_hold_what_the_docstring_says():
    x = windows(2, n=20)
    stream = list(calibration_hops(x, CONFIG.hop, 5))
    again = list(calibration_hops(x, CONFIG.hop, 5))
    assert all(
        np.array_equal(a, b) and np.array_equal(u, v)
        for (a, u), (b, v) in zip(stream, again, strict=True)
    )
    assert len(stream) == 20 * 10
    absent = [np.count_nonzero(~usable) for _, usable in stream]
    assert 0 < np.count_nonzero(absent) < len(stream)
    assert max(absent) <= N_ROWS // 2
    heard_windows = [np.hstack([hop for hop, _ in stream[i : i + 10]]) for i in range(0, 200, 10)]
    as_they_are = sum(any(np.array_equal(one, each) for each in x) for one in heard_windows)
    assert as_they_are == 10
    assert max(np.abs(hop).max() for hop, _ in stream) > 5 * np.abs(x).max()
    assert any((hop == 0).all(axis=1).any() for hop, _ in stream)


def test_calibration_without_a_hop_is_refused(plain):
    with pytest.raises(ConfigError, match="got no hop"):
        quantise_step(plain, SHAPE, [])


@pytest.mark.parametrize("wrong", [(N_ROWS + 1, 50), (N_ROWS, 49)])
def test_hops_of_another_shape_are_refused(plain, wrong):
    hops = [(np.zeros(wrong, np.float32), np.ones(wrong[0], bool))]
    with pytest.raises(ConfigError, match="hop 0 has shapes"):
        quantise_step(plain, SHAPE, hops)


def test_a_hop_that_is_not_finite_is_refused_unless_its_row_is_absent(plain):
    hop, usable = np.zeros((N_ROWS, 50), np.float32), np.ones(N_ROWS, bool)
    hop[2] = np.nan
    with pytest.raises(ConfigError, match="NaN or infinity in a usable row"):
        quantise_step(plain, SHAPE, [(hop, usable)])
    usable[2] = False
    assert quantise_step(plain, SHAPE, [(hop, usable)] * 3)


@pytest.mark.parametrize(
    "x", [np.zeros((3, 2, 49)), np.zeros((2, 50)), np.full((1, 2, 50), np.nan)]
)
def test_windows_that_make_no_stream_are_refused(x):
    with pytest.raises(ConfigError, match="windows"):
        calibration_hops(x, 50)


def test_another_model_is_refused(plain, static):
    other = StepShape.of(replace(CONFIG, context=6), N_ROWS)
    hops = calibration_hops(windows(0), CONFIG.hop)
    with pytest.raises(EngineError, match="belongs to another model"):
        quantise_step(plain, other, hops)
    with pytest.raises(EngineError, match="not rounded again"):
        quantise_step(static, SHAPE, hops)
    with pytest.raises(EngineError, match="no ONNX"):
        quantise_by_hop(b"\x00not a graph")
    with pytest.raises(EngineError, match="rounds no weights"):
        fold_weights(plain)


def test_without_onnx_the_extra_is_named(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"diverloop\[compile\]"):
        quantise_step(plain, SHAPE, [])
