"""Pruning: what does not matter goes, everything else stays as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.corpus import Batch
from diverloop.decoders.prune import Importance, importance_of, prune
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError

from ..student_batches import drawn, read

SMALL = StudentConfig(width=96, n_layers=3, n_latents=2, context=6, ffn=(128, 128, 128))


@pytest.fixture(autouse=True)
def _quiet_torch():
    torch.manual_seed(5)
    torch.set_num_threads(1)


def silence(student: Student, heads: dict[int, list[int]], units: dict[int, list[int]]) -> None:
    """Nothing that these heads and hidden units say is heard."""
    with torch.no_grad():
        for layer, chosen in heads.items():
            for head in chosen:
                student.blocks[layer].out.weight[:, head * 32 : (head + 1) * 32] = 0
        for layer, chosen in units.items():
            student.blocks[layer].ffn.down.weight[:, chosen] = 0


def to_zero(student: Student, batch: Batch) -> torch.Tensor:
    """A loss with a gradient everywhere: distance to latents that nobody reaches."""
    return (read(student, batch) - 1).square().mean()


def weighed(student: Student) -> Importance:
    return importance_of(student, [drawn(), drawn()])


HEADS = {0: [1], 1: [0, 2], 2: []}
UNITS = {0: list(range(0, 64, 2)), 1: list(range(20, 100)), 2: list(range(16))}


def test_pruning_what_says_nothing_changes_nothing():
    student = Student(SMALL)
    silence(student, HEADS, UNITS)
    pruned = prune(student, weighed(student), keep=2 / 3)
    assert pruned.config.n_heads == (2, 1, 3)
    assert pruned.config.ffn == (96, 48, 112)
    batch = drawn()
    assert (read(pruned, batch) - read(student, batch)).abs().max() <= 1e-6


def test_what_says_nothing_has_no_importance_and_all_else_has():
    student = Student(SMALL)
    silence(student, HEADS, UNITS)
    found = weighed(student)
    for planted, scores in ((HEADS, found.heads), (UNITS, found.units)):
        for layer, silent in planted.items():
            assert (scores[layer][silent] == 0).all()
            assert (np.delete(scores[layer], silent) > 0).all()


def test_the_head_that_speaks_loudest_is_the_one_that_is_missed_most():
    student = Student(SMALL)
    with torch.no_grad():
        student.blocks[1].out.weight[:, 32:64] *= 8
    batch = drawn()
    found = importance_of(student, [batch])
    changes = []
    for head in range(3):
        without = Student(SMALL)
        without.load_state_dict(student.state_dict())
        silence(without, {1: [head]}, {})
        with torch.no_grad():
            changes.append(float((read(without, batch) - read(student, batch)).norm()))
    assert np.argmax(found.heads[1]) == np.argmax(changes) == 1


def test_a_pruned_student_streams_as_it_reads_a_window():
    student = Student(SMALL).eval()
    pruned = prune(student, weighed(student), keep=0.5)
    batch = drawn(4, 12)
    with torch.no_grad():
        whole = read(pruned, batch)
        state, found = pruned.initial_state(2, 4), []
        for hop in range(12):
            patch = batch.x[:, :, hop * 50 : (hop + 1) * 50]
            embedding, state = pruned.step(
                patch, state, batch.usable, batch.positions, batch.modality
            )
            found.append(embedding)
    assert (torch.stack(found, 1) - whole.flatten(2)).abs().max() <= 1e-5


def test_its_weights_fit_a_student_of_its_own_configuration():
    student = Student(SMALL)
    pruned = prune(student, weighed(student), keep=0.5)
    again = Student(StudentConfig.from_dict(pruned.config.to_dict()))
    again.load_state_dict(pruned.state_dict(), strict=True)
    batch = drawn()
    assert torch.equal(read(again, batch), read(pruned, batch))


@pytest.mark.parametrize("keep", [0.4, 0.6, 0.8])
def test_as_many_weights_go_as_was_asked(keep):
    config = StudentConfig.named("S")
    student = Student(config)
    rng = np.random.default_rng(3)
    importance = Importance(
        heads=tuple(rng.random(4) for _ in range(4)),
        units=tuple(rng.random(512) for _ in range(4)),
    )
    pruned = prune(student, importance, keep)
    assert sum(pruned.config.n_heads) == round(keep * 16)
    assert sum(pruned.config.ffn) == 16 * round(keep * 2048 / 16)
    heads_gone = 16 - sum(pruned.config.n_heads)
    units_gone = 2048 - sum(pruned.config.ffn)
    counted = [sum(p.numel() for p in model.parameters()) for model in (student, pruned)]
    a_head = 4 * 32 * 128 + config.context  # its matrices, and how it weighs ages
    assert counted[0] - counted[1] == heads_gone * a_head + units_gone * 3 * 128


def test_layers_are_ranked_against_each_other_but_none_is_emptied():
    student = Student(SMALL)
    importance = Importance(
        heads=(np.full(3, 1e-3), np.full(3, 2.0), np.full(3, 1.0)),
        units=(np.full(128, 5.0), np.full(128, 1e-3), np.full(128, 1.0)),
    )
    pruned = prune(student, importance, keep=0.5)
    assert pruned.config.n_heads == (1, 2, 1)  # round(4.5) is 4
    assert pruned.config.ffn == (128, 32, 32)
    least = prune(student, importance, keep=0.01)
    assert least.config.n_heads == (1, 1, 1)
    assert least.config.ffn == (32, 32, 32)


def test_kept_weights_are_copied_in_their_order():
    student = Student(SMALL)
    importance = Importance(
        heads=tuple(np.array([1.0, 0.0, 2.0]) for _ in range(3)),
        units=tuple((np.arange(128) % 2).astype(float) for _ in range(3)),
    )
    pruned = prune(student, importance, keep=0.5001)
    assert pruned.config.n_heads == (2, 2, 1)
    odd = torch.arange(1, 128, 2)
    for old, new in zip(student.blocks, pruned.blocks, strict=True):
        for now, before in zip(
            new.ffn.gate_up.weight.chunk(2), old.ffn.gate_up.weight.chunk(2), strict=True
        ):
            assert torch.equal(now, before[odd])
        assert torch.equal(new.ffn.down.weight, old.ffn.down.weight[:, odd])
    rows = torch.cat([torch.arange(32), torch.arange(64, 96)])
    blocks = (pruned.blocks[0], student.blocks[0])
    for now, before in zip(*(block.qkv.weight.chunk(3) for block in blocks), strict=True):
        assert torch.equal(now, before[rows])
    assert torch.equal(pruned.blocks[0].age_bias, student.blocks[0].age_bias[[0, 2]])
    assert torch.equal(pruned.blocks[0].out.weight, student.blocks[0].out.weight[:, rows])


def test_the_student_that_is_pruned_is_not_changed():
    student = Student(SMALL)
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    pruned = prune(student, weighed(student), keep=0.5)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], now) for name, now in student.state_dict().items())
    assert all(parameter.grad is None for parameter in student.parameters())
    assert student.config == SMALL


def test_a_pruned_student_can_learn_and_be_pruned_again():
    pruned = prune(student := Student(SMALL), weighed(student), keep=0.7)
    smaller = prune(pruned, weighed(pruned), keep=0.7)
    assert sum(smaller.config.ffn) < sum(pruned.config.ffn) < sum(SMALL.ffn)
    batch, losses = drawn(), []
    for _ in range(5):
        loss = to_zero(smaller, batch)
        loss.backward()
        losses.append(float(loss.detach()))
        with torch.no_grad():
            for parameter in smaller.parameters():
                if parameter.grad is not None:
                    parameter.sub_(0.03 * parameter.grad)
                    parameter.grad = None
    assert losses[-1] < losses[0]


def test_a_width_that_is_no_multiple_of_sixteen_is_rounded_down():
    student = Student(StudentConfig(width=32, n_layers=2, n_latents=2, ffn=(100, 20)))
    ones = Importance(heads=(np.ones(1), np.ones(1)), units=(np.ones(100), np.ones(20)))
    assert prune(student, ones, keep=0.9).config.ffn == (96, 20)


@pytest.mark.parametrize("keep", [0.0, 1.0, -1.0, math.nan])
def test_a_share_that_keeps_all_or_nothing_is_refused(keep):
    student = Student(SMALL)
    with pytest.raises(ConfigError, match="keep must be in"):
        prune(student, weighed(student), keep)


def test_importance_of_another_student_is_refused():
    importance = weighed(Student(SMALL))
    with pytest.raises(ConfigError, match="estimate it again"):
        prune(Student(StudentConfig(width=96, n_layers=3)), importance)


def test_importance_that_is_not_finite_is_refused():
    student = Student(SMALL)
    with torch.no_grad():
        student.blocks[0].out.weight[:] = math.nan
    found = weighed(student)
    with pytest.raises(ConfigError, match="NaN or infinity"):
        prune(student, found)


def test_importance_without_a_batch_is_refused():
    student = Student(SMALL)
    with pytest.raises(ConfigError, match="at least 1 batch"):
        importance_of(student, [])
