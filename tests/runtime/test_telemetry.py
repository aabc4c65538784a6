from __future__ import annotations

import dataclasses
import math
import struct
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diverloop.runtime import telemetry
from diverloop.runtime.adaptation_figures import AdaptationFigures
from diverloop.runtime.errors import ConfigError, DiverloopError
from diverloop.runtime.latency import LatencyBook
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Marker,
    Promotion,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.paradigms.guided_course import Scene
from diverloop.runtime.quality import Quality
from diverloop.runtime.telemetry import (
    TOPICS,
    Score,
    TelemetryPublisher,
    TelemetrySubscriber,
    decode_message,
    encode_message,
)
from diverloop.runtime.wire import WIRE_VERSION

LIMIT_MS = 20_000
LIMIT_S = LIMIT_MS / 1e3

SPEC = StreamSpec(
    name="amp",
    rate_hz=512.5,
    channels=(
        Channel(name="C3", position_m=(0.1, -0.0, math.nan)),
        Channel(name="Ω2", kind="ecog"),
    ),
    source_id="serial 7",
)
EVENT = Event(kind=EventKind.GAP, text="40 samples are gone.", sample=2**40, count=40, at_ns=2**62)
MARKER = Marker(label="left", sample=12, lsl_raw_s=1.0 / 3.0)
CHUNK = Chunk(
    samples=np.array([[1.5, np.nan, -0.0], [np.inf, -np.inf, 1e-40]], np.float32),
    first_sample=7,
    arrived_ns=8,
    lsl_raw_s=9.25,
    markers=(MARKER, Marker(label="", sample=0)),
    events=(EVENT,),
)
DECISION = Decision(
    classes=("left", "right"),
    probabilities=np.array([1 / 3, 2 / 3]),
    label="right",
    first_sample=3,
    stop_sample=5,
    epoch=2,
    marker=MARKER,
    lsl_corrected_s=4.5,
)
NEUTRAL = Decision(
    classes=("left",), probabilities=np.array([np.nan]), label=None, reason="no signal"
)
TIMES = StageTimes(
    due_ns=-1, arrived_ns=1, conditioned_ns=2, cut_ns=3, encoded_ns=4, decided_ns=5,
    fed_back_ns=6, acted_ns=2**62,
)  # fmt: skip
TURN = Turn(
    decision=DECISION,
    command=Command(label="right", strength=0.1, selected=True),
    times=TIMES,
    embedding=Embedding(values=np.arange(5, dtype=np.float32), quality=0.7),
)
PROMOTION = Promotion(
    epoch=3,
    kind="linear",
    settings={"temperature": 1.5},
    arrays={"weights": np.eye(2, dtype=np.float32)},
    reason="better than before",
)
QUALITY = Quality(
    channels=("C3", "Ω2"),
    scores=np.array([0.25, np.nan], np.float32),
    causes=("mains hum", ""),
    usable=np.array([False, True]),
    changed=1 / 3,
    sample=2**40,
    at_ns=2**62,
)
BOOK = LatencyBook()
BOOK.turn(TIMES)
BOOK.count_refused("artefact", 2)
BOOK.count_event(EVENT)
SCORE = Score(hits=3, trials=4, interval=(0.3, 0.95), meaning="cued trials")

MESSAGES = {
    "spec": SPEC,
    "chunk": CHUNK,
    "turn": TURN,
    "neutral turn": Turn(decision=NEUTRAL, command=Command(label=None), times=TIMES),
    "event": EVENT,
    "promotion": PROMOTION,
    "quality": QUALITY,
    "report": BOOK.report(filter_delay_s=0.02, window_s=1.0),
    "empty report": LatencyBook().report(),
    "score": SCORE,
    "adaptation": AdaptationFigures(learner="reward", epoch=3, benefit=0.04, waiting="a gap"),
    "scene": Scene(kind="cue", instruction="Left hand", trial=3, good=2, planned=20, last="Good."),
}


def bits(value):
    """A value that is equal for messages equal bit for bit, types and NaN included."""
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.newbyteorder("="), value.shape, value.tobytes())
    if dataclasses.is_dataclass(value):
        names = [one.name for one in dataclasses.fields(value)]
        return (type(value), *(bits(getattr(value, name)) for name in names))
    if isinstance(value, tuple):
        return tuple(bits(one) for one in value)
    if isinstance(value, dict):
        return {key: bits(one) for key, one in value.items()}
    if isinstance(value, float):
        return struct.pack("<d", value)
    return (type(value), value)


@pytest.fixture
def pair():
    publisher = TelemetryPublisher()
    subscriber = TelemetrySubscriber(publisher.address)
    assert publisher.wait_for_subscriber(LIMIT_MS)
    yield publisher, subscriber
    subscriber.close()
    publisher.close()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_comes_back_bit_for_bit(name):
    message = MESSAGES[name]
    assert bits(decode_message(encode_message(message))) == bits(message)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0),
        elements={"allow_nan": True},
    )
)
def test_samples_of_any_shape_come_back_bit_for_bit(samples):
    chunk = Chunk(samples=samples, first_sample=0, arrived_ns=0)
    assert bits(decode_message(encode_message(chunk))) == bits(chunk)


def test_strided_and_big_endian_samples_arrive_as_the_same_numbers():
    whole = np.arange(24, dtype=">f8").reshape(4, 6)
    chunk = Chunk(samples=whole[::2, ::-1], first_sample=0, arrived_ns=0)
    got = decode_message(encode_message(chunk)).samples
    np.testing.assert_array_equal(got, whole[::2, ::-1])
    assert got.dtype == np.float64


def test_arrays_that_arrived_belong_to_the_receiver():
    got = decode_message(encode_message(CHUNK))
    got.samples[0, 0] = 3.0
    assert got.samples[0, 0] == 3.0


def test_numpy_scalars_that_slipped_into_a_message_arrive_as_plain_numbers():
    event = Event(kind=EventKind.RATE, text="The rate is off.", count=np.int64(4))
    assert bits(decode_message(encode_message(event))) == bits(
        Event(kind=EventKind.RATE, text="The rate is off.", count=4)
    )


def test_every_topic_has_a_message_here():
    assert {encode_message(message)[0] for message in MESSAGES.values()} == set(TOPICS)


def header_of(*parts):
    return msgspec.msgpack.encode(parts)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"event"],
        [b"event", b"\xff\xff"],
        [b"unknown", encode_message(EVENT)[1]],
        [b"spec", encode_message(EVENT)[1]],
        [b"event", header_of(WIRE_VERSION + 1, 0, {"kind": "gap", "text": "x"})],
        encode_message(CHUNK)[:2],
        [*encode_message(CHUNK)[:2], b"too short"],
        [
            b"chunk",
            header_of(
                WIRE_VERSION, 0, {"samples": ["|O", [1], 0], "first_sample": 0, "arrived_ns": 0}
            ),
            b"12345678",
        ],
        [
            b"chunk",
            header_of(WIRE_VERSION, 0, {"samples": [1, 2], "first_sample": 0, "arrived_ns": 0}),
            b"",
        ],
    ],
)
def test_frames_that_are_no_message_are_refused_in_words(frames):
    with pytest.raises(DiverloopError, match="run the same diverloop on both ends"):
        decode_message(frames)


def test_what_is_watched_and_posted_is_polled_in_order(pair):
    publisher, subscriber = pair
    publisher.post(SCORE)
    for message in (SPEC, CHUNK, TURN, EVENT):
        publisher.watch(message)
    got = [subscriber.poll(LIMIT_MS) for _ in range(5)]
    assert [bits(message) for message in got] == [
        bits(message) for message in (SCORE, SPEC, CHUNK, TURN, EVENT)
    ]
    assert (subscriber.lost, subscriber.unreadable) == (0, 0)
    assert subscriber.poll(0) is None


def test_a_viewer_may_ask_for_the_quality_alone_and_reads_it_as_the_loop_meant_it():
    publisher = TelemetryPublisher()
    subscriber = TelemetrySubscriber(publisher.address, [b"quality"])
    assert publisher.wait_for_subscriber(LIMIT_MS)
    for message in (SPEC, QUALITY, EVENT):
        publisher.watch(message)
    publisher.close()
    got = subscriber.poll(LIMIT_MS)
    assert subscriber.poll(0) is None
    subscriber.close()
    assert got.reason == "mains hum: C3"
    assert got.usable.dtype == bool
    assert got.usable.tolist() == [False, True]


def test_what_was_posted_last_is_sent_on_closing(pair):
    publisher, subscriber = pair
    publisher.post(BOOK.report())
    publisher.close()
    publisher.close()
    assert bits(subscriber.poll(LIMIT_MS)) == bits(BOOK.report())


def test_a_subscriber_gets_only_the_topics_it_asked_for():
    publisher = TelemetryPublisher()
    subscriber = TelemetrySubscriber(publisher.address, [b"event"])
    assert publisher.wait_for_subscriber(LIMIT_MS)
    for message in (SPEC, TURN, EVENT):
        publisher.watch(message)
    publisher.close()
    got = subscriber.poll(LIMIT_MS), subscriber.poll(0)
    subscriber.close()
    assert got == (EVENT, None)


def test_who_comes_late_still_learns_the_stream_and_the_guard(pair):
    publisher, _ = pair
    guard = Event(kind=EventKind.GUARD, text="The guard is armed.")
    publisher.watch(SPEC)
    publisher.watch(guard)
    publisher.watch(EVENT)
    late = TelemetrySubscriber(publisher.address)
    assert publisher.wait_for_subscriber(LIMIT_MS)
    got = [late.poll(LIMIT_MS), late.poll(LIMIT_MS)]
    late.close()
    assert [bits(message) for message in got] == [bits(SPEC), bits(guard)]


def test_who_comes_late_to_a_calibration_sees_the_scene_that_is_on(pair):
    publisher, _ = pair
    scene = MESSAGES["scene"]
    publisher.watch(scene)
    late = TelemetrySubscriber(publisher.address, topics=[b"scene"])
    assert publisher.wait_for_subscriber(LIMIT_MS)
    assert late.poll(LIMIT_MS) == scene
    late.close()


def test_what_nobody_listens_to_is_not_even_encoded(monkeypatch):
    encoded = []
    monkeypatch.setattr(telemetry, "encode_message", lambda *given: encoded.append(given) or [b"?"])
    publisher = TelemetryPublisher()
    publisher.watch(EVENT)
    assert encoded == []
    quiet = TelemetrySubscriber(publisher.address, topics=[b"quality"])
    assert publisher.wait_for_subscriber(LIMIT_MS)
    publisher.watch(EVENT)
    assert encoded == []
    publisher.watch(QUALITY)
    assert [given[0] for given in encoded] == [QUALITY]
    quiet.close()
    while publisher._publisher.wanted:  # until ZeroMQ has noticed
        publisher._publisher.notices()
    publisher.watch(QUALITY)
    assert len(encoded) == 1
    publisher.close()


def test_messages_dropped_on_the_way_are_counted(pair):
    publisher, subscriber = pair
    publisher.watch(EVENT)
    publisher._sequence[b"event"] += 7  # as ZeroMQ does when a subscriber does not poll
    publisher.watch(EVENT)
    publisher._sequence[b"event"] = 0  # a publisher that was started anew
    publisher.watch(EVENT)
    assert [subscriber.poll(LIMIT_MS) for _ in range(3)] == [EVENT] * 3
    assert subscriber.lost == 7


def test_a_subscriber_that_does_not_poll_loses_messages_and_knows_how_many(pair):
    publisher, subscriber = pair
    n_sent = 60_000  # more than both high-water marks and the buffers between them can hold
    text = "x" * 500
    for number in range(n_sent):
        publisher.watch(Event(kind=EventKind.JITTER, text=text, count=number))
    publisher.wait_for_subscriber(0)
    got = 0
    while subscriber.poll(200) is not None:
        got += 1
    publisher.watch(EVENT)
    assert subscriber.poll(LIMIT_MS) == EVENT
    assert 0 < got < n_sent
    assert got + subscriber.lost == n_sent


def test_a_message_from_another_version_is_counted_and_passed_over(pair):
    publisher, subscriber = pair
    publisher._publisher.socket.send_multipart([b"event", header_of(99, 0, None)])
    publisher.watch(EVENT)
    assert subscriber.poll(LIMIT_MS) is None
    assert subscriber.poll(LIMIT_MS) == EVENT
    assert subscriber.unreadable == 1


def test_nobody_subscribing_is_told_apart():
    publisher = TelemetryPublisher()
    assert not publisher.wait_for_subscriber(0)
    publisher.close()


@pytest.mark.parametrize(
    "address", ["tcp://*:5555", "tcp://0.0.0.0:*", "tcp://192.168.1.5:5555", "tcp://eth0:5555"]
)
@pytest.mark.parametrize("end", [TelemetryPublisher, TelemetrySubscriber])
def test_an_address_beyond_this_machine_is_refused_with_a_way_out(end, address):
    with pytest.raises(ConfigError, match=r"give --key for telemetry .* SSH tunnel"):
        end(address)


@pytest.mark.parametrize("address", ["", "tcp://", "tcp://5555", "udp://127.0.0.1:5", "ipc://"])
@pytest.mark.parametrize("end", [TelemetryPublisher, TelemetrySubscriber])
def test_what_is_no_address_is_refused(end, address):
    with pytest.raises(ConfigError, match="must look like"):
        end(address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "tcp://localhost:*", "tcp://127.9.9.9:*"])
def test_loopback_addresses_are_taken_and_the_port_is_told(address):
    publisher = TelemetryPublisher(address)
    assert int(publisher.address.rpartition(":")[2]) > 0
    publisher.close()


def test_a_port_in_use_is_refused_in_words():
    first = TelemetryPublisher()
    with pytest.raises(ConfigError, match="cannot be bound"):
        TelemetryPublisher(first.address)
    first.close()


def test_a_port_that_is_none_is_refused_in_words():
    with pytest.raises(ConfigError, match="cannot be used"):
        TelemetrySubscriber("tcp://127.0.0.1:port")


def test_an_unknown_topic_is_refused():
    with pytest.raises(ConfigError, match="topics must be out of"):
        TelemetrySubscriber("tcp://127.0.0.1:5555", [b"weather"])


CHILD = """
import sys
from diverloop.runtime.telemetry import TelemetrySubscriber
from diverloop.runtime.messages import Chunk, Turn
subscriber = TelemetrySubscriber(sys.argv[1])
got = [subscriber.poll(20_000) for _ in range(4)]
spec, chunk, turn, event = got
assert isinstance(chunk, Chunk) and isinstance(turn, Turn)
print(spec.name, chunk.samples.tobytes().hex(), turn.decision.label, event.count)
subscriber.close()
"""


def test_another_process_gets_what_was_sent():
    publisher = TelemetryPublisher()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, publisher.address], stdout=subprocess.PIPE, text=True
    ) as child:
        assert publisher.wait_for_subscriber(LIMIT_MS)
        for message in (SPEC, CHUNK, TURN, EVENT):
            publisher.watch(message)
        said, _ = child.communicate(timeout=LIMIT_S)
    publisher.close()
    assert child.returncode == 0
    assert said.split() == ["amp", CHUNK.samples.tobytes().hex(), "right", "40"]
