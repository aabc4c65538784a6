"""What the decoder thought, decided and did, and what was asked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.gui.probability_history import NEUTRAL, NOTHING, OTHERS, ProbabilityHistory
from diverloop.runtime.messages import Chunk, Command, Event, EventKind, Marker, Turn

from .told import a_turn


def told(history: ProbabilityHistory, *p_left: float, first=25) -> ProbabilityHistory:
    history.rate_hz = 250.0
    for n, p in enumerate(p_left):
        history.take(a_turn(first + 25 * n, p))
    return history


def many(stop_sample: int, place: int, decided: bool, n: int = 26) -> Turn:
    classes = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:n])
    p = np.full(n, 0.2 / (n - 1))
    p[place] = 0.8
    label = classes[place] if decided else None
    turn = a_turn(stop_sample)
    decision = dataclasses.replace(
        turn.decision, classes=classes, probabilities=p, label=label, reason=""
    )
    return dataclasses.replace(turn, decision=decision, command=Command(label=label))


def asked(sample: int, label: str) -> Chunk:
    return Chunk(
        samples=np.zeros((1, 1), np.float32), first_sample=sample, arrived_ns=0,
        markers=(Marker(label=label, sample=sample),),
    )  # fmt: skip


def test_columns_show_the_newest_decision_at_each_time():
    columns = told(ProbabilityHistory(), 0.9, 0.2, 0.5, 0.8).columns(0.4, 4)
    assert columns.names == ("left", "right")
    assert np.allclose(columns.shares[:, 0], [0.9, 0.2, 0.5, 0.8])
    assert columns.decided.tolist() == [0, 1, NEUTRAL, 0]


def test_where_nothing_was_decided_nothing_is_shown():
    history = told(ProbabilityHistory(), *[0.9] * 10)
    told(history, *[0.9] * 10, first=1000)
    columns = history.columns(6.0, 60)
    assert columns.decided[0] == NOTHING
    assert np.isnan(columns.shares[30]).all()
    assert columns.decided[-1] == 0


def test_before_anything_came_every_column_is_empty():
    columns = ProbabilityHistory().columns(60, 10)
    assert columns.names == ()
    assert (columns.decided == NOTHING).all()


def test_decisions_are_stretches_with_their_class_or_their_reason():
    history = told(ProbabilityHistory(), 0.9, 0.9, 0.5, 0.5, 0.1)
    found = [(s.text, s.place, round(s.stop_s - s.start_s, 6)) for s in history.decisions(10)]
    assert found == [
        ("left", 0, 0.2),
        ("too close to call", NEUTRAL, 0.2),
        ("right", 1, 0.1),
    ]


def test_two_reasons_that_follow_each_other_are_two_stretches():
    history = told(ProbabilityHistory(), 0.5)
    turn = a_turn(50, 0.5)
    stale = dataclasses.replace(turn.decision, reason="signal is stale")
    history.take(dataclasses.replace(turn, decision=stale))
    assert [s.text for s in history.decisions(10)] == ["too close to call", "signal is stale"]


def test_selections_are_told_with_their_time():
    history = told(ProbabilityHistory(), 0.9)
    turn = a_turn(50, 0.9)
    command = dataclasses.replace(turn.command, selected=True)
    history.take(dataclasses.replace(turn, command=command))
    assert history.selections(10) == [(0.2, "left")]
    assert [s.text for s in history.commands(10)] == ["left"]


@pytest.mark.parametrize("label", ["right", "cue:right"])
def test_a_marker_that_names_a_class_is_the_truth_until_the_next_marker(label):
    history = told(ProbabilityHistory(), *[0.9] * 40)
    for sample, text in ((100, label), (350, "rest")):
        assert history.take_markers(asked(sample, text))
    assert [(s.text, s.start_s, s.stop_s) for s in history.cues(60)] == [("right", 0.4, 1.4)]


def test_of_many_classes_the_leading_ones_are_shown_and_the_others_together():
    history = ProbabilityHistory()
    history.rate_hz = 250.0
    for n in range(100):
        history.take(many(25 * (n + 1), n % 3, decided=False))
    columns = history.columns(5.0, 50)
    assert set(columns.names[:3]) == {"A", "B", "C"}
    assert columns.names[-1] == OTHERS
    assert len(columns.names) == 6
    assert np.allclose(columns.shares.sum(1), 1, atol=1e-5)


def test_who_leads_keeps_its_place_while_others_come_and_go():
    history = ProbabilityHistory()
    history.rate_hz = 250.0
    for n in range(200):
        history.take(many(25 * (n + 1), 4, decided=False))
    before = history.columns(5.0, 50).names.index("E")
    for n in range(200, 260):
        history.take(many(25 * (n + 1), 9, decided=False))
    names = history.columns(5.0, 50).names
    assert names.index("E") == before
    assert "J" in names


def test_decided_letters_become_text_once_each():
    history = ProbabilityHistory()
    for n, (place, decided) in enumerate([(7, 1), (7, 1), (7, 0), (8, 1), (8, 0), (8, 1)]):
        history.take(many(25 * (n + 1), place, bool(decided)))
    assert "".join(history.text) == "HII"
    history.take_event(Event(kind=EventKind.CORRECTED, text="was corrected to: HI"))
    assert history.corrected == "was corrected to: HI"


def test_other_classes_and_time_that_runs_backwards_begin_anew():
    history = told(ProbabilityHistory(), *[0.9] * 10)
    told(history, 0.1)
    assert [s.text for s in history.decisions(60)] == ["right"]
    history.take(many(50, 0, decided=True))
    assert len(history.classes) == 26
    assert [s.text for s in history.decisions(60)] == ["A"]


def test_memory_is_bounded_and_the_newest_is_kept(monkeypatch):
    monkeypatch.setattr("diverloop.gui.probability_history._KEPT", 64)
    history = told(ProbabilityHistory(), *[0.9] * 100, 0.1)
    assert history.now_s == 101 * 25 / 250
    assert history.decisions(60)[0].start_s == pytest.approx(3.7)
    assert [s.text for s in history.decisions(60)] == ["left", "right"]
    for n in range(100):
        turn = a_turn(25 * (900 + n), 0.5)
        odd = dataclasses.replace(turn.decision, reason=f"reason {n}")
        history.take(dataclasses.replace(turn, decision=odd))
    assert len(history._said) <= 66
