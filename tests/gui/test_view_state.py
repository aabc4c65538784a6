from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from diverloop.gui.view_state import (
    HISTORY,
    SEIZURE,
    ViewState,
    guard_text,
    plain_line,
    score_text,
    signal_text,
)
from diverloop.runtime.latency import LatencyBook
from diverloop.runtime.messages import (
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.telemetry import Score

SECOND_NS = 1_000_000_000


SUSPECTED = "Research guard, not a diagnosis: seizure-like activity in T3, T5 and Cz."


def quality(**causes):
    """Of four electrodes, those with a cause masked."""
    names = ("Fp1", "Cz", "T8", "Oz")
    good = np.array([name not in causes for name in names])
    return Quality(
        channels=names, scores=np.where(good, 1.0, 0.0).astype(np.float32), usable=good,
        causes=tuple(causes.get(name, "") for name in names),
    )  # fmt: skip


def turn(label="left", probability=0.8, encoded=True, reason="not sure enough"):
    chances = np.array([probability, 1 - probability])
    decision = Decision(
        classes=("left", "right"),
        probabilities=chances if label else chances * np.nan,
        label=label,
        reason="" if label else reason,
        stop_sample=500,
    )
    times = StageTimes(
        due_ns=0, arrived_ns=8_000_000, conditioned_ns=9_000_000, cut_ns=9_000_000,
        encoded_ns=12_000_000, decided_ns=12_000_000, fed_back_ns=12_000_000, acted_ns=12_500_000,
    )  # fmt: skip
    embedding = Embedding(values=np.zeros(2)) if encoded else None
    return Turn(
        decision=decision, command=Command(label=label, strength=0.5), times=times,
        embedding=embedding,
    )  # fmt: skip


def state_after(*messages, now_ns=0):
    state = ViewState(session="demo")
    for message in messages:
        state.take(message, now_ns)
    state.now_ns = now_ns
    return state


def said(kind, text="Something happened.", count=0):
    return Event(kind=kind, text=text, count=count)


def test_samples_are_counted_from_chunks_and_decisions():
    chunk = Chunk(samples=np.zeros((2, 10)), first_sample=1000, arrived_ns=0)
    assert state_after(chunk).n_samples == 1010
    assert state_after(turn()).n_samples == 500


def test_the_probability_of_the_decided_class_is_remembered_and_an_abstention_is_a_blank():
    state = state_after(turn("right", 0.25), turn(None), turn("left", 0.8))
    assert list(state.history) == pytest.approx([0.75, math.nan, 0.8], nan_ok=True)


def test_the_history_does_not_grow():
    assert len(state_after(*[turn()] * 100).history) == HISTORY


def test_a_guard_event_sets_the_guard_and_not_the_last_event():
    state = state_after(said(EventKind.RATE, "Odd."), said(EventKind.GUARD, "armed"))
    assert (state.guard, state.last_event) == ("armed", "Odd.")


def test_gaps_misses_and_skips_are_counted():
    state = state_after(
        said(EventKind.GAP, count=40),
        said(EventKind.GAP, count=2),
        said(EventKind.LATE, count=3),
        said(EventKind.MISSED),
    )
    report = state.latency()
    assert (state.n_gaps, state.n_lost) == (2, 42)
    assert (report.skipped_late, report.missed_deadlines) == (3, 1)


def test_an_abstaining_adapter_has_decoded_and_an_unencoded_window_was_refused():
    report = state_after(turn(None), turn(None, encoded=False)).latency()
    assert report.decoded == 1
    assert report.refused == {"not sure enough": 1}


def test_the_report_of_the_loop_goes_before_what_the_view_saw():
    loops = LatencyBook().report()
    assert state_after(turn(), loops).latency() is loops


@pytest.mark.parametrize("said_by_loop", ["The guard is {}.", "The guard went from holding to {}."])
def test_the_guard_is_told_by_where_it_is_and_what_that_means(said_by_loop):
    text = said_by_loop.format("armed")
    assert guard_text(state_after(said(EventKind.GUARD, text))) == "armed, commands pass"
    assert plain_line(state_after(said(EventKind.GUARD, text))).count("guard") == 1
    assert guard_text(ViewState()) == "nothing heard from the guard yet"


def test_the_plain_line_tells_the_essentials():
    line = plain_line(
        state_after(turn(), said(EventKind.GUARD, "armed"), said(EventKind.GAP, count=40))
    )
    assert line == (
        "decision LEFT (0.80); 500 samples, 1 gap (40 samples lost); "
        "sample to act p50 12.5, p99 12.5 ms; guard: armed"
    )


def test_the_plain_line_of_an_abstention_has_no_probability():
    assert plain_line(state_after(turn(None))).startswith("decision NEUTRAL; 500 samples, no gap")


def test_the_plain_line_stays_one_line():
    assert "\n" not in plain_line(state_after(said(EventKind.GUARD, "armed\nby a person")))


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"heard_at_ns": None}, "no message has come yet"),
        ({"now_ns": 3 * SECOND_NS}, "silent for 3 s, all else is old"),
        ({"unreadable": 2}, "2 messages unreadable"),
        ({"missed_messages": 5}, "too slow for 5 messages"),
    ],
)
def test_whatever_makes_the_view_doubtful_is_said(change, warning):
    state = state_after(turn())
    assert warning not in plain_line(state)
    for name, value in change.items():
        setattr(state, name, value)
    assert warning in plain_line(state)


def test_a_score_is_told_with_its_interval():
    score = Score(hits=34, trials=40, interval=(0.71, 0.93))
    assert score_text(score) == "34 of 40: 85 % (71 to 93 %)"
    assert "34 of 40" in plain_line(state_after(turn(), score))


def test_a_score_without_trials_divides_by_nothing():
    assert score_text(Score(hits=0, trials=0, interval=(0.0, 1.0))) == "no trial judged yet"


def test_a_stream_is_remembered():
    spec = StreamSpec(name="amp", rate_hz=500.0, channels=())
    assert state_after(spec, turn()).spec is spec


def test_the_signal_is_one_number_with_the_masked_electrodes_and_why():
    assert signal_text(quality()) == "signal: 1.00, none masked"
    tense = replace(quality(), muscle=0.4)
    assert signal_text(tense) == "signal: 1.00, muscle 0.40, none masked"
    found = signal_text(quality(T8="noisy", Fp1="flat"))
    assert found == "signal: 0.50, masked: Fp1 (flat), T8 (noisy)"


def test_an_electrode_that_is_getting_better_is_masked_without_a_cause():
    healing = quality(T8="")
    assert signal_text(healing) == "signal: 0.75, masked: T8"


def test_of_many_masked_electrodes_four_are_named_and_the_rest_is_counted():
    names = tuple(f"E{n}" for n in range(128))
    all_bad = Quality(
        channels=names, scores=np.zeros(128, np.float32), causes=("flat",) * 128,
        usable=np.zeros(128, bool),
    )  # fmt: skip
    text = signal_text(all_bad)
    assert text == "signal: 0.00, masked: E0 (flat), E1 (flat), E2 (flat), E3 (flat) and 124 more"


def test_the_newest_quality_is_in_the_plain_line_and_nothing_without_one():
    state = state_after(turn(), quality(T8="noisy"), quality())
    assert "; signal: 1.00, none masked; " in plain_line(state)
    assert "signal" not in plain_line(state_after(turn()))


def test_a_suspected_seizure_goes_before_everything_until_a_person_has_reset_the_guard():
    state = state_after(turn(), said(EventKind.SEIZURE, SUSPECTED))
    assert state.seizure == SUSPECTED
    for text in ("The guard went from armed to stopped.", "Something else."):
        state.take(said(EventKind.GUARD, text), 0)
        assert plain_line(state).startswith(f"{SEIZURE}; decision LEFT")
    state.take(said(EventKind.GUARD, "The guard went from stopped to disarmed."), 0)
    assert state.seizure == ""
    assert plain_line(state).startswith("decision LEFT")


def test_a_view_that_comes_late_learns_of_the_seizure_from_the_refused_windows():
    assert state_after(turn(None, reason=SUSPECTED)).seizure == SUSPECTED
    assert state_after(turn(None)).seizure == ""


def test_a_spike_is_no_seizure():
    text = "Research guard, not a diagnosis: spike-like activity in T3."
    state = state_after(said(EventKind.SPIKE, text))
    assert (state.seizure, state.last_event) == ("", text)
