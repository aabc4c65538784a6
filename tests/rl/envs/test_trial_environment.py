"""All environments with trials: Gymnasium's own checks, repeatable, and silent about the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from diverloop.rl.envs.drift import DRIFTS
from diverloop.rl.envs.motor_imagery import MotorImagery
from diverloop.rl.envs.p300_speller import P300Speller
from diverloop.rl.envs.registration import ENVIRONMENTS
from diverloop.rl.envs.replay_bandit import BanditRecording, ReplayBandit
from diverloop.runtime.errors import ConfigError


def recording():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    features = rng.standard_normal((40, 2, 5)) + labels[:, None, None]
    return BanditRecording(
        features=features, labels=labels, runs=np.repeat([0, 1], 20), classes=("a", "b", "c")
    )


MAKERS = {
    "imagery": lambda **more: MotorImagery(**{"n_trials": 20, "calibration": 3, **more}),
    "speller": lambda **more: P300Speller(
        **{"rows": 2, "columns": 3, "n_trials": 20, "calibration": 3, **more}
    ),
    "replay": lambda **more: ReplayBandit(recording(), **more),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture(params=ENVIRONMENTS)
def made_by_name(request):
    if request.param == "diverloop/ReplayBandit-v0":
        return gymnasium.make(request.param, recording=recording())
    if request.param not in ("diverloop/MotorImagery-v0", "diverloop/P300Speller-v0"):
        pytest.skip("it has no trials")
    return gymnasium.make(request.param)


def episode(env, seed, action=lambda number: number % 2, **options):
    observation, info = env.reset(seed=seed, options=options)
    seen = [(observation, 0.0, False, info)]
    for number in itertools.count():
        observation, reward, done, truncated, info = env.step(action(number))
        assert not truncated
        seen.append((observation, reward, done, info))
        if done:
            return seen


def flat(thing):
    """Every number in nested dicts, lists and arrays, in order."""
    if isinstance(thing, dict):
        return [one for name in sorted(thing) for one in flat(thing[name])]
    if isinstance(thing, list | tuple):
        return [one for part in thing for one in flat(part)]
    return np.ravel(thing).astype(float).tolist()


def test_gymnasium_finds_nothing_to_complain_of(made_by_name):
    check_env(made_by_name.unwrapped)
    assert made_by_name.unwrapped.action_space.n >= 3


def test_the_same_seed_gives_the_same_episode_to_the_bit(make):
    first, again = episode(make(), 7), episode(make(), 7)
    assert flat(first) == flat(again)
    assert flat(first) != flat(episode(make(), 8))


def test_observations_and_infos_hold_what_a_decoder_may_know_and_nothing_else(make):
    env = make()
    seen = episode(env, 3, action=lambda number: env.n_options)
    assert set(seen[0][3]) == {"calibration", "errp", "errors"}
    assert all(set(info) == {"errors"} for _, _, done, info in seen[1:] if not done)
    # Nothing was shown to the person, so there is nothing that a brain could say of it.
    assert all(info["errors"] == [] for _, _, _, info in seen)
    allowed = {"features", "quality", "time_s", "last", "lit", "prior"}
    assert all(set(observation) <= allowed for observation, _, _, _ in seen)


def test_with_observed_reward_nothing_depends_on_the_truth_until_a_score_arrives(make):
    env = make(reward="observed")
    cost = env.trials.per_s * env.trials.trial_s
    for _, reward, done, info in episode(env, 4)[1:]:
        values = [env._errors.config.value(score) for _, score, _ in info["errors"]]
        assert reward == pytest.approx(cost + sum(2 * value - 1 for value in values))
        assert done == ("score" in info)


def test_a_truth_can_be_revealed_only_after_its_decision(make):
    env = make()
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="not decided"):
        env.reveal(0)
    env.step(0)
    assert 0 <= env.reveal(0) < env.n_options


def test_utility_is_what_the_score_says(make):
    env = make()
    seen = episode(env, 5, action=lambda number: number % (env.n_options + 1))
    score = seen[-1][3]["score"]
    assert sum(reward for _, reward, _, _ in seen) == pytest.approx(score["utility"])
    gained = score["right"] * 2.0 - 1
    gained[score["decided"] == -1] = -0.1
    assert score["utility"] == pytest.approx(
        gained.sum() + len(gained) * env.trials.per_s * env.trials.trial_s
    )


def test_errors_are_told_of_decided_trials_only_and_late(make):
    env = make()
    told = [
        (number, trial)
        for number, (_, _, _, info) in enumerate(episode(env, 6)[1:])
        for trial, _, _ in info["errors"]
    ]
    assert told
    assert all(1 <= number - trial <= 2 for number, trial in told)


@pytest.mark.parametrize("kind", DRIFTS)
def test_every_drift_can_be_asked_for(kind):
    option = {"kind": kind, "onset": 0, "over": 1}
    still = episode(MAKERS["imagery"](), 9)
    moved = episode(MAKERS["imagery"](), 9, drift=option)
    assert flat(still[0][3]["calibration"]) == flat(moved[0][3]["calibration"])
    same = flat(still[3][0]["features"]) == flat(moved[3][0]["features"])
    # Somebody drawn by chance has no recorded drift.
    assert same == (kind in ("none", "recorded"))


def test_missing_features_read_rest_though_not_at_calibration():
    env = MAKERS["imagery"]()
    _, info = env.reset(seed=2, options={"montage": {"missing": [3, 5]}})
    features = np.stack([env.step(0)[0]["features"] for _ in range(5)])
    assert np.ptp(features[..., [3, 5]], axis=(0, 1)) == pytest.approx(0)
    assert np.ptp(info["calibration"]["features"][..., 3]) > 0
    assert np.ptp(features[..., 4]) > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [({"drifts": "shift"}, "has no option"), ({"montage": {"missing": 99}}, "0 to"),
     ({"montage": {"moved": 1}}, "it has missing"), ({"montage": {"missing": [99]}}, "names")],
)  # fmt: skip
def test_options_that_do_not_exist_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        MAKERS["imagery"]().reset(seed=0, options=options)


def test_an_action_that_does_not_exist_is_refused_with_those_that_do(make):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="which abstains; got 99"):
        env.step(99)


@pytest.mark.parametrize("wrong", [{"reward": "truth"}, {"n_trials": 1}, {"trial_s": 0.0}])
def test_an_impossible_episode_is_refused(wrong):
    with pytest.raises(ConfigError, match="must be"):
        MotorImagery(**wrong)
