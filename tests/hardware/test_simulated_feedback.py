"""Feedback that is sometimes wrong, and what it evokes in a simulated participant."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.hardware.simulated_feedback import (
    RESPONSE_S,
    ErrorResponse,
    FeedbackPlan,
    FeedbackTimeline,
)
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Command, Decision
from diverloop.runtime.settings import build

HOUR_S = 3600.0


def timeline(seed=0, **fields):
    return FeedbackTimeline(FeedbackPlan(**fields), 250.0, seed)


def heard(snr=1.0, cut=10_000, told=None, **fields):
    """Signal and markers of a participant, read in pieces of `cut` samples."""
    clock = VirtualClock()
    settings = {"task": "error", "duration_s": 12.0, "blinks_per_min": 0.0, "snr": snr}
    person = SimulatedParticipant(SimulatorConfig(**settings | fields), clock)
    person.open()
    pieces, markers = [], []
    while not person.ended:
        chunk = person.read(cut, clock.now_ns() + 10**9)
        if chunk is None:
            continue
        pieces.append(chunk.samples)
        markers += [(marker.label, marker.sample) for marker in chunk.markers]
        if told is not None:
            nothing = np.full(2, np.nan)
            decision = Decision(classes=("right", "wrong"), probabilities=nothing, label=told)
            person.act(decision, Command(label=told))
    return np.concatenate(pieces, axis=1), markers, person


def test_feedback_comes_every_two_to_three_seconds_and_a_quarter_is_wrong():
    trials = timeline().between(0, HOUR_S)
    gaps_s = np.diff([trial.cue_s for trial in trials])
    assert gaps_s.min() >= 2.0
    assert gaps_s.max() <= 3.0
    assert np.mean([trial.label == "wrong" for trial in trials]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([trial.vigour == 0 for trial in trials]) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_that_is_wrong_can_be_chosen(share):
    trials = timeline(wrong_share=share).between(0, 300)
    assert {trial.label for trial in trials} == {"wrong" if share else "right"}


def test_the_same_seed_gives_the_same_feedback_in_whatever_order_it_is_asked_for():
    late = timeline(seed=3)
    late.between(200, 300)
    assert late.between(0, 100) == timeline(seed=3).between(0, 100)
    assert late.between(0, 100) != timeline(seed=4).between(0, 100)


def test_markers_lie_where_feedback_is_shown_however_the_stream_is_cut():
    whole, line = timeline().markers(0, 25_000), timeline()
    starts = range(0, 25_000, 7)
    cut = [mark for at in starts for mark in line.markers(at, min(at + 7, 25_000))]
    assert cut == whole
    shown = timeline().between(0, 100)[: len(whole)]
    assert [mark.label for mark in whole] == [f"feedback:{trial.label}" for trial in shown]
    for mark, trial in zip(whole, shown, strict=True):
        assert 0 <= mark.sample / 250 - trial.cue_s < 1 / 250


def test_the_truth_is_known_while_the_response_lasts():
    line = timeline()
    for trial in line.between(0, 60):
        assert line.intended_at(trial.cue_s) == trial.label
        assert line.busy_at(trial.cue_s + RESPONSE_S / 2)
        assert line.intended_at(trial.cue_s + RESPONSE_S + 0.01) == "rest"


def test_the_response_fades_by_a_fifth_over_a_session_and_no_further():
    plan = FeedbackPlan()
    assert plan.strength(0.0) == 1.0
    assert plan.strength(900.0) == pytest.approx(0.9)
    assert plan.strength(1800.0) == plan.strength(9000.0) == pytest.approx(0.8)
    trials = timeline(lapse_share=0.0).between(0, 2 * HOUR_S)
    early = [trial.vigour for trial in trials if trial.cue_s < 600]
    late = [trial.vigour for trial in trials if trial.cue_s > 1800]
    assert np.mean(late) / np.mean(early) == pytest.approx(0.8 / 0.967, abs=0.06)


def test_an_error_evokes_a_positive_negative_positive_and_negative_peak():
    trial = timeline(wrong_share=1.0, lapse_share=0.0).between(0, 3)[0]
    trial = dataclasses.replace(trial, lateness_s=0.0, vigour=1.0, cue_s=0.0)
    times_s = np.arange(0, 1.2, 0.002)
    mean = np.mean([ErrorResponse(who).course(times_s, [trial])[0] for who in range(60)], axis=0)
    peaks = [
        (times_s[row], np.sign(mean[row]))
        for row in range(1, len(mean) - 1)
        if abs(mean[row]) > 0.8 and (mean[row] - mean[row - 1]) * (mean[row + 1] - mean[row]) < 0
    ]
    assert [sign for _, sign in peaks] == [1, -1, 1, -1]
    np.testing.assert_allclose([at for at, _ in peaks], [0.20, 0.25, 0.32, 0.45], atol=0.03)
    assert 1 < np.abs(mean).max() < 8  # microvolts
    assert (mean[times_s >= RESPONSE_S] == 0).all()


def test_right_feedback_evokes_much_less_and_an_overlooked_error_nothing():
    trial = timeline(lapse_share=0.0).between(0, 3)[0]
    times_s = trial.cue_s + np.arange(0, 0.8, 0.004)
    response = ErrorResponse(0)

    def largest(**changes):
        return np.abs(response.course(times_s, [dataclasses.replace(trial, **changes)])).max()

    assert largest(label="right") == pytest.approx(0.25 * largest(label="wrong"))
    assert largest(label="wrong", vigour=0.0) == 0


def test_people_differ_and_stay_who_they_are():
    trial = timeline(lapse_share=0.0).between(0, 3)[0]
    times_s = trial.cue_s + np.arange(0, 0.8, 0.004)
    one, same, other = (ErrorResponse(who).course(times_s, [trial]) for who in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_it_is_largest_over_the_middle_of_the_front():
    fields = {"montage": "eeg64", "feedback": FeedbackPlan(wrong_share=1.0, lapse_share=0.0)}
    # The same noise with and without, so the difference is the response; rhythms scale along.
    loud, markers, person = heard(snr=2.0, **fields)
    rest, _, _ = heard(snr=1.0, **fields)
    names = person.spec.channel_names
    rows = [at + np.arange(0, 200) for _, at in markers if at + 200 <= loud.shape[1]]
    evoked = np.mean([(loud - rest)[:, row] for row in rows], axis=0)
    strength = dict(zip(names, np.ptp(evoked[:, 40:120], axis=1), strict=True))
    assert strength["FCz"] > 2 * strength["T7"]
    assert strength["FCz"] > 2 * strength["P8"]


@pytest.mark.parametrize("cut", [1, 33])
def test_no_bit_depends_on_how_the_stream_is_cut(cut):
    fields = {"montage": "eeg8", "duration_s": 6.0, "chunk_s": 0.0}
    want, got = heard(**fields), heard(cut=cut, **fields)
    np.testing.assert_array_equal(got[0], want[0])
    assert got[1] == want[1] != []


def test_what_a_detector_says_changes_nothing_in_the_participant():
    quiet, told = heard(montage="eeg8"), heard(montage="eeg8", cut=50, told="wrong")
    np.testing.assert_array_equal(told[0], quiet[0])
    assert told[2].skill == quiet[2].skill


def test_a_participant_who_monitors_keeps_the_clauses_of_a_source():
    clock = VirtualClock()
    check_source(SimulatedParticipant(SimulatorConfig(task="error"), clock), clock)


def test_a_session_file_can_say_how_often_feedback_is_wrong():
    table = {"task": "error", "feedback": {"wrong_share": 0.4, "gap_s": [1.5, 2]}}
    config = build(SimulatorConfig, table, "source")
    assert config.feedback == FeedbackPlan(wrong_share=0.4, gap_s=(1.5, 2.0))


@pytest.mark.parametrize(
    "fields",
    [{"wrong_share": 1.1}, {"lapse_share": -0.1}, {"habituation": float("nan")},
     {"gap_s": (0.5, 2.0)}, {"gap_s": (3.0, 2.0)}, {"session_s": 0.0}],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(fields):
    with pytest.raises(ConfigError, match=next(iter(fields))):
        FeedbackPlan(**fields)


def test_there_is_no_error_potential_inside_the_skull():
    with pytest.raises(ConfigError, match="scalp"):
        SimulatorConfig(task="error", montage="ecog8x8")
