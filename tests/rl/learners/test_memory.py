"""What is stored is bounded, and what was said of a trial stays with it."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.memory import CERTAIN, Memory
from diverloop.rl.trial import ABSTAINED, Reward, Trial

from .worlds import World

HEAD = World(1).head


def trial(number, decided=1, value=0.0):
    return Trial.plain(number, np.full((2, 4), value), 4, decided)


def test_the_oldest_goes():
    memory = Memory(3)
    for number in range(5):
        assert memory.add(trial(number), HEAD)
    assert [one.trial.number for one in memory.trials()] == [2, 3, 4]
    assert not memory.tell(Reward(trial=1, log_odds=1.0))


def test_what_cannot_be_used_is_not_kept():
    memory = Memory(3)
    assert memory.add(trial(1), HEAD)
    assert not memory.add(trial(1), HEAD)
    assert not memory.add(trial(2, value=np.inf), HEAD)
    assert not memory.add(Trial.plain(3, np.zeros((0, 4)), 4, 0), HEAD)
    assert not memory.tell(Reward(trial=1, log_odds=np.nan))
    assert len(memory) == 1


def test_rewards_go_to_the_option_that_was_decided_or_meant():
    memory = Memory(9)
    for number, decided in enumerate((1, ABSTAINED, 2)):
        memory.add(trial(number, decided), HEAD)
    memory.tell(Reward(trial=0, log_odds=-1.5))
    memory.tell(Reward(trial=1, log_odds=-1.5))
    memory.tell(Reward(trial=2, meant=3))
    bonus = memory.layout().bonus.reshape(3, 4)
    assert bonus.tolist() == [[0, -1.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, CERTAIN]]


def test_all_of_it_is_laid_out_in_order():
    memory = Memory(9)
    memory.add(trial(1), HEAD)
    memory.add(Trial.plain(2, np.ones((3, 4)), 4, 0), HEAD)
    layout = memory.layout()
    assert layout.points.shape == (5, 4)
    assert layout.n_windows.tolist() == [2, 3]
    assert layout.row_starts.tolist() == [0, 2, 4, 6, 8, 11, 14, 17]
    assert layout.window[layout.row == 4].tolist() == [2, 3, 4]
    assert layout.prior == pytest.approx(0.25)
