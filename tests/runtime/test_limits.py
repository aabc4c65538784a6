"""Every limit at its edge, laws that hold for any trace, and a second guard that has to agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.guard import Signal, next_state
from diverloop.runtime.limits import (
    BAD_NUMBERS,
    EXPOSED,
    TOO_LATE,
    TOO_MANY,
    GuardConfig,
    Look,
    Memory,
    State,
    entered,
    judge,
)
from diverloop.runtime.messages import Command
from tests.bench.guard_traces import SIGNALS, TICK_NS, config_of, differing, run, session
from tests.second_guard import SecondGuard

S = 1_000_000_000
ARMED = Memory(state=State.ARMED, looked_ns=0)
GO = Command(label="go", strength=0.5)
NEUTRAL = Command(label=None, strength=0.25, reason="no new data")
FULL = Command(label="go", strength=1.0, velocity=(1.0,))
PICK = Command(label="go", strength=1.0, selected=True)


def passed(
    command: Command,
    memory: Memory = ARMED,
    *,
    at_s: float = 0.0,
    quality: float = 1.0,
    late: bool = False,
    **limits: Any,
) -> tuple[Memory, Command]:
    look = Look(command=command, now_ns=round(at_s * S), quality=quality, late=late)
    return judge(memory, look, GuardConfig(**limits))


def answer(command: Command, memory: Memory = ARMED, **how: Any) -> Command:
    return passed(command, memory, **how)[1]


def speed(command: Command, memory: Memory = ARMED, **how: Any) -> float:
    return answer(command, memory, **how).velocity[0]


# Every limit just below, at, and above its edge.


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("min_quality", 0.0, 1.0),
        ("late_in_row", 1, 100),
        ("slew_per_s", 0.1, 1000.0),
        ("reach_s", 0.0, 3600.0),
        ("selections_per_min", 1, 600),
        ("min_dwell_s", 0.0, 60.0),
        ("break_every_s", 60.0, 900.0),
        ("armed_at_most_s", 60.0, 14400.0),
    ],
)
def test_a_limit_may_be_as_wide_as_its_range_and_no_wider(field, low, high):
    for inside in (low, high):
        assert getattr(GuardConfig(**{field: inside}), field) == inside
    for outside in (low - 1, math.nextafter(low, -math.inf), math.nextafter(high, math.inf)):
        with pytest.raises(ConfigError, match=f"guard.{field} must be in"):
            GuardConfig(**{field: outside})
    with pytest.raises(ConfigError, match=f"guard.{field} must be in"):
        GuardConfig(**{field: math.nan})


@pytest.mark.parametrize("wrong", [0.0, -0.5, math.nextafter(1.0, 2.0), math.nan])
def test_the_largest_speed_is_above_0_and_at_most_full_speed(wrong):
    assert GuardConfig(max_speed=1.0).max_speed == 1.0
    with pytest.raises(ConfigError, match=r"guard.max_speed must be in \(0, 1\]"):
        GuardConfig(max_speed=wrong)


@pytest.mark.parametrize(("quality", "passes"), [(0.4999, False), (0.5, True), (0.5001, True)])
def test_signal_of_just_the_quality_that_is_needed_is_good_enough(quality, passes):
    given = answer(GO, quality=quality, min_quality=0.5)
    assert (
        given == GO
        if passes
        else given.reason == ("signal quality is 0.50, at least 0.5 is needed")
    )


def test_a_quality_that_is_no_number_is_never_good_enough():
    given = answer(GO, quality=math.nan, min_quality=0.0)
    assert given == Command(label=None, reason="signal quality is nan, at least 0 is needed")


@pytest.mark.parametrize(("before", "reason"), [(0, ""), (1, TOO_LATE), (2, TOO_LATE)])
def test_as_many_late_decisions_in_a_row_as_are_named_hold_the_guard(before, reason):
    memory, given = passed(GO, replace(ARMED, late=before), late=True, late_in_row=2)
    assert given.reason == reason
    assert memory.state is (State.HOLDING if reason else State.ARMED)


def test_one_decision_in_time_ends_a_row_of_late_ones():
    memory, given = passed(GO, replace(ARMED, late=99), late_in_row=1)
    assert (given, memory.late) == (GO, 0)


@pytest.mark.parametrize(("asked", "given"), [(0.49, 0.49), (0.5, 0.5), (0.51, 0.5), (-1.0, -0.5)])
def test_a_velocity_is_cut_to_the_largest_speed(asked, given):
    going = replace(ARMED, velocity=(asked, 0.0, 0.0))
    assert speed(replace(FULL, velocity=(asked,)), going, max_speed=0.5) == given


@pytest.mark.parametrize(("asked", "given"), [(0.74, 0.74), (0.75, 0.75), (0.76, 0.75)])
def test_a_velocity_grows_by_the_slew_of_the_time_since_the_last_look(asked, given):
    going = replace(ARMED, velocity=(0.5, 0.0, 0.0))
    assert speed(replace(FULL, velocity=(asked,)), going, at_s=0.125, slew_per_s=2.0) == given


@pytest.mark.parametrize(("at_s", "given"), [(0.125, 0.25), (0.25, 0.5), (0.26, 0.5), (90, 0.5)])
def test_a_long_silence_earns_no_more_slew_than_a_quarter_of_a_second(at_s, given):
    assert speed(FULL, at_s=at_s, slew_per_s=2.0) == given


@pytest.mark.parametrize("at_s", [0.0, -5.0])
def test_while_time_stands_still_or_runs_back_no_velocity_grows(at_s):
    assert speed(FULL, at_s=at_s) == 0.0
    going = replace(ARMED, velocity=(0.5, 0.0, 0.0))
    assert speed(FULL, going, at_s=at_s) == 0.5


def test_the_first_look_lets_nothing_move():
    assert speed(FULL, replace(ARMED, looked_ns=None), at_s=3.0) == 0.0


def test_a_velocity_that_turns_round_begins_from_rest():
    going = replace(ARMED, velocity=(-1.0, 0.0, 0.0))
    assert speed(FULL, going, at_s=0.125, slew_per_s=2.0) == 0.25


def test_an_axis_that_was_not_asked_for_last_time_begins_from_rest():
    memory, _ = passed(FULL, replace(ARMED, velocity=(1.0, 1.0, 0.0)))
    given = answer(replace(FULL, velocity=(1.0, 1.0)), memory, at_s=0.125, slew_per_s=2.0)
    assert given.velocity == (1.0, 0.25)


@pytest.mark.parametrize(("place", "given"), [(1.99, 1.0), (2.0, 0.0), (2.01, 0.0), (-2.0, 1.0)])
def test_at_the_end_of_its_reach_a_velocity_leads_back_and_no_further(place, given):
    at = replace(ARMED, place=(place, 0.0, 0.0), velocity=(1.0, 0.0, 0.0))
    assert speed(FULL, at, reach_s=2.0) == given
    back = replace(ARMED, place=(-place, 0.0, 0.0), velocity=(-1.0, 0.0, 0.0))
    assert speed(replace(FULL, velocity=(-1.0,)), back, reach_s=2.0) == -given


def test_a_reach_of_0_sets_no_bound():
    at = replace(ARMED, place=(1e6, 0.0, 0.0), velocity=(1.0, 0.0, 0.0))
    assert speed(FULL, at, reach_s=0.0) == 1.0


def test_the_place_is_where_the_velocities_that_passed_have_led():
    memory, _ = passed(replace(FULL, velocity=(0.5, -0.25)), at_s=0.25)
    memory, _ = passed(FULL, memory, at_s=2.25)
    assert memory.place == (1.0, -0.5, 0.0)


@pytest.mark.parametrize(("had", "passes"), [(1, True), (2, False), (3, False)])
def test_in_a_minute_as_many_selections_pass_as_are_named(had, passes):
    memory = replace(ARMED, selections_ns=(1,) * had)
    given = answer(PICK, memory, at_s=1.0, selections_per_min=2)
    assert given.selected is passes
    assert given.reason == ("" if passes else TOO_MANY)
    assert answer(GO, memory, at_s=1.0, selections_per_min=2) == GO


@pytest.mark.parametrize(("late_ns", "passes"), [(-1, False), (0, True), (1, True)])
def test_a_selection_of_a_minute_ago_counts_no_more(late_ns, passes):
    memory = replace(ARMED, selections_ns=(5 * S,))
    look = Look(command=PICK, now_ns=65 * S + late_ns)
    assert judge(memory, look, GuardConfig(selections_per_min=1))[1].selected is passes


@pytest.mark.parametrize("dwell_s", [0.5, 1.001, 1.07, 4.03])
@pytest.mark.parametrize(("early_ns", "passes"), [(1, False), (0, True), (-1, True)])
def test_a_label_is_selected_once_it_has_led_for_the_dwell_time_to_the_nanosecond(
    dwell_s, early_ns, passes
):
    memory = replace(ARMED, led="go", led_since_ns=3 * S)
    look = Look(command=PICK, now_ns=3 * S + round(Fraction(str(dwell_s)) * S) - early_ns)
    given = judge(memory, look, GuardConfig(min_dwell_s=dwell_s))[1]
    assert given == replace(PICK, selected=passes)


@pytest.mark.parametrize("between", [replace(GO, label="other"), NEUTRAL])
def test_a_label_leads_without_a_break_or_begins_anew(between):
    memory, _ = passed(GO)
    memory, _ = passed(between, memory, at_s=1.0)
    memory, early = passed(PICK, memory, at_s=2.0, min_dwell_s=1.0)
    assert not early.selected
    assert passed(PICK, memory, at_s=3.0, min_dwell_s=1.0)[1].selected


def test_a_label_has_not_led_for_any_time_where_time_runs_back():
    memory, _ = passed(GO, at_s=5.0)
    assert not answer(PICK, memory, at_s=4.0).selected


@pytest.mark.parametrize(("at_ns", "passes"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("state", [State.ARMED, State.HOLDING])
def test_after_the_longest_time_that_is_allowed_the_guard_disarms(at_ns, passes, state):
    memory = replace(ARMED, state=state, armed_ns=30 * S)
    look = Look(command=GO, now_ns=60 * S + at_ns)
    memory, given = judge(memory, look, GuardConfig(armed_at_most_s=90.0))
    assert memory.state is (State.ARMED if passes else State.DISARMED)
    assert given == GO if passes else given == Command(label=None, reason=EXPOSED)


def test_after_the_longest_time_arming_again_lets_nothing_pass():
    memory, _ = passed(GO, at_s=61.0, armed_at_most_s=60.0)
    again = entered(memory, next_state(memory.state, Signal.PERSON_ARMS))
    memory, given = passed(GO, again, at_s=61.0, armed_at_most_s=60.0)
    assert (again.state, memory.state, given.reason) == (State.ARMED, State.DISARMED, EXPOSED)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, math.nextafter(1.0, 2.0), -1.01])
@pytest.mark.parametrize("label", ["go", None])
def test_a_number_that_is_none_or_beyond_full_scale_is_a_fault(wrong, label):
    fast = Command(label=label, strength=1.0, velocity=(0.0, wrong))
    strong = Command(label=label, strength=wrong, velocity=(0.0, 0.0))
    for command in (fast, strong):
        memory, given = passed(command, at_s=1.0)
        assert given == Command(label=None, reason=BAD_NUMBERS, velocity=(0.0, 0.0))
        assert memory.state is State.HOLDING


@pytest.mark.parametrize("edge", [-1.0, 0.0, 1.0])
def test_numbers_at_full_scale_are_no_fault(edge):
    going = replace(ARMED, velocity=(edge, 0.0, 0.0))
    assert answer(Command(label="go", strength=abs(edge), velocity=(edge,)), going).label == "go"


@pytest.mark.parametrize(("axes", "left"), [(3, 3), (4, 3)])
def test_more_than_three_axes_are_a_fault_and_three_are_left(axes, left):
    given = answer(replace(FULL, velocity=(0.0,) * axes))
    assert given.reason == ("" if axes == 3 else BAD_NUMBERS)
    assert given.velocity == (0.0,) * left


@pytest.mark.parametrize("state", State)
def test_a_neutral_command_keeps_what_it_says_and_neither_moves_nor_selects(state):
    memory = replace(ARMED, state=state)
    assert answer(NEUTRAL, memory) is NEUTRAL
    busy = replace(NEUTRAL, selected=True, velocity=(0.5, -0.5))
    assert answer(busy, memory) == replace(NEUTRAL, velocity=(0.0, 0.0))


def test_a_neutral_command_without_a_reason_is_a_fault_too():
    silent = Command(label=None)
    memory, given = passed(silent)
    assert (memory.state, given) == (State.HOLDING, silent)


@pytest.mark.parametrize("state", [State.DISARMED, State.STOPPED])
def test_disarmed_or_stopped_it_forgets_where_it_was_how_fast_and_what_led(state):
    memory = replace(
        ARMED, velocity=(1.0, 0.0, 0.0), place=(2.0, 0.0, 0.0), led="go", since_break_ns=9
    )
    assert entered(memory, State.HOLDING) == replace(memory, state=State.HOLDING)
    again = entered(entered(memory, state), State.ARMED)
    assert again == ARMED
    assert speed(FULL, again, at_s=0.125, slew_per_s=2.0) == 0.25
    assert not answer(PICK, again, at_s=0.125, min_dwell_s=0.1).selected


# Any trace at all. Binary fractions keep floats exact, so that both guards see the same edges.

BAD = (math.nan, math.inf, -math.inf, 1.125, -2.0)


def eighths(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda n: n / 8)


CONFIGS = st.builds(
    GuardConfig,
    min_quality=eighths(0, 8),
    late_in_row=st.integers(1, 4),
    max_speed=eighths(1, 8),
    slew_per_s=eighths(1, 80),
    reach_s=eighths(0, 8),
    selections_per_min=st.integers(1, 4),
    min_dwell_s=eighths(0, 8),
    break_every_s=st.sampled_from((60.0, 128.0)),
    armed_at_most_s=st.sampled_from((60.0, 61.5, 1024.0)),
)
COMMANDS = st.builds(
    Command,
    label=st.sampled_from(("a", "a", "a", "b", None)),
    strength=st.one_of(eighths(0, 8), eighths(0, 8), st.sampled_from(BAD)),
    selected=st.booleans(),
    reason=st.sampled_from(("", "no new data")),
    velocity=st.lists(
        st.one_of(eighths(-8, 8), eighths(1, 8), eighths(1, 8), st.sampled_from(BAD)), max_size=4
    ).map(tuple),
)
TICKS = st.sampled_from((0, 1, 32, 64, 128, 128, 129, 512, 30 * 512, 60 * 512, -64, -30 * 512))
TOLD = st.sampled_from(
    (*((),) * 9, *((name,) for name in SIGNALS), ("disarm", "arm"), ("stop", "reset", "arm"))
)
STEPS = st.tuples(
    TOLD,
    TICKS,
    COMMANDS,
    st.sampled_from((0.0, 0.5, 1.0, 1.0, 1.0, math.nan)),
    st.booleans(),
)


@settings(max_examples=80)
@given(CONFIGS, st.lists(STEPS, min_size=5, max_size=20))
def test_a_second_guard_written_from_the_page_alone_agrees_on_every_look(config, steps):
    memory, second, now_ns = Memory(), SecondGuard(config), 0
    for told, ticks, command, quality, late in [(("arm",), *steps[0][1:]), *steps[1:]]:
        for name in told:
            memory = entered(memory, next_state(memory.state, SIGNALS[name]))
            second.happens(name)
        now_ns += ticks * TICK_NS
        look = Look(command=command, now_ns=now_ns, quality=quality, late=late)
        memory, given = judge(memory, look, config)
        other = second.look(command, now_ns, quality, late)
        assert differing(given, memory.state, other, second.state) == []


def test_the_second_guard_agrees_on_long_random_sessions_too():
    found = run(looks=6000, seed=1, per_session=500)
    assert found["disagreements"] == 0
    assert len(found["reasons"]) > 10


# Laws, over the sessions of the same bench.


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One look of a session: before it, what was told and asked, and what came of it."""

    before: Memory
    told: tuple[str, ...]
    look: Look
    after: Memory
    passed: Command


@cache
def sessions() -> tuple[tuple[GuardConfig, list[Judged]], ...]:
    rng = np.random.default_rng(2)
    return tuple(judged(rng, number % 2 == 0) for number in range(40))


def judged(rng: np.random.Generator, exact: bool) -> tuple[GuardConfig, list[Judged]]:
    config, memory, looks = config_of(rng, exact), Memory(), []
    for told, look in session(rng, 250, exact):
        for name in told:
            memory = entered(memory, next_state(memory.state, SIGNALS[name]))
        after, given = judge(memory, look, config)
        looks.append(Judged(before=memory, told=told, look=look, after=after, passed=given))
        memory = after
    return config, looks


def test_nothing_passes_unless_a_person_armed_since_the_last_stop():
    for _, looks in sessions():
        armed = False
        for one in looks:
            for name in one.told:
                armed = (armed or name == "arm") and name not in ("stop", "seizure")
            if one.passed.label is not None or one.passed.selected or any(one.passed.velocity):
                assert armed


def test_no_velocity_exceeds_the_largest_speed_or_what_was_asked_so_braking_is_never_late():
    for config, looks in sessions():
        for one in looks:
            for got, asked in zip(one.passed.velocity, one.look.command.velocity, strict=False):
                assert abs(got) <= config.max_speed
                assert got == 0 or (abs(got) <= abs(asked) and got * asked > 0)


def test_no_velocity_grows_faster_than_the_slew():
    for config, looks in sessions():
        before, looked_ns = (0.0, 0.0, 0.0), looks[0].look.now_ns
        for one in looks:
            since_s = min(max(0, one.look.now_ns - looked_ns) / 1e9, 0.25)
            now = (*one.passed.velocity, 0.0, 0.0, 0.0)[:3]
            for got, had in zip(now, before, strict=True):
                begun = abs(had) if got * had > 0 else 0.0
                assert abs(got) <= begun + config.slew_per_s * since_s + 1e-12
            before, looked_ns = now, one.look.now_ns


def test_nothing_leads_further_away_from_the_end_of_its_reach():
    for config, looks in sessions():
        for one in looks:
            for at, got in zip(one.after.place, one.passed.velocity, strict=False):
                assert not config.reach_s or abs(at) < config.reach_s or at * got <= 0


def test_stopped_stays_stopped_until_a_person_resets():
    for _, looks in sessions():
        stopped = False
        for one in looks:
            for name in one.told:
                stopped = (stopped or name in ("stop", "seizure")) and name != "reset"
            if stopped:
                assert one.after.state is State.STOPPED
                assert one.passed.label is None


def test_no_look_arms_a_guard_that_is_disarmed_or_stopped():
    for _, looks in sessions():
        for one in looks:
            if not one.before.on:
                assert one.after.state is one.before.state
                assert not any(one.after.place)
                assert one.passed.label is None


def test_in_any_minute_no_more_is_selected_than_is_allowed():
    for config, looks in sessions():
        selected: list[int] = []
        newest_ns = looks[0].look.now_ns  # what is once a minute ago is so even if time runs back
        for one in looks:
            newest_ns = max(newest_ns, one.look.now_ns)
            if one.passed.selected:
                selected.append(one.look.now_ns)
            in_minute = sum(newest_ns - at < 60 * S for at in selected)
            assert in_minute <= len(one.after.selections_ns) <= config.selections_per_min


def test_a_neutral_answer_neither_moves_nor_selects_and_has_a_reason_or_was_asked_for():
    for _, looks in sessions():
        for one in looks:
            if one.passed.label is None:
                assert not one.passed.selected
                assert not any(one.passed.velocity)
                assert one.passed.reason or one.look.command.label is None
