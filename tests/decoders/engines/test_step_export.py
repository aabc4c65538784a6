"""The exported step: its interface, its operators, what it says of itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

from diverloop.decoders.engines.step_export import export_step
from diverloop.decoders.engines.step_shape import ABOUT, OPSET
from diverloop.decoders.shipped import open_student

from ...compiled import graph, shape, step


def test_names_shapes_and_types_are_those_that_engines_expect():
    model = onnx.load_from_string(graph())
    kinds = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.INT64: "int64",
             onnx.TensorProto.BOOL: "bool"}  # fmt: skip

    def sized(values):
        return {
            one.name: (
                tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim),
                kinds[one.type.tensor_type.elem_type],
            )
            for one in values
        }

    assert sized(model.graph.input) == dict(shape().inputs)
    assert list(sized(model.graph.output)) == list(shape().outputs)
    assert sized(model.graph.output) == dict(shape().outputs)


def test_only_standard_operators_of_one_pinned_set():
    model = onnx.load_from_string(graph())
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}


def test_it_carries_what_it_is_told_and_nothing_of_the_machine_that_made_it():
    content = graph()
    (entry,) = onnx.load_from_string(content).metadata_props
    assert entry.key == ABOUT
    assert json.loads(entry.value) == {"made_by": "a test"}
    assert b"site-packages" not in content
    assert b".py" not in content


@pytest.mark.long
def test_the_same_student_gives_the_same_bytes():
    assert export_step(step(), {"a": 1}) == export_step(step(), {"a": 1})


@pytest.mark.parametrize("name", ["eeg-s", pytest.param("ieeg-s", marks=pytest.mark.long)])
def test_the_shipped_students_export(name):
    from diverloop.decoders.engines.engine import TOLERANCE, disagreement
    from diverloop.decoders.engines.onnx_engine import OnnxEngine
    from diverloop.decoders.engines.step_export import Step
    from diverloop.decoders.engines.step_shape import StepShape
    from diverloop.decoders.engines.torch_engine import TorchEngine

    student, _ = open_student(name)
    one = Step(student, 50 * torch.randn(1, 6, 3), int(name == "ieeg-s"))
    engine = OnnxEngine(export_step(one, {}), StepShape.of(student.config, 6))
    reference = TorchEngine(one)
    rng = np.random.default_rng(0)
    for _ in range(40):
        hop = 40 * rng.standard_normal((6, 50)).astype(np.float32)
        usable = rng.random(6) > 0.2
        error = disagreement(engine.hear(hop, usable), reference.hear(hop, usable))
        assert error <= TOLERANCE["fp32"]
