from __future__ import annotations

import math
from itertools import pairwise

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.neurofeedback import (
    KINDS,
    FeedbackAge,
    NeurofeedbackPlan,
    Timeline,
    parse_marker,
    phases_of,
)


def plan(**fields) -> NeurofeedbackPlan:
    return NeurofeedbackPlan(**fields)


def test_the_standard_session_is_fifteen_blocks_of_two_minutes_between_baselines():
    phases = phases_of(plan())
    blocks = [phase for phase in phases if phase.kind == "block"]
    assert [block.number for block in blocks] == list(range(1, 16))
    assert {block.stop_s - block.start_s for block in blocks} == {120}
    assert [phase.marker for phase in phases if phase.kind == "baseline"] == [
        "baseline:eyes_open:pre", "baseline:eyes_closed:pre",
        "baseline:eyes_open:post", "baseline:eyes_closed:post",
    ]  # fmt: skip
    transfers = [phase.marker for phase in phases if phase.kind == "transfer"]
    assert transfers == ["transfer:1", "transfer:2", "transfer:3"]


def test_parts_follow_each_other_without_a_hole_and_the_end_never_stops():
    phases = phases_of(plan())
    assert phases[0].start_s == 0
    assert all(one.stop_s == other.start_s for one, other in pairwise(phases))
    assert (phases[-1].kind, phases[-1].stop_s) == ("end", math.inf)


def test_no_part_of_length_zero_is_left_and_no_pause_stands_before_the_end():
    phases = phases_of(plan(lead_in_s=0, baselines=(), n_blocks=2, transfer_every=0, post=False))
    assert [phase.marker for phase in phases] == ["block:1", "pause", "block:2", "end"]
    phases = phases_of(plan(pause_s=0, n_blocks=2, transfer_every=2, baselines=("eyes_open",)))
    assert [phase.marker for phase in phases] == [
        "wait", "baseline:eyes_open:pre", "block:1", "block:2", "transfer:1",
        "baseline:eyes_open:post", "end",
    ]  # fmt: skip


def test_feedback_is_given_in_blocks_alone():
    phases = phases_of(plan())
    assert {phase.kind for phase in phases if phase.feedback} == {"block"}
    assert all(phase.instruction for phase in phases)
    closed = next(p for p in phases if p.marker == "baseline:eyes_closed:pre")
    assert "closed" in closed.instruction
    assert closed.words == "baseline, eyes closed, pre"
    assert next(p for p in phases if p.marker == "block:2").words == "block 2"


def test_every_marker_can_be_taken_apart():
    assert parse_marker("block:3") == ("block", "3")
    assert parse_marker("pause") == ("pause", "")
    assert {parse_marker(phase.marker)[0] for phase in phases_of(plan())} == set(KINDS)
    with pytest.raises(ConfigError, match="no marker of a neurofeedback session"):
        parse_marker("left")


def test_a_window_across_a_border_lies_in_no_part():
    phases = phases_of(plan(lead_in_s=5, baselines=(), n_blocks=2, pause_s=10, block_s=20))
    timeline = Timeline(phases)
    assert timeline.phase_of(5, 6) is phases[1]
    assert timeline.phase_of(24, 25) is phases[1]
    assert timeline.phase_of(24.5, 25.5) is None
    assert timeline.phase_of(25, 26).kind == "pause"
    assert timeline.phase_of(-1, 0) is None
    assert timeline.phase_of(1e6, 1e6 + 1).kind == "end"


@pytest.mark.parametrize(
    "fields",
    [
        {"n_blocks": 0},
        {"block_s": 5},
        {"pause_s": -1},
        {"baseline_s": math.nan},
        {"transfer_every": -1},
        {"baselines": ("a", "a")},
        {"baselines": ("a:b",)},
        {"baselines": ("",)},
    ],
)
def test_a_plan_out_of_range_is_refused(fields):
    with pytest.raises(ConfigError):
        plan(**fields)


def test_a_plan_read_from_json_is_the_same_plan():
    assert plan(baselines=["eyes_open"]) == plan(baselines=("eyes_open",))


def test_the_age_of_the_feedback_is_the_sum_of_its_parts_and_is_said_plainly():
    age = FeedbackAge(half_window_s=0.25, filter_delay_s=0.12, processing_s=0.01)
    assert age.total_s == pytest.approx(0.38)
    assert age.sentence() == (
        "What you see is 0.38 s old: 0.25 s for half a window, 0.12 s for the filters, 0.01 s for "
        "the computer."
    )
    slow = FeedbackAge(half_window_s=0.25, filter_delay_s=0.12, memory_s=0.5)
    assert "0.87 s old" in slow.sentence()
    assert "memory of the feedback" in slow.sentence()
    with pytest.raises(ConfigError, match="at least 0 s"):
        FeedbackAge(half_window_s=0.25, filter_delay_s=-0.1)
