"""Panels share the time there is; a slow one skips, none waits for ever."""

from __future__ import annotations

from collections import Counter

import pytest

from diverloop.gui.pacing import Pacer

FRAME_S = 1 / 60


def run(costs_s: dict[str, float], seconds: float = 20.0, share: float = 0.5, hz: float = 60.0):
    """So many drawings a second of each panel, and the share of time they took, once learnt."""
    pacer = Pacer([(name, hz) for name in costs_s], frame_hz=60, share=share)
    drawn, busy_s = Counter(), 0.0
    for n in range(round(seconds * 60)):
        due = pacer.due(n * FRAME_S, costs_s)
        for name in due:
            pacer.drew(name, costs_s[name] / 4)
        pacer.painted(sum(costs_s[name] * 3 / 4 for name in due))
        if n > seconds * 30:
            drawn.update(due)
            busy_s += sum(costs_s[name] for name in due)
    return {name: 2 * drawn[name] / seconds for name in costs_s}, 2 * busy_s / seconds, pacer


def test_cheap_panels_are_drawn_as_often_as_they_wish():
    rates_hz, busy, _ = run({"a": 0.001, "b": 0.001})
    assert rates_hz == {"a": pytest.approx(60, abs=1), "b": pytest.approx(60, abs=1)}
    assert busy < 0.2


def test_all_together_take_no_more_than_their_share():
    rates_hz, busy, _ = run({"a": 0.02, "b": 0.004, "c": 0.001})
    assert busy < 0.62  # whole frames only: a little beside the 0.5
    assert min(rates_hz.values()) > 10


def test_a_panel_that_costs_a_second_is_still_drawn_and_the_others_go_on():
    rates_hz, _, _ = run({"slow": 1.0, "b": 0.001})
    assert all(rate_hz >= 1 for rate_hz in rates_hz.values())


def test_who_is_costly_is_learnt_though_all_are_painted_together():
    pacer = Pacer([("a", 60), ("b", 20), ("c", 10)], frame_hz=60, share=1.0)
    costs_s = {"a": 0.012, "b": 0.001, "c": 0.002}
    for n in range(2000):
        due = pacer.due(n * FRAME_S, costs_s)
        for name in due:
            pacer.drew(name, 0.0)
        pacer.painted(sum(costs_s[name] for name in due))
    assert pacer.cost_s("a") == pytest.approx(0.012, rel=0.2)
    assert pacer.cost_s("b") < 0.004


def test_a_hidden_panel_costs_nothing_and_is_drawn_at_once_when_it_comes_back():
    pacer = Pacer([("a", 1.0)], frame_hz=60)
    assert pacer.due(0.0, ["a"]) == ["a"]
    assert pacer.due(0.1, []) == []
    assert pacer.due(0.2, ["a"]) == []
    pacer.hurry("a")
    assert pacer.due(0.3, ["a"]) == ["a"]
