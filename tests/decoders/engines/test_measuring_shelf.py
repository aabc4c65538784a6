"""What measured engines read: the same student for all, whatever its context."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.engines import measuring_shelf
from diverloop.decoders.engines.measuring_shelf import Shelf, with_context
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student

TINY = StudentConfig(width=32, n_layers=2, n_latents=2, context=4, n_readings=2)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(3)
    return Student(TINY).eval().requires_grad_(False)


@pytest.fixture
def shelf(student, tmp_path, monkeypatch) -> Shelf:
    """One that exports by writing down for whom."""
    monkeypatch.setattr(
        measuring_shelf,
        "_exported",
        lambda student, channels, seed: f"{student.config.context} {channels} {seed}".encode(),
    )
    return Shelf(student, 3, tmp_path, seed=5)


@pytest.mark.parametrize("context", [1, 3, 7])
def test_another_context_changes_the_reach_and_nothing_else(student, context):
    other = with_context(student, context)
    assert other.config.context == context
    assert not other.training
    heard = min(context, TINY.context)
    for block, before in zip(other.blocks, student.blocks, strict=True):
        assert block.age_bias.shape == (1, context)
        torch.testing.assert_close(block.age_bias[:, :heard], before.age_bias[:, :heard])
        assert (block.age_bias[:, heard:] == before.age_bias[:, -1:]).all()
    one_hop = 20 * torch.randn(1, 3, 50)
    torch.testing.assert_close(other(one_hop).embedding, student(one_hop).embedding)


def test_a_students_own_context_leaves_it_as_it_is(student):
    assert with_context(student, TINY.context) is student


def test_engines_in_torch_get_the_weights_and_no_graph(shelf, student):
    order = shelf.order("torch", "fp32", 1.0)
    assert order.graph == ""
    found = load_student(order.student).state_dict()
    for name, value in student.state_dict().items():
        torch.testing.assert_close(found[name], value)


def test_other_engines_get_a_graph_that_is_exported_once(shelf, monkeypatch):
    order = shelf.order("onnxruntime", "fp32", 1.0)
    monkeypatch.setattr(measuring_shelf, "_exported", None)
    again = shelf.order("openvino", "bf16", 1.0)
    assert order.graph == again.graph
    assert order.student == ""
    with open(order.graph, encoding="utf-8") as file:
        assert file.read() == "4 3 5"


def test_the_teacher_gets_nothing_but_its_window(shelf):
    order = shelf.order("teacher-tiny", "fp32", 2.0)
    assert (order.student, order.graph, order.window_s) == ("", "", 2.0)
