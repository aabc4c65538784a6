"""The baselines rank as they must, and the command tells it as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.baselines import interval, late_accuracy, main
from diverloop.runtime.errors import ConfigError


def test_recentring_repairs_a_shift_and_the_truth_repairs_more():
    arms = ("frozen", "recentred", "oracle")
    frozen, recentred, oracle = (
        late_accuracy("diverloop/MotorImagery-v0", "abrupt_recap", arm, range(100, 104)).mean()
        for arm in arms
    )
    assert oracle > frozen + 0.05
    assert oracle > recentred


def test_an_interval_holds_the_mean_and_shrinks_with_people():
    values = np.random.default_rng(0).normal(0.7, 0.1, 400)
    few, many = interval(values[:20].tolist()), interval(values.tolist())
    assert many[0] < values.mean() < many[1]
    assert many[1] - many[0] == pytest.approx(4 * 0.1 / 20, rel=0.15)
    assert few[1] - few[0] > 2 * (many[1] - many[0])


def test_the_command_writes_its_table(capsys):
    main(["--people", "2", "--first", "100", "--drifts", "shift", "--arms", "frozen,recentred"])
    told = json.loads(capsys.readouterr().out)
    assert told["people"] == [100, 101]
    assert set(told["late"]["shift"]) == {"frozen", "recentred"}
    low, high = told["late"]["shift"]["recentred"]["gain"]["interval"]
    assert low <= told["late"]["shift"]["recentred"]["gain"]["mean"] <= high


def test_an_unknown_drift_is_refused_with_those_known():
    with pytest.raises(ConfigError, match="known are none"):
        main(["--drifts", "twist"])
