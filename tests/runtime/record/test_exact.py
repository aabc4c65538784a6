"""Sessions in which everything goes wrong replay exactly; whatever is altered is found."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from diverloop.assembly import open_adapter
from diverloop.runtime.errors import RecordingError, ReplayDivergedError
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig
from diverloop.runtime.messages import Chunk, Event, EventKind, Promotion, StreamSpec
from diverloop.runtime.received import Received
from diverloop.runtime.record.entries import End, TurnEntry
from diverloop.runtime.record.exact import ExactReplay, ReplayedSink, ReplayedSource
from diverloop.runtime.record.tape import BROKEN, CHUNK, NOTHING, Pass
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.spikes import SpikeConfig
from diverloop.runtime.windows import WindowConfig

from .taped import (
    BAND,
    MANIFEST,
    PERSONS,
    Session,
    Trial,
    promotion,
    replay,
    run,
    weights,
    write,
)

LOCKED = WindowConfig(length_s=0.2, lock_to=("flash",), offset_s=-0.1)
WATCHED = replace(BAND, bad_channels=BadChannelConfig(), spikes=SpikeConfig())
CONDITIONS = (Trial().condition, BAND)
FORMS = ("plain", "f4", "i2")
LAGS = (0, 5, 40)
TRIALS = [
    *(
        Trial(seed=seed, form=FORMS[seed % 3], lag=LAGS[seed // 3 % 3],
              condition=CONDITIONS[seed % 2])
        for seed in range(18)
    ),
    Trial(seed=18, jumps=0.1),
    Trial(seed=19, form="f4", persons=0.3),
    Trial(seed=20, form="i2", promotions=0.05),
    Trial(seed=21, wilful=1.0),
    Trial(seed=22, form="f4", window=LOCKED, n_packets=500, persons=0.002),
    Trial(seed=23, faults=0.3, n_packets=300, lag=20),
    Trial(seed=24, form="f4", condition=WATCHED, n_packets=400, dead=True),
    Trial(seed=25, condition=replace(WATCHED, rate_hz=100.0), n_packets=400, dead=True, lag=5),
]  # fmt: skip
QUIET = Trial(
    seed=5, form="f4", n_packets=25, faults=0, jumps=0, persons=0, promotions=0, wilful=0,
    config=LoopConfig(deadline_s=60.0), abstain_below=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def quiet() -> Session:
    """A short session in which nothing happens, so that an alteration is all there is."""
    return run(QUIET)


# Looked at twice; nobody changes it.
once = cache(run)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recording.xdf"


# ------------------------------------------------------------------------------- it is the same


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: str(trial.seed))
def test_a_session_in_which_everything_goes_wrong_replays_exactly(trial, path):
    session = once(trial)
    outcome = replay(write(path, session.sent, finished=True), trial)
    found = outcome.comparison
    assert found.first is None, found.sentence()
    assert outcome.lines == session.lines
    assert found.ok
    assert found.n_turns == found.n_equal == len(session.turns)
    assert found.n_turns + found.n_events == len(session.lines)
    assert found.n_decoded == found.n_bit_equal == sum(bool(t.embedding) for t in session.turns)
    assert found.n_decided == sum(t.decision.label is not None for t in session.turns)
    assert found.n_commanded == sum(t.command.label is not None for t in session.turns)
    assert found.n_commanded > 0
    assert set(found.largest.values()) == {0.0}
    assert found.unfinished == 0
    told = {kind: n for kind, n in session.report.events.items() if kind != "recorder"}
    assert outcome.report == replace(session.report, events=told)


def test_the_sessions_above_hold_all_that_can_go_wrong():
    sessions = [once(trial) for trial in TRIALS]
    kinds = set().union(*(session.kinds() for session in sessions))
    # The others come from the conditioner like these, and are tested there.
    seldom = {EventKind.JITTER, EventKind.SPIKE}
    assert kinds == set(EventKind) - {
        EventKind.RATE, EventKind.OVERFLOW, EventKind.SOURCE_LOST, EventKind.RIPPLE,
        EventKind.IMPOSTOR, EventKind.MASKED,
        EventKind.SEIZURE, EventKind.BLANKED, EventKind.CLEANED, EventKind.ENGINE,
        EventKind.FAILED, EventKind.LEARNER, EventKind.SECOND_STAGE,
        EventKind.LISTENING, EventKind.CORRECTED, EventKind.BREAK, EventKind.WATCHDOG,
        EventKind.STIMULATION, EventKind.STOPPED, EventKind.SENT, *seldom,
    } | (kinds & seldom)  # fmt: skip
    texts = {event.text for session in sessions for event in session.all(Event)}
    assert "The guard went from armed to stopped." in texts
    assert any("took over" in text for text in texts)
    assert any("were refused" in text for text in texts)
    turns = [turn for session in sessions for turn in session.turns]
    assert len({turn.decision.epoch for turn in turns}) > 5
    assert {turn.asked is None for turn in turns} == {True, False}
    assert any(turn.decision.marker for turn in turns)
    outcomes = Counter(p.outcome for session in sessions for p in session.all(Pass))
    assert min(outcomes.values()) >= len(sessions)
    heard_late = [look for s in sessions for p in s.all(Pass) for look, _ in p.heard if look > 1]
    assert heard_late


def test_passes_that_stand_before_their_messages_change_nothing(path):
    trial = Trial(seed=7, form="f4", lag=40)
    session = run(trial)
    first_chunk = session.sent.index(session.all(Chunk)[0])
    assert sum(isinstance(message, Pass) for message in session.sent[:first_chunk]) > 2
    early = [*session.all(Pass), *(m for m in session.sent[1:] if not isinstance(m, Pass))]
    outcome = replay(write(path, [MANIFEST, *early]), trial)
    assert outcome.comparison.ok
    assert outcome.lines == session.lines


def test_what_other_threads_do_at_any_moment_is_replayed(path):
    trial = Trial(seed=3, n_packets=400)
    turn, acted, ended = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def act(loop: Loop) -> None:
        epoch = 1
        while not ended.is_set():
            turn.acquire(timeout=0.05)
            loop.guard.tell(PERSONS[epoch % len(PERSONS)])
            epoch += 1
            loop.promotions.offer(promotion(weights(epoch)), weights(epoch))
            acted.release()

    def others(loop: Loop) -> Callable[[], None]:
        thread.append(threading.Thread(target=act, args=(loop,)))
        thread[0].start()
        readings = itertools.count()

        def meanwhile() -> None:
            reading = next(readings)
            if reading % 10 == 0:
                turn.release()
            # The rest is a race, as it should be; but on a machine with one free core the other
            # thread may not run at all before the session is over.
            if reading % 500 == 0:
                assert acted.acquire(timeout=30)

        return meanwhile

    thread: list[threading.Thread] = []
    try:
        session = run(trial, others=others)
    finally:
        ended.set()
        thread[0].join(10)
    outcome = replay(write(path, session.sent), trial)
    assert outcome.comparison.ok, outcome.comparison.sentence()
    assert outcome.lines == session.lines
    assert sum(len(p.heard) for p in session.all(Pass)) > 1
    assert EventKind.PROMOTED in session.kinds()


# ----------------------------------------------------------------------------------- it broke off


def cut_session(lag: int) -> tuple[Trial, Session]:
    trial = Trial(seed=5, form="f4", n_packets=30, faults=0, persons=0.1, lag=lag)
    return trial, run(trial)


@pytest.mark.parametrize("lag", [0, 12])
@pytest.mark.parametrize("end", [False, True])
def test_a_tape_that_is_cut_anywhere_replays_up_to_there(path, lag, end):
    trial, session = cut_session(lag)
    goodbye = [End(reason="It went away.", orderly=False)] if end else []
    replayed = 0
    for n in range(1, len(session.sent)):
        sent = session.sent[:n]
        write(path, [*sent, *goodbye], finished=end)
        begun = any(isinstance(m, StreamSpec) for m in sent) and any(
            isinstance(m, Pass) for m in sent
        )
        if not begun:
            with pytest.raises(RecordingError, match="breaks off before the first pass"):
                ExactReplay(path, open_adapter)
            continue
        found = replay(path, trial)
        replayed += 1
        assert found.comparison.first is None, (n, found.comparison.sentence())
        turns = [m for m in sent if isinstance(m, TurnEntry)]
        last_pass = max(place for place, m in enumerate(sent) if isinstance(m, Pass))
        certain = sum(isinstance(m, TurnEntry) for m in sent[:last_pass])
        assert found.comparison.n_turns + found.comparison.unfinished == len(turns)
        assert certain <= found.comparison.n_turns
        if not lag:
            assert found.comparison.n_turns == certain
        seen = found.comparison.n_turns + found.comparison.n_events
        assert found.lines[:seen] == session.lines[:seen]
    assert replayed > 50


@pytest.mark.parametrize("breaks", ["source", "encoder", "sink"])
@pytest.mark.parametrize("lag", [0, 12])
def test_a_loop_that_failed_replays_up_to_the_pass_in_which_it_did(path, breaks, lag):
    trial = Trial(seed=8, breaks=breaks, lag=lag)
    session = run(trial)
    passes = session.all(Pass)
    assert [p.outcome for p in passes if p.outcome == BROKEN] == [passes[-1].outcome]
    assert session.sent[-1].orderly
    outcome = replay(write(path, session.sent), trial)
    assert outcome.comparison.ok, outcome.comparison.sentence()
    assert outcome.comparison.n_turns + outcome.comparison.unfinished == len(session.turns)
    assert outcome.lines == session.lines[: len(outcome.lines)]


def test_a_sink_that_fails_in_the_middle_of_a_burst_leaves_turns_that_cannot_be_replayed(path):
    unfinished = []
    for seed in range(6):
        trial = Trial(seed=seed, breaks="sink", jumps=0.1, config=LoopConfig(deadline_s=60.0))
        session = run(trial)
        outcome = replay(write(path, session.sent), trial)
        assert outcome.comparison.first is None
        unfinished.append(outcome.comparison.unfinished)
    assert max(unfinished) > 0


def test_a_pass_that_is_missing_on_the_tape_is_named(path, quiet):
    passes = quiet.all(Pass)
    without = [message for message in quiet.sent if message is not passes[7]]
    with pytest.raises(RecordingError, match="holds pass 8 of the loop after pass 6: a part of"):
        replay(write(path, without), QUIET)


def test_a_chunk_that_was_dropped_on_its_way_to_the_recorder_is_named(path, quiet):
    chunks = quiet.all(Chunk)
    without = [message for message in quiet.sent if message is not chunks[-1]]
    with pytest.raises(ReplayDivergedError, match=r"chunk of pass \d+ is missing on the tape"):
        replay(write(path, without), QUIET)


# ------------------------------------------------------------------------ whatever is altered


def place_of(session: Session, kind: type, number: int) -> int:
    """Where the n-th message of a kind stands."""
    places = [place for place, m in enumerate(session.sent) if isinstance(m, kind)]
    return places[number]


def number_of(session: Session, turn: TurnEntry) -> int:
    """Which turn it is, from 1."""
    return next(n for n, other in enumerate(session.turns, 1) if other is turn)


def altered(session: Session, kind: type, number: int, /, **changes: Any) -> list[Any]:
    """The messages of a session with fields of one changed; dots lead into parts."""
    sent = list(session.sent)
    at = place_of(session, kind, number)
    for name, value in changes.items():
        sent[at] = _with(sent[at], name.split("__"), value)
    return sent


def _with(message: Any, names: list[str], value: Any) -> Any:
    name, *rest = names
    was = getattr(message, name)
    if rest:
        return replace(message, **{name: _with(was, rest, value)})
    return replace(message, **{name: value(was) if callable(value) else value})


def test_every_reading_of_the_clock_that_left_a_trace_is_found_where_it_is(path):
    trial = replace(QUIET, n_packets=15)  # all of it is replayed for each reading in it
    quiet, found = run(trial), Counter()
    for number, noted in enumerate(quiet.all(Pass)):
        for place, reading in enumerate(noted.readings_ns):
            readings = list(noted.readings_ns)
            readings[place] += 1
            write(path, altered(quiet, Pass, number, readings_ns=tuple(readings)))
            first = replay(path, trial).comparison.first
            traces = list(traces_of(quiet, reading))
            assert (first is None) == (not traces)
            if first is None:
                continue
            where, names = traces[0]
            assert first.place.startswith(where)
            # A nanosecond more of forgetting may show in the strength before it shows in the time.
            assert first.field in (*names, *(["command.strength"] * ("decided_ns" in str(names))))
            found[first.field] += 1
    assert min(found[f"times.{name}_ns"] for name in ("conditioned", "cut", "acted")) > 3
    assert found["at_ns"] == 1


def traces_of(session: Session, reading_ns: int):
    """Places and fields that hold a reading, in order of the tape."""
    n_turns = n_events = 0
    for message in session.sent:
        if isinstance(message, TurnEntry):
            n_turns += 1
            times = message.times
            names = [f"times.{n}" for n in times.__slots__ if getattr(times, n) == reading_ns]
            if names:
                yield f"Turn {n_turns} ", names
        elif isinstance(message, Event):
            n_events += 1
            if message.at_ns == reading_ns:
                yield f"Event {n_events} ", ["at_ns"]


@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: (*r, r[-1])], ids=["less", "more"])
def test_another_number_of_clock_readings_is_another_run(path, quiet, change):
    sent = altered(quiet, Pass, 9, readings_ns=change)
    with pytest.raises(ReplayDivergedError, match="In pass 9 the loop asked for the time"):
        replay(write(path, sent), QUIET)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [0, 7, 13])
def test_a_changed_sample_is_found_in_the_first_window_that_holds_it(path, form, number):
    trial = replace(QUIET, form=form)
    session = run(trial)
    chunk = session.all(Chunk)[number]
    sample = chunk.first_sample
    sent = altered(session, Chunk, number, **louder(chunk))
    found = replay(write(path, sent), trial).comparison
    windows = [
        t for t in session.turns if t.decision.first_sample <= sample < t.decision.stop_sample
    ]
    first = number_of(session, windows[0])
    assert found.first is not None
    assert found.first.field == "decision.probabilities"
    assert found.first.place.startswith(
        f"Turn {first} (samples {windows[0].decision.first_sample} "
    )
    assert found.n_decoded - found.n_bit_equal == len(windows)
    assert not found.ok


def louder(chunk: Chunk) -> dict[str, Any]:
    """The same chunk with one number changed: the first of the middle channel."""

    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[0, 1] += 100
        return values

    if not chunk.received:
        return {"samples": lambda samples: change(samples.T).T}
    first, *rest = chunk.received
    return {"received": (replace(first, values=change(first.values)), *rest)}


def test_the_last_bit_of_a_sample_shows_in_the_embeddings_of_all_its_windows(path, quiet):
    number = 10
    chunk = quiet.all(Chunk)[number]
    (received,) = chunk.received
    values = received.values.copy()
    values[0, 2] = np.nextafter(values[0, 2], np.float32(np.inf))
    sent = altered(quiet, Chunk, number, received=(replace(received, values=values),))
    found = replay(write(path, sent), QUIET).comparison
    windows = [
        t for t in quiet.turns
        if t.decision.first_sample <= chunk.first_sample < t.decision.stop_sample
    ]  # fmt: skip
    assert found.n_decoded - found.n_bit_equal == len(windows) > 1
    # One bit among fifty samples is below the tolerance of the probabilities, which it did move.
    assert found.first is None
    assert 0 < found.largest["decision.probabilities"] <= 1e-9


@pytest.mark.parametrize("form", ["plain", "f4"])
@pytest.mark.parametrize("far", [False, True])
def test_a_moved_boundary_between_chunks_is_found_if_a_window_was_due_there(path, form, far):
    trial = replace(QUIET, form=form)
    session = run(trial)
    fields = Counter()
    for number in range(3, 20):
        first, second = (place_of(session, Chunk, number + more) for more in (0, 1))
        turns = [m for m in session.sent[first:second] if isinstance(m, TurnEntry)]
        write(path, moved_boundary(session.sent, first, second, far))
        try:
            found = replay(path, trial).comparison
        except ReplayDivergedError:
            assert turns
            fields["diverged"] += 1
            continue
        assert (found.first is None) == (not turns)
        if found.first is not None:
            assert found.first.place.startswith(f"Turn {number_of(session, turns[0])} ")
            fields[found.first.field] += 1
    assert fields["diverged" if far else "decision.lsl_raw_s"] > 3
    assert set(fields) <= {"decision.lsl_raw_s", "diverged"}


def moved_boundary(sent: list[Any], first: int, second: int, far: bool) -> list[Any]:
    """One sample, or all but one, go from the end of a chunk to the beginning of the next."""
    sent = list(sent)
    one, other = sent[first], sent[second]
    length = other.first_sample - one.first_sample
    moved = length - 1 if far else min(1, length - 1)
    if one.received:
        ((start, stop),), ((_, end),) = one.rows, other.rows
        sent[first] = replace(one, rows=((start, stop - moved),))
        rows = ((stop - moved, end),)
        sent[second] = replace(other, rows=rows, first_sample=other.first_sample - moved)
        return sent
    both = np.hstack([one.samples, other.samples])
    sent[first] = replace(one, samples=both[:, : length - moved])
    rest = both[:, length - moved :]
    sent[second] = replace(other, samples=rest, first_sample=other.first_sample - moved)
    return sent


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"arrived_ns": lambda ns: ns + 1}, "times.due_ns"),
        ({"lsl_raw_s": lambda s: np.nextafter(s, 1e9)}, "decision.lsl_raw_s"),
        ({"lsl_corrected_s": lambda s: s + 1e-6}, "decision.lsl_corrected_s"),
    ],
)
def test_another_time_of_a_chunk_is_found_in_the_next_turn(path, quiet, changes, field):
    number = next(
        n for n in range(len(quiet.all(Chunk)))
        if isinstance(quiet.sent[place_of(quiet, Chunk, n) + 1], TurnEntry)
    )  # fmt: skip
    at = place_of(quiet, Chunk, number)
    turn = sum(isinstance(m, TurnEntry) for m in quiet.sent[:at]) + 1
    write(path, altered(quiet, Chunk, number, **changes))
    first = replay(path, QUIET).comparison.first
    assert first is not None
    assert (first.field, first.place.split(" (")[0]) == (field, f"Turn {turn}")


def test_another_event_in_a_chunk_is_found(path):
    trial = replace(QUIET, faults=0.2, seed=2)
    session = run(trial)
    number = next(n for n, chunk in enumerate(session.all(Chunk)) if chunk.events)
    told = session.all(Chunk)[number].events[0]
    place = [event.text for event in session.all(Event)].index(told.text) + 1
    for changes, field in (
        ({"text": "Something else."}, "text"),
        ({"count": told.count + 1}, "count"),
        ({"sample": told.sample + 1}, "sample"),
        ({"kind": EventKind.JITTER}, "kind"),
    ):
        events = lambda was, c=changes: (replace(was[0], **c), *was[1:])  # noqa: E731
        first = replay(
            write(path, altered(session, Chunk, number, events=events)), trial
        ).comparison.first
        assert first is not None
        assert (first.field, first.place.split(" (")[0]) == (field, f"Event {place}")


def test_another_marker_is_found_in_the_window_that_is_locked_to_it(path):
    trial = Trial(seed=22, form="f4", window=LOCKED, n_packets=500, persons=0.002)
    session = run(trial)
    chunks = session.all(Chunk)
    number = next(n for n, chunk in enumerate(chunks) if n > 30 and chunk.markers)
    one, other = chunks[number].markers
    for changed, field in (
        (replace(other, lsl_raw_s=1.25), "decision.marker"),
        (replace(other, stream="other cues"), "decision.marker"),
    ):
        sent = altered(session, Chunk, number, markers=(one, changed))
        first = replay(write(path, sent), trial).comparison.first
        assert first is not None
        assert first.field == field
        assert changed.stream in first.replayed


TURN_CHANGES: dict[str, Any] = {
    "decision__classes": ("right", "left"),
    "decision__probabilities": lambda p: p + np.array([2e-9, 0]),
    "decision__label": "feet",
    "decision__reason": "another reason",
    "decision__first_sample": lambda n: n + 1,
    "decision__stop_sample": lambda n: n - 1,
    "decision__epoch": lambda n: n + 1,
    "decision__lsl_raw_s": lambda s: np.nextafter(s, 0),
    "decision__lsl_corrected_s": lambda s: -s,
    "command__label": "feet",
    "command__strength": lambda s: s + 2e-9,
    "command__selected": lambda was: not was,
    "command__reason": "another reason",
    **{
        f"times__{name}_ns": lambda ns: ns + 1
        for name in (
            "due", "arrived", "conditioned", "cut", "encoded", "decided", "fed_back", "acted",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TURN_CHANGES)
@pytest.mark.parametrize("number", [0, 11, -1])
def test_every_field_of_a_turn_is_compared(path, quiet, name, number):
    sent = altered(quiet, TurnEntry, number, **{name: TURN_CHANGES[name]})
    found = replay(write(path, sent), QUIET).comparison
    assert found.first is not None
    n = len(quiet.turns)
    assert found.first.field == name.replace("__", ".")
    assert found.first.place.startswith(f"Turn {number % n + 1} (samples ")
    assert (found.n_turns, found.n_equal) == (n, n - 1)
    assert not found.ok
    assert found.first.field in found.sentence()


def test_what_was_asked_of_the_sinks_is_compared(path):
    trial = replace(QUIET, wilful=1.0)
    session = run(trial)
    number, turn = next((n, t) for n, t in enumerate(session.turns) if t.asked and t.asked.label)
    for changes, field in (
        ({"asked": None}, "asked"),
        ({"asked__label": "feet"}, "command."),
        ({"asked__selected": lambda was: not was}, "command."),
        ({"asked__strength": lambda s: s + 2e-9}, "asked.strength"),
    ):
        first = replay(
            write(path, altered(session, TurnEntry, number, **changes)), trial
        ).comparison.first
        assert first is not None
        # The recorded sinks answer no other question: the replayed ones do as they are told.
        assert first.field.startswith(field) or first.field.startswith("command."), first
        assert first.place.startswith(f"Turn {number + 1} ")
    near = altered(session, TurnEntry, number, asked__strength=turn.asked.strength + 5e-10)
    found = replay(write(path, near), trial).comparison
    assert found.ok
    assert found.largest["asked.strength"] == pytest.approx(5e-10, rel=1e-3)


def test_a_neutral_request_that_was_never_made_is_found(path):
    """Its label is None, like that of no request at all: the label alone would not tell."""
    trial = replace(QUIET, abstain_below=0.55)
    quiet = run(trial)
    number = next(n for n, turn in enumerate(quiet.turns) if turn.command.label is None)
    command = quiet.turns[number].command
    found = replay(write(path, altered(quiet, TurnEntry, number, asked=command)), trial).comparison
    assert found.first is None  # the sinks gave back an equal command, as the tape now says
    other = replace(command, reason="because")
    found = replay(write(path, altered(quiet, TurnEntry, number, asked=other)), trial).comparison
    assert found.first is not None
    assert (found.first.field, found.first.recorded) == ("asked", "there")
    assert found.first.replayed == "nothing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", EventKind.LATE),
        ("text", "The guard is something else."),
        ("sample", 1),
        ("count", 1),
        ("at_ns", lambda ns: ns - 1),
        ("lasting", True),
    ],
)
def test_every_field_of_an_event_is_compared(path, quiet, name, value):
    found = replay(write(path, altered(quiet, Event, 0, **{name: value})), QUIET).comparison
    assert found.first is not None
    assert found.first.field == name
    assert found.first.place == "Event 1 (sample 0)"
    assert not found.ok


def shifted(quiet: Session, change: Callable[[list[Any], int], None], kind: type, number: int):
    sent = list(quiet.sent)
    change(sent, place_of(quiet, kind, number))
    return sent


@pytest.mark.parametrize("number", [0, 6, -1])
def test_a_turn_that_is_missing_on_the_tape_is_found(path, quiet, number):
    sent = shifted(quiet, lambda sent, at: sent.pop(at), TurnEntry, number)
    found = replay(write(path, sent), QUIET).comparison
    assert found.first is not None
    n = number % len(quiet.turns) + 1
    assert found.first.place.startswith(f"Turn {n} (samples ")
    expected = ("turn", "nothing") if number == -1 else ("decision.probabilities",)
    assert (found.first.field, found.first.recorded)[: len(expected)] == expected
    assert found.n_equal < len(quiet.turns)
    assert not found.ok


@pytest.mark.parametrize("number", [0, 6, -1])
def test_a_turn_too_many_on_the_tape_is_found(path, quiet, number):
    sent = shifted(quiet, lambda sent, at: sent.insert(at, sent[at]), TurnEntry, number)
    found = replay(write(path, sent), QUIET).comparison
    assert found.first is not None
    n = number % len(quiet.turns) + 2
    assert found.first.place.startswith(f"Turn {n} (samples ")
    if number == -1:
        assert (found.first.field, found.first.recorded, found.first.replayed) == (
            "turn", "there", "missing"
        )  # fmt: skip


def test_turns_in_another_order_are_found(path, quiet):
    def swap(sent: list[Any], at: int) -> None:
        other = place_of(quiet, TurnEntry, 7)
        sent[at], sent[other] = sent[other], sent[at]

    found = replay(write(path, shifted(quiet, swap, TurnEntry, 6)), QUIET).comparison
    assert found.first is not None
    assert found.first.place.startswith("Turn 7 ")
    assert found.n_equal == len(quiet.turns) - 2


def test_an_event_that_is_missing_and_one_too_many_are_found(path, quiet):
    without = shifted(quiet, lambda sent, at: sent.pop(at), Event, 0)
    first = replay(write(path, without), QUIET).comparison.first
    assert first is not None
    assert (first.place, first.field, first.recorded) == (
        "Event 1 (sample 0)", "event guard", "a turn"
    )  # fmt: skip
    extra = Event(kind=EventKind.GUARD, text="The guard went away.", sample=3)
    twice = shifted(quiet, lambda sent, at: sent.insert(at, extra), End, 0)
    first = replay(write(path, twice), QUIET).comparison.first
    assert first is not None
    assert (first.place, first.field, first.replayed) == (
        "Event 2 (sample 3)", "event guard", "missing"
    )  # fmt: skip


@pytest.mark.parametrize("kind", [EventKind.OVERFLOW, EventKind.RECORDER])
@pytest.mark.parametrize("number", [0, 5, -1])
def test_what_befell_a_watcher_is_passed_over_wherever_it_stands(path, quiet, kind, number):
    word = Event(kind=kind, text="It lags.")
    sent = shifted(quiet, lambda sent, at: sent.insert(at + 1, word), TurnEntry, number)
    found = replay(write(path, sent), QUIET).comparison
    assert found.ok
    assert found.n_events == len(quiet.all(Event))


def test_a_person_who_was_heard_elsewhere_is_found(path, quiet):
    noted = next(n for n, p in enumerate(quiet.all(Pass)) if len(p.readings_ns) > 5)
    for heard in (((0, "person disarms"),), ((1, "emergency stop"),)):
        found = replay(write(path, altered(quiet, Pass, noted, heard=heard)), QUIET)
        assert not found.comparison.ok
    with_nobody = altered(quiet, Pass, 0, heard=())
    first = replay(write(path, with_nobody), QUIET).comparison.first
    assert first is not None
    assert (first.field, first.recorded, first.replayed) == (
        "text", "The guard is armed.", "The guard is disarmed."
    )  # fmt: skip


def test_a_signal_between_two_looks_of_a_pass_is_heard_at_the_second(path):
    trial = Trial(seed=4, jumps=0.05, persons=0.3, faults=0)
    session = run(trial)
    late = [
        (number, noted)
        for number, noted in enumerate(session.all(Pass))
        if any(look for look, _ in noted.heard)
    ]
    changed = 0
    for number, noted in late[:20]:
        earlier = tuple((0, signal) for _, signal in noted.heard)
        sent = altered(session, Pass, number, heard=earlier)
        changed += is_found(write(path, sent), trial)
    assert changed > 0


def test_a_promotion_that_came_earlier_or_never_is_found(path):
    trial = Trial(seed=20, form="i2", promotions=0.05, persons=0, faults=0)
    session = run(trial)
    assert replay(write(path, session.sent), trial).comparison.ok
    number = next(n for n, p in enumerate(session.all(Pass)) if n > 10 and p.promotions == 1)
    for changes in (
        altered(session, Pass, number, promotions=0),
        altered(session, Pass, number - 1, promotions=lambda n: n + 1),
    ):
        assert is_found(write(path, changes), trial)


def test_other_weights_in_a_promotion_are_found_in_the_first_turn_they_decide(path):
    trial = Trial(seed=20, form="i2", promotions=0.05, persons=0, faults=0)
    session = run(trial)
    number, taken = next(
        (n, p) for n, p in enumerate(session.all(Promotion))
        if p.settings["classes"] == ["left", "right"] and p.epoch > 1
        and any(t.decision.epoch == p.epoch and t.embedding for t in session.turns)
    )  # fmt: skip
    arrays = {**taken.arrays, "bias": taken.arrays["bias"] + np.array([0.1, 0])}
    found = replay(
        write(path, altered(session, Promotion, number, arrays=arrays)), trial
    ).comparison
    decoded = [bool(t.embedding) and t.decision.epoch == taken.epoch for t in session.turns]
    assert found.first is not None
    assert found.first.field == "decision.probabilities"
    assert found.first.place.startswith(f"Turn {decoded.index(True) + 1} ")


def test_another_model_and_another_window_are_found(path, quiet):
    write(path, quiet.sent)
    first = replay(path, QUIET, weights(2)).comparison.first
    assert first is not None
    assert first.field == "decision.probabilities"
    for window in ({"step_s": 0.02}, {"length_s": 0.24}, {"length_s": 0.16}):
        assert is_found(path, replace(QUIET, window=replace(QUIET.window, **window)))
    for config in ({"deadline_s": 0.001}, {"stale_s": 0.1}):
        assert is_found(path, replace(QUIET, config=LoopConfig(**config)))
    assert is_found(path, replace(QUIET, condition=BAND))


def is_found(path, trial: Trial) -> bool:
    """Whether a replay says that it is not the recorded run, in either way."""
    try:
        return not replay(path, trial).comparison.ok
    except ReplayDivergedError as error:
        return "it is not the same program, configuration or model" in str(error)


def test_a_difference_that_leads_to_a_divergence_is_what_is_told(path):
    """Other weights abstain elsewhere, so the guard changes elsewhere, so the clock is asked."""
    trial = replace(QUIET, abstain_below=0.55)
    write(path, run(trial).sent)
    first = replay(path, trial, weights(2)).comparison.first
    assert first is not None
    assert first.field == "decision.probabilities"
    assert first.recorded != "there"


# ------------------------------------------------------------------------------- small print


def test_a_session_in_which_nothing_was_decoded_proves_nothing(path):
    trial = replace(QUIET, n_packets=2)
    found = replay(write(path, run(trial).sent), trial).comparison
    assert found.first is None
    assert not found.engaged
    assert not found.ok
    assert found.sentence() == "Nothing differs, but no window was decoded: this proves nothing."


def test_the_stand_ins_touch_nothing(path, quiet):
    tape = ExactReplay(write(path, quiet.sent), open_adapter)
    source, sink = ReplayedSource(tape), ReplayedSink(tape)
    assert source.spec == quiet.all(StreamSpec)[0]
    before = list(tape._readings)
    source.open()
    source.close()
    source.close()
    sink.open(source.spec, ("left", "right"))
    sink.close()
    sink.close()
    tape.wait_until(10**18)
    assert list(tape._readings) == before
    assert not source.ended
    assert tape.manifest == MANIFEST


def test_asking_for_the_time_too_often_names_the_pass(path, quiet):
    tape = ExactReplay(write(path, quiet.sent), open_adapter)
    wanted = quiet.all(Pass)[0].readings_ns
    assert tuple(tape.now_ns() for _ in wanted) == wanted
    with pytest.raises(
        ReplayDivergedError, match="In pass 0 the loop asked for the time once more"
    ):
        tape.now_ns()


def test_passes_without_a_chunk_are_nothing(quiet):
    outcomes = {p.outcome for p in run(Trial(seed=1)).all(Pass)}
    assert outcomes == {"opening", NOTHING, CHUNK}
    assert [p.number for p in quiet.all(Pass)] == list(range(len(quiet.all(Pass))))


def test_a_file_without_a_manifest_or_a_stream_is_refused(path, quiet):
    for sent in (quiet.sent[1:], [m for m in quiet.sent if not isinstance(m, StreamSpec | Chunk)]):
        with pytest.raises(RecordingError, match="nothing to replay in it"):
            ExactReplay(write(path, sent), open_adapter)


def test_rows_that_were_received_but_never_used_do_not_disturb(path):
    trial = Trial(seed=13, form="i2", faults=0.2)
    session = run(trial)
    used = sum(stop - start for chunk in session.all(Chunk) for start, stop in chunk.rows)
    came = sum(len(r.values) for chunk in session.all(Chunk) for r in chunk.received)
    assert all(isinstance(r, Received) for chunk in session.all(Chunk) for r in chunk.received)
    assert used < came
    assert replay(write(path, session.sent), trial).comparison.ok
