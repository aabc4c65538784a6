"""Prototypes move together where they can, alone where they must, and as far as they were seen."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.shrinkage import class_means, common_shift, shrunk

ANCHOR = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
MANY = np.full(3, 1e6)


def test_with_many_windows_the_means_are_believed():
    means = ANCHOR + np.array([[1.0, 0.0], [0.0, -1.0], [2.0, 2.0]])
    assert shrunk(ANCHOR, MANY, means, own=3.0, common=2.0) == pytest.approx(means, abs=1e-4)


def test_without_windows_nothing_moves():
    moved = shrunk(ANCHOR, np.zeros(3), np.zeros((3, 2)), own=3.0, common=2.0)
    assert moved == pytest.approx(ANCHOR)


def test_a_class_that_was_not_seen_goes_along_with_the_others():
    counts, means = np.array([50.0, 50.0, 0.0]), ANCHOR + np.array([1.0, 0.5])
    moved = shrunk(ANCHOR, counts, means, own=5.0, common=0.1)
    assert moved[2] - ANCHOR[2] == pytest.approx([1.0, 0.5], abs=0.05)


def test_how_often_a_class_occurs_hardly_changes_its_say():
    means = ANCHOR + np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    even = common_shift(ANCHOR, np.array([20.0, 20.0, 20.0]), means, own=1.0, common=0.1)
    heavy = common_shift(ANCHOR, np.array([2000.0, 20.0, 20.0]), means, own=1.0, common=0.1)
    assert heavy == pytest.approx(even, rel=0.05)


def test_it_is_where_the_posterior_is_largest():
    rng = np.random.default_rng(0)
    counts, means = np.array([3.0, 1.0, 7.0]), ANCHOR + rng.normal(size=(3, 2))

    def cost(shift, own):
        gap = means - ANCHOR - shift - own
        return (counts @ gap**2).sum() + 2.0 * (own**2).sum() + 1.5 * (shift**2).sum()

    shift = common_shift(ANCHOR, counts, means, own=2.0, common=1.5)
    own = shrunk(ANCHOR, counts, means, own=2.0, common=1.5) - ANCHOR - shift
    best = cost(shift, own)
    for _ in range(30):
        near = cost(shift + 0.01 * rng.normal(size=2), own + 0.01 * rng.normal(size=(3, 2)))
        assert near > best


def test_means_are_weighed_by_shares():
    counts, means = class_means(
        np.array([[1.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 3.0], [3.0, 0.0]])
    )
    assert counts.tolist() == [1.5, 0.0]
    assert means == pytest.approx(np.array([[1.0, 2.0], [0.0, 0.0]]))
