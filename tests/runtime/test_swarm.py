"""One trouble, one message: what is told of a swarm, and that nothing is left uncounted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.swarm import Swarm


def test_a_short_episode_is_one_message():
    swarm = Swarm(1.0, 60.0)
    assert [swarm.admit(at / 50, 5) for at in range(50)] == [5] + [0] * 49


def test_an_episode_that_goes_on_is_told_ever_more_seldom():
    swarm = Swarm(1.0, 4.0)
    told = [at for at in range(0, 400) if swarm.admit(at / 20, 1)]
    assert [at / 20 for at in told] == [0.0, 1.0, 3.0, 7.0, 11.0, 15.0, 19.0]


def test_another_episode_is_told_at_once():
    swarm = Swarm(1.0, 60.0)
    assert [swarm.admit(at, 1) for at in (0.0, 0.5, 3.0, 3.1)] == [1, 0, 2, 0]


@given(steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 9)), max_size=60))
def test_what_is_told_and_what_is_not_yet_add_up(steps):
    swarm, at, told = Swarm(1.0, 8.0), 0.0, 0
    for pause, count in steps:
        at += pause
        told += swarm.admit(at, count)
    assert told + swarm.untold == sum(count for _, count in steps)
