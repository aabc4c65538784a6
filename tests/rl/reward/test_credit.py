"""A reward is put to the last decision that it can be about."""

from __future__ import annotations

import pytest

from diverloop.rl.reward.credit import KEY_PRESS, Credit, CreditConfig
from diverloop.runtime.errors import ConfigError


def shown(config=None):
    credit = Credit(config or CreditConfig())
    for trial, at_s in ((10, 100.0), (20, 101.0), (30, 105.0)):
        credit.decided(trial, at_s)
    return credit


@pytest.mark.parametrize(
    ("at_s", "trial"),
    [
        (105.3, 30),
        (106.5, 30),
        (106.6, None),
        (105.1, None),
        (102.4, 20),
        (101.1, 10),
        (99.0, None),
    ],
)
def test_it_is_about_the_last_decision_that_is_neither_too_fresh_nor_too_old(at_s, trial):
    assert shown().about(at_s) == trial


def test_a_key_may_come_some_seconds_later():
    assert shown(KEY_PRESS).about(109.9) == 30


def test_old_decisions_are_forgotten():
    credit = Credit(CreditConfig(most=2))
    for trial in range(4):
        credit.decided(trial, 1.0 * trial)
    assert credit.about(1.3) is None
    assert credit.about(3.3) == 3


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(ConfigError, match=r"latest_s must be from 0.2 to 600, got 0.1"):
        CreditConfig(latest_s=0.1)
