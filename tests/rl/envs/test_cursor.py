"""The cursor environment: its contract, its secrets, and known effects of gain and delay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from diverloop.rl.closed_loop.session import calibrate, steer
from diverloop.rl.closed_loop.steering import Frozen
from diverloop.rl.envs import registration
from diverloop.rl.envs.cursor import CursorEnv
from diverloop.rl.envs.person import PersonConfig
from diverloop.runtime.errors import ConfigError

STEADY = PersonConfig.steady()


def played(env, seed, steps=60, **options):
    observation, _ = env.reset(seed=seed, options=options)
    seen = [observation["features"]]
    for n in range(steps):
        action = np.array([np.sin(n / 9), np.cos(n / 9)], dtype=np.float32)
        observation, *_ = env.step(action)
        seen.append(observation["features"])
    return np.array(seen)


@pytest.fixture(scope="module")
def heads():
    shown = CursorEnv(person=STEADY, target_shown=True)
    return [calibrate(shown, seed=seed, targets=8) for seed in range(2)]


def steered(heads, gain=0.8, smoothing=0.8, **options):
    """Means over two people, eight targets each."""
    env = CursorEnv(person=STEADY, n_targets=8, limit_s=6.0)
    scores = [
        steer(
            env, Frozen(replace(head, gain=gain, smoothing=smoothing)), seed=n, options=options
        ).score
        for n, head in enumerate(heads)
    ]
    return {name: np.mean([score[name] for score in scores]) for name in scores[0]}


@pytest.mark.parametrize("shown", [False, True])
def test_it_is_an_environment_as_gymnasium_wants_them(shown):
    assert "diverloop/Cursor-v0" in registration.ENVIRONMENTS
    env = gymnasium.make("diverloop/Cursor-v0", target_shown=shown, n_targets=2)
    assert check_env(env.unwrapped, skip_render_check=True) is None


def test_the_same_seed_gives_the_same_session_and_another_gives_another():
    first, again = played(CursorEnv(), 5), played(CursorEnv(), 5)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, played(CursorEnv(), 6))


def test_another_session_of_the_same_person_has_other_noise_but_the_same_tuning():
    one, two = CursorEnv(), CursorEnv()
    assert not np.array_equal(played(one, 5), played(two, 5, session=2))
    assert np.array_equal(one._tuning.depths, two._tuning.depths)


def test_several_people_can_sit_side_by_side():
    envs = gymnasium.make_vec("diverloop/Cursor-v0", num_envs=2, vectorization_mode="sync")
    observations, _ = envs.reset(seed=3)
    alone, _ = CursorEnv().reset(seed=4)
    assert np.array_equal(observations["features"][1], alone["features"])
    _, rewards, *_ = envs.step(np.zeros((2, 2), dtype=np.float32))
    assert rewards == pytest.approx([-0.0005, -0.0005])
    envs.close()


def test_nothing_tells_the_target_unless_it_is_shown():
    env = CursorEnv(n_targets=1, limit_s=1.0)
    observation, info = env.reset(seed=0)
    assert set(observation) == {"features", "position", "velocity"}
    assert info == {"errors": []}
    done = False
    while not done:
        observation, _, done, _, info = env.step(np.zeros(2, dtype=np.float32))
        assert set(info) <= {"errors", "ended", "score"}
    assert info["ended"] == {"trial": 0, "acquired": False, "took_s": pytest.approx(1.0)}


def test_nan_stands_still_and_what_is_too_fast_is_clipped():
    env = CursorEnv()
    env.reset(seed=0)
    observation, *_ = env.step(np.array([np.nan, 1.0], dtype=np.float32))
    assert np.array_equal(observation["position"], [0, 0])
    observation, *_ = env.step(np.array([50.0, 0.0], dtype=np.float32))
    assert observation["position"] == pytest.approx([0.1, 0.0])


def test_a_gain_too_low_or_too_high_takes_longer_than_one_in_the_middle(heads):
    low, middle, high = (steered(heads, gain)["mean_time_s"] for gain in (0.25, 0.7, 1.8))
    assert low > 1.15 * middle
    assert high > 1.15 * middle


def test_added_delay_takes_longer_and_overshoots(heads):
    prompt, late = steered(heads), steered(heads, added_delay_s=0.4)
    assert late["mean_time_s"] > 1.1 * prompt["mean_time_s"]
    assert late["exits"] > prompt["exits"]


def test_more_smoothing_reacts_later_with_less_jitter(heads):
    rough, smooth = steered(heads, smoothing=0.6), steered(heads, smoothing=0.94)
    assert smooth["reaction_s"] > 1.1 * rough["reaction_s"]
    assert smooth["jitter"] < 0.5 * rough["jitter"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_features": 1}, {"step_s": 1.0}, {"radius": 0.0}, {"shared_noise": 1.0},
        {"dwell_s": 0.0}, {"added_delay_s": -1.0}, {"colour": "red"},
    ],
)  # fmt: skip
def test_a_task_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        CursorEnv(**wrong)


def test_what_shapes_the_observation_cannot_be_changed_by_reset():
    with pytest.raises(ConfigError, match="target_shown"):
        CursorEnv().reset(seed=0, options={"target_shown": True})
