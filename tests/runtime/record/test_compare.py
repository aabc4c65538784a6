"""Field by field: what counts as equal, what does not, and what is said of the first difference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.messages import (
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Marker,
    StageTimes,
    Turn,
)
from diverloop.runtime.record.compare import (
    IGNORED,
    TOLERANCES,
    Comparer,
    Comparison,
    Difference,
    _flat,
)
from diverloop.runtime.record.entries import TurnEntry, read_entry, write_entry

from .test_tape import SPEC

EVENT = Event(kind=EventKind.GAP, text="3 samples were lost.", sample=7, count=3, at_ns=9)
EDGE = 1e-9


class Tape:
    """What was recorded, as far as a comparison asks for it."""

    def __init__(self, recorded: list[Any], broke_off: bool, diverged: bool) -> None:
        self._recorded = [read_entry(write_entry(entry)) for entry in recorded]
        self.broke_off, self.diverged = broke_off, diverged

    def next_result(self) -> Any:
        return self._recorded.pop(0) if self._recorded else None


def turn(p: Any = (0.25, 0.75), **changes: Any) -> Turn:
    """A turn; keys with two underscores lead into its parts."""
    made = Turn(
        decision=Decision(
            classes=("a", "b"), probabilities=np.array(p, float), label="b", first_sample=10,
            stop_sample=20,
        ),
        command=Command(label="b", strength=0.5),
        times=StageTimes(
            due_ns=1, arrived_ns=2, conditioned_ns=3, cut_ns=4, encoded_ns=5, decided_ns=6,
            fed_back_ns=7, acted_ns=8,
        ),
        embedding=Embedding(values=np.array([1.0, 2.0])),
    )  # fmt: skip
    for key, value in changes.items():
        part, _, name = key.partition("__")
        value = replace(getattr(made, part), **{name: value}) if name else value
        made = replace(made, **{part: value})
    return made


def compared(recorded: list[Any], replayed: list[Any], broke_off=False, diverged=False):
    kept = [TurnEntry.of(one) if isinstance(one, Turn) else one for one in recorded]
    comparer = Comparer(Tape(kept, broke_off, diverged))
    for message in replayed:
        comparer.watch(message)
    comparer.close()
    return comparer.result()


def equal(one: Turn, other: Turn) -> bool:
    return compared([one], [other]).first is None


def test_it_is_a_watcher_that_misses_nothing():
    assert Comparer.lossless
    check_watcher(Comparer(Tape([], True, False)), SPEC)


def test_the_same_is_the_same_and_counted():
    neutral = turn(
        (math.nan, math.nan), decision__label=None, embedding=None, command=Command(label=None)
    )
    found = compared([EVENT, turn(), neutral, EVENT], [EVENT, turn(), neutral, EVENT])
    assert found == Comparison(
        first=None, n_turns=2, n_events=2, n_equal=2, n_decoded=1, n_decided=1, n_commanded=1,
        n_bit_equal=1, largest=dict.fromkeys(TOLERANCES, 0.0), unfinished=0,
    )  # fmt: skip
    assert found.ok
    assert found.sentence() == (
        "The replay is the recorded run: 2 of 2 turns and 2 events are equal; 1 windows were "
        "decoded, 1 decided for a class, 1 commands were not neutral; 1 of 1 embeddings are equal "
        "to the last bit."
    )


# -------------------------------------------------------------------------------- tolerances


@pytest.mark.parametrize("change", [EDGE, -EDGE, EDGE / 2])
def test_a_difference_up_to_the_tolerance_is_none_and_told(change):
    # From 0, so that the difference is the number itself and not what rounding leaves of it.
    found = compared([turn((0.0, 1.0))], [turn((change, 1.0))])
    assert found.first is None
    assert found.n_equal == 1
    assert found.largest["decision.probabilities"] == abs(change)
    found = compared(
        [turn(command__strength=0.0, asked=Command(label="b", strength=0.0))],
        [turn(command__strength=change, asked=Command(label="b", strength=-change))],
    )
    assert found.first is None
    assert found.largest["command.strength"] == found.largest["asked.strength"] == abs(change)


@pytest.mark.parametrize("change", [math.nextafter(EDGE, 1), -math.nextafter(EDGE, 1), math.inf])
@pytest.mark.parametrize("field", sorted(TOLERANCES))
def test_a_difference_beyond_the_tolerance_is_one(change, field):
    def made(value: float) -> Turn:
        at = dict.fromkeys(TOLERANCES, 0.0) | {field: value}
        asked = Command(
            label="b", strength=at["asked.strength"], velocity=(0.5, at["asked.velocity"])
        )
        return turn(
            (at["decision.probabilities"], 1.0),
            command__strength=at["command.strength"],
            command__velocity=(at["command.velocity"], 0.5),
            asked=asked,
        )

    found = compared([made(0.0)], [made(change)])
    assert found.first is not None
    assert found.first.field == field
    assert found.n_equal == 0
    assert found.largest[field] == abs(change)


def test_another_number_of_axes_is_a_difference_even_at_rest():
    assert equal(turn(command__velocity=(0.0,)), turn(command__velocity=(0.0,)))
    assert not equal(turn(command__velocity=()), turn(command__velocity=(0.0,)))
    assert not equal(turn(command__velocity=(0.0,)), turn(command__velocity=(0.0, 0.0)))


def test_the_largest_difference_is_kept_over_all_turns():
    found = compared([turn((0.0, 1.0))] * 3, [turn((p, 1.0)) for p in (1e-10, 7e-10, 3e-10)])
    assert found.largest["decision.probabilities"] == 7e-10


def test_any_other_number_has_to_be_equal_to_the_last_bit():
    other = turn(decision__lsl_raw_s=math.nextafter(5.0, 6))
    assert not equal(turn(decision__lsl_raw_s=5.0), other)
    assert equal(other, other)


def test_the_tolerances_are_those_of_numbers_that_are_computed():
    assert dict(TOLERANCES) == dict.fromkeys(
        (
            "decision.probabilities",
            *("command.strength", "command.velocity", "asked.strength", "asked.velocity"),
        ),
        1e-9,
    )
    names = {name for name, _ in _flat(TurnEntry.of(turn(asked=Command(label=None))))}
    assert set(TOLERANCES) <= names
    assert all(IGNORED.values())


# ------------------------------------------------------------------- zero, NaN, and other kinds


def test_minus_zero_is_zero_where_there_is_a_tolerance_and_not_elsewhere():
    assert equal(turn((0.0, 1.0)), turn((-0.0, 1.0)))
    assert equal(turn(command__strength=0.0), turn(command__strength=-0.0))
    assert not equal(turn(decision__lsl_raw_s=0.0), turn(decision__lsl_raw_s=-0.0))


def test_nan_is_equal_to_nan_and_to_nothing_else():
    nan = math.nan
    assert equal(turn((nan, nan)), turn((nan, nan)))
    assert equal(turn((nan, 1.0)), turn((nan, 1.0 + 1e-10)))
    assert not equal(turn((nan, 0.5)), turn((0.5, nan)))
    assert not equal(turn((nan, nan)), turn((0.0, 0.0)))
    assert not equal(turn((0.5, 0.5)), turn((0.5, nan)))
    assert not equal(turn((nan, 0.5)), turn((nan, 0.6)))
    assert equal(turn(command__strength=nan), turn(command__strength=nan))
    assert not equal(turn(command__strength=0.0), turn(command__strength=nan))
    assert not equal(turn(decision__lsl_raw_s=nan), turn(decision__lsl_raw_s=0.0))


def test_infinity_is_equal_to_itself_alone():
    inf = math.inf
    assert equal(turn((inf, 1.0)), turn((inf, 1.0)))
    assert not equal(turn((inf, 1.0)), turn((-inf, 1.0)))
    assert not equal(turn((inf, 0.0)), turn((inf, 1.0)))


def test_no_probabilities_are_equal_to_none_and_another_number_is_a_difference():
    assert equal(turn(()), turn(()))
    assert not equal(turn((0.5, 0.5)), turn((0.5, 0.25, 0.25)))
    assert not equal(turn((0.5,)), turn((0.5, 0.5)))


def test_numbers_of_numpy_are_the_numbers_they_are():
    replayed = turn(
        decision__label=np.str_("b"), decision__first_sample=np.int64(10),
        command__selected=np.bool_(False), command__strength=np.float64(0.5),
    )  # fmt: skip
    assert equal(turn(), replayed)
    assert compared([EVENT], [replace(EVENT, count=np.int64(3))]).first is None


@pytest.mark.parametrize("value", [None, "", "None"])
def test_no_label_is_not_the_word_none(value):
    others = {None, "", "None"} - {value}
    for other in others:
        assert not equal(turn(decision__label=value), turn(decision__label=other))


def test_a_marker_is_compared_whole():
    marker = Marker(label="cue", sample=3, lsl_raw_s=1.0)
    assert equal(turn(decision__marker=marker), turn(decision__marker=replace(marker)))
    for change in ({"label": "x"}, {"sample": 4}, {"lsl_raw_s": 2.0}, {"stream": "y"}):
        other = turn(decision__marker=replace(marker, **change))
        assert not equal(turn(decision__marker=marker), other)
    assert not equal(turn(decision__marker=marker), turn())


@pytest.mark.parametrize("asked", [Command(label=None), Command(label="b", strength=0.5)])
def test_a_request_on_one_side_alone_is_a_difference_whatever_was_asked(asked):
    for one, other in ((None, asked), (asked, None)):
        found = compared([turn(asked=one)], [turn(asked=other)])
        assert found.first is not None
        words = {None: "nothing"}
        assert (found.first.field, found.first.recorded, found.first.replayed) == (
            "asked", words.get(one, "there"), words.get(other, "there"),
        )  # fmt: skip


def test_every_field_of_a_turn_and_of_an_event_is_looked_at():
    names = [name for name, _ in _flat(TurnEntry.of(turn(asked=Command(label=None))))]
    parts = {"decision": Decision, "command": Command, "times": StageTimes, "asked": Command}
    expected = [
        name
        for part, kind in parts.items()
        for name in (part, *(f"{part}.{key}" for key in kind.__slots__))
    ]
    assert names == expected
    assert set(TurnEntry.__slots__) - set(parts) == {"embedding"}
    assert [name for name, _ in _flat(EVENT)] == list(Event.__slots__)


# --------------------------------------------------------------------------- embeddings: counted


def test_another_last_bit_of_an_embedding_is_counted_and_not_judged():
    near = Embedding(values=np.array([1.0, np.nextafter(2.0, 3)]))
    found = compared([turn(), turn()], [turn(), turn(embedding=near)])
    assert found.ok
    assert (found.n_decoded, found.n_bit_equal, found.n_equal) == (2, 1, 2)


def test_windows_that_were_not_decoded_are_no_embeddings_that_are_equal():
    nothing = turn(embedding=None)
    found = compared([nothing, turn(), turn()], [turn(), nothing, nothing])
    assert (found.n_decoded, found.n_bit_equal) == (2, 0)


# ------------------------------------------------------------------------------ places and order


def test_the_first_difference_is_told_in_words_and_later_ones_are_not():
    wrong = turn((0.5, 0.5), decision__label="a")
    found = compared([EVENT, turn(), turn(), turn()], [EVENT, turn(), wrong, turn((0.0, 0.0))])
    assert found.first == Difference(
        place="Turn 2 (samples 10 to 20)", field="decision.probabilities",
        recorded="[0.25 0.75]", replayed="[0.5 0.5]",
    )  # fmt: skip
    assert found.sentence() == (
        "The replay differs. Turn 2 (samples 10 to 20): decision.probabilities was [0.25 0.75] in "
        "the recording and is [0.5 0.5] in the replay."
    )
    assert found.n_equal == 1
    assert not found.ok


def test_an_event_in_place_of_a_turn_and_the_other_way_round():
    found = compared([EVENT], [turn()])
    assert found.first == Difference(
        place="Turn 1 (samples 10 to 20)", field="turn", recorded="event gap", replayed="there"
    )
    found = compared([turn()], [EVENT])
    assert found.first == Difference(
        place="Event 1 (sample 7)", field="event gap", recorded="a turn", replayed="there"
    )


@pytest.mark.parametrize("extra", [turn(), EVENT])
def test_what_is_in_the_replay_alone_is_a_difference(extra):
    found = compared([turn()], [turn(), extra])
    assert found.first is not None
    assert (found.first.recorded, found.first.replayed) == ("nothing", "there")
    assert not found.ok


@pytest.mark.parametrize("extra", [turn(), EVENT])
def test_what_is_in_the_recording_alone_is_a_difference(extra):
    found = compared([turn(), extra], [turn()])
    assert found.first is not None
    assert (found.first.recorded, found.first.replayed) == ("there", "missing")
    assert found.unfinished == isinstance(extra, Turn)
    assert not found.ok


# --------------------------------------------------------------------------- it broke off, stopped


def test_what_a_killed_loop_left_behind_is_counted_and_no_difference():
    found = compared([turn(), EVENT, turn(), turn()], [turn(), EVENT], broke_off=True)
    assert found.ok
    assert (found.n_turns, found.n_events, found.unfinished) == (1, 1, 2)
    assert found.sentence().endswith(
        "to the last bit. The loop broke off in mid-pass: 2 turns of it cannot be replayed."
    )


def test_what_a_killed_loop_did_not_get_rid_of_is_not_compared():
    found = compared([turn()], [turn(), EVENT, turn((0.0, 0.0))], broke_off=True)
    assert found.ok
    assert (found.n_turns, found.n_events, found.n_equal) == (1, 0, 1)


def test_a_difference_before_the_loop_was_killed_is_one():
    found = compared([turn(), turn()], [turn((0.0, 0.0))], broke_off=True)
    assert found.first is not None
    assert not found.ok


def test_after_a_divergence_what_is_left_is_no_difference():
    assert compared([turn(), turn()], [turn()], diverged=True).first is None


# ------------------------------------------------------------------------------ what is left out


@pytest.mark.parametrize("kind", EventKind)
def test_only_what_befell_watchers_and_the_machine_is_left_out(kind):
    event = replace(EVENT, kind=kind)
    left_out = kind in (
        EventKind.OVERFLOW, EventKind.RECORDER, EventKind.ENGINE, EventKind.FAILED,
        EventKind.WATCHDOG, EventKind.SENT, EventKind.STOPPED, EventKind.LEARNER,
        EventKind.SECOND_STAGE,
    )  # fmt: skip
    for recorded, replayed in (([turn(), event], [turn()]), ([turn()], [turn(), event])):
        assert (compared(recorded, replayed).first is None) == left_out
    assert compared([event, turn()], [event, turn()]).ok
    assert (f"event {kind}" in ", ".join(IGNORED)) == left_out


def test_a_session_without_a_decoded_window_proves_nothing():
    nothing = turn(embedding=None)
    found = compared([nothing, EVENT], [nothing, EVENT])
    assert (found.first, found.engaged, found.ok) == (None, False, False)
    assert "this proves nothing" in found.sentence()
    assert "differs" in compared([nothing], [turn((0, 0), embedding=None)]).sentence()
