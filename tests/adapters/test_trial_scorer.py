"""Trials are judged by the summed evidence of the windows that lie inside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.messages import (
    Channel,
    Chunk,
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


def cues(*labels_and_samples: tuple[str, int]) -> Chunk:
    markers = tuple(Marker(label=label, sample=sample) for label, sample in labels_and_samples)
    return Chunk(
        samples=np.zeros((1, 0), np.float32), first_sample=-1, arrived_ns=0, markers=markers
    )


def turn(stop: int, left: float, *, first: int | None = None, neutral: bool = False) -> Turn:
    """A decision on one second of signal that ends at `stop`."""
    label = None if neutral else CLASSES[int(left < 0.5)]
    decision = Decision(
        classes=CLASSES,
        probabilities=np.array([left, 1 - left]),
        label=label,
        reason="tried out" if neutral else "",
        first_sample=stop - 100 if first is None else first,
        stop_sample=stop,
    )
    return Turn(decision=decision, command=Command(label=label), times=TIMES)


def scorer(*messages: object, on_change: Callable[..., None] | None = None) -> TrialScorer:
    made = TrialScorer(SPAN)
    made.on_change = on_change
    for message in (SPEC, *messages):
        made.watch(message)
    return made


def test_it_is_a_watcher():
    check_watcher(TrialScorer(SPAN), SPEC)


def test_without_a_decision_inside_a_trial_there_is_no_score():
    assert scorer().report() is None
    assert scorer(cues(("left", 100)), turn(140, 0.9)).report() is None
    assert "no cue of the model's classes" in scorer(cues(("pause", 5))).why_nothing()
    undecided = scorer(cues(("left", 100), ("right", 900)), turn(140, 0.9))
    assert "nothing was decided in the 2 trials" in undecided.why_nothing()


@pytest.mark.parametrize(
    ("first", "stop", "counts"),
    [(150, 250, True), (149, 249, False), (400, 500, True), (401, 501, False), (50, 150, False)],
)
def test_a_window_counts_if_it_lies_inside_the_span(first, stop, counts):
    report = scorer(cues(("left", 100)), turn(stop, 0.9, first=first)).report()
    assert (report is not None) is counts


def test_a_trial_is_judged_by_all_its_windows_together():
    surer = scorer(cues(("left", 0)), turn(200, 0.95), turn(250, 0.4), turn(300, 0.4)).report()
    assert (surer.n, surer.n_correct) == (1, 1)
    outvoted = scorer(cues(("left", 0)), turn(200, 0.55), turn(250, 0.3), turn(300, 0.4)).report()
    assert (outvoted.n, outvoted.n_correct) == (1, 0)


def test_a_window_belongs_to_the_last_cue_before_it():
    report = scorer(
        cues(("left", 0), ("right", 500)), turn(300, 0.9), turn(700, 0.2), turn(800, 0.2)
    ).report()
    assert report.confusion == ((1, 0), (0, 1))
    assert report.accuracy == 1.0


def test_other_markers_end_a_trial_and_are_not_judged():
    report = scorer(cues(("left", 0), ("rest", 200)), turn(350, 0.9)).report()
    assert report is None


def test_neutral_decisions_are_not_judged():
    assert scorer(cues(("left", 0)), turn(200, 0.9, neutral=True)).report() is None


def test_a_probability_of_zero_does_not_outweigh_everything():
    turns = [turn(stop, 0.9) for stop in range(200, 400, 10)]
    assert scorer(cues(("left", 0)), turn(195, 0.0), *turns).report().n_correct == 1


def test_every_change_is_told():
    told = []
    scorer(
        cues(("left", 0)),
        turn(100, 0.9),
        turn(200, 0.9),
        turn(300, 0.05),
        turn(350, 0.001),
        on_change=told.append,
    )
    assert [(report.n, report.n_correct) for report in told] == [(1, 1), (1, 0), (1, 0)]


def test_outcomes_name_every_trial_and_what_was_decided():
    found = scorer(
        cues(("left", 0), ("rest", 450), ("right", 500), ("left", 1000)),
        turn(200, 0.9),
        turn(300, 0.3),
        turn(700, 0.6),
        turn(1200, 0.2, neutral=True),
    ).outcomes()
    assert [(cue.label, cue.sample, decided) for cue, decided in found] == [
        ("left", 0, "left"),
        ("right", 500, "left"),
        ("left", 1000, None),
    ]


def test_outcomes_agree_with_the_report():
    made = scorer(cues(("left", 0), ("right", 500)), turn(300, 0.9), turn(700, 0.6))
    decided = [(cue.label, said) for cue, said in made.outcomes() if said]
    report = made.report()
    assert sum(cue == said for cue, said in decided) == report.n_correct == 1
    assert len(decided) == report.n == 2


def test_without_a_cue_there_is_no_outcome():
    assert scorer().outcomes() == ()
    assert scorer(turn(200, 0.9)).outcomes() == ()
    assert scorer(cues(("rest", 0)), turn(200, 0.9)).outcomes() == ()
