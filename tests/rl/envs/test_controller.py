"""A simulated person steers: towards the target, late, within limits, and gets used to a cursor."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.controller import Controller, ControllerConfig, CursorModel
from diverloop.runtime.errors import ConfigError

STEP_S = 0.05


def steer(turn_rad=0.0, seconds=6.0, **settings):
    """Positions and intentions with a cursor that does what is meant, but for a rotation."""
    config = ControllerConfig(**settings)
    person = Controller(config, step_s=STEP_S, rng=np.random.default_rng(0))
    position, velocity, target = np.zeros(2), np.zeros(2), np.array([0.7, 0.0])
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    places, meant = [], []
    for n in range(round(seconds / STEP_S)):
        if n % 60 == 59:
            target = -target
        u = person.intend(position, velocity, target)
        velocity = 0.8 * velocity + 0.2 * 0.8 * np.array([c * u[0] - s * u[1], s * u[0] + c * u[1]])
        position = position + STEP_S * velocity
        places.append(position.copy())
        meant.append(u)
    return np.array(places), np.array(meant), person


def test_the_cursor_comes_to_rest_in_the_target():
    places, _, _ = steer(motor_noise=0.0, seconds=2.9)
    assert np.linalg.norm(places[-1] - [0.7, 0.0]) < 0.1


def test_a_new_target_changes_the_intention_only_after_the_visual_delay():
    _, meant, _ = steer(motor_noise=0.0, visual_delay_s=0.2)
    assert meant[62, 0] > -0.5
    assert meant[65, 0] < -0.9


def test_no_intention_is_longer_than_full():
    _, meant, _ = steer(motor_noise=0.5)
    assert np.linalg.norm(meant, axis=1).max() <= 1 + 1e-9


def test_a_person_aims_beside_the_target_when_the_cursor_goes_astray_but_only_so_far():
    _, _, person = steer(turn_rad=0.6, seconds=30, aiming_rate=0.1, aiming_limit=0.3)
    assert person.aim == pytest.approx(-0.3)
    _, _, other = steer(turn_rad=0.6, seconds=10, aiming_rate=0.0)
    assert other.aim == 0.0


def test_how_fast_and_how_sluggish_a_cursor_is_gets_learnt():
    rng = np.random.default_rng(2)
    model = CursorModel(forgetting=0.998, step_s=STEP_S)
    velocity = np.zeros(2)
    for _ in range(2000):
        u = rng.uniform(-1, 1, 2)
        velocity = 0.9 * velocity + 0.15 * u + 0.02 * rng.standard_normal(2)
        model.learn(velocity, u)
    assert model.keeps == pytest.approx(0.9, abs=0.02)
    assert model.takes == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("wrong", [{"slow_within": 0.0}, {"visual_delay_s": -0.1}])
def test_a_controller_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        ControllerConfig(**wrong)
