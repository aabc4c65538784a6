import dataclasses

import numpy as np

from diverloop.runtime.record.report import Score, decoder_sections, summary
from diverloop.runtime.record.report.course import Course
from diverloop.runtime.record.report.locked import find_cues
from diverloop.runtime.record.report.quality import Verdict
from diverloop.runtime.record.report.summary import Facts
from diverloop.runtime.record.report.survey import look_through

from .conftest import noise


def facts_of(record, performance=None) -> Facts:
    cues = find_cues(record)
    survey = look_through(record, cues)
    course = Course(record, survey.lost)
    return Facts(record=record, cues=cues, survey=survey, course=course, performance=performance)


def test_the_summary_of_a_full_session_says_what_happened(whole):
    facts = facts_of(*whole)
    told = summary.sentences(facts)
    assert 4 <= len(told) <= 6
    text = " ".join(told)
    assert "40 cues (left and right)" in text
    assert "33 of 39 trials (85 %, 95 % interval 70 to 93 %; guessing would give 50 %)" in text
    assert "14 of 16 electrodes; F7 was noisy from 3:05 on, T8 was flat on and off." in text
    assert "3 interruptions, 4.2 s of signal lost; output was neutral meanwhile." in text
    assert "pressed once, at 5:00" in text


def test_a_score_that_guessing_might_give_is_not_praised():
    score = Score(
        name="", n=20, n_correct=12, accuracy=0.6, interval=(0.39, 0.78), chance=0.5, p_value=0.25
    )
    assert "which guessing might give, too" in summary.score_sentence(score)


def test_commands_on_lost_signal_are_never_called_neutral(whole):
    record, _ = whole
    acted = next(t for t in record.turns if t.command.label is not None)
    facts = facts_of(record)
    first = acted.decision.first_sample
    survey = dataclasses.replace(facts.survey, lost=((first, first + 250),))
    course = Course(dataclasses.replace(record, turns=(acted,)), survey.lost)
    text = summary.interruptions(dataclasses.replace(facts, survey=survey, course=course))
    assert (
        text
        == "1 interruption, 1.0 s of signal lost; 1 command left the system on incomplete signal."
    )


def test_what_is_missing_is_said_in_words(bare_record):
    told = summary.sentences(facts_of(bare_record(noise(4, 5000))))
    assert (
        "No decoder ran, or its decisions are not in this file, so nothing is said of it." in told
    )
    assert "Nothing in this file tells whether output was allowed." in told
    assert "No signal was lost." in told


def test_flat_channels_leave_nothing_good(bare_record):
    told = summary.sentences(facts_of(bare_record(np.zeros((4, 5000), np.float32))))
    assert "No electrode gave a good signal: flat (4 electrodes)." in told


def test_nobody_pressed_stop_when_nobody_did(whole):
    record, _ = whole
    calm = dataclasses.replace(record, events=record.events[:2])
    assert summary.safety(facts_of(calm)).startswith("Nobody pressed stop; output was allowed for")


def test_faults_that_are_alike_are_told_together():
    bad = [
        Verdict(name=name, good=False, share_good=0.1, cause="noisy", from_s=180.0)
        for name in ("F7", "T8")
    ]
    assert summary.faults(bad) == "F7 and T8 were noisy from 3:00 on"


def test_tiles_call_for_a_look_exactly_where_something_was_wrong(whole):
    states = {tile.name: tile.state for tile in summary.tiles(facts_of(*whole))}
    assert states == {
        "Right decisions": "fine",
        "Good electrodes": "look",
        "Signal lost": "look",
        "Delay": "look",
        "Emergency stop": "look",
    }


def test_of_a_session_that_did_not_run_in_real_time_no_delay_is_told(whole):
    record, performance = whole
    played = dataclasses.replace(record.manifest, live=False)
    facts = facts_of(dataclasses.replace(record, manifest=played), performance)
    text = " ".join(summary.sentences(facts))
    assert "its delays mean nothing" in text
    assert "in the median" not in text
    (tile,) = [tile for tile in summary.tiles(facts) if tile.name == "Delay"]
    assert (tile.detail, tile.state) == ("not in real time", "none")
    assert "delays mean nothing" in str(decoder_sections.delays(facts))
