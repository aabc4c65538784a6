"""Calibration and steering with the environment: a turned decoder is learnt straight again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.closed_loop.session import Robot, calibrate, steer
from diverloop.rl.closed_loop.smooth_batch import SmoothBatch, SmoothBatchConfig
from diverloop.rl.envs.cursor import CursorEnv
from diverloop.rl.envs.tuning import TuningDriftConfig


def test_the_robot_slows_down_near_the_target():
    robot = Robot(speed=0.5, slow_within=0.4)
    assert robot.velocity(np.zeros(2), np.array([1.0, 0.0])) == pytest.approx([0.5, 0.0])
    assert robot.velocity(np.zeros(2), np.array([0.0, 0.2])) == pytest.approx([0.0, 0.25])


def test_closed_loop_learning_turns_a_turned_decoder_back():
    env = CursorEnv(target_shown=True, n_targets=14)
    head = calibrate(env, seed=0, targets=10)
    learner = SmoothBatch(head, SmoothBatchConfig(batch_s=20.0, half_life_s=10.0))
    turned = TuningDriftConfig(kind="rotation", size=0.8)
    session = steer(env, learner, seed=0, options={"drift": turned})
    assert len(session.acquired) == len(session.took_s) == 14

    def angle(decoder):
        read = decoder.weights @ env._now.depths
        return abs(np.arctan2(read[1, 0] - read[0, 1], read[0, 0] + read[1, 1]))

    assert angle(head) > 0.7
    assert angle(learner.head) < 0.4
