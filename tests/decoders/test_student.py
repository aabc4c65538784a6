"""The student: causal, streamable, indifferent to which channels there are and in what order."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError

TINY = StudentConfig(width=32, n_layers=2, n_latents=2, context=6)


@pytest.fixture(autouse=True)
def _quiet_torch():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def made(config: StudentConfig = TINY) -> Student:
    """A student with random weights whose branches all carry weight."""
    return Student(config).eval()


def signal(n_channels: int, n_hops: int, batch: int = 1) -> torch.Tensor:
    """Microvolts like EEG: slow waves, and faster ones below them."""
    return (20 * torch.randn(batch, n_channels, 50 * n_hops)).cumsum(2) / 4


def places(n_channels: int, batch: int = 1) -> torch.Tensor:
    return 60 * torch.randn(batch, n_channels, 3)


def streamed(student: Student, x: torch.Tensor, cuts: list[int], **more: torch.Tensor):
    """Embeddings of a signal that comes in pieces of so many hops."""
    state, found, first = student.initial_state(x.shape[0], x.shape[1]), [], 0
    for n in cuts:
        piece = x[:, :, first * 50 : (first + n) * 50]
        heard, state = student.advance(piece, state, **more)
        found.append(heard.embedding)
        first += n
    assert first * 50 == x.shape[2]
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("modality", ["EEG", "iEEG"])
def test_sizes_are_what_their_names_promise(modality):
    small = sum(p.numel() for p in made(StudentConfig.named("S", modality)).parameters())
    medium = sum(p.numel() for p in made(StudentConfig.named("M", modality)).parameters())
    assert 1.0e6 < small <= 12_660_546 / 10  # a tenth of the smallest teacher's encoder
    assert 4.0e6 < medium < 5.0e6


@pytest.mark.parametrize("modality", ["EEG", "iEEG"])
def test_hop_by_hop_is_the_window(modality):
    student = made(StudentConfig.named("S", modality))
    x, positions = signal(9, 70, batch=2), places(9, batch=2)
    whole = student(x, positions=positions).embedding
    state = student.initial_state(2, 9)
    for hop in range(70):
        patch = x[:, :, hop * 50 : (hop + 1) * 50]
        embedding, state = student.step(patch, state, positions=positions)
        assert (embedding - whole[:, hop]).abs().max() <= 1e-4
        assert embedding.shape == (2, student.config.n_features(9))


@pytest.mark.long
def test_any_cut_of_an_hour_gives_the_same_embeddings():
    student = made()
    n_hops = 36_000
    x = signal(3, n_hops)
    rng = np.random.default_rng(2)
    cuts: list[int] = []
    while sum(cuts) < n_hops:
        cuts.append(min(int(rng.integers(1, 60)), n_hops - sum(cuts)))
    assert (streamed(student, x, cuts) - student(x).embedding).abs().max() <= 1e-4


def test_a_state_keeps_its_shapes_for_ever():
    student = made()
    state = student.initial_state(1, 4)
    shapes = [tensor.shape for tensor in (state.tail, *state.keys, *state.values, state.heard)]
    for _ in range(20):
        _, state = student.step(signal(4, 1), state)
    after = [tensor.shape for tensor in (state.tail, *state.keys, *state.values, state.heard)]
    assert after == shapes
    assert state.heard.tolist() == [20]


def test_attention_is_that_of_the_textbook():
    # One head, one latent: written out as sums over the hops within reach.
    config = StudentConfig(width=32, n_layers=1, n_latents=1, context=4)
    student = made(config)
    x = signal(2, 9)
    latents = student.gather(student.tokens(x), torch.ones(1, 2, 9, dtype=torch.bool))[0]
    block = student.blocks[0]
    block.age_bias.normal_()
    normed = block.norm1(latents)
    q, k, v = block.qkv(normed).chunk(3, dim=-1)
    q, k = block.qk_norm(q), block.qk_norm(k)

    for hop in range(9):
        reach = range(max(0, hop - 3), hop + 1)
        logits = [q[hop] @ k[j] / math.sqrt(32) + block.age_bias[0, hop - j] for j in reach]
        weights = torch.stack(logits).softmax(0)
        read = sum(weight * v[j] for weight, j in zip(weights, reach, strict=True))
        middle = latents[hop] + block.out(read)
        expected = student.norm(middle + block.ffn(block.norm2(middle)))
        assert torch.allclose(student(x).latents[0, hop, 0], expected, atol=1e-5)


def test_the_future_does_not_reach_the_past():
    student = made()
    x = signal(4, 12)
    other = x.clone()
    other[:, :, 7 * 50 :] += 300
    before, after = student(x).embedding, student(other).embedding
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])


def test_what_is_out_of_reach_is_forgotten():
    student = made()
    reach = TINY.n_layers * (TINY.context - 1) + 2  # two hops of tail
    x = signal(4, reach + 3)
    other = x.clone()
    other[:, :, :50] += 300
    before, after = student(x).embedding, student(other).embedding
    assert not torch.allclose(before[:, reach - 2], after[:, reach - 2])
    assert torch.allclose(before[:, reach + 1 :], after[:, reach + 1 :], atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 2, 64, 512])
def test_the_order_of_channels_does_not_matter(n_channels):
    student = made()
    x, positions = signal(n_channels, 8), places(n_channels)
    usable = torch.rand(1, n_channels) < 0.8
    order = torch.randperm(n_channels)
    straight = student(x, usable, positions)
    mixed = student(x[:, order], usable[:, order], positions[:, order])
    assert (straight.latents - mixed.latents).abs().max() <= 1e-5
    assert (straight.channels[:, order] - mixed.channels).abs().max() <= 1e-5


@pytest.mark.parametrize("held", [0.0, 1e6, math.nan, math.inf])
def test_what_an_absent_channel_holds_does_not_matter(held):
    student = made(StudentConfig.named("S", "iEEG"))
    x, positions = signal(6, 8), places(6)
    usable = torch.tensor([[True, False, True, True, False, True]])
    damaged = torch.where(usable[..., None], x, torch.tensor(held))
    there = usable[0]
    alone = student(x[:, there], positions=positions[:, there])
    heard = student(damaged, usable, positions)
    assert torch.equal(heard.embedding, student(x, usable, positions).embedding)
    assert (heard.latents - alone.latents).abs().max() <= 1e-5
    assert (heard.channels[:, there] - alone.channels).abs().max() <= 1e-5
    assert not heard.channels[:, ~there].any()


def test_a_channel_may_go_and_come_back():
    student = made()
    x = signal(3, 10)
    usable = torch.ones(1, 3, 10, dtype=torch.bool)
    usable[0, 1, 4:7] = False
    state, found = student.initial_state(1, 3), []
    for hop in range(10):
        patch = x[:, :, hop * 50 : (hop + 1) * 50]
        if 4 <= hop < 7:
            patch = patch.clone()
            patch[0, 1] = math.nan
        embedding, state = student.step(patch, state, usable[:, :, hop])
        found.append(embedding)
    assert (torch.stack(found, 1) - student(x, usable).embedding).abs().max() <= 1e-5


def test_without_any_channel_it_says_something_finite():
    student = made()
    usable = torch.zeros(1, 3, dtype=torch.bool)
    nothing = student(torch.full((1, 3, 400), math.nan), usable)
    assert nothing.embedding.isfinite().all()
    none = torch.zeros(1, 5, dtype=torch.bool)
    assert torch.equal(nothing.latents, student(torch.zeros(1, 5, 400), none).latents)


def test_an_unknown_place_is_no_place():
    student = made()
    x, positions = signal(3, 4), places(3)
    positions[0, 1] = math.nan
    unknown = student.tokens(x, positions=positions)
    assert torch.allclose(unknown[:, 1], student.tokens(x)[:, 1], atol=1e-6)
    assert not torch.allclose(unknown[:, 0], student.tokens(x)[:, 0])


def test_position_and_modality_are_seen():
    student = made()
    x = signal(3, 4)
    plain, placed = student(x).latents, student(x, positions=places(3)).latents
    assert not torch.allclose(plain, placed)
    eeg, ieeg = (student(x, modality=torch.tensor([code])).latents for code in (0, 1))
    assert not torch.allclose(eeg, ieeg)


def test_electrodes_without_a_place_can_be_told_apart():
    # Their mean is what latents see of them; which one was strong, only their own readings tell.
    student = made(StudentConfig.named("S"))
    wave = 20 * torch.sin(torch.arange(400) / 8)
    left, right = torch.zeros(2, 400), torch.zeros(2, 400)
    left[0], right[1] = wave, wave
    heard = [student(x[None]) for x in (left, right)]
    assert (heard[0].latents - heard[1].latents).abs().max() <= 1e-5
    assert (heard[0].channels - heard[1].channels).abs().max() > 0.1


def test_gain_is_not_lost_as_it_is_in_the_teacher():
    student = made(StudentConfig.named("S"))
    x = signal(4, 6)
    for part in ("latents", "channels"):
        loud, plain = getattr(student(3 * x), part), getattr(student(x), part)
        assert (loud - plain).norm() / plain.norm() > 0.01


def test_fast_activity_of_intracranial_signal_has_a_branch_of_its_own():
    # A microvolt at 120 Hz under 200 uV of slow waves: lost to one norm for all frequencies.
    time_s = torch.arange(100) / 500
    slow = 200 * torch.sin(2 * math.pi * 10 * time_s)
    fast = torch.sin(2 * math.pi * 120 * time_s)
    student = made(StudentConfig.named("S", "iEEG"))
    hops = torch.stack([slow, slow + fast])[:, None, 50:, None].transpose(2, 3) / 200
    with_branch = student.high_gamma(hops)
    ordinary = student.patches[0](hops)
    seen = [(t[1] - t[0]).norm() / t[0].norm() for t in (with_branch, ordinary)]
    assert seen[0] > 5 * seen[1]


def test_the_step_can_be_exported_with_fixed_shapes():
    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.student = made(StudentConfig.named("S", "iEEG"))

        def forward(self, patch, state, usable, positions):
            return self.student.step(patch, state, usable, positions)

    step = Step()
    state = step.student.initial_state(1, 16)
    example = (signal(16, 1), state, torch.ones(1, 16, dtype=torch.bool), places(16))
    program = torch.export.export(step, example)
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("fft" in name or "unfold" in name or "complex" in name for name in names)
    exported, _ = program.module()(*example)
    eager, _ = step(*example)
    assert torch.allclose(exported, eager, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 100}, "multiple of 32"),
        ({"n_latents": 0}, "n_latents must be at least 1"),
        ({"scales": (25,)}, "at least a hop"),
        ({"scale_uv": 0.0}, "positive"),
        ({"n_heads": (1, 1)}, "each of 4 layers"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        StudentConfig(**settings)


def test_a_window_that_is_no_whole_number_of_hops_is_refused():
    with pytest.raises(ConfigError, match="whole hops of 50 samples"):
        made()(torch.zeros(1, 2, 120))


def test_settings_survive_the_way_through_json():
    config = StudentConfig.named("M", "iEEG")
    assert StudentConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="newer version"):
        StudentConfig.from_dict({"width": 128, "colour": 3})


def test_pruned_layers_may_have_their_own_sizes():
    student = made(StudentConfig(n_layers=2, n_heads=(2, 3), ffn=(64, 100)))
    x = signal(2, 5)
    assert torch.allclose(streamed(student, x, [1] * 5), student(x).embedding, atol=1e-5)
