"""Single events of two kinds are judged by the area under the curve."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.detection_scorer import DetectionScorer
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.messages import Command, Decision, Marker, Turn

from .test_trial_scorer import SPEC, TIMES, cues

KINDS = ("nontarget", "target")
SPAN = TrialSpan(classes=KINDS, start_s=0.0, stop_s=1.0)


def judged(events):
    """A scorer that has seen events, each a kind and the probability of a target."""
    scorer = DetectionScorer(SPAN, "target")
    scorer.watch(SPEC)
    for place, (kind, target) in enumerate(events):
        scorer.watch(cues((kind, 200 * place)))
        decision = Decision(
            classes=KINDS,
            probabilities=np.array([1 - target, target]),
            label=KINDS[int(target > 0.5)],
            first_sample=200 * place,
            stop_sample=200 * place + 80,
            marker=Marker(label=kind, sample=200 * place),
        )
        scorer.watch(Turn(decision=decision, command=Command(label=None), times=TIMES))
    return scorer


def test_it_is_a_watcher():
    check_watcher(DetectionScorer(SPAN, "target"), SPEC)


def test_rare_events_are_judged_by_the_area_and_not_by_accuracy():
    flat = [("nontarget", 0.1)] * 9 + [("target", 0.1)]
    report = judged(flat).report()
    assert (report.n, report.n_kind, report.n_correct) == (10, 1, 9)
    assert report.auc == 0.5
    told_apart = [("nontarget", 0.1)] * 9 + [("target", 0.2)]
    assert judged(told_apart).report().auc == 1.0


def test_the_area_is_said_with_its_interval():
    events = [("nontarget", 0.1), ("target", 0.4), ("nontarget", 0.3), ("target", 0.2)] * 5
    report = judged(events).report()
    assert report.auc == pytest.approx(0.75)
    assert report.interval[0] < 0.75 < report.interval[1]
    assert report.sentence().startswith("10 of 20 events were target: area under the curve 0.75")
    assert (report.measure, report.meaning) == ("detection", "AUC 0.75")


def test_one_kind_alone_says_nothing():
    assert judged([("nontarget", 0.1)] * 4).report() is None
    assert "nothing was decided" not in judged([]).why_nothing()
