from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.conformance import check_feedback
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.guard import Guard
from diverloop.runtime.messages import Command, Decision, StageTimes
from diverloop.runtime.record.entries import TurnEntry, read_entry, write_entry
from diverloop.runtime.velocity import NOT_FINITE, STANDING, VelocityConfig, VelocityFeedback

STEP_NS = 100_000_000
CLASSES = ("left", "right", "feet", "rest")
few = settings(max_examples=30)
PLANE = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "feet": (0.0, -1.0)}

odds = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda p: sum(p) > 0.1)
streams = st.lists(odds, min_size=1, max_size=12)
choices = st.fixed_dictionaries(
    {
        "time_constant_s": st.floats(0.0, 10.0),
        "dead_zone": st.floats(0.0, 0.99),
        "gain": st.floats(0.01, 10.0),
        "maximum": st.floats(0.01, 1.0),
    }
)


def decided(*probabilities, classes=CLASSES) -> Decision:
    share = np.asarray(probabilities, float) / sum(probabilities)
    return Decision(classes=classes, probabilities=share, label=classes[int(share.argmax())])


NEUTRAL = Decision(
    classes=CLASSES, probabilities=np.full(4, np.nan), label=None, reason="samples were lost"
)
LEFT, RIGHT, FEET, REST = (decided(*row) for row in np.eye(4))
UNSURE = decided(1, 1, 1, 1)


def feedback(directions=PLANE, **changes) -> VelocityFeedback:
    return VelocityFeedback(VelocityConfig(directions=directions, **changes))


def play(used: VelocityFeedback, decisions, step_ns: int = STEP_NS, start_ns=0) -> list[Command]:
    return [used.advance(d, start_ns + i * step_ns) for i, d in enumerate(decisions)]


def test_it_keeps_the_protocol():
    check_feedback(feedback({"yes": (1.0,), "no": (-1.0,)}))


@few
@given(streams, choices)
def test_no_speed_exceeds_the_maximum_whatever_the_settings(stream, chosen):
    for command in play(feedback(**chosen), [decided(*p) for p in stream]):
        assert math.hypot(*command.velocity) <= chosen["maximum"] + 1e-12
        assert all(-1 <= part <= 1 for part in command.velocity)
        assert len(command.velocity) == 2
        assert command.strength == pytest.approx(math.hypot(*command.velocity))


@few
@given(streams, choices)
def test_a_command_is_neutral_exactly_if_nothing_moves(stream, chosen):
    for command in play(feedback(**chosen), [decided(*p) for p in stream]):
        assert (command.label is None) == (not any(command.velocity))
        assert bool(command.reason) == (command.label is None)
        assert not command.selected


@few
@given(streams, st.integers(2, 9), choices)
def test_deciding_more_often_changes_nothing(stream, cuts, chosen):
    decisions = [decided(*p) for p in stream]
    slow = play(feedback(**chosen), decisions, STEP_NS * cuts)
    # The first decision has nothing before it to fill.
    finer = decisions[:1] + [d for d in decisions[1:] for _ in range(cuts)]
    fast = play(feedback(**chosen), finer, STEP_NS)[::cuts]
    for one, other in zip(slow, fast, strict=True):
        assert one.velocity == pytest.approx(other.velocity, abs=1e-8)


@few
@given(streams, choices)
def test_the_same_decisions_give_the_same_commands_to_the_last_bit(stream, chosen):
    decisions = [NEUTRAL if sum(p) > 2.5 else decided(*p) for p in stream]
    assert play(feedback(**chosen), decisions) == play(feedback(**chosen), decisions)


@few
@given(streams, choices)
def test_a_neutral_decision_stops_at_once_and_nothing_before_it_is_remembered(stream, chosen):
    used = feedback(**chosen)
    play(used, [decided(*p) for p in stream])
    at_ns = len(stream) * STEP_NS
    stopped = used.advance(NEUTRAL, at_ns)
    assert stopped == Command(label=None, reason="samples were lost", velocity=(0.0, 0.0))
    after = play(used, [LEFT, FEET], start_ns=at_ns + STEP_NS)
    assert after == play(feedback(**chosen), [LEFT, FEET], start_ns=at_ns + STEP_NS)


@few
@given(streams, st.permutations(range(4)))
def test_the_order_of_the_classes_changes_nothing(stream, order):
    names = tuple(CLASSES[place] for place in order)
    straight = play(feedback(), [decided(*p) for p in stream])
    mixed = play(feedback(), [decided(*np.array(p)[order], classes=names) for p in stream])
    for one, other in zip(straight, mixed, strict=True):
        assert one.velocity == pytest.approx(other.velocity, abs=1e-12)


@few
@given(streams, st.floats(-math.pi, math.pi))
def test_turning_the_directions_turns_the_velocity(stream, angle):
    def turned(vector):
        x, y = vector
        sine, cosine = math.sin(angle), math.cos(angle)
        return cosine * x - sine * y, sine * x + cosine * y

    decisions = [decided(*p) for p in stream]
    straight = play(feedback(), decisions)
    round_about = play(feedback({name: turned(v) for name, v in PLANE.items()}), decisions)
    for one, other in zip(straight, round_about, strict=True):
        assert turned(one.velocity) == pytest.approx(other.velocity, abs=1e-9)


def test_it_follows_a_sure_class_with_its_time_constant():
    commands = play(feedback(time_constant_s=0.5, dead_zone=0), [LEFT] * 10)
    expected = [(-(1 - math.exp(-0.1 * i / 0.5)), 0.0) for i in range(10)]
    assert np.array([c.velocity for c in commands]) == pytest.approx(np.array(expected))
    assert commands[0].label is None
    assert {c.label for c in commands[1:]} == {"left"}


def test_without_a_time_constant_it_follows_at_once():
    commands = play(feedback(time_constant_s=0), [LEFT, FEET])
    assert [c.velocity for c in commands] == [(-1.0, 0.0), (0.0, -1.0)]


def test_at_chance_nothing_pulls_though_the_directions_do_not_cancel():
    assert {c.velocity for c in play(feedback(dead_zone=0), [UNSURE] * 5)} == {(0.0, 0.0)}


def test_two_classes_pull_with_the_difference_of_their_probabilities():
    used = feedback({"left": (-1.0,), "right": (1.0,)}, time_constant_s=0, dead_zone=0)
    said = used.advance(decided(0.35, 0.65, classes=("left", "right")), 0)
    assert said.velocity == pytest.approx((0.3,))


def test_an_idle_class_lets_the_velocity_fade_to_a_neutral_rest():
    commands = play(feedback(), [RIGHT] * 10 + [REST] * 15)
    speeds = [math.hypot(*c.velocity) for c in commands[9:]]
    assert all(a > b or a == b == 0 for a, b in itertools.pairwise(speeds))
    assert commands[10].label == "right"
    assert commands[-1] == Command(label=None, reason=STANDING, velocity=(0.0, 0.0))


def test_the_speed_begins_at_zero_behind_the_dead_zone():
    used = feedback({"left": (-1.0,), "right": (1.0,)}, time_constant_s=0, dead_zone=0.2)
    speeds = [
        used.advance(decided(1 - p, p, classes=("left", "right")), i * STEP_NS).velocity[0]
        for i, p in enumerate((0.59, 0.6, 0.601, 1.0))
    ]
    assert speeds[:2] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert 0 < speeds[2] < 0.01
    assert speeds[3] == 1.0


def test_gain_and_maximum_set_the_speed():
    assert play(feedback(time_constant_s=0, maximum=0.4), [LEFT])[0].velocity == (-0.4, 0.0)
    half = play(feedback(time_constant_s=0, gain=0.5, dead_zone=0), [LEFT])[0]
    assert half.velocity == pytest.approx((-0.5, 0.0))


def test_after_a_long_silence_it_begins_from_rest():
    used = feedback(patience_s=1.0)
    play(used, [LEFT] * 10)
    assert used.advance(LEFT, 10 * STEP_NS).velocity[0] < -0.8
    assert used.advance(LEFT, 10 * STEP_NS + 1_000_000_001).velocity == (0.0, 0.0)


def test_probabilities_that_are_not_finite_stop_it():
    used = feedback()
    play(used, [LEFT] * 10)
    odd = Decision(classes=CLASSES, probabilities=np.full(4, np.nan), label="left")
    stopped = used.advance(odd, 10 * STEP_NS)
    assert stopped == Command(label=None, reason=NOT_FINITE, velocity=(0.0, 0.0))


def test_a_guard_that_is_not_armed_lets_nothing_move():
    used, guard = feedback(), Guard()
    for command in play(used, [RIGHT] * 5 + [REST] * 9):
        assert not any(guard.permit(command, now_ns=0).velocity)


def test_numbers_may_come_as_a_session_file_gives_them():
    used = feedback({"left": [-1, 0], "right": [1, 0]}, time_constant_s=0)
    assert used.advance(RIGHT, 0).velocity == (1.0, 0.0)


def test_a_recording_keeps_the_velocity_to_the_last_bit_and_old_ones_have_none():
    command = Command(label="left", strength=0.1, velocity=(-0.1, 1 / 3))
    line = write_entry(turn_entry(command))
    kept = read_entry(line)
    assert isinstance(kept, TurnEntry)
    assert kept.command == command
    old = line.replace(',"velocity":[-0.1,0.3333333333333333]', "")
    assert old != line
    before = read_entry(old)
    assert isinstance(before, TurnEntry)
    assert before.command.velocity == ()


def turn_entry(command: Command) -> TurnEntry:
    names = ("due", "arrived", "conditioned", "cut", "encoded", "decided", "fed_back", "acted")
    times = StageTimes(**{f"{name}_ns": place for place, name in enumerate(names)})
    return TurnEntry(decision=NEUTRAL, command=command, times=times)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"directions": {}}, "is empty"),
        ({"directions": {"left": (0.0, 0.0)}}, "length 1"),
        ({"directions": {"left": (2.0,)}}, "length 1"),
        ({"directions": {"left": (math.nan,)}}, "length 1"),
        ({"directions": {"left": ()}}, "1 to 3 numbers"),
        ({"directions": {"left": (1, 0, 0, 0)}}, "1 to 3 numbers"),
        ({"directions": {"left": "x"}}, "1 to 3 numbers"),
        ({"directions": {"left": (True,)}}, "1 to 3 numbers"),
        ({"directions": {"left": (1.0,), "right": (1.0, 0.0)}}, "as many axes"),
        ({"time_constant_s": -0.1}, "time_constant_s"),
        ({"time_constant_s": math.nan}, "time_constant_s"),
        ({"dead_zone": 1.0}, "dead_zone"),
        ({"dead_zone": -0.1}, "dead_zone"),
        ({"gain": 0.0}, "gain"),
        ({"maximum": 0.0}, "maximum"),
        ({"maximum": 1.1}, "maximum"),
        ({"patience_s": 0.0}, "patience_s"),
    ],
)
def test_settings_out_of_range_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        feedback(**changes)


def test_a_direction_of_no_class_is_refused():
    config = VelocityConfig(directions={"lfet": (1.0,)})
    with pytest.raises(ConfigError, match="lfet"):
        VelocityFeedback(config, ("left", "rest"))
    assert VelocityFeedback(VelocityConfig(directions={"left": (1.0,)}), ("left", "rest"))
