from __future__ import annotations

from diverloop.adapters.speech.greedy import BestPath


def test_repeats_count_once_and_blanks_part_them():
    path = BestPath()
    new = [path.step(token) for token in (0, 2, 2, 0, 2, 5, 5, 0)]
    assert new == [None, 2, None, None, 2, 5, None, None]
    assert path.tokens == [2, 2, 5]


def test_a_restart_forgets_the_last_token_too():
    path = BestPath()
    path.step(3)
    path.restart()
    assert path.step(3) == 3
    assert path.tokens == [3]
