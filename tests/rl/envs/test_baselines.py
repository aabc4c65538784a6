"""The baselines rank as they must, and the command tells it as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.baselines import MeanFollower, interval, late_accuracy, main
from diverloop.rl.trial import Trial
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.prototype_head import PrototypeHead


def test_the_truth_repairs_what_nobody_else_does():
    people = range(100, 103)
    frozen, oracle = (
        late_accuracy("diverloop/MotorImagery-v0", "rotation", arm, people).mean()
        for arm in ("frozen", "oracle")
    )
    assert oracle > frozen + 0.05


def test_the_centre_follows_a_shift_and_leaves_the_prototypes_alone():
    head = PrototypeHead.fit(
        np.random.default_rng(0).standard_normal((60, 3)) + np.repeat(2 * np.eye(3), 20, axis=0),
        np.repeat(["a", "b", "c"], 20),
        ("a", "b", "c"),
    )
    follower, rng = MeanFollower(head), np.random.default_rng(1)
    moved = np.array([0.5, -0.5, 0.5])
    for number in range(300):
        features = rng.standard_normal((4, 3)) + 2 * np.eye(3)[number % 3] + moved
        follower.see(Trial.plain(number, features, 3, 0))
    wanted = (moved / head.scale) @ head.basis
    assert follower.head.centre == pytest.approx(wanted, abs=0.45)
    assert np.array_equal(follower.head.prototypes, head.prototypes)


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
