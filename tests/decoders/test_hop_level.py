"""The slow course of a hop as a target."""

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.hop_level import N_LEVELS, HopLevel
from diverloop.runtime.errors import ConfigError


def signal(n_channels: int = 3, n_hops: int = 400) -> torch.Tensor:
    torch.manual_seed(0)
    return (4 * torch.randn(2, n_channels, 50 * n_hops)).cumsum(2) / 10


def test_saying_nothing_costs_about_one_and_the_truth_costs_nothing():
    level, x = HopLevel(50, 100.0), signal()
    present = torch.ones(2, 3, dtype=torch.bool)
    nothing = torch.zeros(2, 3, 400, N_LEVELS)
    assert float(level.loss(nothing, x, present)) == pytest.approx(1.0, abs=0.05)
    level.eval()
    means = x.reshape(2, 3, 400, 5, 10).mean(-1)
    truth = (torch.asinh(means / 10) - level.scale.mean) / level.scale.variance.sqrt()
    assert float(level.loss(truth, x, present)) < 1e-4


def test_an_absent_channel_does_not_count():
    level, x = HopLevel(50, 100.0), signal()
    present = torch.tensor([[True, True, False]] * 2)
    nothing = torch.zeros(2, 3, 400, N_LEVELS)
    level.loss(nothing, x, present)
    level.eval()
    other = x.clone()
    other[:, 2] = 1e4
    assert torch.equal(level.loss(nothing, x, present), level.loss(nothing, other, present))


def test_an_amplitude_far_beyond_the_usual_counts_by_its_logarithm():
    level = HopLevel(50, 100.0).eval()
    present, nothing = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, 1, N_LEVELS)
    small, large = (level.loss(nothing, torch.full((1, 1, 50), uv), present) for uv in (1e3, 1e5))
    assert float(large) < 10 * float(small)


def test_a_hop_that_cannot_be_divided_is_refused():
    with pytest.raises(ConfigError, match="multiple of 5"):
        HopLevel(52, 100.0)
