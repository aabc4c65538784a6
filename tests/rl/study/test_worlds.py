"""Worlds give the same trials to every arm, and tell what is known when it is known."""

from __future__ import annotations

import gymnasium
import numpy as np

from diverloop.rl.envs import registration
from diverloop.rl.envs.error_channel import ErrorChannelConfig
from diverloop.rl.study.recorded import Asked, RecordedCase
from diverloop.rl.study.worlds import RecordedWorld, SimulatedWorld

assert registration.ENVIRONMENTS


def simulated(seed=3):
    env = gymnasium.make("diverloop/MotorImagery-v0", n_trials=20, disable_env_checker=True)
    return SimulatedWorld(env, seed=seed, options={"drift": "none"})


def recorded():
    rng = np.random.default_rng(0)
    trials = tuple(
        Asked(features=rng.normal(size=(1, 3)) + n % 2, under=np.array([[0], [1]]), meant=n % 2)
        for n in range(20)
    )
    case = RecordedCase(
        person="p", name="n", task="t", classes=("a", "b"), calibration=trials, sessions=(trials,)
    )
    channel = ErrorChannelConfig(balanced_accuracy=0.99, habituation=0.0, missing=0.0)
    return RecordedWorld(case, channel, seed=0)


def lived(world, option=0):
    trials, told = [], []
    while (shown := world.show()) is not None:
        trials.append(shown)
        told.append(world.take(option))
    return trials, told


def test_a_simulated_course_is_the_same_for_every_arm_of_a_seed():
    one, other = lived(simulated())[0], lived(simulated())[0]
    assert len(one) == len(other) == 20
    assert all((a.features == b.features).all() for a, b in zip(one, other, strict=True))
    assert (lived(simulated(4))[0][0].features != one[0].features).any()


def test_rewards_of_a_recording_come_late_and_are_about_what_was_decided():
    trials, told = lived(recorded())
    meant = {trial.number: one.meant for trial, one in zip(trials, told, strict=True)}
    said = [(n, reward) for n, one in enumerate(told) for reward in one.rewards]
    assert said
    assert all(reward.trial < n for n, reward in said)
    agreed = [(reward.log_odds > 0) == (meant[reward.trial] == 0) for _, reward in said]
    assert np.mean(agreed) > 0.9


def test_a_recording_ends_after_its_last_trial():
    world = recorded()
    assert len(lived(world)[0]) == 20
