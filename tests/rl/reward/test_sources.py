"""Markers become rewards as reliable as their kind."""

from __future__ import annotations

import pytest

from diverloop.rl.reward.sources import Sources
from diverloop.rl.trial import UNKNOWN

SOURCES = Sources(("left", "right"))


@pytest.mark.parametrize("label", ["undo", "backspace", "outcome:wrong", "operator:wrong"])
def test_what_takes_back_or_calls_wrong_speaks_against(label):
    reward = SOURCES.reward(4, label, at_s=2.0)
    assert reward.log_odds < -2
    assert reward.value < 0.2
    assert (reward.trial, reward.at_s, reward.meant) == (4, 2.0, UNKNOWN)


@pytest.mark.parametrize(
    ("label", "source"), [("outcome:right", "task"), ("operator:right", "operator")]
)
def test_what_calls_right_speaks_in_favour(label, source):
    reward = SOURCES.reward(4, label)
    assert reward.log_odds > 2
    assert reward.source == source


def test_what_is_not_taken_back_is_a_little_more_probable():
    assert 0 < SOURCES.kept(4).log_odds < -SOURCES.reward(4, "undo").log_odds


def test_what_was_meant_is_known():
    assert SOURCES.reward(4, "meant:right").meant == 1


@pytest.mark.parametrize("label", ["left", "meant:up", "outcome:maybe", "", "operator"])
def test_other_markers_are_no_rewards(label):
    assert SOURCES.reward(4, label) is None
