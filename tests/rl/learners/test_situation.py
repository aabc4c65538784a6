"""The context tells drift from none, and stays within bounds."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.situation import NAMES, Situation
from diverloop.rl.trial import ABSTAINED, Trial
from diverloop.runtime.prototype_head import PrototypeHead


def head():
    return PrototypeHead(
        classes=("a", "b"), mean=np.zeros(6), scale=np.ones(6), basis=np.eye(6),
        centre=np.zeros(6), prototypes=np.eye(6)[:2] * 4, log_priors=np.zeros(2),
    )  # fmt: skip


def drift_after(shift):
    rng, situation, seen = np.random.default_rng(0), Situation(head()), None
    for number in range(60):
        point = head().prototypes[number % 2] + shift + rng.normal(size=6)
        seen = Trial.plain(number, point, 2, decided=0)
        situation.see(seen)
    return situation.figures(seen, np.full(2, 0.5), np.full(2, 0.5))[NAMES.index("drift")]


def test_the_drift_index_is_near_zero_without_drift_and_grows_with_it():
    assert abs(drift_after(0.0)) < 0.4
    assert drift_after(0.8) > drift_after(0.0) + 0.3
    assert drift_after(1e6) <= 5.0


def test_figures_are_bounded_and_named():
    situation = Situation(head())
    trial = Trial.plain(1, np.zeros(6), 2, decided=1)
    situation.see(trial)
    for _ in range(100):
        situation.hear(1e9)
        situation.see(trial)
    figures = situation.figures(trial, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert len(figures) == len(NAMES)
    assert np.abs(figures).max() <= 5.0
    assert figures[NAMES.index("entropy")] == pytest.approx(0.0, abs=1e-9)
    assert figures[NAMES.index("belief")] == 1.0


def test_a_change_is_remembered_until_it_is_long_ago():
    situation, trial = Situation(head()), Trial.plain(1, np.zeros(6), 2, decided=ABSTAINED)
    since = NAMES.index("since the last change")
    even = np.full(2, 0.5)
    for _ in range(15):
        situation.see(trial)
    assert situation.figures(trial, even, even)[since] == pytest.approx(0.5)
    situation.changed()
    assert situation.figures(trial, even, even)[since] == 0.0
