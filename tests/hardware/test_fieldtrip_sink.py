"""What a plain client fetches of decisions and commands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.hardware.decision_row import DecisionRow
from diverloop.hardware.fieldtrip import FieldTripConfig, FieldTripSource
from diverloop.hardware.fieldtrip_events import unpack_events
from diverloop.hardware.fieldtrip_sink import FieldTripSink, FieldTripSinkConfig
from diverloop.hardware.fieldtrip_wire import (
    ALL,
    ChunkType,
    Code,
    Header,
    pack,
    pack_header,
    pack_wait,
    unpack_counts,
    unpack_frame,
    unpack_header,
    unpack_rows,
)
from diverloop.hardware.resting import NOT_OPEN
from diverloop.hardware.tcp_link import TcpLink
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec

SPEC = StreamSpec(name="amp", rate_hz=100.0, channels=(Channel(name="C3"),), source_id="serial-1")
CLASSES = ("left", "right")
LABELS = DecisionRow(CLASSES).labels
WITHIN_S = 10.0


def decision(label: str | None, stop: int = 200) -> Decision:
    sure = {"left": (0.9, 0.1), "right": (0.25, 0.75), None: (math.nan, math.nan)}[label]
    return Decision(
        classes=CLASSES, probabilities=np.array(sure), label=label, stop_sample=stop, epoch=3,
        lsl_corrected_s=12.5, reason="" if label else "tried out",
    )  # fmt: skip


class Client:
    """Asks one question after the other."""

    def __init__(self, port: int) -> None:
        self.link = TcpLink("127.0.0.1", port, WITHIN_S)

    def ask(self, code: int, payload: bytes = b"") -> tuple[int, bytes]:
        self.link.write(pack(code, payload), WITHIN_S)
        answer, size = unpack_frame(self.link.read(8, WITHIN_S))
        return answer, self.link.read(size, WITHIN_S)


@pytest.fixture
def sink():
    made = FieldTripSink(FieldTripSinkConfig(port=0, rate_hz=8.0))
    made.open(SPEC, CLASSES)
    yield made
    made.close()


@pytest.fixture
def client(sink):
    made = Client(sink.port)
    yield made
    made.link.close()


def test_the_header_describes_its_channels_and_its_schema(client):
    header = unpack_header(client.ask(Code.GET_HDR)[1])
    assert header.names == LABELS
    assert (header.rate_hz, header.dtype) == (8.0, "<f8")
    notes = dict(header.chunks)[ChunkType.KEYS_AND_VALUES].split(b"\0")
    assert notes[:2] == [b"classes", b"left,right"]
    assert b"Investigational, not a medical device." in notes


def test_a_decision_is_a_sample_as_the_schema_says(sink, client):
    command = Command(label="left", strength=0.5, selected=True, velocity=(-0.4,))
    assert sink.act(decision("right"), command) is command
    row = dict(zip(LABELS, unpack_rows(client.ask(Code.GET_DAT)[1])[0].tolist(), strict=True))
    assert row == {
        "stop_sample": 200.0, "lsl_time": 12.5, "epoch": 3.0, "decided": 1.0, "commanded": 0.0,
        "strength": 0.5, "selected": 1.0, "p:left": 0.25, "p:right": 0.75, "v:1": -0.4, "v:2": 0.0,
        "v:3": 0.0,
    }  # fmt: skip


def test_events_tell_of_changes_and_selections_only(sink, client):
    for label in ("left", "left", "right", None, None):
        sink.act(decision(label), Command(label=label))
    sink.act(decision("right"), Command(label="right", selected=True))
    events = unpack_events(client.ask(Code.GET_EVT)[1])
    assert [(event.sample, event.type, event.value) for event in events] == [
        (0, "command", "left"),
        (2, "command", "right"),
        (3, "command", "neutral"),
        (5, "selected", "right"),
        (5, "command", "right"),
    ]


def test_who_waits_is_told_of_the_next_decision(sink, client):
    client.link.write(pack(Code.WAIT_DAT, pack_wait(0, ALL, 60_000)), WITHIN_S)
    sink.act(decision("left"), Command(label="left"))
    unpack_frame(client.link.read(8, WITHIN_S))
    assert unpack_counts(client.link.read(8, WITHIN_S)) == (1, 1)


def test_closing_leaves_a_last_neutral_and_time_to_fetch_it(sink):
    clock = MonotonicClock()
    source = FieldTripSource(FieldTripConfig(unit="uV", port=sink.port), clock)
    source.open()
    sink.act(decision("left"), Command(label="left", strength=0.9))
    sink.close()
    rows, markers = [], []
    while len(rows) < 2:
        chunk = source.read(1, clock.now_ns() + 10_000_000_000)
        rows += chunk.samples.T.tolist()
        markers += [marker.label for marker in chunk.markers]
    last = dict(zip(LABELS, rows[-1], strict=True))
    assert [last[name] for name in ("stop_sample", "commanded", "strength")] == [-1, -1, 0]
    assert markers == ["command:left", "command:neutral"]
    source.close()


def test_clients_may_read_and_nothing_else(client):
    other = pack_header(Header(n_channels=1, rate_hz=1.0))
    assert client.ask(Code.PUT_HDR, other) == (Code.PUT_ERR, b"")
    assert client.ask(Code.FLUSH_HDR) == (Code.FLUSH_ERR, b"")
    assert unpack_header(client.ask(Code.GET_HDR)[1]).names == LABELS


def test_closing_twice_is_harmless_and_what_is_asked_for_when_closed_was_not_done():
    sink, command = FieldTripSink(FieldTripSinkConfig(port=0)), Command(label="left")
    sink.close()
    assert sink.act(decision("left"), command) == command.at_rest(NOT_OPEN)
    sink.open(SPEC, CLASSES)
    sink.close()
    sink.close()
    assert sink.act(decision("left"), command) == command.at_rest(NOT_OPEN)


def test_it_is_a_sink_that_acts_outside():
    check_sink(FieldTripSink(FieldTripSinkConfig(port=0)), SPEC)
    assert FieldTripSink.outside


def test_two_sinks_at_one_port_are_one_too_many(sink):
    second = FieldTripSink(FieldTripSinkConfig(port=sink.port))
    with pytest.raises(ConfigError, match="choose another one"):
        second.open(SPEC, CLASSES)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": ""}, "host must not be empty"),
        ({"port": -1}, "port must be in"),
        ({"rate_hz": 0.0}, "rate_hz must be in"),
        ({"keep": 1}, "keep must be in"),
    ],
    ids=["host", "port", "rate", "keep"],
)
def test_settings_out_of_range_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        FieldTripSinkConfig(**settings)
