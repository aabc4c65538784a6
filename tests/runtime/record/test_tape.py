"""The tape notes what passes and changes nothing; all of it is heard again at the same place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_clock
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.inbox import Kind, Told
from diverloop.runtime.messages import Chunk, StreamSpec
from diverloop.runtime.record.tape import (
    BROKEN,
    CHUNK,
    NOTHING,
    OPENING,
    Pass,
    ReplayedGuard,
    ReplayedInbox,
    Tape,
    TapedClock,
)

from .taped import BAND, CHANNELS, Broken, Trial, promotion, run, weights
from .taped import NOTHING as EMPTY

SPEC = StreamSpec(name="made", rate_hz=250.0, channels=CHANNELS)
CHUNK_OF_NONE = Chunk(samples=EMPTY, first_sample=-1, arrived_ns=0)


class Source:
    """Gives what it is told to give, in order."""

    spec = SPEC

    def __init__(self, *gives) -> None:
        self._gives = list(gives)
        self.calls: list[object] = []

    @property
    def ended(self) -> bool:
        return not self._gives

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")

    def read(self, wanted, until_ns):
        self.calls.append((wanted, until_ns))
        given = self._gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def taped(*gives) -> tuple[Tape, Source, object, list[Pass]]:
    posted: list[Pass] = []
    tape, source = Tape(VirtualClock(5), posted.append), Source(*gives)
    return tape, source, tape.source(source), posted


@pytest.mark.parametrize("seed", range(6))
def test_a_loop_runs_the_same_with_the_tape_and_without(seed):
    trial = Trial(
        seed=seed,
        form=("plain", "f4", "i2")[seed % 3],
        condition=(BAND, Trial().condition)[seed % 2],
    )
    with_tape, without = run(trial), run(trial, taped=False)
    assert with_tape.lines == without.lines
    assert with_tape.report == without.report
    assert len(with_tape.turns) > 50


def test_every_reading_of_the_clock_is_in_the_pass_in_which_it_was_taken():
    tape, _, source, posted = taped(CHUNK_OF_NONE, None)
    clock = tape.clock
    source.open()
    assert clock.now_ns() == 5
    clock.wait_until(9)
    assert clock.now_ns() == 9
    tape.guard.settled()
    assert source.read(1, 0) is CHUNK_OF_NONE
    clock.wait_until(30)
    clock.now_ns()
    tape.guard.settled()
    assert source.read(1, 0) is None
    tape.guard.settled()
    assert posted == [
        Pass(number=0, outcome=OPENING, readings_ns=(5, 9)),
        Pass(number=1, outcome=CHUNK, readings_ns=(30,)),
    ]
    source.close()
    assert posted[2:] == [Pass(number=2, outcome=NOTHING, readings_ns=())]


def test_a_taped_clock_is_a_clock():
    check_clock(TapedClock(VirtualClock(10**10), []))


def test_a_taped_source_is_the_source():
    tape, inner, source, posted = taped(None)
    assert source.spec is SPEC
    assert not source.ended
    source.open()
    source.read(7, 8)
    assert source.ended
    source.close()
    source.close()
    assert inner.calls == ["open", (7, 8), "close", "close"]
    assert [p.number for p in posted] == [0, 1]
    assert tape is not None


def test_a_source_that_was_never_open_leaves_no_pass():
    _, inner, source, posted = taped()
    source.close()
    assert (inner.calls, posted) == (["close"], [])


def test_a_pass_that_an_error_cut_short_is_broken_whatever_was_read():
    for gives, settle in (((CHUNK_OF_NONE, Broken()), True), ((CHUNK_OF_NONE, None), False)):
        tape, _, source, posted = taped(*gives)
        source.open()
        tape.guard.settled()
        source.read(1, 0)
        tape.guard.settled()
        try:
            source.read(1, 0)
        except Broken:
            assert settle
        source.close()
        assert [p.outcome for p in posted] == [OPENING, CHUNK, BROKEN]


def test_a_loop_that_failed_in_its_opening_leaves_a_broken_pass():
    _, _, source, posted = taped()
    source.open()
    source.close()
    assert [p.outcome for p in posted] == [BROKEN]


def test_what_persons_said_is_noted_with_the_look_that_took_it_in():
    tape, _, source, posted = taped(None, None)
    source.open()
    tape.guard.tell(Signal.PERSON_ARMS)
    tape.guard.take_in()
    tape.guard.take_in()
    tape.guard.tell(Signal.EMERGENCY_STOP)
    tape.guard.tell(Signal.PERSON_RESETS)
    tape.guard.settled()
    tape.guard.tell(Signal.PERSON_DISARMS)
    source.read(1, 0)
    tape.guard.settled()
    source.read(1, 0)
    assert [p.heard for p in posted] == [
        ((0, "person arms"), (2, "emergency stop"), (2, "person resets")),
        ((0, "person disarms"),),
    ]


def test_what_the_decoder_was_told_comes_back_at_the_same_looks():
    tape, _, source, posted = taped(None, None)
    source.open()
    tape.guard.settled()
    tape.inbox.take()
    tape.inbox.listen("the operator")
    tape.inbox.tell(Told(kind=Kind.CORRECT, text="yes", utterance=1, version=2))
    tape.inbox.take()
    source.read(1, 0)
    tape.inbox.ignore("the person")
    tape.guard.settled()
    tape.inbox.take()
    source.read(1, 0)
    first, second = posted
    assert [(look, told.kind) for look, told in first.told] == [(1, Kind.LISTEN), (1, Kind.CORRECT)]
    assert [(look, told.text) for look, told in second.told] == [(0, "the person")]
    replayed = ReplayedInbox()
    replayed.begin_pass(first.told)
    replayed.listen("somebody during the replay")
    assert [replayed.take() for _ in range(3)] == [(), tuple(told for _, told in first.told), ()]
    replayed.begin_pass(second.told)
    assert replayed.take() == (second.told[0][1],)


def test_promotions_are_counted_in_the_pass_at_whose_end_they_were_taken():
    tape, _, source, posted = taped(None, None, None)
    source.open()
    offered = [(promotion(weights(n)), weights(n)) for n in (2, 3, 4)]
    tape.promotions.offer(*offered[0])
    tape.promotions.offer(*offered[1])
    assert tape.promotions.take() == tuple(offered[:2])
    assert tape.promotions.take() == ()
    source.read(1, 0)
    assert tape.promotions.take() == ()
    source.read(1, 0)
    tape.promotions.offer(*offered[2])
    assert len(tape.promotions.take()) == 1
    source.read(1, 0)
    assert [p.promotions for p in posted] == [2, 0, 1]


Look = st.lists(st.sampled_from(list(Signal)), max_size=3)


@given(passes=st.lists(st.lists(Look, min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_replayed_guard_is_in_the_same_state_after_every_look(passes):
    tape, _, source, posted = taped(*[None] * len(passes))
    source.open()
    states = []
    for looks in passes:
        for told in looks:
            for signal in told:
                tape.guard.tell(signal)
            states.append(tape.guard.settled())
        source.read(1, 0)
    again, plain = ReplayedGuard(), Guard()
    replayed, expected = [], []
    for noted, looks in zip(posted, passes, strict=True):
        again.begin_pass(noted.heard)
        for told in looks:
            replayed.append(again.settled())
            for signal in told:
                plain.tell(signal)
            expected.append(plain.settled())
    assert replayed == states == expected


def test_a_replayed_guard_forgets_what_was_not_looked_for_in_its_pass():
    guard = ReplayedGuard()
    guard.begin_pass(((1, "person arms"),))
    assert guard.take_in() == ()
    guard.begin_pass(((0, "emergency stop"), (0, "person resets")))
    assert guard.take_in() == (Signal.EMERGENCY_STOP, Signal.PERSON_RESETS)
    assert guard.take_in() == ()
