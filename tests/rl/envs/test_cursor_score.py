"""Measures of steering, by hand-made paths."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.cursor_score import CursorScore


def test_exits_and_times_are_counted_for_each_target():
    score = CursorScore(radius=0.2, step_s=0.1)
    target = np.array([1.0, 0.0])
    for x in (0.0, 0.5, 0.9, 1.5, 0.9, 1.0):
        score.moved(np.array([x, 0.0]), np.zeros(2), target)
    score.ended(True, 0.6)
    score.moved(np.zeros(2), np.zeros(2), target)
    score.ended(False, 10.0)
    assert score.summary() == pytest.approx(
        {"success": 0.5, "mean_time_s": 5.3, "exits": 0.5, "reaction_s": 0.2, "jitter": 0.0}
    )


def test_a_steady_velocity_has_no_jitter_and_an_unsteady_one_has():
    score = CursorScore(radius=0.2, step_s=0.1)
    for n in range(10):
        score.moved(np.zeros(2), np.array([0.3 * (-1) ** n, 0.0]), np.ones(2))
    assert score.summary()["jitter"] == pytest.approx(0.6)


def test_a_session_without_a_target_ended_has_zeros():
    assert set(CursorScore(radius=0.2, step_s=0.1).summary().values()) == {0.0}
