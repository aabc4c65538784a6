"""Independent evidence adds, the same evidence twice does not, and nobody is believed too much."""

from __future__ import annotations

import pytest

from diverloop.rl.reward.fusing import MOST_LOG_ODDS, fuse
from diverloop.rl.trial import UNKNOWN, Reward


def said(log_odds, source, **more):
    return Reward(trial=1, log_odds=log_odds, source=source, **more)


def test_what_different_sources_say_adds():
    both = fuse([said(-1.0, "error potential", at_s=1.0), said(-1.5, "undo", at_s=2.0)])
    assert both.log_odds == pytest.approx(-2.5)
    assert both.source == "error potential, undo"
    assert both.at_s == 2.0


def test_one_source_that_speaks_twice_counts_once():
    assert fuse([said(-1.0, "undo"), said(-1.2, "undo")]).log_odds == -1.2


def test_the_sum_is_capped():
    assert fuse([said(3.0, "task"), said(3.0, "operator")]).log_odds == MOST_LOG_ODDS


def test_the_value_is_that_of_those_who_say_something():
    fused = fuse([said(0.0, "a", value=0.5), said(1.0, "b", value=1.25)])
    assert fused.value == pytest.approx(1.25)
    assert fuse([said(0.0, "a")]).value == 0.5


def test_what_was_meant_is_kept():
    assert fuse([said(0.0, "cue", meant=2), said(-1.0, "undo")]).meant == 2
    assert fuse([said(-1.0, "undo")]).meant == UNKNOWN
