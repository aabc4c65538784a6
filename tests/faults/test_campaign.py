"""The short form of the fault campaign: every fault that can be tried in seconds, tried."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from diverloop.faults.checks import QUESTIONS, Finding, Result, judge, sentence_fault
from diverloop.faults.lsl import Watched
from diverloop.faults.matrix import ROWS, Row
from diverloop.faults.report import matrix_markdown, to_json, to_markdown, write_report
from diverloop.faults.rig import Outcome, Rig
from diverloop.faults.trials import Stage, chosen, own_home
from diverloop.hardware.faulty_link import FaultyLink
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Event, EventKind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
PROCESSES = ("recorder-killed", "watchdog-killed", "learner-killed")
"""Faults of other processes that even the short form tries."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    with own_home(folder / "home"):
        yield Stage(folder, short=True)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.short and not row.pending], ids=lambda row: row.name
)
def test_the_fault_ends_as_it_must(row, stage):
    result = stage.run(row)
    assert result.wrong() == ()
    assert result.ok


def test_the_short_form_tries_other_processes_too():
    assert {row.name for row in ROWS if row.short} >= set(PROCESSES)


def test_every_row_is_told_apart_and_says_what_must_happen():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        for text in (row.done, row.must, row.pending or "Tried."):
            assert sentence_fault(text) == ""


def test_the_page_on_faults_lists_the_matrix_as_it_is():
    assert matrix_markdown() in PAGE.read_text(encoding="utf-8")


def test_rows_are_chosen_by_name_or_group_and_a_wrong_name_is_answered_with_the_nearest():
    assert [row.name for row in chosen(["nan"], short=False)] == ["nan"]
    assert {row.group for row in chosen(["learner"], short=True)} == {"learner"}
    assert len(chosen([], short=False)) == len(ROWS)
    with pytest.raises(ConfigError, match="Did you mean 'jitter'"):
        chosen(["jiter"], short=False)


def test_a_stream_that_never_came_has_delivered_nothing():
    clock = VirtualClock()
    silent = Watched(FaultyLink(SimulatorConfig(montage="eeg8", duration_s=1.0), (), clock), clock)
    assert silent.delivered.shape == (0, 0)


# --- the judge itself: what is wrong must be seen -------------------------------------------------


@pytest.fixture(scope="module")
def calm(stage):
    """A row that nothing befalls, and what was seen of it."""
    row = Row(name="nothing", group="stream", done="Nothing.", must="Nothing.")
    return row, Rig(row, stage.folder / "nothing").run()


def wrong(row, outcome):
    return {one.question: one.wrong for one in judge(row, outcome, proof=False) if one.wrong}


def test_a_session_without_a_fault_is_as_it_must_be(calm):
    row, outcome = calm
    assert wrong(row, outcome) == {}


@pytest.mark.parametrize(
    ("question", "changes"),
    [
        ("went on", {"error": RuntimeError("boom")}),
        ("safe", {"seen": []}),
        ("safe", {"invalid": [(1000, 1010)]}),
        ("safe", {"silences_s": [(3.0, 5.0)]}),
        ("told once", {"events": [Event(kind=EventKind.GAP, text="Some were lost.")]}),
        ("told once", {"events": [Event(kind=EventKind.MISSED, text="Traceback (most")]}),
    ],
)
def test_each_question_sees_what_it_asks_for(calm, question, changes):
    row, outcome = calm
    assert question in QUESTIONS
    assert question in wrong(row, Outcome(**{**vars(outcome), **changes}))


def test_a_sample_that_is_not_in_the_recording_is_missed(calm):
    row, outcome = calm
    less = outcome.delivered[:-1]
    assert "nothing lost" in wrong(row, Outcome(**{**vars(outcome), "delivered": less}))


def test_what_nobody_was_told_of_is_missed(calm):
    row, outcome = calm
    expected = replace(row, told=(EventKind.GAP,))
    assert wrong(expected, outcome)["told once"] == "nobody was told of gap"


def test_a_command_that_stands_too_long_is_seen(calm):
    row, outcome = calm
    must_rest = replace(row, settings={"neutral_after_s": 5.0})
    assert (
        "still stood" in wrong(must_rest, outcome)["safe"]
        or "was commanded" in (wrong(must_rest, outcome)["safe"])
    )


# --- the report -----------------------------------------------------------------------------------


def results():
    row = ROWS[0]
    return (
        Result(row=row, findings=(Finding(question="safe"),), took_s=1.0),
        Result(row=ROWS[1], findings=(Finding(question="safe", wrong="it moved | once"),)),
        Result(row=ROWS[2], pending="Not built."),
    )


def test_the_report_counts_what_was_tried_held_and_broken(tmp_path):
    found = to_json(results())
    assert (found["rows"], found["tried"], found["held"]) == (3, 2, 1)
    assert found["broken"] == [ROWS[1].name]
    assert found["not_tried"] == {ROWS[2].name: "Not built."}
    as_json, as_page = write_report(results(), tmp_path / "new")
    assert json.loads(as_json.read_text()) == found
    assert as_page.read_text() == to_markdown(results())
    rows = [line for line in to_markdown(results()).splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"\|", line)) == 5 for line in rows)


def test_a_result_that_looked_at_nothing_holds_nothing():
    assert not Result(row=ROWS[0]).ok
