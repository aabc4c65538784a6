"""Frozen stays what it was."""

from __future__ import annotations

from diverloop.rl.learners.frozen import Frozen
from diverloop.rl.trial import Reward

from .worlds import World


def test_nothing_that_is_seen_or_heard_changes_it():
    world = World(1)
    world.jump(3.0)
    known = world.live(
        Frozen(world.head), 50, reward=lambda trial, meant: Reward(trial=trial.number, meant=meant)
    )
    assert known.head is world.head
    assert known.rule == "nothing changes"
