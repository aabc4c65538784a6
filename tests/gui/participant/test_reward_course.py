"""What a neurofeedback session tells its participant."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from diverloop.gui.participant.following import Mood
from diverloop.gui.participant.reward_course import RewardCourse
from diverloop.runtime.paradigms.neurofeedback import NeurofeedbackPlan, phases_of

from ..told import a_stream
from .shown import commanded, held

CLASSES = ("reward", "no reward")


def rewarded(label: str = "reward", strength: float = 0.9, **others: object):  # type: ignore[no-untyped-def]
    return commanded(label, strength, classes=CLASSES, **others)  # type: ignore[arg-type]


def idle(part: str, news: str = ""):  # type: ignore[no-untyped-def]
    return commanded(None, reason=f"{part}: no feedback{news}", classes=CLASSES)


@pytest.mark.parametrize(
    ("words", "marker"),
    [
        ("baseline, eyes open, pre", "baseline:eyes_open:pre"),
        ("pause", "pause"),
        ("transfer 2", "transfer:2"),
        ("wait", "wait"),
        ("end", "end"),
    ],
)
def test_the_part_is_read_from_what_the_session_says(words: str, marker: str) -> None:
    course = RewardCourse()
    course.take(idle(words, "; after block 1 the threshold went from 0.1 to 0.2"))
    assert course.marker == marker


def test_every_part_of_a_plan_is_read_as_what_it_is() -> None:
    for phase in phases_of(NeurofeedbackPlan(n_blocks=6)):
        course = RewardCourse()
        course.take(rewarded() if phase.feedback else idle(phase.words))
        assert course.marker.split(":")[0] == phase.kind
        if not phase.feedback:
            assert course.marker == phase.marker


def test_with_the_plan_parts_are_placed_by_samples_and_time_runs_down() -> None:
    plan = NeurofeedbackPlan(lead_in_s=5, baselines=(), n_blocks=2, block_s=60, post=False)
    course = RewardCourse(plan)
    course.begin(60.0)
    course.take(a_stream(rate_hz=250.0))
    course.take(rewarded(stop_sample=250 * 25))
    assert (course.marker, course.left_s) == ("block:1", 40.0)
    course.advance(0)
    course.advance(60)
    assert course.left_s == pytest.approx(39.0)


def test_without_the_plan_no_time_is_told() -> None:
    course = RewardCourse()
    course.begin(60.0)
    course.take(rewarded())
    course.advance(60)
    assert math.isnan(course.left_s)


def test_the_gauge_rises_with_reward_and_falls_without_and_the_sign_comes_slowly() -> None:
    course = RewardCourse(smooth_s=0.1)
    course.begin(60.0)
    frame, signs = 0, []
    for label in ("reward", "no reward"):
        for _ in range(60):
            course.take(rewarded(label, 1.0))
            course.advance(frame := frame + 1)
            signs.append(course.reward)
        assert course.height == pytest.approx(1.0 if label == "reward" else 0.0, abs=0.02)
    assert max(abs(b - a) for a, b in pairwise(signs)) < 0.05


def test_a_poor_signal_and_a_guard_that_holds_show_no_feedback_for_a_while() -> None:
    course = RewardCourse()
    course.begin(60.0)
    for turn, mood in (
        (commanded(None, reason="signal too poor: quality 0", classes=CLASSES), Mood.RESTING),
        (held("reward"), Mood.PAUSED),
    ):
        course.take(rewarded())
        course.advance(200 if mood is Mood.RESTING else 500)
        course.take(turn)
        course.advance(201 if mood is Mood.RESTING else 501)
        assert course.mood is mood
        course.take(rewarded())
        course.advance(220 if mood is Mood.RESTING else 520)
        assert (course.mood, course.height) == (mood, 0.0)
