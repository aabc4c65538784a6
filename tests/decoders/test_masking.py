"""Masking: as many patches hidden as asked for, neighbours together if asked for."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="masks are tensors")

from diverloop.decoders.corpus import Batch
from diverloop.decoders.masking import draw_mask

PATCH = 50


def batch_of(x, usable=None):
    n, n_channels, _ = x.shape
    return Batch(
        torch.from_numpy(x.astype(np.float32)),
        torch.full((n, n_channels, 3), torch.nan),
        torch.zeros(n, dtype=torch.long),
        torch.full((n, n_channels), -1),
        torch.ones(n, n_channels, dtype=torch.bool) if usable is None else torch.tensor(usable),
    )


def in_pairs(n=40, n_channels=8, n_patches=10):
    """Channels 0 and 1 alike, 2 and 3 alike but upside down, and so on."""
    rng = np.random.default_rng(2)
    sources = rng.standard_normal((n, n_channels // 2, n_patches * PATCH))
    x = np.repeat(sources, 2, axis=1)
    x[:, 1::4] *= -1
    return x + 0.1 * rng.standard_normal(x.shape)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("correlated", [None, 0.9])
def test_the_share_of_hidden_patches_is_as_asked(share, correlated):
    mask = draw_mask(np.random.default_rng(1), batch_of(in_pairs()), PATCH, share, correlated)
    assert mask.shape == (40, 8, 10)
    assert mask.float().mean().item() == pytest.approx(share, abs=0.03)


def test_channels_that_go_together_are_hidden_together():
    batch = batch_of(in_pairs())
    mask = draw_mask(np.random.default_rng(1), batch, PATCH, 0.5, 0.9)
    assert torch.equal(mask[:, ::2], mask[:, 1::2])
    others = (mask[:, 0] == mask[:, 2]).float().mean().item()
    assert others == pytest.approx(0.5, abs=0.1)
    alone = draw_mask(np.random.default_rng(1), batch, PATCH, 0.5, None)
    assert (alone[:, ::2] == alone[:, 1::2]).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_channels_that_all_go_together_are_hidden_in_half_of_the_patches():
    x = np.repeat(np.random.default_rng(4).standard_normal((60, 1, 500)), 6, axis=1)
    mask = draw_mask(np.random.default_rng(1), batch_of(x), PATCH, 0.5, 0.9)
    assert (mask == mask[:, :1]).all()
    assert mask.float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_a_flat_channel_goes_with_no_other():
    x = in_pairs(n=5)
    x[:, 3] = 0.0
    mask = draw_mask(np.random.default_rng(1), batch_of(x), PATCH, 0.5, 0.9)
    assert not torch.equal(mask[:, 2], mask[:, 3])


def test_something_usable_is_always_hidden():
    x = np.random.default_rng(4).standard_normal((50, 2, PATCH))
    usable = [[True, False]] * 50
    mask = draw_mask(np.random.default_rng(1), batch_of(x, usable), PATCH, 0.01, None)
    assert mask[:, 0].all()


def test_the_same_generator_hides_the_same():
    batch = batch_of(in_pairs(n=3))
    for correlated in (None, 0.5):
        one, two = (
            draw_mask(np.random.default_rng(7), batch, PATCH, 0.5, correlated) for _ in range(2)
        )
        assert torch.equal(one, two)
