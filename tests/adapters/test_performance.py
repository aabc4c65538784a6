"""A session is judged trial by trial: every figure is checked against one worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from diverloop.adapters.performance import judge
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.messages import (
    Channel,
    Command,
    Decision,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)

CLASSES = ("left", "right")
SPEC = StreamSpec(name="any", rate_hz=100.0, channels=(Channel(name="C3"),))
SPAN = TrialSpan(classes=CLASSES, start_s=0.5, stop_s=4.0)
TIMES = StageTimes(
    due_ns=0,
    arrived_ns=0,
    conditioned_ns=0,
    cut_ns=0,
    encoded_ns=0,
    decided_ns=0,
    fed_back_ns=0,
    acted_ns=0,
)


def turn(first: int, left: float, *, neutral: bool = False) -> Turn:
    """A decision on one second of signal."""
    label = None if neutral else CLASSES[int(left < 0.5)]
    decision = Decision(
        classes=CLASSES,
        probabilities=np.full(2, np.nan) if neutral else np.array([left, 1 - left]),
        label=label,
        reason="tried out" if neutral else "",
        first_sample=first,
        stop_sample=first + 100,
    )
    return Turn(decision=decision, command=Command(label=label), times=TIMES)


def session(
    trials: Sequence[tuple[int, str, Sequence[float]]],
) -> tuple[tuple[Marker, ...], tuple[Turn, ...]]:
    """Cues at these samples, and for each what its windows say for left; the last one neutral."""
    cues = tuple(Marker(label=cue, sample=at) for at, cue, _ in trials)
    turns = [
        turn(at + 60 + 10 * place, left)
        for at, _, said in trials
        for place, left in enumerate(said)
    ]
    return cues, (*turns, turn(trials[-1][0] + 400, 0.5, neutral=True))


TWO_BLOCKS = (
    (0, "left", (0.9, 0.8)),
    (500, "right", (0.3,)),
    (1000, "left", (0.4,)),
    (1500, "right", ()),
    # A minute of rest.
    (8000, "left", (0.45, 0.95)),
    (8500, "right", (0.2,)),
    (9000, "right", (0.1,)),
)


@pytest.fixture(scope="module")
def judged():
    return judge(SPEC, *session(TWO_BLOCKS), SPAN)


def entropy(share: float) -> float:
    return -sum(p * math.log2(p) for p in (share, 1 - share))


def test_trials_are_judged_by_all_their_windows(judged):
    assert [(t.cue, t.predicted, t.onset_sample) for t in judged.trials] == [
        ("left", "left", 0),
        ("right", "right", 500),
        ("left", "right", 1000),
        ("right", None, 1500),
        ("left", "left", 8000),
        ("right", "right", 8500),
        ("right", "right", 9000),
    ]


def test_a_break_divides_blocks(judged):
    assert [trial.block for trial in judged.trials] == ["trials 1 to 4"] * 4 + ["trials 5 to 7"] * 3
    assert [block.name for block in judged.blocks] == ["trials 1 to 4", "trials 5 to 7"]


def test_each_block_and_the_whole_have_the_scores_worked_out_by_hand(judged):
    first, second = judged.blocks
    whole = judged.overall
    assert (first.n, first.n_correct, first.n_abstained) == (3, 2, 1)
    assert (second.n, second.n_correct, second.n_abstained) == (3, 3, 0)
    assert (whole.n, whole.n_correct, whole.n_abstained) == (6, 5, 1)
    assert first.accuracy == pytest.approx(2 / 3)
    assert whole.accuracy == pytest.approx(5 / 6)
    # Of the cues that got an answer, 2 of 3, 2 of 3 and 3 of 6 are of the commonest class.
    assert [first.chance, second.chance, whole.chance] == pytest.approx([2 / 3, 2 / 3, 1 / 2])
    # At least 2 of 3 at 2/3; 3 of 3 at 2/3; at least 5 of 6 at 1/2.
    assert [first.p_value, second.p_value, whole.p_value] == pytest.approx(
        [20 / 27, 8 / 27, 7 / 64]
    )
    assert whole.interval == pytest.approx((0.4365, 0.9699), abs=1e-4)
    assert whole.name == "whole session"


def test_the_transfer_rate_counts_the_time_of_trials_without_an_answer(judged):
    # From one cue to the next it is 5 s; a third of the answers in 4 trials, a sixth in 7.
    first, second = judged.blocks
    assert first.itr_bits_per_min == pytest.approx(60 * (1 - entropy(2 / 3)) / (5 * 4 / 3))
    assert second.itr_bits_per_min == pytest.approx(12.0)
    assert judged.overall.itr_bits_per_min == pytest.approx(60 * (1 - entropy(5 / 6)) / (35 / 6))


def test_confidence_stands_against_truth_in_order(judged):
    # Every window of a trial counts: by confidence, the one of 0.4 for the cue left is wrong, and
    # so is the one of 0.45; eight windows, eight bins.
    bins = judged.reliability
    assert [one.confidence for one in bins] == pytest.approx(
        [0.55, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9, 0.95]
    )
    assert [one.share_right for one in bins] == [0, 0, 1, 1, 1, 1, 1, 1]
    assert [one.n for one in bins] == [1] * 8


def test_bins_hold_equally_many_decisions():
    sure = [0.51 + 0.01 * place for place in range(18)]
    bins = judge(SPEC, *session([(0, "left", sure[:9]), (500, "left", sure[9:])]), SPAN).reliability
    assert [one.n for one in bins] == [3, 3, 2, 2, 2, 2, 2, 2]
    assert bins[0].confidence == pytest.approx(0.52)
    assert bins[-1].confidence == pytest.approx(0.675)
    assert {one.share_right for one in bins} == {1.0}


def test_fewer_decisions_than_bins_leave_no_empty_bin():
    bins = judge(SPEC, *session([(0, "left", (0.9, 0.2))]), SPAN).reliability
    assert [(one.confidence, one.share_right, one.n) for one in bins] == [(0.8, 0, 1), (0.9, 1, 1)]


def test_a_session_without_breaks_is_divided_into_quarters():
    trials = [(500 * place, CLASSES[place % 2], (0.9,)) for place in range(22)]
    blocks = judge(SPEC, *session(trials), SPAN).blocks
    assert [block.name for block in blocks] == [
        "trials 1 to 6",
        "trials 7 to 11",
        "trials 12 to 16",
        "trials 17 to 22",
    ]
    assert sum(block.n for block in blocks) == 22


def test_a_short_session_without_breaks_is_one_block():
    trials = [(500 * place, CLASSES[place % 2], (0.9,)) for place in range(19)]
    assert [block.n for block in judge(SPEC, *session(trials), SPAN).blocks] == [19]


def test_trials_that_are_far_apart_are_not_each_a_block():
    trials = [(2500 * place, CLASSES[place % 2], (0.9,)) for place in range(6)]
    found = judge(SPEC, *session(trials), SPAN)
    assert [block.n for block in found.blocks] == [6]


def test_a_block_without_any_answer_has_no_score_and_its_trials_stay():
    found = judge(SPEC, *session([*TWO_BLOCKS, (20000, "left", ()), (20500, "right", ())]), SPAN)
    assert [block.name for block in found.blocks] == ["trials 1 to 4", "trials 5 to 7"]
    assert [trial.predicted for trial in found.trials[-2:]] == [None, None]
    assert found.overall.n_abstained == 3


def test_a_trial_that_the_end_of_the_session_cut_off_is_no_abstention():
    cues, turns = session(TWO_BLOCKS)
    cut = (*cues, Marker(label="left", sample=9450))
    assert judge(SPEC, cut, turns, SPAN).overall.n_abstained == 1
    longer = (*turns, turn(9750, 0.5, neutral=True))
    assert judge(SPEC, cut, longer, SPAN).overall.n_abstained == 2


def test_a_single_trial_has_no_transfer_rate():
    found = judge(SPEC, *session([(0, "left", (0.9,))]), SPAN)
    assert found.overall.itr_bits_per_min is None
    assert found.overall.chance == 1.0


def test_always_the_wrong_answer_carries_no_bits():
    trials = [(500 * place, CLASSES[place % 2], (0.9 * (place % 2),)) for place in range(6)]
    found = judge(SPEC, *session(trials), SPAN)
    assert (found.overall.n_correct, found.overall.itr_bits_per_min) == (0, 0.0)


def test_cues_of_other_labels_are_no_trials():
    cues, turns = session(TWO_BLOCKS)
    rests = tuple(Marker(label="rest", sample=cue.sample + 420) for cue in cues)
    mixed = tuple(sorted((*cues, *rests), key=lambda cue: cue.sample))
    found = judge(SPEC, mixed, turns, SPAN)
    assert found == judge(SPEC, cues, turns, SPAN)


@pytest.mark.parametrize(
    ("cues", "turns"),
    [
        ((), (turn(60, 0.9),)),
        ((Marker(label="rest", sample=0),), (turn(60, 0.9),)),
        ((Marker(label="left", sample=0),), ()),
        ((Marker(label="left", sample=0),), (turn(60, 0.9, neutral=True),)),
        ((), ()),
    ],
    ids=["no cue", "other cues", "no decision", "neutral only", "nothing"],
)
def test_a_session_in_which_no_trial_was_decided_is_not_judged(cues, turns):
    assert judge(SPEC, cues, turns, SPAN) is None
