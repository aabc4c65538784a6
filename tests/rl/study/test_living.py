"""Arms live through a world as the live session would let them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envs.error_channel import ErrorChannelConfig
from diverloop.rl.envs.messenger import ERRORS, NOTHING, TRUTH
from diverloop.rl.learners.frozen import Frozen
from diverloop.rl.learners.rewarded import Rewarded
from diverloop.rl.study.arms import Arm
from diverloop.rl.study.living import live
from diverloop.rl.study.recorded import Asked, RecordedCase
from diverloop.rl.study.worlds import RecordedWorld

FROZEN = Arm(name="frozen", make=Frozen, told=NOTHING, held=False)
ORACLE = Arm(name="oracle", make=Rewarded, told=TRUTH, held=False)
REWARD = Arm(name="reward", make=Rewarded, told=ERRORS)


def asked(rng, meant, shift):
    windows = rng.normal(size=(2, 4)) + np.array([2.0 * meant + shift, shift, 0.0, 0.0])
    return Asked(features=windows, under=np.array([[0, 0], [1, 1]]), meant=meant)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    return RecordedCase(
        person="p", name="n", task="t", classes=("a", "b"),
        calibration=tuple(asked(rng, n % 2, 0.0) for n in range(40)),
        sessions=tuple(
            tuple(asked(rng, n % 2, shift) for n in range(60)) for shift in (0.0, 1.5)
        ),
    )  # fmt: skip


def world(case, seed=0):
    return RecordedWorld(case, ErrorChannelConfig(balanced_accuracy=0.9), seed=seed)


def test_a_frozen_arm_is_as_right_as_the_calibrated_head(case):
    course = live(world(case), FROZEN, None, seed=0)
    expected = [one.trial(0, case.head).decided == one.meant for s in case.sessions for one in s]
    assert course.right.tolist() == expected
    assert course.sessions.tolist() == [0] * 60 + [1] * 60


def test_the_oracle_follows_what_moves(case):
    frozen, oracle = (live(world(case), arm, None, seed=0) for arm in (FROZEN, ORACLE))
    assert oracle.accuracy(0.6) > frozen.accuracy(0.6) + 0.05


def test_the_envelope_lets_a_rule_serve_or_not_and_counts_it(case):
    quick = EnvelopeConfig(least_gap_s=0.0)
    held = live(world(case), REWARD, quick, seed=0)
    assert held.promotions > 0
    assert live(world(case), REWARD, None, seed=0).promotions == 0


def test_the_same_seed_lives_the_same_course(case):
    again = partial(live, arm=REWARD, envelope=EnvelopeConfig(), seed=4)
    one, other = again(world(case, 2)), again(world(case, 2))
    assert one.right.tolist() == other.right.tolist()
