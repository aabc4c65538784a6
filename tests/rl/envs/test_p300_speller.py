"""Flashes light rows and columns, and the person looks at one item."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.p300_speller import P300Speller
from diverloop.runtime.errors import ConfigError


def test_every_item_flashes_twice_a_round_and_no_two_alike():
    observation, info = P300Speller(rows=3, columns=4, rounds=5).reset(seed=0)
    lit = observation["lit"]
    assert lit.shape == (12, 35)
    assert (lit.sum(axis=1) == 10).all()
    assert len(np.unique(lit, axis=0)) == 12
    assert (info["calibration"]["labels"].sum(axis=1) == 10).all()


def test_items_may_flash_one_by_one():
    observation, info = P300Speller(rows=2, columns=3, rounds=4, single=True).reset(seed=0)
    lit = observation["lit"]
    assert lit.shape == (6, 24)
    assert (lit.sum(axis=0) == 1).all()
    assert (info["calibration"]["labels"].sum(axis=1) == 4).all()


def test_flashes_of_what_is_meant_look_like_targets_and_lapses_do_not():
    env = P300Speller(n_trials=400, artefacts=0.0)
    observation, _ = env.reset(seed=100, options={"user": {"distance": 6.0, "lapses": 0.3}})
    towards = env._body.means[1] - env._body.means[0]
    strength = {True: [], False: []}
    for _ in range(300):
        points = (observation["features"] - env._body.offset) @ np.linalg.inv(env._body.mixture)
        along = points @ towards / np.linalg.norm(towards)
        target = observation["lit"][env._asked.meant] == 1
        strength[env._asked.attended].append(along[target].mean() - along[~target].mean())
        observation = env.step(env._asked.meant)[0]
    assert np.mean(strength[True]) > 4.5
    assert np.mean(strength[False]) == pytest.approx(0, abs=0.3)


def test_the_prior_is_how_often_each_item_is_wanted():
    env = P300Speller(rows=2, columns=2, rounds=1, language=1.0, n_trials=1200)
    observation, _ = env.reset(seed=0)
    for _ in range(1199):
        env.step(4)
    counts = np.bincount(env._meant, minlength=4) / 1199
    assert counts == pytest.approx(observation["prior"], abs=0.05)


def test_after_an_error_who_noticed_wants_to_take_it_back():
    env = P300Speller(rows=2, columns=3, backspace=True, n_trials=50)
    env.reset(seed=3, options={"user": {"lapses": 0.0, "tired_lapses": 0.0}})
    for _ in range(10):
        env.step((env._asked.meant + 1) % 5)
        assert env._asked.meant == 5
    env.step(5)
    wanted = []
    for _ in range(20):
        wanted.append(env._asked.meant)
        env.step(env._asked.meant)
    assert wanted.count(5) < 12


@pytest.mark.parametrize("wrong", [{"rows": 1}, {"language": -1.0}, {"rounds": 0}])
def test_a_board_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="must be"):
        P300Speller(**wrong)
