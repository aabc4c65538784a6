"""Steps become paths, one for each target."""

from __future__ import annotations

import numpy as np

from diverloop.rl.closed_loop.actor_critic import ActorCritic
from diverloop.rl.closed_loop.smooth_batch import SmoothBatch
from diverloop.rl.closed_loop.steering import Frozen, PathKeeper, Step, VelocityLearner
from diverloop.rl.closed_loop.velocity_head import VelocityHead


def step(n, ended=None):
    place = np.full(2, float(n))
    return Step(
        features=np.full(3, float(n)), position=place, velocity=place, seconds=0.05,
        target=np.ones(2), ended=ended,
    )  # fmt: skip


def test_a_path_ends_where_a_target_was_acquired_or_given_up():
    keeper = PathKeeper()
    assert [keeper.add(step(n)) for n in range(4)] == [None] * 4
    path = keeper.add(step(4, ended=True))
    assert path.acquired
    assert path.seconds == np.float64(0.25)
    assert path.positions[:, 0].tolist() == [0, 1, 2, 3, 4]
    other = keeper.add(step(9, ended=False))
    assert not other.acquired
    assert len(other.features) == 1


def test_a_path_without_end_keeps_only_its_latest_part():
    keeper = PathKeeper(longest_s=1.0)
    for n in range(1000):
        keeper.add(step(n))
    assert len(keeper.add(step(1000, ended=False)).features) <= 21


def test_every_learner_offers_the_same():
    head = VelocityHead(tuning=np.eye(3, 2), baseline=np.zeros(3), noise=np.eye(3))
    for learner in (Frozen(head), SmoothBatch(head), ActorCritic(head)):
        assert isinstance(learner, VelocityLearner)
        learner.watch(step(0))
        learner.adopt(head)
        assert learner.head.tuning is head.tuning
