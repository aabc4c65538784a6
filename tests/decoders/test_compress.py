"""Pruned and rounded students: what goes into the last distillation, and what comes out."""

import pytest

torch = pytest.importorskip("torch", reason="students need torch")

from diverloop.decoders.compress import compress
from diverloop.decoders.distill import distill
from diverloop.decoders.distill_config import DistillConfig
from diverloop.decoders.quantise import FakeQuantStudent
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student, student_note
from diverloop.decoders.training_plan import TrainPlan
from diverloop.runtime.errors import ConfigError

from .test_distill import QUICK, corpus, make_teacher  # noqa: F401  (corpus is a fixture)

SMALL = StudentConfig(width=64, n_layers=2, n_latents=2, context=10)


@pytest.fixture
def student():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Student(SMALL).eval()


def distilled(corpus, student, out, config: DistillConfig = QUICK):  # noqa: F811
    plan = TrainPlan(out=out, steps=2, batch=2, validate_every=2, save_every_s=1000)
    return distill(corpus, make_teacher(), SMALL, config, plan, lambda *_: None, student)


def test_a_pruned_student_is_smaller_and_goes_through_distillation(corpus, student, tmp_path):  # noqa: F811
    smaller = compress(student, make_teacher(), corpus, QUICK, keep=0.5)
    n_weights = [sum(p.numel() for p in one.parameters()) for one in (smaller, student)]
    assert n_weights[0] < 0.7 * n_weights[1]
    path = distilled(corpus, smaller, tmp_path)
    assert load_student(path).config == smaller.config
    assert student_note(path)["student"]["started_from"]


def test_a_rounding_student_comes_out_with_its_ranges_on_the_card(corpus, student, tmp_path):  # noqa: F811
    smaller = compress(student, make_teacher(), corpus, QUICK, weight_bits=4)
    assert isinstance(smaller, FakeQuantStudent)
    path = distilled(corpus, smaller, tmp_path)
    opened, note = load_student(path), student_note(path)
    assert note["quantisation"]["config"]["weight_bits"] == 4
    # What is written has been rounded: no row has more than 15 values.
    weight = opened.blocks[0].ffn.gate_up.weight
    assert max(len(row.unique()) for row in weight) <= 15


def test_the_same_call_gives_the_same_student(corpus, student):  # noqa: F811
    once, twice = (compress(student, make_teacher(), corpus, QUICK, keep=0.5) for _ in range(2))
    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(a, b)


def test_nothing_asked_is_nothing_done(corpus, student):  # noqa: F811
    assert compress(student, make_teacher(), corpus, QUICK) is student


def test_a_share_that_cannot_be_is_refused(corpus, student):  # noqa: F811
    with pytest.raises(ConfigError, match="keep must be in"):
        compress(student, make_teacher(), corpus, QUICK, keep=1.5)
