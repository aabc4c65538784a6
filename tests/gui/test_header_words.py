"""The header says in words what matters, and what it does not know."""

from __future__ import annotations

from diverloop.gui.header_words import BAD, DOUBTFUL, GOOD, PLAIN, cells, replayed, silence
from diverloop.gui.view_state import ViewState
from diverloop.runtime.limits import State
from diverloop.runtime.messages import Event, EventKind

from .told import a_quality, a_session, a_stream, a_turn


def by_name(state: ViewState):
    return {cell.name: cell for cell in cells(state)}


def told(*messages, now_ns: int = 1) -> ViewState:
    state = ViewState(session="s")
    for message in messages:
        state.take(message, 1)
    state.now_ns = now_ns
    return state


def test_before_anything_has_come_every_cell_says_that_it_does_not_know():
    found = by_name(told())
    assert found["decided"].detail == "nothing yet"
    assert found["guard"].text == "? unknown"
    assert found["signal"].detail == "not judged yet"
    assert found["view"].text == "waiting"
    assert not silence(told())


def test_a_running_session_is_told_in_words():
    guard = Event(kind=EventKind.GUARD, text="The guard went from disarmed to armed.")
    found = by_name(told(*a_session(2.0), guard))
    assert found["guard"].text == "▶ armed"
    assert found["guard"].level == GOOD
    assert found["signal"].text.startswith("good 0.74")
    assert found["signal"].detail == "masked: Cz"
    assert found["latency"].text == "2.1 / 2.1 ms"
    assert found["samples"].detail == "no gap"
    assert found["view"].text == "live"


def test_each_state_of_the_guard_has_a_word_and_a_sign_of_its_own():
    texts = [
        by_name(told(Event(kind=EventKind.GUARD, text=f"The guard is {state}.")))["guard"].text
        for state in State
    ]
    assert len({text[0] for text in texts}) == len(texts)
    assert all(str(state) in text for state, text in zip(State, texts, strict=True))


def test_abstaining_and_holding_back_are_told_apart():
    assert by_name(told(a_turn(250, 0.5)))["decided"].text == "neutral"
    assert by_name(told(a_turn(250, 0.5)))["decided"].detail == "too close to call"
    assert by_name(told(a_turn(250, 0.9)))["decided"].text == "left"


def test_a_session_that_falls_silent_is_asked_about():
    state = told(a_stream(), now_ns=3_500_000_000)
    assert by_name(state)["view"].level == BAD
    assert silence(state).startswith("Silent for 3 s: has the session ended?")


def test_what_the_view_itself_lost_is_told():
    state = told(a_stream(), a_quality(a_stream()))
    state.missed_messages, state.unreadable = 12_000, 3
    view = by_name(state)["view"]
    assert view.detail == "12 000 messages lost, 3 unreadable"
    assert view.level == DOUBTFUL


def test_a_gap_is_told_and_many_lost_samples_are_doubtful():
    gap = Event(kind=EventKind.GAP, text="lost", count=400)
    found = by_name(told(*a_session(2.0), gap))
    assert found["samples"].detail == "1 gap, 400 lost"
    assert found["samples"].level == DOUBTFUL


def test_a_recording_is_never_called_live():
    assert replayed(True, 2.0).text == "▶ 2 x"
    assert replayed(False, 2.0).level == PLAIN
    assert "not now" in replayed(False, 2.0).detail
