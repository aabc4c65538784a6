"""muP: what a step of training does to the activations does not depend on the width."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the model is torch code")

from diverloop.decoders.mup import mup_groups, width_factor
from diverloop.decoders.pretrain import teacher_groups
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.runtime.errors import ConfigError

WIDTHS = (64, 128, 256)


def teacher(width, mup=True, patch=50, device="cpu"):
    with torch.device(device):
        return Teacher(
            TeacherConfig(width=width, n_layers=2, patch=patch, mup=mup, dropout=0.0)
        ).train()


def settings_of(module):
    """Learning rate and weight decay by name."""
    return {
        name: (group.learning_rate, group.weight_decay)
        for group in teacher_groups(module)
        for name in group.names
    }


def changes(width, mup, n_steps=4):
    """How far features and readouts have moved after some steps of AdamW."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy((20 * rng.standard_normal((2, 3, 200))).astype(np.float32))
    y = torch.from_numpy(rng.standard_normal((2, 3, 4, 50)).astype(np.float32))
    torch.manual_seed(1)
    module = teacher(width, mup)
    named = dict(module.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in group.names], "lr": 0.002 * group.learning_rate}
            for group in teacher_groups(module)
        ],
        weight_decay=0.0,
    )

    def look():
        with torch.no_grad():
            features, (hidden,) = module(x, layers=(2,))
            return hidden, module.reconstruct(features)["time"]

    before = look()
    for _ in range(n_steps):
        guess = module.reconstruct(module(x))
        loss = (guess["time"] - y).square().mean() + guess["fft"].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [(now - then).abs().mean().item() for now, then in zip(look(), before, strict=True)]


def test_activations_move_alike_in_every_width_with_mup_and_more_with_width_without():
    def growth(mup):
        """Exponent of the width with which hidden tokens and readouts move."""
        moved = np.log([changes(width, mup) for width in WIDTHS])
        return np.polyfit(np.log(WIDTHS), moved, 1)[0]

    assert np.abs(growth(mup=True)).max() < 0.15
    assert growth(mup=False).min() > 0.4


def test_hidden_matrices_learn_slower_and_decay_faster_as_they_grow():
    found = settings_of(teacher(512, patch=500, device="meta"))
    block = "encoder.layers.0"
    hidden = [name for name in found if name.startswith(block) and name.endswith("proj.weight")]
    hidden += [f"{block}.ffn.{name}.weight" for name in ("fc1", "fc_gate", "fc2")]
    assert len(hidden) == 7
    assert {found[name] for name in hidden} == {(0.5, 2.0)}
    rate, decay = found["spectral_emb.proj.weight"]  # its inputs are the bins of a spectrum
    assert rate == pytest.approx(129 / 257)
    assert rate * decay == pytest.approx(1.0)


def test_what_has_one_growing_dimension_keeps_its_learning_rate():
    found = settings_of(teacher(512, patch=500, device="meta"))
    for name in ("heads.time.weight", "heads.fft.weight", "heads.stft.weight", "chan_register"):
        assert found[name] == (1.0, 1.0)
    for name in ("heads.time.bias", "encoder.norm.weight", "encoder.layers.0.norm1.weight"):
        assert found[name] == (1.0, 0.0)


@pytest.mark.parametrize("width", [64, 256, 1024])
def test_learning_rate_times_decay_is_the_same_for_every_matrix(width):
    module = teacher(width, device="meta")
    products = {
        round(rate * decay, 9)
        for name, (rate, decay) in settings_of(module).items()
        if dict(module.named_parameters())[name].dim() >= 2
    }
    assert products == {1.0}


def test_at_the_base_width_nothing_is_changed():
    assert {rate for rate, _ in settings_of(teacher(256, device="meta")).values()} == {1.0}


def test_without_mup_all_learn_alike():
    assert {rate for rate, _ in settings_of(teacher(512, mup=False, device="meta")).values()} == {
        1.0
    }


@pytest.mark.parametrize(
    ("shape", "base", "factor"),
    [
        ((512, 512), (256, 256), 2.0),
        ((512, 2048), (256, 1024), 2.0),
        ((64, 64), (256, 256), 0.25),
        ((512, 63), (256, 63), 1.0),
        ((200, 512), (200, 256), 1.0),
        ((512,), (256,), 1.0),
        ((64, 64, 1, 3), (32, 32, 1, 3), 2.0),
        ((256, 256), (256, 256), 1.0),
    ],
)
def test_the_factor_is_that_of_the_inputs_where_both_sides_grow(shape, base, factor):
    assert width_factor(shape, base) == factor


def test_a_base_model_of_another_make_is_refused():
    with pytest.raises(ConfigError, match="has no parameter 'heads"):
        mup_groups(teacher(64), Teacher(TeacherConfig(width=32, n_layers=2, patch=50), False))


def test_frozen_parameters_are_in_no_group():
    module, base = torch.nn.Linear(8, 8), torch.nn.Linear(4, 4)
    module.bias.requires_grad_(False)
    assert [group.names for group in mup_groups(module, base)] == [("weight",)]
