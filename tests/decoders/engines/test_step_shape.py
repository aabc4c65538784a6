"""The step's interface, against the student's own state."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.engines.step_shape import INPUTS, StepShape
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig


@pytest.mark.parametrize(
    "config",
    [
        StudentConfig(width=32, n_layers=1, n_latents=2, context=3),
        StudentConfig(width=64, n_layers=3, n_heads=(2, 1, 1), ffn=(8, 8, 8), scales=(60, 250)),
    ],
)
def test_it_is_the_state_that_the_student_has(config):
    shape = StepShape.of(config, 7)
    state = Student(config).initial_state(1, 7)
    sizes = [tuple(one.shape) for one in (state.tail, *state.keys, *state.values)]
    ours = [shape.inputs[name][0] for name in shape.state if name != "heard"]
    assert ours == sizes
    assert tuple(shape.inputs)[: len(INPUTS)] == INPUTS
    assert [name.removeprefix("next_") for name in shape.outputs][1:] == list(shape.state)
    assert shape.outputs["embedding"][0] == (config.n_features(7),)
    for name, empty in shape.empty_state().items():
        assert (empty.shape, str(empty.dtype)) == shape.inputs[name]
        assert not empty.any()
