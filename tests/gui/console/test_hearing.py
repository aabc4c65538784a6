"""What the console makes of telemetry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.gui.console.alarms import Alarm
from diverloop.gui.console.hearing import Hearing
from diverloop.gui.console.news import GuardIs, Judged, ResetDone, SignalSeen
from diverloop.gui.console.session import Order, Output, Session
from diverloop.runtime.limits import State
from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.telemetry import Score

from ..told import a_quality, a_session, a_stream, a_turn

LIVE = Session(running=True, output=Output.ON, electrodes=4)


def event(kind: EventKind, text: str = "It happened.") -> Event:
    return Event(kind=kind, text=text)


def wrong_after(*messages, session=LIVE, at_s=0.0, now_s=0.0, lost=0):
    hearing = Hearing()
    hearing.begin_loop(0.0)
    hearing.begin_block(0.0)
    for message in messages:
        hearing.take(message, at_s)
    return set(hearing.wrong(session, now_s, lost))


def test_a_session_that_runs_well_raises_nothing():
    messages = [m for m in a_session(4.0)]
    assert wrong_after(*messages) == set()


def test_electrodes_are_counted_and_named():
    quality = a_quality(a_stream(4), bad=("Cz", "C4"))
    assert Hearing().take(quality, 0.0) == (SignalSeen(electrodes=4, bad=("Cz", "C4")),)


@pytest.mark.parametrize("state", list(State))
def test_the_guards_state_is_the_last_word_of_its_sentence(state):
    first = Hearing().take(event(EventKind.GUARD, f"The guard is {state}."), 0.0)
    assert first == (GuardIs(state=state),)


def test_a_way_out_of_the_stop_is_a_reset_and_ends_the_suspicion():
    hearing = Hearing()
    hearing.take(event(EventKind.SEIZURE), 0.0)
    assert hearing.seizure
    news = hearing.take(event(EventKind.GUARD, "The guard went from stopped to disarmed."), 1.0)
    assert news == (ResetDone(), GuardIs(state=State.DISARMED))
    assert not hearing.seizure


def test_what_ailed_one_loop_is_over_when_another_begins_but_for_a_suspected_seizure():
    hearing = Hearing()
    for kind in (EventKind.STALE, EventKind.RECORDER, EventKind.BREAK, EventKind.SEIZURE):
        hearing.take(event(kind), 1.0)
    for _ in range(3):
        hearing.take(event(EventKind.MISSED), 1.0)
    hearing.begin_loop(2.0)
    hearing.begin_block(2.0)
    assert set(hearing.wrong(LIVE, 2.0)) == {Alarm.SEIZURE}
    hearing.reset()
    assert hearing.wrong(LIVE, 2.0) == {}


def test_a_guard_that_says_something_unknown_is_no_news():
    assert Hearing().take(event(EventKind.GUARD, "The guard sleeps."), 0.0) == ()


def test_a_pressed_stop_in_the_stream_stops_the_console():
    assert Hearing().take(event(EventKind.STOPPED), 0.0) == (GuardIs(state=State.STOPPED),)


def test_a_score_is_judged():
    score = Score(hits=3, trials=4, interval=(0.2, 0.9))
    assert Hearing().take(score, 0.0) == (Judged(hits=3, trials=4),)


@pytest.mark.parametrize(
    ("kind", "alarm"),
    [
        (EventKind.SEIZURE, Alarm.SEIZURE),
        (EventKind.RECORDER, Alarm.RECORDER),
        (EventKind.STALE, Alarm.SIGNAL_LOST),
        (EventKind.SOURCE_LOST, Alarm.SIGNAL_LOST),
        (EventKind.BREAK, Alarm.BREAK_DUE),
    ],
)
def test_an_event_raises_its_alarm(kind, alarm):
    assert alarm in wrong_after(event(kind))


def test_a_signal_that_is_back_is_no_alarm_any_more():
    assert Alarm.SIGNAL_LOST not in wrong_after(event(EventKind.STALE), event(EventKind.FRESH))


def test_three_late_decisions_in_twenty_seconds_are_an_alarm_and_two_are_none():
    late = event(EventKind.MISSED)
    assert Alarm.LATE not in wrong_after(late, late)
    assert Alarm.LATE in wrong_after(late, late, late)
    assert Alarm.LATE not in wrong_after(late, late, late, now_s=21.0)


def test_a_silent_loop_is_gone_but_only_while_it_should_run():
    turn = a_turn(250)
    assert Alarm.LOOP_GONE in wrong_after(turn, now_s=4.0)
    assert Alarm.LOOP_GONE not in wrong_after(turn, now_s=2.0)
    over = replace(LIVE, running=False, output=Output.OFF)
    assert Alarm.LOOP_GONE not in wrong_after(turn, session=over, now_s=4.0)


def test_without_a_decision_for_long_it_is_said_only_while_feedback_is_on():
    neutral = a_turn(250, 0.5)
    assert Alarm.QUIET in wrong_after(neutral, at_s=21.0, now_s=21.0)
    assert Alarm.QUIET not in wrong_after(a_turn(250), at_s=21.0, now_s=21.0)
    paused = replace(LIVE, output=Output.OFF)
    assert Alarm.QUIET not in wrong_after(neutral, session=paused, at_s=21.0, now_s=21.0)


def test_what_the_steps_know_raises_alarms_too():
    assert Alarm.STOPPED in wrong_after(session=replace(LIVE, output=Output.STOPPED))
    assert Alarm.STOP_UNANSWERED in wrong_after(session=replace(LIVE, trouble="trouble_stop"))
    assert Alarm.NOT_DONE in wrong_after(session=replace(LIVE, trouble=f"trouble_{Order.FIT}"))
    assert Alarm.ELECTRODES in wrong_after(session=replace(LIVE, bad=("Cz", "C3", "C4")))
    assert Alarm.MESSAGES_LOST in wrong_after(lost=1)


def test_a_console_that_was_started_late_learns_of_a_seizure_from_the_decisions():
    turn = a_turn(250)
    neutral = replace(turn.decision, label=None, reason="suspected seizure: reset by a person")
    assert Alarm.SEIZURE in wrong_after(replace(turn, decision=neutral))


def test_a_new_session_begins_without_the_old_ones_alarms():
    hearing = Hearing()
    hearing.take(event(EventKind.SEIZURE), 0.0)
    hearing.forget()
    assert not hearing.seizure
