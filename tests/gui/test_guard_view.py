"""What became of commands, and why, as a person reads it."""

from __future__ import annotations

from dataclasses import replace

from diverloop.gui.guard_view import MINUTE_NS, GuardView, is_limit, outcome
from diverloop.runtime.limits import TOO_LATE, State
from diverloop.runtime.messages import Command, Event, EventKind

from .told import a_turn


def held(reason: str, stop: int = 250):
    return replace(a_turn(stop, 0.9), command=Command(label=None, reason=reason))


def test_where_the_guard_is_is_unknown_until_it_says_so():
    view = GuardView()
    assert view.state is None
    assert view.became() == "No decision has come yet."
    view.take(Event(kind=EventKind.GUARD, text="The guard went from disarmed to armed."))
    assert view.state is State.ARMED
    view.take(Event(kind=EventKind.GUARD, text="The guard went from armed to stopped."))
    assert view.state is State.STOPPED


def test_the_last_command_says_passed_held_back_or_abstained():
    view = GuardView()
    view.take(a_turn(250, 0.9))
    assert view.became().startswith("Passed: left at 0.80")
    view.take(held("guard is disarmed"))
    assert view.became() == "Held back (left): guard is disarmed"
    view.take(a_turn(250, 0.5))
    assert view.became() == "The decoder abstained: too close to call"


def test_reasons_are_counted_without_their_numbers_and_the_most_frequent_is_first():
    view = GuardView()
    for share in ("0.05", "0.06", "0.07"):
        view.take(held(f"signal quality is {share}, at least 0.1 is needed"))
    view.take(held(TOO_LATE))
    rows = view.reasons()
    assert rows[0] == ("held back", "signal quality is too low", 3)
    assert view.total() == 4
    assert is_limit(TOO_LATE)
    assert not is_limit("guard is disarmed")


def test_what_is_older_than_a_minute_counts_no_more():
    view = GuardView()
    view.take(held("guard is disarmed"))
    later = a_turn(250, 0.9)
    at_ns = later.times.acted_ns + MINUTE_NS + 1
    view.take(replace(later, times=replace(later.times, acted_ns=at_ns)))
    assert view.reasons() == [("passed", "", 1)]


def test_a_break_that_is_due_is_told_until_nothing_passes_any_more():
    view = GuardView()
    view.take(Event(kind=EventKind.BREAK, text="A break is due."))
    assert view.break_due == "A break is due."
    view.take(Event(kind=EventKind.GUARD, text="The guard went from armed to disarmed."))
    assert not view.break_due


def test_a_limited_command_still_passes():
    assert outcome(a_turn(250, 0.8)) == ("passed", "")
