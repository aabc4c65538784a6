"""Neurofeedback on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diverloop.adapters.neurofeedback import NeurofeedbackAdapter
from diverloop.adapters.neurofeedback_config import NeurofeedbackConfig
from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.gui.participant.gauge import Gauge, GaugeConfig
from diverloop.runtime.messages import Embedding, Turn, Window
from diverloop.runtime.paradigms.neurofeedback import NeurofeedbackPlan

from .shown import Shown, commanded, held

CLASSES = ("reward", "no reward")


def rewarded(strength: float = 0.9, label: str = "reward") -> Turn:
    return commanded(label, strength, classes=CLASSES)


def idle(part: str, news: str = "", chances: tuple[float, float] = (0.5, 0.5)) -> Turn:
    reason = f"{part}: no feedback{news}"
    return commanded(None, reason=reason, classes=CLASSES, chances=chances)


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=lambda look: look.name)
def test_reward_none_a_pause_of_the_guard_and_each_part_look_different(
    qapp: Any, look: Look
) -> None:
    seen = set()
    for turns in (
        (rewarded(),), (rewarded(label="no reward"),), (rewarded(), held("reward")),
        (idle("baseline, eyes open, pre"),), (idle("baseline, eyes closed, pre"),),
        (idle("pause"),), (idle("transfer 1"),), (idle("end"),),
    ):  # fmt: skip
        shown = Shown(Gauge(), look)
        for turn in turns:
            shown.turn(turn, frames=30)
        seen.add(shown.pixels())
    assert len(seen) == 8


def test_neither_news_of_the_threshold_nor_the_measure_outside_of_blocks_is_seen(
    qapp: Any,
) -> None:
    plain, telling = Shown(Gauge()), Shown(Gauge())
    plain.turn(idle("pause"), frames=20)
    news = "; after block 1 (reward rate 60%) the threshold went from 0.100 to 0.300"
    telling.turn(idle("pause", news, (0.99, 0.01)), frames=20)
    assert plain.pixels() == telling.pixels()


def test_the_sham_arm_looks_the_same_where_it_gives_the_same_feedback(qapp: Any) -> None:
    plan = NeurofeedbackPlan(lead_in_s=0, baselines=(), n_blocks=1, block_s=10, post=False)
    seen = {}
    for arm in ("real", "sham"):
        config = NeurofeedbackConfig(
            rate_hz=100.0, plan=plan, start="saved", arm=arm, sham="yoked", step_s=0.1
        )
        # A course that stays where it is: both arms then show one and the same feedback.
        level = np.concatenate((np.full(400, 1.0), np.linspace(0.999, 1.001, 50)))
        adapter = NeurofeedbackAdapter(config, threshold=0.5, scale=1.0, course=level)
        shown = Shown(Gauge(GaugeConfig(plan=plan)))
        for n in range(20):
            window = Window(
                samples=np.zeros((1, 10)), first_sample=10 * n, stop_sample=10 * n + 10, due_ns=0
            )
            decision = adapter.decide(Embedding(values=np.array([1.0, 0.0])), window)
            assert decision.label is not None
            shown.turn(rewarded(0.8), frames=5)
        seen[arm] = (shown.pixels(), shown.said())
    assert seen["real"] == seen["sham"]


def test_the_beginning_of_each_part_is_marked_once(qapp: Any) -> None:
    shown = Shown(Gauge())
    shown.turn(frames=3)
    for part in ("baseline, eyes open, pre", "pause"):
        for _ in range(3):
            shown.turn(idle(part), frames=5)
    shown.turn(rewarded(), frames=5)
    assert shown.said() == ["baseline:eyes_open:pre", "pause", "block"]
