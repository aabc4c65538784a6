"""The teacher is held against a second reading of its description, in numpy, loop by loop."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the teacher needs torch")

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from diverloop.decoders.any_variate import AnyVariateAttention, token_grid
from diverloop.decoders.teacher import (
    WIDTHS,
    Teacher,
    TeacherConfig,
    flop_parts,
    flops,
)
from diverloop.decoders.teacher_embedding import NeighbourEmbedding, PlaceEmbedding
from diverloop.runtime.errors import ConfigError, UnknownName

torch.set_num_threads(1)


def scrambled(config: TeacherConfig, seed: int = 0) -> Teacher:
    """A teacher in eval none of whose weights has a value by which a mistake could hide."""
    torch.manual_seed(seed)
    teacher = Teacher(config).eval()
    with torch.no_grad():
        for weight in teacher.parameters():
            if weight.ndim < 2 or weight.std() == 0:
                weight.add_(0.3 * torch.randn_like(weight))
    return teacher


def signal(*shape: int, seed: int = 1) -> torch.Tensor:
    return 30 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def places(batch: int, n_channels: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(2)
    return {
        "positions": 60 * torch.randn(batch, n_channels, 3, generator=draw),
        "modality": torch.arange(batch) % 2,
        "subtypes": torch.arange(batch * n_channels).reshape(batch, n_channels) % 4 - 1,
    }


def off_by(got: torch.Tensor | np.ndarray, wanted: torch.Tensor | np.ndarray) -> float:
    """Relative error in the Euclidean norm."""
    got, wanted = (np.asarray(y.detach() if torch.is_tensor(y) else y) for y in (got, wanted))
    assert got.shape == wanted.shape
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


SMALL = TeacherConfig(width=64, n_layers=2, patch=50)
LONG = TeacherConfig(width=64, n_layers=2, patch=500)


# --- a second reading, for one window, in float64 ---------------------------------------------


class NaiveTeacher:
    """The forward pass written out with numpy; slow, and as literal as it can be."""

    def __init__(self, teacher: Teacher) -> None:
        self.config = teacher.config
        self.w = {name: w.detach().double().numpy() for name, w in teacher.state_dict().items()}

    def features(self, x_uv, positions, modality: int, subtypes) -> np.ndarray:
        n_channels, d = len(x_uv), self.config.width
        patches = x_uv.reshape(n_channels, -1, self.config.patch) / (200 if modality else 100)
        x0 = self.convolve(patches)
        spectrum = np.abs(np.fft.rfft(x0)) / d
        x1 = x0 + spectrum @ self.w["spectral_emb.proj.weight"].T + self.w["spectral_emb.proj.bias"]
        x2 = (
            x1
            + np.stack(
                [
                    self.place(at, modality, kind)
                    for at, kind in zip(positions, subtypes, strict=True)
                ]
            )[:, None]
        )
        return self.transform(x2 + self.neighbours(x2))

    def convolve(self, patches):
        long = self.config.patch == 500
        pad, stride, groups = (6, 64, 8) if long else (7, 4, 16)
        maps = np.pad(patches, [(0, 0), (0, 0), (pad, pad)])[:, :, None]
        for layer in range(3):
            kernel = self.w[f"patch_cnn.convs.{layer}.weight"][:, :, 0]
            bias = self.w[f"patch_cnn.convs.{layer}.bias"]
            reach, step = (31, stride) if layer == 0 else (1, 1)
            padded = np.pad(maps, [(0, 0), (0, 0), (0, 0), (reach, reach)])
            starts = range(0, padded.shape[-1] - kernel.shape[-1] + 1, step)
            maps = np.stack(
                [
                    np.einsum("cnit,oit->cno", padded[..., s : s + kernel.shape[-1]], kernel) + bias
                    for s in starts
                ],
                axis=-1,
            )
            size = len(bias) // math.gcd(groups, len(bias))
            for first in range(0, len(bias), size):
                group = maps[:, :, first : first + size]
                maps[:, :, first : first + size] = (group - group.mean()) / np.sqrt(
                    group.var() + 1e-5
                )
            gain = self.w[f"patch_cnn.norms.{layer}.weight"][:, None]
            maps = maps * gain + self.w[f"patch_cnn.norms.{layer}.bias"][:, None]
            maps = 0.5 * maps * (1 + np.vectorize(math.erf)(maps / math.sqrt(2)))
        return maps.reshape(*maps.shape[:2], -1)

    def place(self, at, modality, subtype):
        d = self.config.width
        n = 2 * math.floor(3 * d / 4 / 3 / 2)
        bank = np.zeros(3 * d // 4)
        if not np.isnan(at).any():
            for axis in range(3):
                for i in range(n):
                    angle = at[axis] * (2 * math.pi / 256) / 2000 ** (2 * (i // 2) / n)
                    bank[axis * n + i] = math.cos(angle) if i % 2 else math.sin(angle)
        kind = self.w["place_emb.type_table"][modality].copy()
        if subtype >= 0:
            kind += self.w["place_emb.subtype_table"][subtype]
        return np.concatenate([bank, kind])

    def neighbours(self, x):
        n_channels, n_patches, d = x.shape
        low = x @ self.w["stcpe.down.weight"].T + self.w["stcpe.down.bias"]
        padded = np.pad(low, [(0, 0), (6, 6), (0, 0)])
        total, count = np.zeros_like(padded), np.zeros(n_patches + 12)
        channels, times = (grid.ravel() for grid in np.mgrid[:n_channels, :7])
        for start in range(n_patches + 6):
            window = padded[:, start : start + 7].reshape(n_channels * 7, -1)
            seen = self.blocks("stcpe.block", 1, max(1, d // 256), window, channels, times)
            total[:, start : start + 7] += seen.reshape(n_channels, 7, -1)
            count[start : start + 7] += 1
        mean = (total / count[:, None])[:, 6:-6]
        assert (count[6:-6] == 7).all()
        return mean @ self.w["stcpe.up.weight"].T + self.w["stcpe.up.bias"]

    def transform(self, x):
        n_channels, n_patches, d = x.shape
        grid = np.empty((n_channels + 1, n_patches + 1, d))
        grid[1:, 1:] = x
        grid[1:, 0] = self.w["patch_register"]
        grid[0, 1:] = self.w["chan_register"]
        grid[0, 0] = self.w["global_register"]
        channels, times = (i.ravel() for i in np.mgrid[: n_channels + 1, : n_patches + 1])
        flat = grid.reshape(-1, d)
        out = self.blocks("encoder", self.config.n_layers, d // 32, flat, channels, times)
        return out.reshape(grid.shape)[1:, 1:]

    def blocks(self, name, n_layers, n_heads, x, channels, times):
        for layer in range(n_layers):
            at = f"{name}.layers.{layer}"
            normed = rms(x, self.w[f"{at}.norm1.weight"])
            x = x + self.attend(f"{at}.self_attn", n_heads, normed, channels, times)
            normed = rms(x, self.w[f"{at}.norm2.weight"])
            gate = normed @ self.w[f"{at}.ffn.fc_gate.weight"].T
            up = normed @ self.w[f"{at}.ffn.fc1.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.w[f"{at}.ffn.fc2.weight"].T
        return rms(x, self.w[f"{name}.norm.weight"])

    def attend(self, at, n_heads, x, channels, times):
        q, k, v = (x @ self.w[f"{at}.{part}_proj.weight"].T for part in "qkv")
        size = x.shape[1] // n_heads
        scale = 1 / size if self.config.mup else 1 / math.sqrt(size)
        out = np.empty_like(x)
        for head in range(n_heads):
            own = slice(head * size, (head + 1) * size)
            queries = turn(rms(q[:, own], self.w[f"{at}.q_norm.weight"]), times)
            keys = turn(rms(k[:, own], self.w[f"{at}.k_norm.weight"]), times)
            bias = self.w[f"{at}.channel_bias"][:, head]
            for i, query in enumerate(queries):
                logits = scale * keys @ query + bias[(channels == channels[i]).astype(int)]
                weights = np.exp(logits - logits.max())
                out[i, own] = weights @ v[:, own] / weights.sum()
        return out @ self.w[f"{at}.out_proj.weight"].T


def rms(x, gain):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * gain


def turn(x, times):
    """Neighbouring features as one complex number, turned by time over the powers of 10000."""
    pairs = x[:, 0::2] + 1j * x[:, 1::2]
    pairs = pairs * np.exp(
        1j * np.outer(times, 10000 ** (-np.arange(0, x.shape[1], 2) / x.shape[1]))
    )
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


@pytest.mark.parametrize(
    ("config", "n_patches"),
    [
        (SMALL, 5),
        (LONG, 2),
        (TeacherConfig(width=64, n_layers=1, patch=50, mup=False), 3),
        (TeacherConfig(width=512, n_layers=1, patch=50), 2),
    ],
    ids=["0.1 s", "1 s", "without muP", "two heads in the embedding"],
)
def test_the_forward_pass_agrees_with_a_second_reading_of_its_description(config, n_patches):
    teacher = scrambled(config)
    x, info = signal(2, 4, n_patches * config.patch), places(2, 4)
    info["positions"][0, 2, 1] = torch.nan
    with torch.no_grad():
        got = teacher(x, **info)
    naive = NaiveTeacher(teacher)
    for sample in range(2):
        wanted = naive.features(
            x[sample].double().numpy(),
            info["positions"][sample].numpy(),
            int(info["modality"][sample]),
            info["subtypes"][sample].tolist(),
        )
        assert off_by(got[sample], wanted) < 2e-5


def test_attention_agrees_with_loops_over_heads_and_queries():
    torch.manual_seed(0)
    attention = AnyVariateAttention(96, 3, 1 / 32, dropout=0.1).eval()
    with torch.no_grad():
        attention.channel_bias.normal_()
        attention.q_norm.weight.add_(torch.randn(32))
    x = torch.randn(1, 12, 96)
    got = attention(x, token_grid(3, torch.tensor([0, 3, 7, 20]), 32, None))
    naive = NaiveTeacher.__new__(NaiveTeacher)
    naive.config = SMALL
    naive.w = {f"a.{n}": w.detach().double().numpy() for n, w in attention.state_dict().items()}
    channels, times = np.repeat([0, 1, 2], 4), np.tile([0, 3, 7, 20], 3)
    assert off_by(got[0], naive.attend("a", 3, x[0].double().numpy(), channels, times)) < 1e-5


# --- sizes and cost ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "patch", "encoder", "millions"),
    [
        ("tiny", 500, 12_666_306, 13.03),
        ("tiny", 50, 12_660_546, 12.72),
        ("small", 500, 50_640_964, 51.36),
        ("small", 50, 50_620_228, 50.75),
        ("base", 500, 113_924_806, 115.00),
        ("base", 50, 113_879_878, 114.07),
        ("large", 500, 202_517_832, 203.95),
        ("large", 50, 202_439_496, 202.70),
        ("xl", 500, None, 812.85),
        ("xl", 50, None, 810.19),
        ("xxl", 500, None, 1830),
        ("xxl", 50, None, 1820),
    ],
)
def test_every_published_size_has_the_published_number_of_parameters(
    size, patch, encoder, millions
):
    with torch.device("meta"):
        teacher = Teacher(TeacherConfig.named(size, patch))
    counts = {name: weight.numel() for name, weight in teacher.named_parameters()}
    heads = sum(count for name, count in counts.items() if name.startswith("heads."))
    total = sum(counts.values())
    assert encoder is None or total - heads == encoder
    assert round(total / 1e6, 2) == millions or round(total / 1e7) * 10 == millions
    # What the published files hold: one vector for masked patches, two more for the third head.
    assert len(teacher.state_dict()) == (188 if patch == 500 else 186)


@pytest.mark.parametrize(
    ("size", "patch", "n_channels", "n_patches", "gflop"),
    [
        ("tiny", 50, 64, 10, 25.0),
        ("tiny", 50, 128, 10, 62.8),
        ("tiny", 500, 64, 1, 3.78),
        ("tiny", 500, 128, 1, 8.27),
        ("small", 50, 64, 10, 86.7),
        ("small", 50, 128, 10, 198),
        ("small", 500, 64, 1, 14.3),
        ("small", 500, 128, 1, 30.0),
        ("base", 500, 64, 1, 31.7),
        ("tiny", 50, 64, 20, 58.5),
        ("small", 500, 32, 10, 40.7),
    ],
)
def test_the_cost_formula_gives_the_known_figures(size, patch, n_channels, n_patches, gflop):
    cost = flops(TeacherConfig.named(size, patch), n_channels, n_patches)
    assert cost / 1e9 == pytest.approx(gflop, rel=5e-3)


def test_the_cost_formula_tells_where_the_cost_lies():
    parts = flop_parts(TeacherConfig.named("small", 50), 128, 10)
    in_gflop = {name: cost / 1e9 for name, cost in parts.items()}
    wanted = {"embedding": 0.67, "stcpe": 5.34, "blocks": 142.8, "attention": 49.5}
    assert in_gflop == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize(("patch", "n_patches"), [(50, 10), (500, 2)])
def test_the_cost_formula_agrees_with_torch_counting(patch, n_patches):
    config = TeacherConfig.named("tiny", patch)
    with torch.device("meta"):
        teacher = Teacher(config).eval()
        x = torch.empty(1, 8, n_patches * patch)
    # The other kernels have operators of their own that the counter may not know.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        teacher(x)
    assert flops(config, 8, n_patches) == pytest.approx(counter.get_total_flops(), rel=0.03)


# --- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [SMALL, LONG], ids=["0.1 s", "1 s"])
def test_permuted_channels_give_permuted_features(config):
    teacher, n_channels = scrambled(config), 9
    x, info = signal(2, n_channels, 1000), places(2, n_channels)
    order = torch.randperm(n_channels, generator=torch.Generator().manual_seed(3))
    moved = {
        **info,
        "positions": info["positions"][:, order],
        "subtypes": info["subtypes"][:, order],
    }
    with torch.no_grad():
        straight, permuted = teacher(x, **info), teacher(x[:, order], **moved)
    assert off_by(permuted, straight[:, order]) < 1e-5
    assert off_by(permuted, straight) > 0.1


def test_eval_drops_nothing_and_training_does():
    teacher = scrambled(TeacherConfig(width=64, n_layers=2, patch=50, dropout=0.5))
    x = signal(1, 4, 200)
    with torch.no_grad():
        assert torch.equal(teacher(x), teacher(x))
        teacher.train()
        assert off_by(teacher(x), teacher(x)) > 0.05


def test_attention_weights_are_dropped_in_training_only():
    torch.manual_seed(0)
    attention = AnyVariateAttention(64, 2, 1 / 32, dropout=0.5)
    x, grid = torch.randn(1, 12, 64), token_grid(3, torch.arange(4), 32, None)
    assert off_by(attention(x, grid), attention(x, grid)) > 0.05
    attention.eval()
    assert torch.equal(attention(x, grid), attention(x, grid))


def gain_of_100_changes(config: TeacherConfig) -> float:
    teacher, x = scrambled(config), signal(1, 8, 2 * config.patch)
    with torch.no_grad():
        return off_by(teacher(100 * x), teacher(x))


def test_tiny_with_short_patches_is_blind_to_gain_and_long_patches_are_not():
    assert gain_of_100_changes(TeacherConfig(width=256, n_layers=2, patch=50)) < 1e-3
    assert gain_of_100_changes(TeacherConfig(width=256, n_layers=2, patch=500)) > 0.05


@pytest.mark.parametrize("patch", [50, 500])
def test_the_norm_of_the_convolutions_couples_the_last_patch_to_the_first_token(patch):
    teacher = scrambled(TeacherConfig(width=256, n_layers=1, patch=patch))
    patches = signal(1, 16, 2 if patch == 500 else 20, patch) / 100
    louder = patches.clone()
    louder[:, :, -1] *= 5
    with torch.no_grad():
        before, after = (teacher.patch_cnn(y, None)[:, :, 0] for y in (patches, louder))
    assert off_by(after, before) > 0.2


def test_amplitude_is_scaled_by_modality_alike_in_training_and_in_eval():
    # At width 64 the norm would hide any gain.
    teacher = scrambled(TeacherConfig(width=256, n_layers=1, patch=500, dropout=0.0))
    x, eeg, ieeg = signal(1, 3, 1000), torch.tensor([0]), torch.tensor([1])
    with torch.no_grad():
        teacher.place_emb.type_table[1] = teacher.place_emb.type_table[0]
        wanted = teacher(x, modality=eeg)
        assert off_by(teacher(2 * x, modality=ieeg), wanted) < 1e-5
        assert off_by(teacher(x, modality=ieeg), wanted) > 1e-2
        assert torch.equal(teacher(x), wanted)
        assert torch.equal(teacher.train()(x), wanted)


def test_the_same_preference_for_every_channel_is_no_preference():
    teacher, x = scrambled(SMALL), signal(1, 4, 200)
    biases = [layer.self_attn.channel_bias for layer in teacher.encoder.layers]
    with torch.no_grad():
        before = teacher(x)
        for bias in biases:
            bias.add_(3.0)
        assert off_by(teacher(x), before) < 1e-5
        for bias in biases:
            bias[1].add_(3.0)
        assert off_by(teacher(x), before) > 1e-2


def test_neighbours_reach_six_patches_and_no_further():
    torch.manual_seed(0)
    stcpe = NeighbourEmbedding(64, 1, 1 / 8).eval()
    tokens = torch.randn(1, 3, 20, 64)
    other = tokens.clone()
    other[:, 1, 10] += 1
    with torch.no_grad():
        moved = (stcpe(other, None) - stcpe(tokens, None)).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert moved.nonzero().flatten().tolist() == list(range(4, 17))


def test_neighbours_are_averaged_and_not_summed():
    torch.manual_seed(0)
    stcpe = NeighbourEmbedding(64, 1, 1 / 8).eval()
    with torch.no_grad():
        # With nothing mixed in, every window returns the token's own norm: the mean is that norm.
        stcpe.block.layers[0].self_attn.out_proj.weight.zero_()
        stcpe.block.layers[0].ffn.fc2.weight.zero_()
        tokens = torch.randn(1, 3, 5, 64)
        once = stcpe.up(stcpe.block.norm(stcpe.down(tokens)))
        assert off_by(stcpe(tokens, None), once) < 1e-5


def test_the_spectrum_is_that_of_the_token_with_the_forward_norm():
    teacher, tokens = scrambled(SMALL), torch.randn(1, 2, 3, 64)
    wanted = np.abs(np.fft.rfft(tokens.double().numpy(), norm="forward"))
    proj = teacher.spectral_emb.proj
    with torch.no_grad():
        wanted = torch.from_numpy(wanted).float() @ proj.weight.T + proj.bias
        assert off_by(teacher.spectral_emb(tokens), wanted) < 1e-5


# --- places -------------------------------------------------------------------------------------


def test_a_channel_without_a_position_keeps_its_kind_only():
    torch.manual_seed(0)
    place = PlaceEmbedding(64)
    with torch.no_grad():
        place.type_table.normal_()
        place.subtype_table.normal_()
        at = torch.tensor([[[torch.nan, 1, 2], [1, 2, 3], [0, 0, 0]]])
        got = place(at, torch.tensor([1]), torch.tensor([[2, -1, 0]]))[0]
    assert torch.equal(got[0, :48], torch.zeros(48))
    assert torch.equal(got[0, 48:], place.type_table[1] + place.subtype_table[2])
    assert torch.equal(got[1, 48:], place.type_table[1])
    # Known to be at the origin is not the same as unknown: its cosines are 1.
    assert torch.equal(got[2, :48], torch.tensor([0.0, 1.0]).repeat(24))


def test_the_shortest_wave_of_the_position_bank_is_256_mm():
    place = PlaceEmbedding(256)
    nobody = torch.tensor([0]), torch.tensor([[-1, -1]])
    at = torch.tensor([[[10.0, -20, 30], [10.0 + 256, -20, 30]]])
    here, there = place(at, *nobody)[0].detach()
    assert torch.allclose(here[:2], there[:2], atol=1e-5)
    assert not torch.allclose(here[2:4], there[2:4], atol=1e-2)
    angle = 10 * 2 * math.pi / 256 / 2000 ** (2 / 64)
    assert here[2:4].tolist() == pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-6)


def test_what_is_not_given_is_unknown():
    teacher, x = scrambled(SMALL), signal(2, 3, 100)
    unknown = {
        "positions": torch.full((2, 3, 3), torch.nan),
        "modality": torch.tensor([0, 0]),
        "subtypes": torch.full((2, 3), -1),
        "usable": torch.ones(2, 3, dtype=torch.bool),
        "mask": torch.zeros(2, 3, 2, dtype=torch.bool),
    }
    with torch.no_grad():
        assert torch.equal(teacher(x), teacher(x, **unknown))
        known = {**unknown, "subtypes": torch.ones(2, 3, dtype=torch.long)}
        assert off_by(teacher(x, **known), teacher(x)) > 1e-3


# --- masked and absent --------------------------------------------------------------------------


def test_a_masked_patch_is_seen_as_zeros_whatever_it_holds():
    teacher, x = scrambled(SMALL), signal(1, 3, 200)
    mask = torch.zeros(1, 3, 4, dtype=torch.bool)
    mask[0, 1, 2] = True
    zeroed, broken = x.clone(), x.clone()
    zeroed[0, 1, 100:150] = 0
    broken[0, 1, 100:150] = torch.nan
    with torch.no_grad():
        assert torch.equal(teacher(x, mask=mask), teacher(zeroed))
        assert torch.equal(teacher(broken, mask=mask), teacher(zeroed))
        assert off_by(teacher(x, mask=mask), teacher(x)) > 1e-3


def test_the_mask_encoding_is_kept_with_the_weights_and_never_learnt():
    teacher = Teacher(SMALL)
    assert torch.equal(teacher.state_dict()["mask_encoding"], torch.zeros(50))
    assert "mask_encoding" not in dict(teacher.named_parameters())


@pytest.mark.parametrize("config", [SMALL, LONG], ids=["0.1 s", "1 s"])
@pytest.mark.parametrize("alike", [True, False], ids=["the same lost", "others lost"])
def test_absent_channels_are_as_good_as_not_recorded(config, alike):
    teacher = scrambled(config)
    x, info = signal(2, 5, 1000), places(2, 5)
    kept = [[0, 2, 4], [0, 2, 4] if alike else [1, 3]]
    usable = torch.zeros(2, 5, dtype=torch.bool)
    for sample, rows in enumerate(kept):
        usable[sample, rows] = True
    x[~usable] = torch.nan
    with torch.no_grad():
        got, (hidden,) = teacher(x, **info, usable=usable, layers=[1])
        for sample, rows in enumerate(kept):
            alone = {
                "positions": info["positions"][sample : sample + 1, rows],
                "modality": info["modality"][sample : sample + 1],
                "subtypes": info["subtypes"][sample : sample + 1, rows],
            }
            wanted, (inside,) = teacher(x[sample : sample + 1, rows], **alone, layers=[1])
            assert off_by(got[sample, rows], wanted[0]) < 1e-5
            assert off_by(hidden[sample, rows], inside[0]) < 1e-5
    assert torch.equal(got[~usable], torch.zeros_like(got[~usable]))
    assert torch.equal(hidden[~usable], torch.zeros_like(got[~usable]))


def test_samples_that_lack_the_same_channels_share_one_bias():
    attention = AnyVariateAttention(64, 2, 1 / 32, dropout=0.0)
    teacher = scrambled(SMALL)
    shapes = []
    hook = teacher.encoder.layers[0].register_forward_pre_hook(
        lambda _, args: shapes.append(attention._bias(args[1]).shape[0])
    )
    usable = torch.tensor([[True, True, False]] * 4)
    with torch.no_grad():
        teacher(signal(4, 3, 100))
        teacher(signal(4, 3, 100), usable=usable)
        teacher(signal(4, 3, 100), usable=usable ^ torch.eye(4, 3, dtype=torch.bool))
    hook.remove()
    assert shapes == [1, 1, 4]


# --- readouts, layers, weights ------------------------------------------------------------------


@pytest.mark.parametrize(("mup", "factor"), [(True, 4.0), (False, 1.0)])
def test_readouts_see_the_features_times_256_over_width(mup, factor):
    teacher = scrambled(TeacherConfig(width=64, n_layers=1, patch=500, mup=mup))
    features = torch.randn(2, 3, 1, 64)
    got = teacher.reconstruct(features)
    assert {name: values.shape[-1] for name, values in got.items()} == {
        "time": 500,
        "fft": 200,
        "stft": 700,
    }
    for name, head in teacher.heads.items():
        assert off_by(got[name], factor * features @ head.weight.T + head.bias) < 1e-5


def test_short_patches_have_two_domains():
    assert set(Teacher(SMALL).reconstruct(torch.randn(1, 1, 1, 64))) == {"time", "fft"}


def test_a_teacher_without_heads_says_so():
    with pytest.raises(ConfigError, match="with_heads=True"):
        Teacher(SMALL, with_heads=False).reconstruct(torch.randn(1, 1, 1, 64))


def test_inner_layers_come_in_the_order_asked_for_and_before_the_last_norm():
    teacher, x = scrambled(TeacherConfig(width=64, n_layers=3, patch=50)), signal(1, 3, 150)
    with torch.no_grad():
        features, (last, first) = teacher(x, layers=(3, 1))
        assert features.shape == last.shape == first.shape == (1, 3, 3, 64)
        assert off_by(teacher.encoder.norm(last), features) < 1e-6
        assert torch.equal(features, teacher(x))
    assert off_by(first, last) > 0.1


def test_initial_weights_do_not_grow_with_their_input_and_readouts_start_at_nothing():
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig(width=256, n_layers=1))
    block = teacher.encoder.layers[0]
    assert float(block.ffn.fc2.weight.detach().std()) == pytest.approx(1024**-0.5, rel=0.02)
    assert float(block.self_attn.q_proj.weight.detach().std()) == pytest.approx(256**-0.5, rel=0.02)
    assert float(teacher.patch_register.detach().std()) == pytest.approx(0.02, rel=0.2)
    assert block.self_attn.channel_bias[1].tolist() == 4 * [3.0] + 4 * [0.0]
    assert not block.self_attn.channel_bias[0].any()
    for norm in (block.self_attn.q_norm, block.self_attn.k_norm):
        assert torch.equal(norm.weight, torch.full_like(norm.weight, 2.0))
    for prediction in teacher.reconstruct(torch.randn(1, 1, 1, 256)).values():
        assert torch.equal(prediction, torch.zeros_like(prediction))


def test_every_weight_learns():
    teacher = scrambled(TeacherConfig(width=64, n_layers=1, patch=500)).train()
    features = teacher(signal(2, 4, 1000), **places(2, 4))
    sum(y.square().sum() for y in teacher.reconstruct(features).values()).backward()
    idle = [n for n, w in teacher.named_parameters() if w.grad is None or not w.grad.any()]
    assert idle == []


@pytest.mark.parametrize("width", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("patch", [50, 500])
def test_narrow_teachers_can_be_built_and_take_any_window(width, patch):
    teacher = Teacher(TeacherConfig(width=width, n_layers=1, patch=patch)).eval()
    with torch.no_grad():
        for n_channels, n_patches in ((1, 1), (5, 3)):
            features = teacher(signal(1, n_channels, n_patches * patch))
            assert features.shape == (1, n_channels, n_patches, width)
            assert features.isfinite().all()


def test_half_precision_stays_near():
    teacher, x = scrambled(SMALL), signal(2, 4, 500)
    with torch.no_grad():
        wanted = teacher(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert off_by(teacher(x), wanted) < 0.05
        halved = teacher.bfloat16()(x)
    assert halved.dtype == torch.bfloat16
    assert off_by(halved.float(), wanted) < 0.05


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"x_uv": torch.zeros(2, 3, 120)}, "120 samples, needed is a multiple of the patch of 50"),
        (
            {"x_uv": torch.zeros(3, 100)},
            r"shape \(3, 100\), needed is \(batch, n_channels, n_times\)",
        ),
        ({"x_uv": torch.zeros(2, 0, 100)}, "with none of them 0"),
        (
            {"x_uv": torch.full((2, 3, 100), torch.nan)},
            "Channel 0 of sample 0 holds NaN or infinity",
        ),
        ({"modality": torch.tensor([0, 2])}, "modality goes from 0 to 2, allowed is 0 to 1"),
        ({"modality": torch.tensor([0])}, r"modality has the shape \(1,\), needed is \(2,\)"),
        ({"subtypes": torch.full((2, 3), 3)}, "subtypes goes from 3 to 3, allowed is -1 to 2"),
        ({"positions": torch.zeros(2, 4, 3)}, "positions has the shape"),
        ({"usable": torch.ones(3, dtype=torch.bool)}, "usable has the shape"),
        ({"usable": torch.tensor([[True] * 3, [False] * 3])}, "Sample 1 has no usable channel"),
        ({"mask": torch.zeros(2, 3, 4, dtype=torch.bool)}, "mask has the shape"),
        ({"layers": (0,)}, "allowed are 1 to 2"),
        ({"layers": (1, 3)}, "allowed are 1 to 2"),
    ],
)
def test_a_window_that_cannot_be_used_is_refused_in_one_sentence(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Teacher(SMALL)(**{"x_uv": torch.zeros(2, 3, 100), **wrong})


def test_the_refusal_names_the_sample_and_the_channel():
    x = torch.zeros(2, 3, 100)
    x[1, 2, 77] = torch.inf
    with pytest.raises(ConfigError, match="Channel 2 of sample 1"):
        Teacher(SMALL)(x)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0}, {"width": 48}, {"width": 288}, {"width": 400}, {"n_layers": 0},
        {"patch": 100}, {"dropout": 1.0}, {"dropout": -0.1},
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_used_is_refused(wrong):
    with pytest.raises(
        ConfigError, match=f"{next(iter(wrong))} must be .* got {next(iter(wrong.values()))}"
    ):
        TeacherConfig(**{**asdict(SMALL), **wrong})


def test_an_unknown_size_is_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="'huge', known are tiny, small, base, large, xl, xxl"):
        TeacherConfig.named("huge", 50)
    assert [TeacherConfig.named(size, 50).n_heads for size in WIDTHS] == [8, 16, 24, 32, 64, 96]
