"""People in the imagery environment want things evenly, and are decoded as people are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.motor_imagery import MotorImagery, MotorImageryConfig
from diverloop.runtime.errors import ConfigError


def wishes(env, seed):
    env.reset(seed=seed)
    done = False
    while not done:
        _, _, done, _, info = env.step(env.n_options)
    return info["score"]


def test_wishes_are_balanced_and_come_in_runs():
    meant = wishes(MotorImagery(n_trials=1200), 100)["meant"]
    assert np.bincount(meant) == pytest.approx(300, abs=50)
    again = (meant[1:] == meant[:-1]).mean()
    # One in five on purpose, and 1/16 of the rest where one bag ends and the next begins.
    assert again == pytest.approx(0.2 + 0.8 / 16, abs=0.04)


def test_lapses_are_as_frequent_as_was_set():
    env = MotorImagery(n_trials=1000, trial_s=0.1, pause_s=0.1)
    env.reset(seed=100, options={"user": {"lapses": 0.25}})
    done = False
    while not done:
        _, _, done, _, info = env.step(env.n_options)
    assert 1 - info["score"]["attended"].mean() == pytest.approx(0.25, abs=0.045)


def test_errors_wear_people_down():
    env = MotorImagery(n_trials=60)
    modulation = {}
    for name, right in (("right", True), ("wrong", False)):
        env.reset(seed=101)
        for _ in range(30):
            meant = env._asked.meant
            env.step(meant if right else (meant + 1) % 4)
        modulation[name] = env._person.modulation
    assert modulation["wrong"] < 0.9 * modulation["right"]


def test_spoilt_trials_say_so_by_their_quality():
    env = MotorImagery(n_trials=500, artefacts=0.3)
    observation, _ = env.reset(seed=100)
    spread = {0.2: [], 1.0: []}
    for _ in range(400):
        spread[float(observation["quality"][0])].append(np.ptp(observation["features"]))
        observation = env.step(0)[0]
    assert len(spread[0.2]) == pytest.approx(120, abs=35)
    assert np.mean(spread[0.2]) > 2 * np.mean(spread[1.0])


@pytest.mark.parametrize(
    "wrong", [{"repeats": 1.0}, {"calibration": 1}, {"n_classes": 1}, {"n_features": 3}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match="must be"):
        MotorImagery(MotorImageryConfig(**wrong))
