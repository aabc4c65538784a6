"""The floor: every product counted as torch counts it, and peaks that are plausible."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch", reason="arithmetic is counted on the student in torch")

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from diverloop.decoders.engines import measuring_floor
from diverloop.decoders.engines.measuring_floor import (
    Peaks,
    bytes_of_hop,
    floor_of,
    measure_peaks,
    products,
    time_at_shapes,
)
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig

PRUNED = StudentConfig(
    width=64, n_layers=2, n_latents=3, context=7, high_gamma=True, n_heads=(1, 2), ffn=(32, 48)
)
CONFIGS = {
    "S": StudentConfig.named("S"),
    "S for iEEG": StudentConfig.named("S", "iEEG"),
    "pruned": PRUNED,
    "one scale": StudentConfig(width=32, n_layers=1, n_latents=1, scales=(51,), context=1),
}


def counted(config: StudentConfig, n_channels: int) -> int:
    """What torch counts on one step, attention taken apart into its products."""
    student = Student(config).eval()
    counter = FlopCounterMode(display=False)
    state = student.initial_state(1, n_channels)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        student.step(torch.zeros(1, n_channels, config.hop), state)
    return counter.get_total_flops()


@pytest.mark.parametrize("n_channels", [1, 5, 64])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_arithmetic_is_what_torch_counts(config, n_channels):
    found = products(config, n_channels)
    assert sum(one.flops for one in found) == counted(config, n_channels)
    assert {one.part for one in found} == {"tokens", "mix", "gather", "blocks", "read back"}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_is_learnt_is_read_once_and_nothing_else_is(config):
    student = Student(config)
    matrices = sum(
        module.weight.numel()
        for name, module in student.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "position"
    )
    fixed = sum(
        buffer.numel() for name, buffer in student.named_buffers() if not name.startswith("waves")
    )
    learnt = sum(one.k * one.n for one in products(config, 5) if one.learnt)
    assert learnt == matrices + fixed


def test_bytes_are_weights_the_rings_one_slot_of_them_and_what_passes():
    config, rows = PRUNED, 5
    learnt = sum(one.k * one.n for one in products(config, rows) if one.learnt)
    state = Student(config).initial_state(1, rows)
    rings = (*state.keys, *state.values)
    moved = sum(one.numel() + one[:, :, 0].numel() for one in rings) + 2 * state.tail.numel()
    passing = rows * config.hop + config.n_features(rows)
    assert bytes_of_hop(config, rows) == 4 * (learnt + moved + passing) + rows
    assert bytes_of_hop(config, rows) - bytes_of_hop(config, rows, 1) == 3 * learnt


def test_the_floor_is_the_longer_of_arithmetic_and_bytes():
    config = CONFIGS["S"]
    operations = sum(one.flops for one in products(config, 64))
    by_products = floor_of(config, 64, Peaks(gflop_per_s=1.0, gb_per_s=1e6), 3.0)
    assert by_products.floor_ms == pytest.approx(operations / 1e6)
    by_bytes = floor_of(config, 64, Peaks(gflop_per_s=1e6, gb_per_s=1.0), 3.0)
    assert by_bytes.floor_ms == pytest.approx(bytes_of_hop(config, 64) / 1e6)
    assert by_bytes.to_dict()["shapes_ms"] == 3.0
    assert by_bytes.to_dict()["floor_ms"] == by_bytes.floor_ms


def test_time_at_shapes_counts_every_product_as_often_as_it_occurs():
    # A clock that moves on by a millisecond whenever it is read: a timing of `runs` runs is one
    # such step, so every product costs the same, and only how many there are is left.
    ticks = itertools.count()
    together_ms = time_at_shapes(PRUNED, 2, clock_s=lambda: 1e-3 * next(ticks))
    n_products = sum(one.times for one in products(PRUNED, 2))
    assert together_ms == pytest.approx(0.5 * n_products)


def test_peaks_are_operations_and_bytes_by_the_time_they_took(monkeypatch):
    monkeypatch.setattr(measuring_floor, "_BIG", (4, 8))
    monkeypatch.setattr(measuring_floor, "_COPY_MB", 1)
    ticks = itertools.count()
    peaks = measure_peaks(clock_s=lambda: 1e-3 * next(ticks))  # every run takes 0.5 ms
    assert peaks.gflop_per_s == pytest.approx(2 * 8**3 / 0.5e-3 / 1e9)
    assert peaks.gb_per_s == pytest.approx(2 * 1e6 / 0.5e-3 / 1e9)
