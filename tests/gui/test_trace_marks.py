"""Markers, stretches without a decision, and quality as it was at the time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diverloop.gui.trace_marks import Grade, TraceMarks
from diverloop.runtime.messages import Chunk, Marker

from .told import a_quality, a_stream, a_turn

DECIDED, UNDECIDED = 0.9, 0.5


def marks_of(*p_left: float) -> TraceMarks:
    marks = TraceMarks()
    for n, probability in enumerate(p_left):
        marks.take(a_turn(100 * (n + 1), probability))
    return marks


def test_only_what_was_new_in_a_window_counts_as_not_decided():
    marks = marks_of(DECIDED, UNDECIDED, UNDECIDED, DECIDED, UNDECIDED)
    assert list(marks.abstained) == [(100, 300), (400, 500)]


def test_decisions_that_name_no_sample_shade_nothing():
    marks = marks_of(DECIDED)
    marks.take(a_turn(-1, UNDECIDED))
    assert not marks.abstained


def test_a_quality_is_kept_for_the_time_it_was_said():
    marks, spec = TraceMarks(), a_stream(4)
    marks.take(spec)
    marks.take(a_quality(spec, sample=500))
    marks.take(a_quality(spec, sample=900, bad=()))
    grades = marks.grades_at(np.array([100, 500, 899, 900]))
    assert grades[:, 1].tolist() == [Grade.GOOD, Grade.BAD, Grade.BAD, Grade.GOOD]
    assert marks.causes == ("",) * 4


def test_an_electrode_without_a_quality_is_what_a_person_said_of_it():
    spec = a_stream(4)
    marks = TraceMarks()
    marks.take(spec)
    quality = a_quality(a_stream(2), sample=0)
    marks.take(quality)
    assert marks.grades.tolist() == [Grade.GOOD, Grade.BAD, Grade.GOOD, Grade.GOOD]
    assert marks.causes == ("", "flat", "", "")


def test_markers_are_counted_and_tell_what_they_touched():
    marks = TraceMarks()
    markers = (Marker(label="left", sample=40), Marker(label="right", sample=60))
    marks.take(Chunk(samples=np.zeros((1, 100)), first_sample=0, arrived_ns=0, markers=markers))
    assert (marks.n_markers, marks.touched) == (2, 40)


def test_memory_does_not_grow_with_the_session():
    marks = TraceMarks()
    spec = a_stream(2)
    marks.take(spec)
    said = a_turn(0, DECIDED), a_turn(0, UNDECIDED)
    for n in range(8_200):
        turn = said[n % 2]
        marks.take(replace(turn, decision=replace(turn.decision, stop_sample=10 * n)))
    for n in range(700):
        marks.take(a_quality(spec, sample=n, bad=("Cz",) if n % 2 else ()))
    assert len(marks.abstained) == 4000
    assert len(marks.grades_at(np.array([0]))) == 1
    assert len(marks._grades) == 600
