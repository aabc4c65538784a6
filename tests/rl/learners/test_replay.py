"""Stored trials are read again, and what is old fades."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.memory import Memory
from diverloop.rl.learners.replay import Rule, faded, replay
from diverloop.rl.trial import Trial

from .worlds import World

RULE = Rule(
    own=1.0, common=1.0, lapse=0.1, least_confidence=0.0, most_share=3.0, even=5.0, rounds=3
)


def stored(world, n, windows=1):
    memory = Memory(200)
    for number in range(n):
        features = np.repeat(world.draw(np.array([number % 4])), windows, axis=0)
        memory.add(Trial.plain(number, features, 4, decided=0), world.head)
    return memory.layout()


def test_what_is_a_half_life_old_counts_half():
    worth = faded(stored(World(1), 11), 10.0)
    assert worth[-1] == pytest.approx(1.0)
    assert worth[0] == pytest.approx(0.5)


def test_windows_of_one_trial_count_as_their_root():
    worth = faded(stored(World(1), 3, windows=4), 10.0)
    assert worth[-1] == pytest.approx(0.5)


def test_prototypes_come_nearer_to_where_the_windows_are():
    world = World(2)
    world.shift(1.5)
    layout = stored(world, 80)
    true = world.head.project(world.means)
    start = world.head.prototypes
    moved = replay(layout, faded(layout, 100.0), start, start, 1.0, RULE)
    assert np.linalg.norm(moved - true) < 0.6 * np.linalg.norm(start - true)
