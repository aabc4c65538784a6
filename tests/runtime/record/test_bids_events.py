"""The event tables of BIDS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.runtime.messages import Event, EventKind, Marker
from diverloop.runtime.record.bids_events import (
    decision_columns,
    decision_rows,
    decisions_sidecar,
    event_rows,
    events_sidecar,
    hed_label,
)

from .example import LOST, RATE_HZ, foreign, recording


def kinds_of(rows):
    return [row["trial_type"] for row in rows]


def test_every_marker_keeps_its_label_and_its_sample():
    record = recording()
    rows = event_rows(record, [])
    found = {(row["trial_type"], row["sample"]) for row in rows}
    assert {(m.label, m.sample) for m in record.markers} <= found


def test_onsets_follow_samples_and_rows_stand_in_order():
    rows = event_rows(recording(), LOST)
    assert all(row["onset"] == row["sample"] / RATE_HZ for row in rows)
    assert [row["sample"] for row in rows] == sorted(row["sample"] for row in rows)


def test_a_marker_says_on_which_of_several_streams_it_came():
    record = replace(recording(), markers=(Marker(label="key", sample=1, stream="keys"),))
    rows = {row["trial_type"]: row["text"] for row in event_rows(record, [])}
    assert rows["key"] == "came on the marker stream keys"


def test_each_hole_is_a_bad_gap_of_its_length():
    rows = [row for row in event_rows(recording(), LOST) if row["trial_type"] == "BAD_gap"]
    assert [(row["sample"], row["duration"]) for row in rows] == [(700, 80 / 250), (1990, 10 / 250)]


def test_feedback_is_written_when_it_changes_and_lasts_until_the_next():
    rows = [row for row in event_rows(recording(), []) if row["trial_type"].startswith("feedback")]
    assert kinds_of(rows) == ["feedback/left", "feedback/neutral", "feedback/right"]
    assert rows[0]["sample"] + round(rows[0]["duration"] * RATE_HZ) == rows[1]["sample"]


def test_guard_promotion_faults_recoveries_selections_and_notes_have_their_types():
    kinds = set(kinds_of(event_rows(recording(), [])))
    assert {"guard", "promotion", "fault/stale", "recovery/fresh", "selection/left", "note"} < kinds


@pytest.mark.parametrize(
    ("kind", "trial_type", "tags"),
    [
        (EventKind.STOPPED, "control/stopped", "Experiment-control"),
        (EventKind.LISTENING, "control/listening", "Experiment-control"),
        (EventKind.STIMULATION, "control/stimulation", "Experiment-control"),
        (EventKind.SENT, "control/sent", "Experiment-control"),
        (EventKind.LEARNER, "control/learner", "Experiment-control"),
        (EventKind.MISSED, "fault/missed", "Experiment-control"),
        (EventKind.SPIKE, "finding/spike", "Data-feature"),
        (EventKind.BLANKED, "finding/blanked", "Data-feature, Data-artifact"),
        (EventKind.STALE, "fault/stale", "Data-feature, Data-artifact"),
    ],
)
def test_only_what_spoils_the_signal_is_called_an_artefact_of_it(kind, trial_type, tags):
    event = Event(kind=kind, text="x", sample=5)
    record = replace(foreign(), events=(event,), markers=())
    (row,) = event_rows(record, [])
    assert (row["trial_type"], row["HED"]) == (trial_type, f"({tags}, Label/{kind})")


def test_a_value_stands_for_one_trial_type():
    rows = event_rows(recording(), LOST)
    pairs = {(row["trial_type"], row["value"]) for row in rows}
    assert len(pairs) == len({kind for kind, _ in pairs}) == len({code for _, code in pairs})


def test_a_cue_is_told_from_another_marker():
    rows = {row["trial_type"]: row["HED"] for row in event_rows(recording(), [])}
    assert rows["left"] == "(Sensory-event, Cue, Label/left)"
    assert rows["rest"] == "(Event, Label/rest)"


def test_the_sidecar_describes_every_trial_type_that_occurs():
    rows = event_rows(recording(), LOST)
    assert set(events_sidecar(rows)["trial_type"]["Levels"]) == set(kinds_of(rows))


def test_a_file_of_another_program_has_markers_alone():
    assert kinds_of(event_rows(foreign(), [])) == [m.label for m in foreign().markers]


def test_a_decision_states_its_window_probabilities_and_latency():
    row = decision_rows(recording())[1]
    assert (row["onset"], row["duration"]) == (0.5, 0.5)
    assert (row["first_sample"], row["stop_sample"]) == (125, 250)
    assert row["probability_left"] == 0.9
    assert (row["label"], row["commanded"], row["latency_ms"]) == ("left", "left", 8.0)


def test_an_abstention_has_a_reason_and_no_label_window_or_probability():
    row = decision_rows(recording())[5]
    assert row["trial_type"] == "abstention"
    assert row["reason"] == "samples were lost"
    unknown = ("label", "first_sample", "stop_sample", "probability_left", "commanded")
    assert {row[name] for name in unknown} == {None}


def test_the_sidecar_of_decisions_describes_every_column_but_hed():
    columns = set(decision_columns(recording())) - {"HED"}
    assert columns <= set(decisions_sidecar(recording()))


def test_a_velocity_has_a_column_for_each_axis_and_other_feedback_has_none():
    made = recording()
    assert not [name for name in decision_columns(made) if name.startswith("velocity")]
    moving = [
        replace(turn, command=replace(turn.command, velocity=(0.0, number / 10)))
        for number, turn in enumerate(made.turns)
    ]
    moved = replace(made, turns=tuple(moving))
    assert [name for name in decision_columns(moved) if name.startswith("velocity")] == [
        "velocity_1",
        "velocity_2",
    ]
    assert {row["velocity_1"] for row in decision_rows(moved)} == {0.0}
    assert sorted(row["velocity_2"] for row in decision_rows(moved)) == [
        number / 10 for number in range(len(moving))
    ]
    assert "axis 2" in decisions_sidecar(moved)["velocity_2"]["Description"]


@pytest.mark.parametrize(
    ("text", "label"), [("left", "left"), ("S  1/x", "S-1-x"), ("", "unnamed"), ("ä", "unnamed")]
)
def test_labels_keep_to_what_hed_allows(text, label):
    assert hed_label(text) == label


def test_a_tag_stands_once_at_one_moment():
    record = recording()
    twice = replace(record, notes=record.notes[:1] * 2)
    rows = [row for row in event_rows(twice, LOST) if row["trial_type"] == "note"]
    assert [row["HED"] for row in rows] == ["(Event, Label/note)", None]
    turns = (record.turns[5], record.turns[5])
    assert [row["HED"] is None for row in decision_rows(replace(record, turns=turns))] == [
        False,
        True,
    ]


def test_decisions_stand_in_the_order_of_their_onset():
    record = recording()
    mixed = replace(record, turns=(record.turns[8], record.turns[2], record.turns[5]))
    onsets = [row["onset"] for row in decision_rows(mixed)]
    assert onsets == sorted(onsets)
