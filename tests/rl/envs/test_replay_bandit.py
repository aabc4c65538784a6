"""A recording is played in its order, and its labels come back only as scores."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.replay_bandit import BanditRecording, ReplayBandit
from diverloop.runtime.errors import ConfigError

LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1, 0])


def recorded(**more):
    arrays = {
        "features": np.arange(10.0)[:, None, None] + np.zeros((10, 2, 3)),
        "labels": LABELS,
        "runs": np.repeat([0, 1, 2], [4, 3, 3]),
        "classes": ("left", "right"),
        **more,
    }
    return BanditRecording(**arrays)


def test_first_runs_are_calibration_and_the_rest_comes_in_order():
    env = ReplayBandit(recorded())
    observation, info = env.reset(seed=0)
    assert info["calibration"]["labels"][:, 0].tolist() == [0, 1, 0, 1]
    played = [observation["features"][0, 0]]
    for _ in range(6):
        observation, _, done, _, info = env.step(0)
        played.append(observation["features"][0, 0])
    assert played == [4, 5, 6, 7, 8, 9, 0]
    assert done
    assert info["score"]["meant"].tolist() == LABELS[4:].tolist()
    assert info["score"]["accuracy"] == pytest.approx(0.5)


def test_other_truths_look_exactly_the_same_until_a_score_arrives():
    features = np.random.default_rng(0).standard_normal((10, 2, 3))
    other = np.where(np.arange(10) < 4, LABELS, 1 - LABELS)
    seen = []
    for labels in (LABELS, other):
        env = ReplayBandit(recorded(features=features, labels=labels), reward="observed")
        observation, info = env.reset(seed=3)
        seen.append([repr(observation), repr(info)])
        for _ in range(5):
            observation, reward, _, _, info = env.step(1)
            told = [(trial, at_s) for trial, _, at_s in info["errors"]]
            seen[-1] += [repr(observation), repr(told), "" if told else repr(reward)]
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("more", "says"),
    [({"labels": LABELS[:9]}, "as many"), ({"labels": LABELS + 1}, "places in the 2 classes"),
     ({"features": np.full((10, 2, 3), np.nan)}, "finite"), ({"runs": LABELS}, "order")],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(more, says):
    with pytest.raises(ConfigError, match=says):
        recorded(**more)


def test_without_a_recording_it_says_how_to_give_one():
    with pytest.raises(ConfigError, match="needs a recording"):
        ReplayBandit()


@pytest.mark.parametrize("runs", [0, 3])
def test_calibration_must_leave_something_to_play(runs):
    with pytest.raises(ConfigError, match="calibration_runs"):
        ReplayBandit(recorded(), calibration_runs=runs)


def test_a_simulated_persons_options_are_not_understood():
    with pytest.raises(ConfigError, match="has no option 'drift'"):
        ReplayBandit(recorded()).reset(seed=0, options={"drift": "shift"})
