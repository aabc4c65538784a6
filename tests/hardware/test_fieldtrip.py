"""Our source against a real server on a real socket, and against one that misbehaves."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

from diverloop.hardware import fieldtrip as subject
from diverloop.hardware.fieldtrip import FieldTripConfig, FieldTripSource, describe_buffer
from diverloop.hardware.fieldtrip_buffer import FieldTripBuffer
from diverloop.hardware.fieldtrip_events import BufferEvent
from diverloop.hardware.fieldtrip_server import FieldTripServer
from diverloop.hardware.fieldtrip_wire import (
    TYPE_OF,
    Code,
    Header,
    names_chunk,
    pack,
    pack_counts,
    resolutions_chunk,
    unpack_frame,
)
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SchemaMismatch, SourceUnavailable
from diverloop.runtime.messages import EventKind
from diverloop.runtime.session import part_of

RATE_HZ = 1000.0
HEADER = Header(n_channels=2, rate_hz=RATE_HZ, dtype="<i2", chunks=(names_chunk(("C3", "C4")),))
SECOND_NS = 1_000_000_000


class Misbehaving(FieldTripServer):
    """Sends something else than the answer, once, as told."""

    mischief = None  # callable: message -> pieces to be sent; None in it closes the connection

    def _reply(self, client, message: bytes) -> None:
        mischief, answers_rows = self.mischief, unpack_frame(message[:8])[1] > 24
        if mischief is None or not answers_rows:
            return super()._reply(client, message)
        self.mischief = None
        for piece in mischief(message):
            if piece is None:
                raise OSError("told to break")
            client.sendall(piece)
        return None


class Rig:
    """A server, a source that reads it, and all that was put and received."""

    def __init__(self, buffer: FieldTripBuffer | None = None) -> None:
        self.clock = MonotonicClock()
        self.server = Misbehaving(buffer, port=0)
        self.port = self.server.port
        self.server.buffer.put_header(HEADER)
        self.source = FieldTripSource(
            FieldTripConfig(unit="uV", port=self.port, wait_s=10.0, buffer_s=60.0), self.clock
        )
        self.chunks = []
        self.n_put = 0

    def put(self, n_times: int = 10) -> None:
        """Rows that hold the buffer's own number of the sample."""
        numbers = np.arange(self.n_put, self.n_put + n_times, dtype="<i2")
        self.server.buffer.put_rows(np.repeat(numbers[:, None], 2, axis=1))
        self.n_put += n_times

    def restart(self) -> None:
        self.server.close()
        self.server = Misbehaving(port=self.port)
        self.server.buffer.put_header(HEADER)
        self.n_put = 0

    def read(self, within_s: float = 10.0):
        chunk = self.source.read(1, self.clock.now_ns() + round(within_s * SECOND_NS))
        assert chunk is not None, "nothing came"
        self.chunks.append(chunk)
        return chunk

    def read_until(self, kind: EventKind):
        while True:
            chunk = self.read()
            if any(event.kind is kind for event in chunk.events):
                return chunk

    def read_to(self, stop: int) -> None:
        while not self.chunks or self.chunks[-1].stop_sample < stop:
            self.read()

    def received(self) -> np.ndarray:
        """First channel of every row that came, as it was sent."""
        rows = [one.values[:, 0] for chunk in self.chunks for one in chunk.received]
        return np.concatenate(rows)

    def close(self) -> None:
        self.source.close()
        self.server.close()


@pytest.fixture
def rig():
    made = Rig()
    made.put(100)
    made.source.open()
    yield made
    made.close()


def told(chunk) -> list[str]:
    return [event.text for event in chunk.events]


# ------------------------------------------------------------------------------- what it reads


def test_it_conforms():
    made, over = Rig(), threading.Event()

    def feed() -> None:
        while not over.wait(0.01):
            made.put(10)

    feeding = threading.Thread(target=feed)
    feeding.start()
    check_source(made.source, made.clock, seconds=0.3)
    over.set()
    feeding.join()
    made.close()


def test_it_begins_at_the_newest_sample_and_reads_on(rig):
    rig.put(10)
    rig.read_to(10)
    rig.put(10)
    rig.read_to(20)
    samples = np.concatenate([chunk.samples[0] for chunk in rig.chunks])
    np.testing.assert_array_equal(samples, np.arange(100, 120))
    assert [chunk.events for chunk in rig.chunks] == [()] * len(rig.chunks)
    assert rig.source.spec.channel_names == ("C3", "C4")
    assert rig.source.spec.rate_hz == RATE_HZ


@pytest.mark.parametrize("dtype", [name for name in TYPE_OF if name != "<u8"])
def test_every_number_format_gives_the_same_signal(dtype):
    server, clock = FieldTripServer(port=0), MonotonicClock()
    server.buffer.put_header(Header(n_channels=1, rate_hz=RATE_HZ, dtype=dtype))
    source = FieldTripSource(FieldTripConfig(unit="mV", port=server.port), clock)
    source.open()
    server.buffer.put_rows(np.array([[1], [100]], dtype))
    chunk = source.read(2, clock.now_ns() + 10 * SECOND_NS)
    assert chunk.samples.tolist() == [[1000.0, 100_000.0]]
    assert chunk.received[0].values.dtype == source.spec.sent.dtype
    source.close()
    server.close()


def test_events_become_markers_at_their_samples(rig):
    events = [
        BufferEvent(sample=50, type="before the source came"),
        BufferEvent(sample=103, type="stimulus", value="left"),
        BufferEvent(sample=105, type="key"),
    ]
    rig.server.buffer.put_events(events)
    rig.put(10)
    rig.read_to(10)
    markers = [(mark.label, mark.sample) for chunk in rig.chunks for mark in chunk.markers]
    assert markers == [("stimulus:left", 3), ("key", 5)]


@pytest.mark.parametrize(("events", "labels"), [("stimulus", ["7"]), ("", [])])
def test_events_of_one_type_are_labelled_by_their_value_and_none_can_be_asked_for(events, labels):
    server, clock = FieldTripServer(port=0), MonotonicClock()
    server.buffer.put_header(HEADER)
    source = FieldTripSource(FieldTripConfig(unit="uV", port=server.port, events=events), clock)
    source.open()
    server.buffer.put_events(
        [
            BufferEvent(sample=0, type="stimulus", value=np.array([7.0])),
            BufferEvent(sample=1, type="key", value="x"),
        ]
    )
    server.buffer.put_rows(np.zeros((5, 2), "<i2"))
    chunk = source.read(5, clock.now_ns() + 10 * SECOND_NS)
    assert [marker.label for marker in chunk.markers] == labels
    source.close()
    server.close()


def test_flushed_events_are_counted_anew_and_the_signal_goes_on(rig):
    rig.server.buffer.put_events([BufferEvent(sample=100, type="a")] * 3)
    rig.put(10)
    rig.read_to(10)
    rig.server.buffer.flush_events()
    rig.put(10)
    rig.read_to(20)
    rig.server.buffer.put_events([BufferEvent(sample=121, type="b")])
    rig.put(10)
    rig.read_to(30)
    assert [mark.label for chunk in rig.chunks for mark in chunk.markers] == ["a"] * 3 + ["b"]
    assert not [event for chunk in rig.chunks for event in chunk.events]


# ------------------------------------------------------------------------------------- faults


def test_a_server_that_is_killed_and_started_anew_is_found_again(rig):
    rig.put(10)
    rig.read_to(10)
    rig.restart()
    lost = rig.read_until(EventKind.SOURCE_LOST)
    assert "Connecting again." in told(lost)[0]
    rig.read_until(EventKind.SOURCE_BACK)
    rig.put(10)
    after = rig.read_until(EventKind.CLOCK_STEP)
    assert after.first_sample > 10
    np.testing.assert_array_equal(rig.received(), [*range(100, 110), *range(10)])


@pytest.mark.parametrize("cut", [4, 8, 20, 30], ids=["frame", "no payload", "counts", "rows"])
def test_half_a_packet_waits_for_its_other_half(rig, cut):
    first_half_out, go_on = threading.Event(), threading.Event()

    def halves(message: bytes):
        yield message[:cut]
        first_half_out.set()
        go_on.wait(10.0)
        yield message[cut:]

    rig.server.mischief = halves
    rig.put(10)
    assert first_half_out.wait(10.0)
    assert rig.source.read(1, rig.clock.now_ns() + SECOND_NS // 50) is None
    go_on.set()
    rig.read_to(10)
    np.testing.assert_array_equal(rig.received(), range(100, 110))


@pytest.mark.parametrize(
    ("mischief", "said"),
    [
        (lambda message: (message[:20], None), "closed the connection|broke"),
        (lambda message: (b"\x07\x00" + message[2:],), "is not the FieldTrip protocol"),
        (lambda message: (b"HTTP/1.1 400 Bad Request",), "48 54 54 50"),
        (lambda message: (message[:4] + b"\xff\xff\xff\xff",), "was announced"),
        (lambda message: (message[:16] + b"\x63\x00\x00\x00" + message[20:],), "unknown type 99"),
        (lambda message: (message[:8] + b"\x03\x00\x00\x00" + message[12:],), "3 channels"),
    ],
    ids=["half", "version", "web", "flood", "number type", "channels"],
)
def test_a_broken_packet_ends_the_connection_and_the_next_one_goes_on(rig, mischief, said):
    rig.put(10)
    rig.read_to(10)
    rig.server.mischief = mischief
    rig.put(10)
    lost = rig.read_until(EventKind.SOURCE_LOST)
    assert re.search(said, told(lost)[0])
    rig.read_until(EventKind.SOURCE_BACK)
    rig.put(10)
    gap = rig.read_until(EventKind.GAP)
    assert gap.first_sample == 20
    assert rig.received().tolist() == [*range(100, 110), *range(120, 130)]


def test_a_server_that_falls_silent_is_left(rig, monkeypatch):
    monkeypatch.setattr(subject, "_ANSWER_S", 0.1)
    go_on = threading.Event()

    def silence(message: bytes):
        go_on.wait(10.0)
        yield None

    rig.server.mischief = silence
    rig.put(10)
    assert "does not answer" in told(rig.read_until(EventKind.SOURCE_LOST))[0]
    go_on.set()
    rig.read_until(EventKind.SOURCE_BACK)


def test_samples_that_the_ring_has_overwritten_are_a_gap_and_the_rest_is_read():
    made = Rig(FieldTripBuffer(most_samples=64))
    made.put(10)
    made.source.open()
    held_up, go_on = threading.Event(), threading.Event()

    def slowly(message: bytes):
        held_up.set()
        go_on.wait(10.0)
        yield message

    made.server.mischief = slowly
    made.put(10)
    assert held_up.wait(10.0)
    for _ in range(20):
        made.put(10)
    go_on.set()
    gap = made.read_until(EventKind.GAP)
    assert gap.stop_sample == 210
    came = made.received()
    assert came[:10].tolist() == [*range(10, 20)]
    assert 32 <= len(came) - 10 <= 64
    assert came[10:].tolist() == [*range(220 - (len(came) - 10), 220)]
    made.close()


def test_a_flood_comes_in_pieces_and_whole(rig, monkeypatch):
    monkeypatch.setattr(subject, "_MOST_PIECE_BYTES", 4 * 1000)
    rig.put(20_000)
    rig.read_to(20_000)
    received = rig.received().astype("<u2")
    np.testing.assert_array_equal(received, np.arange(100, 20_100))
    assert max(len(one.values) for chunk in rig.chunks for one in chunk.received) == 1000
    assert not [event for chunk in rig.chunks for event in chunk.events]


def test_a_count_that_no_buffer_can_hold_costs_a_few_questions_and_no_memory(rig):
    rig.put(10)
    rig.read_to(10)
    asked = []
    answer = rig.server.buffer.answer

    def lying(code, payload, gone):
        asked.append(code)
        if code == Code.WAIT_DAT and len(asked) < 3:
            return pack(Code.WAIT_OK, pack_counts(4_000_000_000, 0))
        return answer(code, payload, gone)

    rig.server.buffer.answer = lying
    rig.put(10)
    assert "count anew" in told(rig.read_until(EventKind.SOURCE_LOST))[0]
    assert asked.count(Code.GET_DAT) < 40


def test_an_emptied_buffer_is_waited_for_and_another_one_is_refused(rig):
    rig.put(10)
    rig.read_to(10)
    rig.server.buffer.flush()
    assert "was emptied" in told(rig.read_until(EventKind.SOURCE_LOST))[0]
    other = Header(n_channels=3, rate_hz=RATE_HZ, dtype="<i2")
    rig.server.buffer.put_header(other)
    assert "came back with 3 channels" in told(rig.read_until(EventKind.SOURCE_LOST))[0]
    rig.server.buffer.put_header(HEADER)
    rig.read_until(EventKind.SOURCE_BACK)
    rig.n_put = 0
    rig.put(10)
    rig.read_until(EventKind.CLOCK_STEP)
    assert rig.received()[-10:].tolist() == [*range(10)]


# ------------------------------------------------------------------------ what cannot be used


def refused(header: Header, **settings) -> str:
    with pytest.raises(SchemaMismatch) as caught:
        describe_buffer(header, FieldTripConfig(**{"unit": "uV"} | settings))
    return str(caught.value)


def test_a_header_that_cannot_be_used_says_what_to_do():
    assert "rate of 0 Hz" in refused(Header(n_channels=1, rate_hz=0.0))
    assert "uint64" in refused(Header(n_channels=1, rate_hz=1.0, dtype="<u8"))
    assert "names 1: name them all" in refused(HEADER, channels=("C3",))
    twice = Header(n_channels=2, rate_hz=1.0, chunks=(names_chunk(("C3", "C3")),))
    assert "'C3' more than once" in refused(twice)
    assert "does not have; it has C3, C4" in refused(HEADER, misc=("STATUS",))
    for useless in (0.0, 1e-300, 1e300, float("nan")):
        header = Header(n_channels=1, rate_hz=1.0, chunks=(resolutions_chunk((useless,)),))
        assert "resolutions = false" in refused(header)


def test_units_resolutions_names_and_kinds_come_from_header_and_settings():
    chunks = (names_chunk(("C3", "C4", "TRIG")), resolutions_chunk((0.5, 0.25, 9.0)))
    header = Header(n_channels=3, rate_hz=RATE_HZ, dtype="<i2", chunks=chunks)
    spec = describe_buffer(header, FieldTripConfig(unit="mV", misc=("TRIG",), channel_kind="ecog"))
    assert spec.sent.microvolts == (500.0, 250.0, 1.0)
    assert [channel.kind for channel in spec.channels] == ["ecog", "ecog", "misc"]
    plain = describe_buffer(header, FieldTripConfig(unit="uV", resolutions=False))
    assert plain.sent.microvolts == (1.0, 1.0, 1.0)
    named = describe_buffer(header, FieldTripConfig(unit="uV", channels=("a", "b", "c")))
    assert named.channel_names == ("a", "b", "c")
    nameless = describe_buffer(Header(n_channels=2, rate_hz=1.0), FieldTripConfig(unit="uV"))
    assert nameless.channel_names == ("ch1", "ch2")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unit": ""}, "unit must be V, mV, uV or nV, got ''"),
        ({"unit": "furlong"}, "got 'furlong'"),
        ({"unit": "uV", "channels": ("a", "a")}, "'a' more than once"),
        ({"unit": "uV", "port": 0}, "port must be in"),
        ({"unit": "uV", "wait_s": 0.0}, "wait_s must be in"),
    ],
)
def test_settings_that_cannot_be_used_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        FieldTripConfig(**settings)


def test_a_session_file_can_ask_for_it_and_must_name_the_unit():
    table = {"kind": "fieldtrip", "channels": ["C3", "C4"], "misc": ["C4"]}
    part = part_of("source", table | {"unit": "uV"}, "source")
    assert part.settings == FieldTripConfig(unit="uV", channels=("C3", "C4"), misc=("C4",))
    with pytest.raises(ConfigError, match=r"source\.unit is missing"):
        part_of("source", table, "source")


def test_nobody_there_and_an_empty_buffer_say_what_to_start():
    clock = MonotonicClock()
    server = FieldTripServer(port=0)
    config = FieldTripConfig(unit="uV", port=server.port, wait_s=0.1)
    empty = FieldTripSource(config, clock)
    with pytest.raises(SourceUnavailable, match="is empty: start the acquisition program"):
        empty.open()
    empty.close()
    server.close()
    nobody = FieldTripSource(config, clock)
    with pytest.raises(SourceUnavailable, match="Nothing answers at"):
        nobody.open()
    nobody.close()
