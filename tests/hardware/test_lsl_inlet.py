"""LSL as a source: real outlets in this process, received as a session would."""

from __future__ import annotations

import re
import threading
from itertools import pairwise

import numpy as np
import pylsl
import pytest

from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SchemaMismatch, SourceUnavailable, UnitError
from diverloop.runtime.messages import Chunk, Event, EventKind
from diverloop.runtime.received import Received

from .test_lsl_link import START_S, Sender, at_last, unique

pytestmark = pytest.mark.live

WAIT_NS = 200_000_000  # an upper limit for one read; samples come within milliseconds


class Pair:
    """A sender and a source that listens to it, on one clock that the sender moves."""

    def __init__(self, markers: str = "", **sender) -> None:
        self.clock = VirtualClock()
        self.name = unique()
        self.sender = Sender(self.name, self.clock, **sender)
        config = LslConfig(name=self.name, markers=markers, wait_s=5.0)
        self.source = LslSource(config, self.clock)
        self.events: list[Event] = []
        self.chunks: list[Chunk] = []
        self.received: list[Received] = []

    def __enter__(self) -> Pair:
        self.source.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def read(self, wanted: int = 1) -> Chunk | None:
        """One read; its events and samples are kept."""
        chunk = self.source.read(wanted, self.clock.now_ns() + WAIT_NS)
        if chunk is not None:
            self.events += chunk.events
            self.chunks += [chunk] if chunk.samples.shape[1] else []
            self.received += chunk.received
        return chunk

    def take(self, n: int) -> np.ndarray:
        """So many samples, of as many chunks as it takes."""
        first = len(self.chunks)

        def missing() -> int:
            return n - sum(chunk.samples.shape[1] for chunk in self.chunks[first:])

        at_last(lambda: self.read(missing()) and missing() <= 0)
        assert missing() == 0
        return np.concatenate([chunk.samples for chunk in self.chunks[first:]], axis=1)

    def await_event(self, kind: EventKind) -> Event:
        """Read until such an event has come, and return the newest."""
        seen = len(self.events)
        at_last(lambda: (self.read(), kind in self.kinds(seen))[1])
        return [event for event in self.events[seen:] if event.kind is kind][-1]

    def kinds(self, since: int = 0) -> list[EventKind]:
        return [event.kind for event in self.events[since:]]

    def restart(self, away: int, **changes) -> None:
        """The sender dies, and comes back so many samples later, perhaps changed."""
        next_s = self.sender.next_s
        self.sender.close()
        self.await_event(EventKind.SOURCE_LOST)
        self.clock.advance(round(away * 1e9 / self.sender.rate_hz))
        at_s = next_s + away / self.sender.rate_hz
        self.sender = Sender(self.name, self.clock, at_s=at_s, **changes)


@pytest.mark.parametrize(
    ("number", "dtype"),
    [("float32", np.float32), ("double64", np.float64), ("int16", np.int16), ("int32", np.int32)],
)
def test_samples_are_those_that_were_sent_bit_for_bit(number, dtype):
    with Pair(number=number) as pair:
        sent = pair.sender.send_some(100, dtype=dtype)
        got = pair.take(100)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, sent.astype(np.float32))


def test_the_stream_is_described_as_it_was_announced():
    with Pair() as pair:
        spec = pair.source.spec
    assert (spec.name, spec.rate_hz, spec.source_id) == (pair.name, 100.0, "serial-1")
    assert spec.channel_names == ("C3", "C4", "Cz")
    assert not pair.source.ended


def test_later_pulls_do_not_change_what_was_handed_out():
    with Pair() as pair:
        first = pair.sender.send_some(50, seed=1)
        pair.take(50)
        for seed in range(2, 6):
            pair.sender.send_some(50, seed=seed)
            pair.take(50)
        np.testing.assert_array_equal(pair.chunks[0].samples, first)
        for one, other in pairwise(pair.chunks):
            assert not np.shares_memory(one.samples, other.samples)


def test_everything_that_is_there_comes_with_one_read():
    with Pair() as pair:
        pair.sender.send_some(10)
        pair.take(10)
        pair.sender.send_some(150)
        at_last(lambda: pair.read(150), tries=1)
    assert (pair.chunks[-1].first_sample, pair.chunks[-1].stop_sample) == (10, 160)


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e6), ("mV", 1e3), ("microvolts", 1.0)])
def test_samples_are_converted_to_microvolts(unit, factor):
    values = np.arange(60, dtype=np.float32).reshape(3, 20)
    with Pair(unit=unit) as pair:
        pair.sender.send(values)
        np.testing.assert_array_equal(pair.take(20), values * np.float32(factor))


def test_an_unknown_unit_is_refused_before_anything_is_read():
    pair = Pair(unit="arb")
    with pytest.raises(UnitError, match="'arb'"):
        pair.source.open()
    pair.source.close()


def test_a_unit_can_be_assumed():
    clock, name = VirtualClock(), unique()
    sender = Sender(name, clock, unit="")
    source = LslSource(LslConfig(name=name, markers="", assume_unit="mV"), clock)
    source.open()
    sender.send(np.ones((3, 10), np.float32))
    chunk = source.read(10, clock.now_ns() + 5_000_000_000)
    source.close()
    assert (chunk.samples == 1000).all()


def test_times_of_a_chunk_are_those_of_its_last_sample():
    with Pair() as pair:
        pair.sender.send_some(40)
        pair.take(40)
        chunk = pair.chunks[-1]
    assert chunk.lsl_raw_s == pytest.approx(START_S + 39 / 100, abs=1e-9)
    # This machine's own clock: the measured difference is what measuring it costs.
    assert chunk.lsl_corrected_s == pytest.approx(chunk.lsl_raw_s, abs=0.01)
    assert chunk.arrived_ns == pair.clock.now_ns()


def test_two_senders_of_one_name_are_refused():
    pair = Pair()
    other = Sender(pair.name, pair.clock, source_id="serial-2")
    with pytest.raises(SourceUnavailable, match=r"serial-1.*serial-2.*Add a source_id"):
        pair.source.open()
    source = LslSource(LslConfig(name=pair.name, source_id="serial-2", markers=""), pair.clock)
    source.open()
    assert source.spec.source_id == "serial-2"
    assert other.signal is not None
    source.close()


def test_a_hole_in_the_stamps_is_a_jump_of_the_index_and_is_told():
    with Pair() as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.sender.pass_over(50)
        sent = pair.sender.send_some(100, seed=1)
        got = pair.take(100)
    np.testing.assert_array_equal(got, sent)
    (gap,) = [event for event in pair.events if event.kind is EventKind.GAP]
    assert (gap.sample, gap.count) == (100, 50)
    assert pair.chunks[-1].stop_sample == 250


def test_a_chunk_never_reaches_across_a_hole():
    with Pair() as pair:
        pair.sender.send_some(50)
        pair.take(50)
        pair.sender.send_some(20)
        pair.sender.pass_over(30)
        pair.sender.send_some(50)
        pair.take(70)
    spans = [(chunk.first_sample, chunk.stop_sample) for chunk in pair.chunks]
    assert not [span for span in spans if span[0] < 70 < span[1]]
    assert spans[-1][1] == 150


def test_a_sender_that_dies_and_returns_leaves_a_gap_of_the_right_length():
    with Pair() as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.restart(away=200)
        pair.await_event(EventKind.SOURCE_BACK)
        sent = pair.sender.send_some(50, seed=1)
        np.testing.assert_array_equal(pair.take(50), sent)
    assert pair.kinds() == [EventKind.SOURCE_LOST, EventKind.SOURCE_BACK, EventKind.GAP]
    assert pair.events[-1].count == 200
    assert (pair.chunks[-1].first_sample, pair.chunks[-1].stop_sample) == (300, 350)


def test_a_sender_whose_clock_starts_anew_leaves_a_gap_by_this_machines_clock():
    with Pair() as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.restart(away=200)
        pair.await_event(EventKind.SOURCE_BACK)
        pair.sender.next_s = 3.0
        pair.sender.send_some(50)
        pair.take(50)
    assert EventKind.CLOCK_STEP in pair.kinds()
    assert pair.chunks[-1].stop_sample == 350


def test_a_sender_that_dies_before_its_first_sample_starts_the_stream_when_it_returns():
    with Pair() as pair:
        pair.restart(away=100)
        pair.await_event(EventKind.SOURCE_BACK)
        sent = pair.sender.send_some(50)
        np.testing.assert_array_equal(pair.take(50), sent)
    assert pair.chunks[0].first_sample == 0
    assert EventKind.GAP not in pair.kinds()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"labels": ("C4", "C3", "Cz")}, r"3 channels at 100 Hz \(C4, C3, Cz"),
        ({"rate_hz": 200.0}, "3 channels at 200 Hz"),
        ({"unit": "mV"}, "other units"),
        ({"unit": "arb"}, "'arb'"),
        ({"number": "int16"}, "another number format"),
        ({"number": "double64"}, "another number format"),
    ],
    ids=["order", "rate", "unit", "unknown unit", "whole numbers", "longer numbers"],
)
def test_a_sender_that_returns_changed_is_refused_until_the_right_one_is_back(changes, why):
    with Pair() as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.restart(away=100, **changes)
        refusal = pair.await_event(EventKind.SOURCE_LOST)
        assert re.search(why, refusal.text)
        pair.sender.send_some(20)
        for _ in range(2):
            chunk = pair.read()
            assert chunk is None or not chunk.samples.shape[1]
        wrong, next_s = pair.sender, START_S + 3.0
        pair.sender = Sender(pair.name, pair.clock, at_s=next_s)
        pair.await_event(EventKind.SOURCE_BACK)
        sent = pair.sender.send_some(30, seed=1)
        np.testing.assert_array_equal(pair.take(30), sent)
        wrong.close()


def test_a_marker_lands_on_its_sample_before_and_after_that_has_come():
    with Pair(markers="*", words=True) as pair:
        pair.sender.send_some(100)
        pair.take(100)
        for label, sample in (("past", 30), ("now", 99), ("to come", 120)):
            pair.sender.say(label, START_S + sample / 100)
        markers = []
        at_last(lambda: (markers.extend((pair.read() or NOTHING).markers), len(markers) == 3)[1])
        pair.sender.send_some(50)
        pair.take(50)
    assert [(one.label, one.sample) for one in markers] == [
        ("past", 30),
        ("now", 99),
        ("to come", 120),
    ]
    assert markers[0].lsl_raw_s == pytest.approx(START_S + 0.3, abs=1e-9)
    assert markers[0].lsl_corrected_s == pytest.approx(markers[0].lsl_raw_s, abs=0.01)


def test_a_marker_that_comes_before_the_first_sample_waits_for_it():
    with Pair(markers="*", words=True) as pair:
        pair.sender.say("cue", START_S + 10 / 100)
        assert pair.read() is None
        pair.sender.send_some(50)
        pair.take(50)
        markers = list(pair.chunks[0].markers)
        at_last(lambda: markers or markers.extend((pair.read() or NOTHING).markers) or markers)
    assert [(one.label, one.sample) for one in markers] == [("cue", 10)]


def test_a_marker_behind_a_hole_counts_the_lost_samples():
    with Pair(markers="*", words=True) as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.sender.pass_over(50)
        pair.sender.send_some(50)
        pair.take(50)
        pair.sender.say("cue", START_S + 170 / 100)
        markers = at_last(lambda: (pair.read() or NOTHING).markers)
    assert [one.sample for one in markers] == [170]


def test_the_markers_come_back_with_their_sender():
    with Pair(markers="*", words=True) as pair:
        pair.sender.send_some(100)
        pair.take(100)
        pair.restart(away=100, words=True)
        pair.await_event(EventKind.SOURCE_BACK)
        pair.sender.send_some(50)
        pair.take(50)
        at_last(lambda: (pair.read(), pair.sender.words.have_consumers())[1])
        pair.sender.say("cue", START_S + 230 / 100)
        markers = at_last(lambda: (pair.read() or NOTHING).markers)
    assert [(one.label, one.sample) for one in markers] == [("cue", 230)]


def test_a_marker_stream_that_was_asked_for_has_to_be_there():
    pair = Pair()
    config = LslConfig(name=pair.name, markers="cues-of-nobody", wait_s=0.1)
    with pytest.raises(SourceUnavailable, match=r"'cues-of-nobody'.*source\.markers"):
        LslSource(config, pair.clock).open()


def test_numbers_are_no_markers():
    pair = Pair()
    numbers = Sender(unique(), pair.clock)
    with pytest.raises(SchemaMismatch, match="holds numbers, not marker texts"):
        LslSource(LslConfig(name=pair.name, markers=numbers.name), pair.clock).open()


def test_a_passed_deadline_takes_what_is_there_and_waits_for_nothing():
    with Pair() as pair:
        past_ns = pair.clock.now_ns() - 1
        assert pair.source.read(10**6, past_ns) is None
        pair.sender.send_some(10)
        got = at_last(lambda: pair.source.read(10**6, past_ns), tries=1_000_000)
    assert got.samples.shape[1] > 0


def test_closing_twice_is_harmless_and_so_is_closing_what_was_never_open():
    pair = Pair()
    pair.source.close()
    with pytest.raises(SourceUnavailable, match=r"call open\(\) first"):
        _ = pair.source.spec
    pair.source.open()
    assert pair.sender.signal.wait_for_consumers(5.0)
    pair.source.close()
    pair.source.close()
    at_last(lambda: not pair.sender.signal.have_consumers(), tries=10_000_000)
    assert not pair.sender.signal.have_consumers()


class Shy(LslSource):
    """Without a description instead of with an error until it is open.

    `isinstance` with a protocol reads properties before Python 3.12, and `check_source` asks it of
    a source that is not open yet.
    """

    @property
    def spec(self):
        return self._spec


def test_it_is_a_source():
    name, stopped = unique(), threading.Event()
    sender = Sender(name, VirtualClock(), at_s=pylsl.local_clock())

    def send() -> None:
        while not stopped.wait(0.02):
            sender.send_some(2)

    thread = threading.Thread(target=send)
    thread.start()
    clock = MonotonicClock()
    try:
        check_source(Shy(LslConfig(name=name, markers=""), clock), clock, seconds=0.3)
    finally:
        stopped.set()
        thread.join(10)


# ------------------------------------------------------------------------- rows as they were sent

FORMATS = [
    ("float32", "<f4"), ("double64", "<f8"), ("int8", "|i1"), ("int16", "<i2"), ("int32", "<i4"),
]  # fmt: skip


def check_rows(pair: Pair) -> np.ndarray:
    """Everything received, after a check that every chunk can be made from it again."""
    rows = np.concatenate([one.values for one in pair.received])
    counts = [len(one.values) for one in pair.received]
    assert [one.first_row for one in pair.received] == [0, *np.cumsum(counts)[:-1].tolist()]
    assert all(len(one.stamps_s) == len(one.values) > 0 for one in pair.received)
    sent, used = pair.source.spec.sent, []
    for chunk in pair.chunks:
        values = np.concatenate([rows[start:stop] for start, stop in chunk.rows])
        used += [row for start, stop in chunk.rows for row in range(start, stop)]
        again = sent.to_microvolts(values)
        assert again.dtype == chunk.samples.dtype
        assert again.shape == chunk.samples.shape
        assert again.tobytes() == np.ascontiguousarray(chunk.samples).tobytes()
    assert len(set(used)) == len(used)
    return rows


@pytest.mark.parametrize(("number", "dtype"), FORMATS)
@pytest.mark.parametrize("unit", ["uV", "mV", "nV"])
def test_rows_are_received_in_the_senders_own_numbers_and_unit(number, dtype, unit):
    with Pair(number=number, unit=unit) as pair:
        size = np.dtype(dtype)
        values = np.random.default_rng(1).uniform(-100, 100, (3, 120)).astype(size)
        for first in range(0, 120, 40):
            pair.sender.send(values[:, first : first + 40])
            pair.take(40)
        sent = pair.source.spec.sent
        rows = check_rows(pair)
    assert (sent.dtype, rows.dtype) == (dtype, size)
    factor = {"uV": 1.0, "mV": 1e3, "nV": float(np.float32(1e-3))}[unit]
    assert sent.microvolts == (factor,) * 3
    assert pair.name in sent.description
    assert rows.tobytes() == np.ascontiguousarray(values.T).tobytes()
    stamps = np.concatenate([one.stamps_s for one in pair.received])
    np.testing.assert_allclose(stamps, START_S + np.arange(120) / 100, rtol=0, atol=1e-9)


def test_every_bit_pattern_of_a_float_is_received_and_becomes_signal_as_it_is():
    bits = np.array(
        [0x00000001, 0x80000000, 0x7FC12345, 0xFFC00001, 0x7F800000, 0xFF800000, 0x3F800001, 0, 1],
        np.uint32,
    )
    with Pair() as pair:
        pair.sender.send(bits.view(np.float32).reshape(3, 3))
        pair.take(3)
        rows = check_rows(pair)
    assert rows.tobytes() == np.ascontiguousarray(bits.reshape(3, 3).T).tobytes()


def test_doubles_are_kept_as_doubles_where_the_signal_is_single():
    values = np.full((3, 20), 1 / 3)
    with Pair(number="double64") as pair:
        pair.sender.send(values)
        pair.take(20)
        rows = check_rows(pair)
    assert (rows == 1 / 3).all()
    assert (pair.chunks[0].samples == np.float32(1 / 3)).all()


def test_rows_and_stamps_that_were_handed_out_are_not_overwritten():
    with Pair() as pair:
        pair.sender.send_some(50, seed=1)
        pair.take(50)
        first = pair.received[0]
        values, stamps = first.values.copy(), first.stamps_s.copy()
        for seed in range(2, 6):
            pair.sender.send_some(50, seed=seed)
            pair.take(50)
        np.testing.assert_array_equal(first.values, values)
        np.testing.assert_array_equal(first.stamps_s, stamps)
        for one, other in pairwise(pair.received):
            assert not np.shares_memory(one.values, other.values)
            assert not np.shares_memory(one.stamps_s, other.stamps_s)


@pytest.mark.parametrize("number", ["float32", "int16"])
def test_rows_that_came_twice_or_in_another_order_are_received_as_they_came(number):
    dtype = {"float32": np.float32, "int16": np.int16}[number]
    with Pair(number=number) as pair:
        values = np.random.default_rng(2).integers(-9999, 9999, (3, 100)).astype(dtype)

        def send(first: int, stop: int) -> None:
            last_s = START_S + (stop - 1) / 100
            pair.sender.signal.push_chunk(np.ascontiguousarray(values[:, first:stop].T), last_s)

        order = [(0, 40), (40, 50), (40, 50), (60, 70), (50, 60), (70, 100)]
        for first, stop in order:
            send(first, stop)
            pair.clock.advance(round((stop - first) * 1e7))
            n = sum(len(one.values) for one in pair.received) + stop - first

            # A packet is asked for whole: a row at a time, nobody could tell what is late.
            def missing(n: int = n) -> int:
                return n - sum(len(one.values) for one in pair.received)

            at_last(lambda: (pair.read(missing()), missing() == 0)[1])
        rows = check_rows(pair)
        got = np.concatenate([chunk.samples for chunk in pair.chunks], axis=1)
    came = np.concatenate([values[:, first:stop] for first, stop in order], axis=1)
    np.testing.assert_array_equal(rows, came.T)
    np.testing.assert_array_equal(got, values.astype(np.float32))
    assert {EventKind.DUPLICATE, EventKind.REORDERED} <= set(pair.kinds())
    named = [span for chunk in pair.chunks for span in chunk.rows]
    assert (70, 80) in named  # what came late stands before what had come before it
    assert not any(start <= 50 < stop for start, stop in named)  # the repeat is in no chunk


def test_rows_are_counted_on_through_a_hole_and_a_restart():
    with Pair() as pair:
        pair.sender.send_some(50)
        pair.take(50)
        pair.sender.pass_over(30)
        pair.sender.send_some(50, seed=1)
        pair.take(50)
        pair.restart(away=100)
        pair.await_event(EventKind.SOURCE_BACK)
        pair.sender.send_some(50, seed=2)
        pair.take(50)
        rows = check_rows(pair)
    assert len(rows) == 150
    assert [chunk.rows[0] for chunk in pair.chunks][-1] == (100, 150)
    assert pair.chunks[-1].first_sample == 230


def test_rows_that_are_held_back_have_been_received_all_the_same():
    with Pair() as pair:
        pair.sender.send_some(50)
        pair.take(50)
        taken = len(pair.chunks)
        pair.sender.pass_over(3)  # so late that it may be jitter: what comes is held back
        pair.sender.send_some(2, seed=1)
        at_last(lambda: (pair.read(), sum(len(one.values) for one in pair.received) == 52)[1])
        assert len(pair.chunks) == taken
        pair.sender.send_some(50, seed=2)
        pair.take(52)
        rows = check_rows(pair)
    assert len(rows) == 102
    assert not any(one.first_row == 50 for one in pair.chunks[-1].received)
    assert pair.chunks[taken].rows[0][0] == 50


# ---------------------------------------------------------------------- several marker streams


def test_markers_of_several_streams_say_which_they_came_on():
    name = unique()
    cues, keys = (Words(f"{name}-{kind}") for kind in ("cues", "keys"))
    with Pair(markers=f" {cues.name} ,, {keys.name},") as pair:
        pair.sender.send_some(100)
        pair.take(100)
        cues.say("left", START_S + 0.3)
        keys.say("space", START_S + 0.5)
        cues.say("right", START_S + 0.7)
        markers = []
        at_last(lambda: (markers.extend((pair.read() or NOTHING).markers), len(markers) == 3)[1])
    assert sorted((one.stream, one.label, one.sample) for one in markers) == [
        (cues.name, "left", 30), (cues.name, "right", 70), (keys.name, "space", 50),
    ]  # fmt: skip


def test_the_marker_stream_that_goes_with_a_signal_is_named_too():
    with Pair(markers="*", words=True) as pair:
        pair.sender.send_some(50)
        pair.take(50)
        pair.sender.say("cue", START_S + 0.2)
        (marker,) = at_last(lambda: (pair.read() or NOTHING).markers)
    assert (marker.label, marker.stream) == ("cue", f"{pair.name}-markers")


class Words:
    """A marker stream of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._outlet = pylsl.StreamOutlet(
            pylsl.StreamInfo(name, "Markers", 1, 0.0, "string", f"{name}-id")
        )

    def say(self, label: str, at_s: float) -> None:
        self._outlet.push_sample([label], at_s)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": ""}, "source.name"),
        ({"wait_s": 0.0}, "source.wait_s"),
        ({"wait_s": float("nan")}, "source.wait_s"),
        ({"buffer_s": 0.5}, "source.buffer_s"),
        ({"buffer_s": 1000.0}, "source.buffer_s"),
        ({"name": "it's"}, "source.name"),
        ({"hostname": "a' or '1'='1"}, "source.hostname"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(changes, key):
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        LslConfig(**({"name": "amp"} | changes))


NOTHING = Chunk(samples=np.zeros((3, 0), np.float32), first_sample=-1, arrived_ns=0)
