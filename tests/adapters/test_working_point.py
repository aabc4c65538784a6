"""Feedback settings for a wished rate of false activations, chosen on held-out recordings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.event_scores import Stretch
from diverloop.adapters.working_point import (
    Rehearsed,
    choose_working_point,
    chosen_fields,
    stretches_of,
)
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.feedback import FeedbackConfig
from diverloop.runtime.messages import Decision, Marker

RATE_HZ, STEP_S, TRIAL_S, N_TRIALS = 100.0, 0.5, 4.0, 10
SPAN = TrialSpan(classes=("move", "rest"), start_s=0.5, stop_s=TRIAL_S)
MARKERS = [
    Marker(label="move" if n % 2 else "rest", sample=round(RATE_HZ * (2 + n * TRIAL_S)))
    for n in range(2 * N_TRIALS)
]


def decision(odds: float, at_s: float) -> Decision:
    move = 1 / (1 + np.exp(-odds))
    return Decision(
        classes=("move", "rest"),
        probabilities=np.array([move, 1 - move]),
        label="move" if odds > 0 else "rest",
        stop_sample=round(at_s * RATE_HZ),
    )


def run(seed: int, skill: float, noise: float = 2.0, lag_s: float = 0.0) -> Rehearsed:
    """Somebody who moves in every other trial; `lag_s` later it is seen."""
    rng = np.random.default_rng(seed)
    decisions = []
    for step in range(round((2 + 2 * N_TRIALS * TRIAL_S) / STEP_S)):
        at_s = 2 + (step + 1) * STEP_S
        trial = int((at_s - 2 - lag_s) // TRIAL_S)
        odds = (skill if trial % 2 else -skill) + rng.normal(0, noise)
        decisions.append((decision(odds, at_s), round(at_s * 1e9)))
    return Rehearsed(
        name=f"run {seed}",
        decisions=tuple(decisions),
        stretches=stretches_of(MARKERS, SPAN, ("rest",), RATE_HZ),
        rate_hz=RATE_HZ,
    )


def test_a_smaller_wish_costs_hits_and_is_kept_on_the_recordings_it_was_chosen_on():
    runs = [run(seed, 0.5) for seed in range(3)]
    strict, lax = choose_working_point(runs, 1.0), choose_working_point(runs, 10.0)
    assert strict.report["rehearsed"]["false_per_min"] <= 1.0
    assert strict.report["rehearsed"]["hit_rate"] < lax.report["rehearsed"]["hit_rate"]
    hits = [point["hit_rate"] for point in strict.report["curve"]]
    assert [point["most_per_min"] for point in strict.report["curve"]] == [1.0, 2.0, 5.0, 10.0]
    assert hits[0] < hits[-1]


def test_what_is_promised_holds_on_average_for_recordings_nobody_has_looked_at():
    promised, later = [], []
    for person in range(4):
        point = choose_working_point([run(10 * person + n, 0.8) for n in range(3)], 2.0)
        promised.append(point.promised.hit_rate)
        fresh = run(1000 + person, 0.8).run(point.feedback)
        answered = [len(fresh.between(s.start_s, s.stop_s)) > 0 for s in fresh.stretches]
        later.append(np.mean(answered))
    assert np.mean(promised) == pytest.approx(np.mean(later), abs=0.12)


def test_the_sentence_says_what_was_wished_held_out_and_found():
    point = choose_working_point([run(seed, 2.0) for seed in range(3)], 2.0)
    sentence = point.report["sentence"]
    assert sentence.startswith("Wished were at most 2 a minute. At rest ")
    assert "each of 3 recordings held out whole, settings chosen on the others" in sentence
    assert point.report["held_out"] == ["run 0", "run 1", "run 2"]


def test_where_no_setting_is_quiet_enough_the_quietest_is_taken_and_said_to_be():
    # Seen three seconds too late, every movement is answered at rest.
    runs = [run(seed, 8.0, noise=0.1, lag_s=4.0) for seed in range(2)]
    point = choose_working_point(runs, 0.5)
    assert point.report["sentence"].startswith("No setting keeps to 0.5 a minute")


def test_a_model_that_never_answers_gets_a_card_that_says_so():
    # Rest, whatever is asked for.
    still = [
        replace(one, decisions=tuple((decision(-8.0, at / 1e9), at) for _, at in one.decisions))
        for one in (run(0, 8.0), run(1, 8.0))
    ]
    point = choose_working_point(still, 2.0)
    assert point.promised.n_hits == 0
    assert "0% of " in point.report["sentence"]
    assert "nan" not in json.dumps(point.report, allow_nan=False).lower()


def test_settings_for_a_card_build_the_same_feedback_again():
    point = choose_working_point([run(seed, 1.0) for seed in range(2)], 2.0)
    assert point.feedback.once
    assert FeedbackConfig(**point.report["feedback"]) == point.feedback
    assert "idle" not in chosen_fields(point.feedback)


def test_a_trial_ends_with_the_next_marker_and_rest_asks_for_nothing():
    markers = [Marker(label="move", sample=0), Marker(label="rest", sample=300),
               Marker(label="move", sample=900), Marker(label="other", sample=2000)]  # fmt: skip
    assert stretches_of(markers, SPAN, ("rest",), RATE_HZ) == (
        Stretch(label="move", start_s=0.0, stop_s=3.0),
        Stretch(label="move", start_s=9.0, stop_s=13.0),
    )


def test_nothing_is_judged_of_a_trial_that_was_going_on_when_decisions_began():
    whole = run(0, 2.0)
    late = Rehearsed(
        name="late", decisions=whole.decisions[10:], stretches=whole.stretches, rate_hz=RATE_HZ
    ).run(FeedbackConfig())
    assert whole.stretches[0].start_s < late.start_s == whole.stretches[0].stop_s
    assert late.stretches == whole.stretches[1 : 1 + len(late.stretches)]


def test_one_recording_or_a_wish_for_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least 2, got 1: record more"):
        choose_working_point([run(0, 1.0)], 2.0)
    with pytest.raises(ConfigError, match="must be above 0, got 0"):
        choose_working_point([run(0, 1.0), run(1, 1.0)], 0.0)
