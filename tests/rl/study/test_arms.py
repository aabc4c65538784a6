"""The ladder of arms: two ends that nothing holds, and a shuffled twin of the rule of rewards."""

from __future__ import annotations

from diverloop.rl.study.arms import FROZEN, ORACLE, REWARD, SHUFFLED_REWARD, usual_arms

from ..heads import head

ARMS = {arm.name: arm for arm in usual_arms()}


def test_the_ladder_begins_with_nothing_and_ends_with_everything_and_nothing_holds_its_ends():
    assert next(iter(ARMS)) == FROZEN
    assert list(ARMS)[-1] == ORACLE
    assert {name for name, arm in ARMS.items() if not arm.held} == {FROZEN, ORACLE}


def test_shuffled_rewards_are_told_to_the_same_rule():
    first = head()
    one, other = ARMS[REWARD].make(first), ARMS[SHUFFLED_REWARD].make(first)
    assert type(one) is type(other)
    assert one.config == other.config
    assert ARMS[REWARD].told != ARMS[SHUFFLED_REWARD].told


def test_every_arm_begins_with_the_calibrated_head():
    first = head()
    assert {arm.make(first).head.sha256 for arm in ARMS.values()} == {first.sha256}
