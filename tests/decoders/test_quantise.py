"""Quantisation: the student rounds as an integer engine would, and can learn to live with it."""

from __future__ import annotations

import copy
import json
import math

import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.corpus import Batch
from diverloop.decoders.prune import importance_of, prune
from diverloop.decoders.quantise import (
    FakeQuantLinear,
    QuantiseConfig,
    calibrate,
    freeze_ranges,
    observing,
    prepare,
    ranges_of,
    strip,
    to_int8,
)
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError

from ..student_batches import drawn, read

SMALL = StudentConfig(width=64, n_layers=1, n_latents=2, context=6, ffn=(128,))
KINDS = [
    QuantiseConfig(),
    QuantiseConfig(symmetric=True),
    QuantiseConfig(percentile=99.99),
    QuantiseConfig(learned_step=True),
    QuantiseConfig(smooth=0.5),
]


@pytest.fixture(autouse=True)
def _quiet_torch():
    torch.manual_seed(5)
    torch.set_num_threads(1)


def made(config: QuantiseConfig | None = None, student: Student | None = None):
    """A calibrated copy of a student, in eval mode."""
    prepared = prepare(student or Student(SMALL).eval(), config or QuantiseConfig())
    calibrate(prepared, [drawn() for _ in range(2)])
    return prepared


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine between the embeddings of each hop."""
    return torch.cosine_similarity(a.flatten(2), b.flatten(2), dim=-1)


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_eight_bits_hardly_turn_the_embedding(config):
    student = Student(StudentConfig.named("S")).eval()
    prepared = prepare(student, config)
    calibrate(prepared, [drawn()])
    batch = drawn(n_hops=6)
    with torch.no_grad():
        rounded, plain = read(prepared, batch), read(student, batch)
    if config.smooth is None:
        assert angle(rounded, plain).min() > 0.99
    # Weights as drawn have nothing to smooth: factors of two cost a bit on either side.
    assert angle(rounded, plain).mean() > 0.985
    assert not torch.equal(rounded, plain)


def test_fewer_bits_turn_it_further():
    student, batch = Student(SMALL).eval(), drawn()
    errors = []
    with torch.no_grad():
        for bits in (8, 6, 4, 2):
            prepared = made(QuantiseConfig(weight_bits=bits), student)
            errors.append(float(1 - angle(read(prepared, batch), read(student, batch)).mean()))
            for integers in to_int8(prepared).values():
                assert integers.weight.abs().max() == 2 ** (bits - 1) - 1
    assert errors == sorted(errors)
    assert errors[0] < 0.002 < errors[-1]


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_integer_arithmetic_gives_what_training_saw(config):
    prepared = made(config)
    freeze_ranges(prepared)
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(name):
        return lambda _, inputs, output: seen.__setitem__(name, (inputs[0], output))

    for name, linear in prepared.linears().items():
        linear.register_forward_hook(keep(name))
    with torch.no_grad():
        read(prepared, drawn())
    integers = to_int8(prepared)
    assert set(seen) == set(integers)
    for name, (x, wanted) in seen.items():
        assert integers[name].weight.dtype == torch.int8
        got = integers[name].apply(x)
        # An input half way between two steps may go either way. That is rare, and shows in its own
        # token alone, by one step of one product.
        linear = prepared.linears()[name]
        off, size = (got - wanted).abs(), wanted.abs().max()
        assert off.max() <= linear.step() * linear.rounded_weight().abs().max() + 1e-4 * size
        assert (off > 1e-4 * size).any(-1).float().mean() <= 0.05


def test_only_the_large_matrices_are_rounded():
    prepared = made(student=Student(StudentConfig.named("S", "iEEG")).eval())
    ffn = ("gate_up", "down")
    wanted = {f"mix.ffn.{part}" for part in ffn} | {"gather.kv", "gather.out"}
    for layer in range(4):
        wanted |= {f"blocks.{layer}.{part}" for part in ("qkv", "out")}
        wanted |= {f"blocks.{layer}.ffn.{part}" for part in ffn}
    assert set(to_int8(prepared)) == wanted
    weights = sum(integers.weight.numel() for integers in to_int8(prepared).values())
    assert weights > 0.9 * sum(p.numel() for p in prepared.parameters())


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_hop_by_hop_is_the_window_under_rounding(config):
    prepared = made(config)
    freeze_ranges(prepared)
    batch = drawn(n_hops=14)
    with torch.no_grad():
        whole = read(prepared, batch)
        state = prepared.initial_state(2, 6)
        for hop in range(14):
            patch = batch.x[:, :, hop * 50 : (hop + 1) * 50]
            embedding, state = prepared.step(
                patch, state, batch.usable, batch.positions, batch.modality
            )
            # A sum in another order may fall on the other side of a step: rare, and one step wide.
            assert (embedding - whole[:, hop].flatten(1)).abs().median() <= 1e-4
            assert angle(embedding[:, None, None], whole[:, hop, None]).min() > 0.9999


def test_step_is_forward_to_the_last_bits_when_nothing_is_reordered():
    prepared = made()
    freeze_ranges(prepared)
    batch = drawn(n_hops=1)
    with torch.no_grad():
        embedding, _ = prepared.step(
            batch.x, prepared.initial_state(2, 6), batch.usable, batch.positions, batch.modality
        )
        assert (embedding - read(prepared, batch)[:, 0].flatten(1)).abs().max() <= 1e-6


@pytest.mark.parametrize("config", [QuantiseConfig(), QuantiseConfig(learned_step=True)], ids=str)
def test_gradients_pass_the_rounding(config):
    student = Student(SMALL)
    prepared = made(config, student)
    batch = drawn()
    wanted = torch.randn_like(read(student, batch))
    for model in (student, prepared):
        (read(model, batch) - wanted).square().mean().backward()
    for name, parameter in student.named_parameters():
        rounded = prepared.get_parameter(name).grad
        assert torch.cosine_similarity(rounded.flatten(), parameter.grad.flatten(), dim=0) > 0.9
    if config.learned_step:
        steps = [linear.log_step.grad for linear in prepared.linears().values()]
        assert all(step.isfinite().all() and step.abs().sum() > 0 for step in steps)


@pytest.mark.parametrize("learned_step", [False, True])
def test_training_under_rounding_brings_the_student_back(learned_step):
    student = Student(StudentConfig(width=32, n_layers=1, n_latents=2, ffn=(64,))).eval()
    prepared = made(QuantiseConfig(weight_bits=3, learned_step=learned_step), student)
    batches, fresh = [drawn() for _ in range(2)], drawn()

    def off(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            wanted = read(student, batch)
        return (read(prepared, batch) - wanted).square().mean()

    before = float(off(fresh).detach())
    optimizer = torch.optim.Adam(prepared.train().parameters(), 3e-4)
    for step in range(20):
        optimizer.zero_grad()
        off(batches[step % 2]).backward()
        optimizer.step()
    freeze_ranges(prepared.eval())
    assert float(off(fresh).detach()) < 0.6 * before  # of a signal that it was not trained on


def test_ranges_do_not_hear_absent_channels():
    student = Student(SMALL).eval()
    batch = drawn()
    usable = torch.ones(2, 6, dtype=torch.bool)
    usable[:, [1, 4]] = False
    held = batch.x.clone()
    held[:, 1], held[:, 4] = math.nan, 1e6
    there = usable[0]
    damaged = batch._replace(x=held, usable=usable)
    alone = Batch(
        batch.x[:, there],
        batch.positions[:, there],
        batch.modality,
        batch.subtypes[:, there],
        usable[:, there],
    )
    found = []
    for heard in (damaged, alone):
        prepared = prepare(student, QuantiseConfig(smooth=0.5))
        calibrate(prepared, [heard])
        found.append(ranges_of(prepared))
    for name, (low, high) in found[0].items():
        assert (low, high) == pytest.approx(found[1][name], rel=1e-4, abs=1e-5)
    # It makes a difference: an absent channel's token is unlike any that carries signal.
    silent = prepare(student, QuantiseConfig())
    zeros = torch.where(usable[..., None], batch.x, 0.0)
    calibrate(silent, [batch._replace(x=zeros, usable=torch.ones_like(usable))])
    assert ranges_of(silent)["mix.ffn.gate_up"] != pytest.approx(
        found[1]["mix.ffn.gate_up"], rel=0.01
    )


def test_a_channel_that_comes_and_goes_is_heard_while_it_is_there():
    student = Student(SMALL).eval()
    batch = drawn()
    by_hop = torch.ones(2, 6, 10, dtype=torch.bool)
    by_hop[:, 2, 5:] = False
    held = batch.x.clone()
    held[:, 2, 250:] = 1e6
    found = []
    for x in (batch.x, held):
        prepared = prepare(student, QuantiseConfig())
        calibrate(prepared, [batch._replace(x=x, usable=by_hop)])
        found.append(ranges_of(prepared))
    assert found[0] == found[1]


def test_ranges_follow_in_training_and_stand_still_elsewhere():
    prepared = made()
    loud = drawn()
    loud = loud._replace(x=50 * loud.x)
    with torch.no_grad():
        before = ranges_of(prepared)
        read(prepared, loud)
        assert ranges_of(prepared) == before
        prepared.train()
        read(prepared, loud)
        moved = ranges_of(prepared)
        assert moved != before
        freeze_ranges(prepared)
        read(prepared, drawn())
        assert ranges_of(prepared) == moved


def test_the_first_batch_sets_the_range_and_later_ones_move_it_less():
    linear = next(iter(prepare(Student(SMALL), QuantiseConfig(momentum=0.25)).linears().values()))
    linear.train()
    highs = []
    for peak in (4.0, 8.0, 4.0, 4.0, 8.0):
        linear(torch.full((1, 64), peak))
        highs.append(float(linear.high))
    assert highs == pytest.approx([4, 6, 6 - 2 / 3, 5, 5.75])


def test_a_percentile_leaves_out_what_is_rare():
    x = torch.randn(4000, 64)
    x[7, 3] = 1e4
    ends = []
    for percentile in (100.0, 99.9):
        config = QuantiseConfig(percentile=percentile)
        linear = next(iter(prepare(Student(SMALL), config).linears().values())).train()
        linear(x)
        ends.append(float(linear.high))
    assert ends[0] == 1e4
    assert ends[1] == pytest.approx(3.09, abs=0.2)  # 99.9 % of a normal distribution


def outlying(student: Student) -> Student:
    """Features that reach far, where smoothing looks, and readers that hardly weigh them."""
    with torch.no_grad():
        for block in student.blocks:
            block.norm1.weight[5] *= 100
            block.norm2.weight[9] *= 100
            block.qkv.weight[:, 5] /= 100
            block.ffn.gate_up.weight[:, 9] /= 100
            block.ffn.gate_up.weight.chunk(2)[1][17] *= 100
            block.ffn.down.weight[:, 17] /= 100
    return student


def test_smoothing_changes_no_bit_in_floating_point():
    student = outlying(Student(SMALL).eval())
    prepared = made(QuantiseConfig(smooth=0.5), student)
    assert not torch.equal(prepared.blocks[0].norm1.weight, student.blocks[0].norm1.weight)
    batch = drawn()
    with torch.no_grad(), observing(prepared):
        assert torch.equal(read(prepared, batch), read(student, batch))


def test_smoothing_tames_features_that_reach_far():
    student = outlying(Student(SMALL).eval())
    batch = drawn()
    lost = []
    with torch.no_grad():
        for smooth in (None, 0.5):
            prepared = made(QuantiseConfig(smooth=smooth), student)
            lost.append(float(1 - angle(read(prepared, batch), read(student, batch)).mean()))
    assert lost[1] < 0.1 * lost[0]


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_weights_and_ranges_can_be_loaded_again(config):
    prepared = made(config)
    batch = drawn()
    again = prepare(Student(SMALL).eval(), config)
    again.load_state_dict(prepared.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(read(again, batch), read(prepared, batch))


def test_a_copy_has_ranges_of_its_own():
    prepared = made()
    other = copy.deepcopy(prepared).train()
    before = ranges_of(prepared)
    loud = drawn()
    with torch.no_grad():
        read(other, loud._replace(x=50 * loud.x))
    freeze_ranges(other)
    assert ranges_of(prepared) == before != ranges_of(other)
    assert not prepared.watch.frozen


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_a_stripped_student_and_its_ranges_are_all_there_is(config):
    prepared = made(config)
    plain = strip(prepared)
    assert type(plain) is Student
    assert not any(isinstance(module, FakeQuantLinear) for module in plain.modules())
    ranges = json.loads(json.dumps(ranges_of(prepared)))
    again = prepare(plain, config, ranges)
    batch = drawn()
    with torch.no_grad():
        assert angle(read(again, batch), read(prepared, batch)).min() > 0.9999
        assert angle(read(plain, batch), read(prepared, batch)).min() > 0.99
    for name, integers in to_int8(again).items():
        assert torch.equal(integers.weight, to_int8(prepared)[name].weight)
        assert torch.equal(integers.input_zero, to_int8(prepared)[name].input_zero)


def test_frozen_steps_follow_weights_that_train_on():
    prepared = made().train()
    freeze_ranges(prepared)
    with torch.no_grad():
        for linear in prepared.linears().values():
            linear.weight.mul_(2)
    prepared.eval()
    for linear in prepared.linears().values():
        off = (linear.rounded_weight() - linear.weight).abs().max()
        assert off <= linear.weight.abs().max() / 250


def test_the_student_that_is_prepared_is_not_changed():
    student = Student(SMALL)
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    prepared = made(QuantiseConfig(smooth=0.5), student)
    with torch.no_grad():
        for parameter in prepared.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], now) for name, now in student.state_dict().items())


def test_a_pruned_student_can_be_rounded_but_not_the_other_way_round():
    student = Student(StudentConfig(width=64, n_layers=2, n_latents=2)).eval()
    importance = importance_of(student, [drawn()])
    pruned = prune(student, importance, 0.5)
    batch = drawn()
    prepared = made(student=pruned)
    with torch.no_grad():
        assert angle(read(prepared, batch), read(pruned, batch)).min() > 0.99
    with pytest.raises(ConfigError, match="strip"):
        prune(prepare(student, QuantiseConfig()), importance)


def test_an_exported_step_holds_its_quantise_operations():
    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.student = made()
            freeze_ranges(self.student)

        def forward(self, patch, state, usable, positions):
            return self.student.step(patch, state, usable, positions)

    step = Step().eval()
    batch = drawn(n_hops=1, batch=1)
    example = (batch.x, step.student.initial_state(1, 6), batch.usable, batch.positions)
    with torch.no_grad():
        program = torch.export.export(step, example)
        exported, _ = program.module()(*example)
        eager, _ = step(*example)
    assert torch.allclose(exported, eager, atol=1e-5)
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    n_matrices = len(to_int8(step.student))
    assert sum("fake_quantize_per_tensor_affine" in name for name in names) == n_matrices
    assert sum("fake_quantize_per_channel_affine" in name for name in names) == n_matrices
    # Frozen steps are constants of the graph: nothing is measured while it runs.
    assert not any("amax" in name or "fft" in name or "unfold" in name for name in names)


def test_without_ranges_nothing_is_served():
    prepared = prepare(Student(SMALL).eval(), QuantiseConfig())
    with pytest.raises(ConfigError, match="calibrate"):
        read(prepared, drawn())


@pytest.mark.parametrize("batches", [0, 1])
def test_calibration_that_hears_nothing_is_refused(batches):
    prepared = prepare(Student(SMALL).eval(), QuantiseConfig())
    deaf = drawn()
    deaf = deaf._replace(usable=torch.zeros_like(deaf.usable))
    with pytest.raises(ConfigError, match="nothing finite"):
        calibrate(prepared, [deaf] * batches)


def test_ranges_of_another_student_are_refused():
    ranges = ranges_of(made())
    other = Student(StudentConfig(width=64, n_layers=2, n_latents=2))
    with pytest.raises(ConfigError, match="Ranges must be given for 12 matrices, got 8"):
        prepare(other, QuantiseConfig(), ranges)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight_bits": 1}, "weight_bits must be 2 to 8"),
        ({"activation_bits": 16}, "activation_bits must be 4 to 8"),
        ({"percentile": 50.0}, "percentile"),
        ({"momentum": 0.0}, "momentum"),
        ({"smooth": 1.5}, "smooth"),
        ({"smooth": math.nan}, "smooth"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        QuantiseConfig(**settings)
