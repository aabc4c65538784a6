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
    ],
    ids=["order", "rate", "unit", "unknown unit"],
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
