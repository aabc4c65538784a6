"""The two promises: nothing but a person arms it, and a stop is latched until two acts undo it."""

from __future__ import annotations

import math
import random
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.guard import Guard, Signal, next_state
from diverloop.runtime.limits import BAD_NUMBERS, GuardConfig, State
from diverloop.runtime.messages import Command
from tests.second_guard import SecondGuard

D, A, H, S = State.DISARMED, State.ARMED, State.HOLDING, State.STOPPED

# Rows: where it is. Columns: arms, disarms, emergency stop, seizure suspected, resets, watchdog.
TABLE = {
    D: (A, D, S, S, D, D),
    A: (A, D, S, S, A, D),
    H: (H, D, S, S, H, D),
    S: (S, S, S, S, D, S),
}
PERSON = {Signal.PERSON_ARMS, Signal.PERSON_DISARMS, Signal.PERSON_RESETS}
GO = Command(label="left", strength=0.7, selected=True)
NEUTRAL = Command(label=None, reason="no new data")

Act = Signal | Command
TRACES = st.lists(st.sampled_from([*Signal, GO, NEUTRAL]), max_size=40)


def in_state(state: State) -> Guard:
    guard = Guard()
    if state in (A, H):
        guard.tell(Signal.PERSON_ARMS)
    if state is H:
        guard.permit(NEUTRAL, now_ns=0)
    if state is S:
        guard.tell(Signal.EMERGENCY_STOP)
    assert guard.state is state
    return guard


def states(trace: list[Act]) -> list[State]:
    """Every state a guard goes through, the first one included."""
    guard = Guard()
    seen = [guard.state]
    for act in trace:
        if isinstance(act, Signal):
            guard.tell(act)
        else:
            guard.permit(act, now_ns=0)
        seen.append(guard.state)
    return seen


@pytest.mark.parametrize(
    ("state", "signal", "after"),
    [(state, signal, TABLE[state][i]) for state in TABLE for i, signal in enumerate(Signal)],
)
def test_every_state_answers_every_signal_as_the_table_says(state, signal, after):
    assert next_state(state, signal) is after
    guard = in_state(state)
    assert guard.tell(signal) is (state is not after)
    assert guard.state is after


def test_a_new_guard_is_disarmed():
    assert Guard().state is State.DISARMED


def test_without_a_person_no_trace_of_five_signals_lets_a_command_pass():
    others = [*(set(Signal) - PERSON), GO, NEUTRAL]
    for trace in product(others, repeat=5):
        assert not {State.ARMED, State.HOLDING} & set(states(list(trace)))


@given(TRACES)
def test_armed_is_reached_from_disarmed_by_a_person_alone(trace):
    for (before, after), act in zip(pairwise(states(trace)), trace, strict=True):
        if before in (State.DISARMED, State.STOPPED) and after in (State.ARMED, State.HOLDING):
            assert act is Signal.PERSON_ARMS


@given(TRACES)
def test_between_a_stop_and_the_next_command_lie_a_reset_and_then_an_arming(trace):
    trace = [Signal.PERSON_ARMS, Signal.EMERGENCY_STOP, *trace]
    seen = states(trace)[2:]
    if State.ARMED in seen:
        acts = trace[2 : 1 + seen.index(State.ARMED) + 1]
        assert acts[-1] is Signal.PERSON_ARMS
        assert Signal.PERSON_RESETS in acts[:-1]


@given(TRACES)
def test_only_an_armed_guard_lets_a_command_pass(trace):
    guard = Guard()
    for act in trace:
        if isinstance(act, Signal):
            guard.tell(act)
        else:
            passed = guard.permit(act, now_ns=0)
            assert (passed.label is None) or guard.state is State.ARMED


@pytest.mark.parametrize("state", [D, S])
def test_a_command_that_is_stopped_says_by_what_and_has_no_strength_left(state):
    answer = in_state(state).permit(GO, now_ns=0)
    assert answer == Command(label=None, reason=f"guard is {state.value}")
    assert (answer.strength, answer.selected) == (0.0, False)


@pytest.mark.parametrize("state", [D, A, S])
def test_a_command_that_is_neutral_or_stopped_stands_still(state):
    moving = Command(label="left", strength=0.5, velocity=(-0.3, 0.4))
    stuck = Command(label=None, reason="nothing to see", velocity=(-0.3, 0.4))
    guard = in_state(state)
    guard.permit(moving, now_ns=0)  # it may move off slowly
    answer = guard.permit(moving, now_ns=100_000_000)
    assert answer is moving if state is A else answer.velocity == (0.0, 0.0)
    assert in_state(state).permit(stuck, now_ns=0) == Command(
        label=None, reason="nothing to see", velocity=(0.0, 0.0)
    )


@pytest.mark.parametrize("part", [1.5, -1.0000001, math.inf, math.nan])
def test_a_velocity_beyond_full_speed_is_a_fault_that_holds_an_armed_guard(part):
    guard = in_state(A)
    answer = guard.permit(Command(label="left", strength=1.0, velocity=(0.0, part)), now_ns=0)
    assert answer == Command(label=None, reason=BAD_NUMBERS, velocity=(0.0, 0.0))
    assert guard.state is H
    assert guard.permit(GO, now_ns=0) is GO


def test_an_armed_guard_changes_nothing_about_a_command():
    assert in_state(A).permit(GO, now_ns=0) is GO


@pytest.mark.parametrize("state", State)
def test_a_neutral_command_passes_with_its_own_reason(state):
    assert in_state(state).permit(NEUTRAL, now_ns=0) is NEUTRAL


def test_missing_data_holds_it_and_good_data_releases_it():
    guard = in_state(A)
    guard.permit(NEUTRAL, now_ns=0)
    assert guard.state is State.HOLDING
    assert guard.permit(GO, now_ns=0) is GO
    assert guard.state is State.ARMED


def test_a_stop_that_comes_in_the_middle_of_a_transition_is_not_undone(monkeypatch):
    from diverloop.runtime import guard as module

    guard = Guard()
    step = module.next_state
    guard.tell(Signal.PERSON_ARMS)

    def interrupted(state, signal):
        after = step(state, signal)
        if signal is Signal.PERSON_ARMS:
            monkeypatch.setattr(module, "next_state", step)
            guard.tell(Signal.EMERGENCY_STOP)  # as another thread would, before the result is kept
        return after

    monkeypatch.setattr(module, "next_state", interrupted)
    guard.take_in()
    assert guard.state is State.STOPPED
    assert guard.permit(GO, now_ns=0).label is None


def test_between_two_looks_of_the_loop_its_state_stands_still_and_persons_see_the_new_one():
    guard = Guard()
    guard.tell(Signal.PERSON_ARMS)
    assert guard.state is State.ARMED
    assert guard.take_in() == (Signal.PERSON_ARMS,)
    assert guard.take_in() == ()
    guard.tell(Signal.EMERGENCY_STOP)
    assert guard.state is State.STOPPED
    assert guard.settled() is State.STOPPED


def test_a_suspected_seizure_stops_it_until_a_person_resets_and_arms_again():
    guard = in_state(A)
    guard.suspect()
    assert guard.settled() is S
    assert guard.permit(GO, now_ns=0).label is None
    guard.tell(Signal.PERSON_ARMS)
    assert guard.settled() is S
    guard.tell(Signal.PERSON_RESETS)
    assert guard.settled() is D
    guard.tell(Signal.PERSON_ARMS)
    assert guard.permit(GO, now_ns=0) == GO


@pytest.mark.parametrize("stop", [Guard.suspect, Guard.press])
def test_a_reset_and_an_arming_that_wait_for_the_next_look_undo_no_stop_that_comes_after_them(stop):
    guard = in_state(S)
    guard.settled()
    guard.tell(Signal.PERSON_RESETS)
    guard.tell(Signal.PERSON_ARMS)
    stop(guard)
    assert guard.state is guard.settled() is S
    assert guard.permit(GO, now_ns=0).label is None


MINUTE_NS = 60_000_000_000


def armed_guard(*, looked_s: float = 0.0) -> Guard:
    """Armed and looked at; after a minute of commands a break is due."""
    guard = Guard(GuardConfig(break_every_s=60.0))
    guard.tell(Signal.PERSON_ARMS)
    assert break_at(guard, looked_s) == ""
    return guard


def break_at(guard: Guard, at_s: float, command: Command = GO) -> str:
    guard.permit(command, now_ns=round(at_s * 1e9))
    return guard.break_due()


def test_a_break_is_due_once_after_every_period_to_the_nanosecond():
    guard = armed_guard()
    for period in (1, 2, 3):
        guard.permit(GO, now_ns=period * MINUTE_NS - 1)
        assert guard.break_due() == ""
        guard.permit(GO, now_ns=period * MINUTE_NS)
        assert guard.break_due() == (
            f"A break is due: commands have been passing for {period} minutes."
        )
        assert guard.break_due() == ""
        guard.permit(GO, now_ns=period * MINUTE_NS + 1)
        assert guard.break_due() == ""


def test_several_periods_that_end_at_one_look_are_told_as_one():
    guard = armed_guard()
    assert "5 minutes" in break_at(guard, 305.0)
    assert break_at(guard, 359.0) == ""
    assert "6 minutes" in break_at(guard, 360.0)


def test_time_in_which_it_holds_counts_for_a_break_and_time_in_which_it_is_disarmed_does_not():
    guard = armed_guard()
    assert break_at(guard, 30.0, NEUTRAL) == ""
    assert guard.state is H
    assert "1 minutes" in break_at(guard, 60.0, NEUTRAL)
    guard.tell(Signal.PERSON_DISARMS)
    assert break_at(guard, 60.5) == break_at(guard, 1000.0) == ""


@pytest.mark.parametrize("ends", [Signal.PERSON_DISARMS, Signal.WATCHDOG, Signal.EMERGENCY_STOP])
@pytest.mark.parametrize("looked", [True, False])
def test_after_a_new_arming_the_next_break_is_due_a_whole_period_later(ends, looked):
    guard = armed_guard()
    assert break_at(guard, 90.0)
    guard.tell(ends)
    if looked:
        assert break_at(guard, 90.0) == ""
    guard.tell(Signal.PERSON_RESETS)
    guard.tell(Signal.PERSON_ARMS)
    assert break_at(guard, 149.0) == ""  # 59 s
    assert "1 minutes" in break_at(guard, 150.0)
    assert guard.break_due() == ""


def test_a_break_after_a_new_arming_is_told_though_nobody_asked_while_it_was_disarmed():
    guard = armed_guard()
    assert break_at(guard, 60.0)
    guard.tell(Signal.PERSON_DISARMS)
    guard.permit(GO, now_ns=MINUTE_NS)
    guard.tell(Signal.PERSON_ARMS)
    assert "1 minutes" in break_at(guard, 120.0)


def test_the_second_guard_finds_the_same_breaks_due():
    chance, told = random.Random(3), 0
    guard, second = armed_guard(), SecondGuard(GuardConfig(break_every_s=60.0))
    second.happens("arm")
    second.look(GO, 0, 1.0, False)
    at_s = 0.0
    for _ in range(600):
        for name, signal in (("disarm", Signal.PERSON_DISARMS), ("arm", Signal.PERSON_ARMS)):
            if chance.random() < (0.02 if name == "disarm" else 0.2):
                second.happens(name)
                guard.tell(signal)
        at_s += chance.choice((0.5, 3.0, 8.0, 61.0 if chance.random() < 0.1 else 1.0))
        command = chance.choice((GO, GO, NEUTRAL))
        due = break_at(guard, at_s, command)
        second.look(command, round(at_s * 1e9), 1.0, False)
        assert bool(due) is second.tell_break()
        told += bool(due)
    assert told > 10


def test_arming_again_between_two_looks_begins_at_rest_and_forgets_what_led():
    guard = Guard(GuardConfig(slew_per_s=1.0, min_dwell_s=0.1))
    moving = Command(label="left", strength=1.0, selected=True, velocity=(1.0,))
    guard.tell(Signal.PERSON_ARMS)
    for look in range(6):
        before = guard.permit(moving, now_ns=look * 200_000_000)
    assert before == moving
    for signal in (Signal.EMERGENCY_STOP, Signal.PERSON_RESETS, Signal.PERSON_ARMS):
        guard.tell(signal)
    after = guard.permit(moving, now_ns=1_200_000_000)
    assert not after.selected
    assert after.velocity == pytest.approx((0.2,))
