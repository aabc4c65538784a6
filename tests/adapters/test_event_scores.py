from __future__ import annotations

import json
import math

import numpy as np
import pytest

from diverloop.adapters.agreement import AgreementConfig
from diverloop.adapters.event_scores import (
    Activation,
    EventRun,
    Stretch,
    activations_of,
    event_curve,
    event_scores,
    nmcc,
    selections_of,
)
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Command, Decision, StageTimes, Turn


def run(activations, *, stop_s: float = 100.0) -> EventRun:
    """Four cues of 5 s, every 20 s from 10 s on: 80 s of idle time."""
    cues = ("left", "right", "left", "right")
    return EventRun(
        stretches=tuple(
            Stretch(label=cue, start_s=10.0 + 20 * place, stop_s=15.0 + 20 * place)
            for place, cue in enumerate(cues)
        ),
        activations=tuple(Activation(label=label, at_s=at_s) for label, at_s in activations),
        start_s=0.0,
        stop_s=stop_s,
    )


HAND = (
    ("left", 5.0),  # idle
    ("left", 12.0),  # hit after 2 s
    ("right", 13.0),  # too late to matter
    ("left", 15.0),  # the stretch is over: idle
    ("left", 31.0),  # wrong
    ("left", 54.0),  # hit after 4 s
    ("right", 99.0),  # idle; the cue at 70 s was missed
)


def test_every_figure_is_a_hand_count():
    found = event_scores([run(HAND)])
    assert (found.n_trials, found.n_hits, found.n_wrong, found.n_misses) == (4, 2, 1, 1)
    assert (found.n_false, found.idle_s) == (3, 80.0)
    assert (found.hit_rate, found.wrong_rate) == (0.5, 0.25)
    assert found.false_per_min == pytest.approx(60 * 3 / 80)
    assert found.delay_median_s == pytest.approx(3.0)
    assert found.delay_p90_s == pytest.approx(3.8)


def test_runs_are_pooled_and_are_what_is_drawn_for_the_interval():
    good = run([("left", 12.0), ("right", 32.0), ("left", 52.0), ("right", 72.0)])
    bad = run([("left", 5.0), ("left", 25.0)])
    found = event_scores([good, bad])
    assert (found.hit_rate, found.false_per_min) == (0.5, pytest.approx(60 * 2 / 160))
    assert found.hit_interval == (0.0, 1.0)
    assert found.false_interval == (0.0, pytest.approx(1.5))
    assert event_scores([good, bad]) == found


def test_one_run_is_drawn_by_trials_and_idle_stretches():
    found = event_scores([run(HAND)])
    assert 0 <= found.hit_interval[0] < 0.5 < found.hit_interval[1] <= 1
    assert found.false_interval[0] < found.false_per_min < found.false_interval[1]


def test_a_decoder_that_never_acts_misses_all_and_disturbs_nobody():
    found = event_scores([run([])])
    assert (found.hit_rate, found.false_per_min, found.n_misses) == (0.0, 0.0, 4)
    assert math.isnan(found.delay_median_s)
    # A card is JSON, which has no NaN.
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert (plain["delay_median_s"], plain["n_misses"]) == (None, 4)
    assert event_scores([run([])], intervals=False).as_dict()["hit_interval"] == [None, None]


def test_without_trials_or_idle_time_there_is_no_rate():
    quiet = EventRun(stretches=(), activations=(), start_s=0.0, stop_s=60.0)
    busy = EventRun(
        stretches=(Stretch(label="left", start_s=0.0, stop_s=60.0),),
        activations=(),
        start_s=0.0,
        stop_s=60.0,
    )
    assert math.isnan(event_scores([quiet]).hit_rate)
    assert math.isnan(event_scores([busy]).false_per_min)
    assert all(map(math.isnan, event_scores([busy]).hit_interval))


def test_a_decision_that_lasts_acts_again_after_the_refractory_time():
    labels, ends_s = ["left"] * 21, np.arange(21) * 0.5
    found = activations_of(labels, ends_s, refractory_s=4.0)
    assert [one.at_s for one in found] == [0.0, 4.0, 8.0]


def test_windows_must_agree_before_they_act():
    labels = ["left", "right", "right", None, "left", "left", "left"]
    ends_s = np.arange(7.0)
    once = activations_of(labels, ends_s, refractory_s=0.0)
    assert [one.at_s for one in once] == [0, 1, 2, 4, 5, 6]
    twice = activations_of(labels, ends_s, agreement=AgreementConfig(k=2, n=2), refractory_s=0.0)
    assert [(one.label, one.at_s) for one in twice] == [("right", 2.0), ("left", 5.0)]


def test_a_higher_threshold_trades_hits_for_quiet():
    rng = np.random.default_rng(0)
    ends_s = np.arange(0.5, 100, 0.5)
    plain = run([])
    asked = np.array([any(s.start_s < t < s.stop_s for s in plain.stretches) for t in ends_s])
    sure = np.where(asked, 0.6, 0.4) + 0.2 * rng.random(len(ends_s))
    names = ["right" if 30 < t < 40 or 70 < t < 80 else "left" for t in ends_s]

    def runs_at(threshold):
        labels = [n if p >= threshold else None for n, p in zip(names, sure, strict=True)]
        return [run([(a.label, a.at_s) for a in activations_of(labels, ends_s)])]

    curve = event_curve(runs_at, [0.9, 0.3, 0.6, 0.75])
    assert curve.thresholds.tolist() == [0.3, 0.6, 0.75, 0.9]
    assert (np.diff(curve.false_per_min) <= 0).all()
    assert curve.hit_rate[1] == 1.0
    assert (curve.hit_rate[-1], curve.false_per_min[-1]) == (0.0, 0.0)
    assert curve.best_within(2.0) == (0.6, 1.0)
    assert all(map(math.isnan, event_curve(runs_at, [0.3]).best_within(2.0)))


def test_selections_of_a_session_are_its_activations():
    times = StageTimes(
        due_ns=0, arrived_ns=0, conditioned_ns=0, cut_ns=0, encoded_ns=0, decided_ns=0,
        fed_back_ns=0, acted_ns=0,
    )  # fmt: skip
    turns = [
        Turn(
            decision=Decision(
                classes=("left", "right"),
                probabilities=np.array([0.9, 0.1]),
                label="left",
                first_sample=stop - 100,
                stop_sample=stop,
            ),
            command=Command(label="left", strength=0.9, selected=selected),
            times=times,
        )
        for stop, selected in ((100, False), (250, True), (300, False))
    ]
    assert selections_of(turns, 100.0) == (Activation(label="left", at_s=2.5),)


def test_the_correlation_is_matthews_own_for_two_classes():
    truth = [None] * 60 + ["left"] * 40
    decided = [None] * 50 + ["left"] * 10 + ["left"] * 25 + [None] * 15
    tp, tn, fp, fn = 25, 50, 10, 15
    matthews = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert nmcc(truth, decided) == pytest.approx((1 + matthews) / 2)


def test_always_idle_is_worth_nothing_however_often_it_is_right():
    truth = [None] * 90 + ["left"] * 5 + ["right"] * 5
    assert nmcc(truth, [None] * 100) == 0.5
    assert nmcc(truth, truth) == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    many = rng.permutation(np.array(truth * 50, dtype=object)).tolist()
    assert nmcc(truth * 50, many) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("start_s", "stop_s"), [(5.0, 5.0), (-1.0, 2.0), (90.0, 101.0)])
def test_stretches_outside_of_the_judged_time_are_refused(start_s, stop_s):
    with pytest.raises(ConfigError, match="Stretches must follow each other"):
        EventRun(
            stretches=(Stretch(label="left", start_s=start_s, stop_s=stop_s),),
            activations=(),
            start_s=0.0,
            stop_s=100.0,
        )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: event_scores([]), "At least 1 run"),
        (lambda: activations_of(["left"], [1.0, 2.0]), "One rising time for each of 1"),
        (lambda: activations_of(["left"] * 2, [2.0, 1.0]), "rising"),
        (lambda: nmcc(["left"], []), "equally many"),
        (lambda: nmcc([], []), "at least 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
