"""The course of neurofeedback: its contract, its bounds, and what following the person brings."""

from __future__ import annotations

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from diverloop.rl.envs import registration
from diverloop.rl.envs.neurofeedback import TOLD, NeurofeedbackEnv
from diverloop.runtime.errors import ConfigError


def act(difficulty, length=1):
    return {"difficulty": np.array([difficulty], dtype=np.float32), "length": length}


def course(policy, seed, **settings):
    env = NeurofeedbackEnv(**settings)
    observation, _ = env.reset(seed=seed)
    total, done, info = 0.0, False, {}
    while not done:
        told = dict(zip(TOLD, observation.tolist(), strict=True))
        observation, reward, done, _, info = env.step(policy(told))
        total += reward
    return total, info["score"]


def follow(told):
    """Aim at a success rate of 0.65."""
    if told["length"] == 0:
        return act(0.2)
    return act((told["threshold"] + 1.5 * (told["success"] - 0.65) + 0.5) / 3)


def test_it_is_an_environment_as_gymnasium_wants_them():
    assert "diverloop/Neurofeedback-v0" in registration.ENVIRONMENTS
    env = gymnasium.make("diverloop/Neurofeedback-v0")
    assert check_env(env.unwrapped, skip_render_check=True) is None


def test_the_same_seed_gives_the_same_course():
    assert course(follow, 3) == course(follow, 3)
    assert course(follow, 3) != course(follow, 4)


def test_several_people_can_sit_side_by_side():
    envs = gymnasium.make_vec("diverloop/Neurofeedback-v0", num_envs=2, vectorization_mode="sync")
    observations, _ = envs.reset(seed=3)
    assert np.array_equal(observations[1], NeurofeedbackEnv().reset(seed=4)[0])
    envs.close()


def test_the_threshold_stays_within_bounds_and_moves_no_faster_than_allowed():
    env = NeurofeedbackEnv(thresholds=(0.0, 1.5), most_change=0.4)
    env.reset(seed=0)
    place = TOLD.index("threshold")
    seen = [env.step(act(difficulty))[0][place] for difficulty in (0.0, 1.0, 1.0, 1.0, 1.0, 1.0)]
    assert seen == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.5, 1.5])


def test_following_the_person_brings_more_than_always_easy_or_always_hard():
    seeds = range(8)
    gains = [
        np.mean([course(policy, seed)[1]["gain"] for seed in seeds])
        for policy in (follow, lambda _: act(0.1), lambda _: act(0.8))
    ]
    assert gains[0] > 1.2 * gains[1] > gains[2]


def test_longer_blocks_tire_more():
    short, long = (course(lambda _, n=n: act(0.3, n), 0)[1]["fatigue"] for n in (0, 3))
    assert long > 1.5 * short


def test_rewards_add_up_to_the_rise_of_the_probe_when_fatigue_is_free():
    env = NeurofeedbackEnv(fatigue_cost=0.0, sessions=1)
    first = env.reset(seed=1)[0]
    total, done, last = 0.0, False, first
    while not done:
        last, reward, done, _, _ = env.step(act(0.3))
        total += reward
    place = TOLD.index("probe")
    assert total == pytest.approx(last[place] - first[place], abs=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"thresholds": (2.0, 1.0)}, {"lengths_s": (120, 60)}, {"sessions": 0}, {"late_s": -1.0},
        {"colour": "red"},
    ],
)  # fmt: skip
def test_a_course_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        NeurofeedbackEnv(**wrong)


def test_the_number_of_lengths_cannot_be_changed_by_reset():
    with pytest.raises(ConfigError, match="lengths_s"):
        NeurofeedbackEnv().reset(seed=0, options={"lengths_s": (60,)})
