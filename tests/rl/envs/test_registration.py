"""The environments can be made by name, one or many at once, and nothing else registers them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from diverloop.rl.envs.registration import ENVIRONMENTS


@pytest.mark.parametrize("name", ["diverloop/MotorImagery-v0", "diverloop/P300Speller-v0"])
def test_several_people_can_sit_side_by_side(name):
    envs = gymnasium.make_vec(name, num_envs=3, vectorization_mode="sync", n_trials=4)
    observations, infos = envs.reset(seed=5)
    alone, _ = gymnasium.make(name, n_trials=4).reset(seed=6)
    assert np.array_equal(observations["features"][1], alone["features"])
    assert len(infos["calibration"]["features"]) == 3
    for _ in range(4):
        _, rewards, done, _, infos = envs.step(np.zeros(3, dtype=np.int64))
    assert done.all()
    assert infos["score"]["accuracy"].shape == (3,)
    assert rewards.shape == (3,)


def test_every_name_leads_to_a_class():
    for name, place in ENVIRONMENTS.items():
        assert gymnasium.spec(name).entry_point == place
        module, _, kind = place.partition(":")
        assert kind in (__import__(module, fromlist=[kind]).__dict__)


def test_importing_the_package_alone_registers_nothing_and_needs_no_gymnasium():
    script = "import sys, diverloop.rl.envs.bridge; print('gymnasium' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["False"], done.stderr
