"""Brain Products amplifiers: against a stand-in that speaks their protocol, and breaks it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from diverloop.hardware.rda import BlockCount, RdaClient, RdaConfig, RdaSource
from diverloop.hardware.rda_server import RdaServer
from diverloop.hardware.rda_wire import DATA32, RdaMarker, RdaSetup, message
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SchemaMismatch, SourceUnavailable
from diverloop.runtime.messages import EventKind

SECOND_NS = 1_000_000_000
SETUP = RdaSetup(rate_hz=500.0, names=("Fz", "Cz", "ECG"), resolutions_uv=(0.5, 0.25, 2.0))
SIZE = 10


def rows(block: int, size: int = SIZE) -> np.ndarray:
    """Every channel holds the sample's own number."""
    return np.repeat(np.arange(block * size, (block + 1) * size)[:, None], 3, axis=1)


@pytest.fixture
def server():
    with RdaServer(SETUP) as server:
        yield server


@pytest.fixture
def opened():
    sources = []

    def make(server: RdaServer, **settings) -> RdaSource:
        """A source that has been told the channels and one block."""
        source = RdaSource(RdaConfig(port=server.port, **settings), MonotonicClock())
        sources.append(source)
        feeder = threading.Thread(target=feed, args=(server,))
        feeder.start()
        source.open()
        feeder.join()
        return source

    yield make
    for source in sources:
        source.close()


def feed(server: RdaServer) -> None:
    """Send the first block as soon as somebody has connected."""
    assert server.wait_for_clients(1)
    server.send(rows(0))


@pytest.fixture
def flowing(server):
    """Sends block after block from one on, however often the client has to connect."""
    over, threads = threading.Event(), []

    def flow(block: int) -> None:
        while not over.wait(SIZE / SETUP.rate_hz):
            server.send(rows(block))
            block += 1

    def start(first: int) -> None:
        threads.append(threading.Thread(target=flow, args=(first,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def read(source, wanted, within_s=5.0):
    return source.read(wanted, MonotonicClock().now_ns() + round(within_s * SECOND_NS))


def read_until(source, kind):
    chunks, end_ns = [], MonotonicClock().now_ns() + 10 * SECOND_NS
    while not (chunks and any(event.kind is kind for event in chunks[-1].events)):
        chunk = read(source, 1)
        assert chunk is not None, f"{kind} never came"
        assert MonotonicClock().now_ns() < end_ns, f"{kind} never came"
        chunks.append(chunk)
    return chunks


def texts(chunks):
    return [event.text for chunk in chunks for event in chunk.events]


@pytest.mark.parametrize("bits", [16, 32])
def test_it_conforms(bits):
    clock = MonotonicClock()
    with RdaServer(SETUP, bits=bits) as server:
        server.play(rows(0, 1000))
        check_source(RdaSource(RdaConfig(port=server.port), clock), clock, seconds=0.2)


@pytest.mark.parametrize(("bits", "dtype"), [(16, "<i2"), (32, "<f4")])
def test_samples_come_in_microvolts_with_their_markers_and_as_they_were_sent(opened, bits, dtype):
    with RdaServer(SETUP, bits=bits) as server:
        source = opened(server, not_eeg=("ECG",))
        server.keep_alive()
        server.send(rows(1), [RdaMarker(position=3, type="Stimulus", description="S  7")])
        chunk = read(source, 20)
        assert source.spec.rate_hz == 500.0
        assert [channel.kind for channel in source.spec.channels] == ["eeg", "eeg", "misc"]
        assert source.spec.sent.dtype == dtype
        np.testing.assert_array_equal(
            chunk.samples, np.outer([0.5, 0.25, 2.0], np.arange(20)).astype(np.float32)
        )
        assert [(marker.label, marker.sample) for marker in chunk.markers] == [("S  7", 13)]
        assert not chunk.events


def test_blocks_that_are_missing_are_a_gap_of_exactly_their_samples(server, opened):
    source = opened(server)
    server.skip(3)
    server.send(rows(4))
    chunk = read_until(source, EventKind.GAP)[-1]
    (event,) = chunk.events
    assert (event.count, chunk.first_sample, chunk.stop_sample) == (30, 40, 50)
    np.testing.assert_array_equal(chunk.samples[0], 0.5 * np.arange(40, 50))


def test_a_block_that_comes_twice_is_dropped(server, opened):
    source = opened(server)
    server.send(rows(1))
    server.skip(-1)
    server.send(rows(1))
    server.send(rows(2))
    chunks = read_until(source, EventKind.DUPLICATE)
    while chunks[-1].stop_sample < 30:
        chunks.append(read(source, 1))
    signal = np.concatenate([chunk.samples[0] for chunk in chunks])
    np.testing.assert_array_equal(signal, 0.5 * np.arange(30))


def test_half_a_packet_waits_for_its_other_half(server, opened):
    source = opened(server)
    assert read(source, 10).stop_sample == 10
    whole = message(DATA32, server.block(rows(1)))
    server.say(whole[:40])
    assert read(source, 1, within_s=0.05) is None
    server.say(whole[40:])
    np.testing.assert_array_equal(read(source, 10).samples[0], 0.5 * np.arange(10, 20))


def test_a_connection_that_breaks_in_a_packet_is_made_again_and_the_loss_is_counted(
    server, opened, flowing
):
    source = opened(server)
    server.say(message(DATA32, server.block(rows(1)))[:40])
    server.drop()
    lost = read_until(source, EventKind.SOURCE_LOST)
    assert "closed the connection. Connecting again." in texts(lost)[0]
    flowing(2)
    after = read_until(source, EventKind.GAP)[-1]
    # Not as the clock would have it, but as the recorder counted.
    assert after.samples[0, 0] == 0.5 * after.first_sample
    assert after.first_sample >= 20


def test_a_recorder_that_dies_and_is_started_again_is_found_and_begins_a_new_count(
    server, opened, flowing
):
    server.skip(500)
    source = opened(server)
    server.send(rows(1))
    server.kill()
    read_until(source, EventKind.SOURCE_LOST)
    server.start()
    server.restart()
    flowing(0)
    after = read_until(source, EventKind.CLOCK_STEP)[-1]
    assert after.first_sample > 20 + 0.2 * SETUP.rate_hz  # the pause before the next try
    assert after.samples[0, 0] < 0.5 * after.first_sample  # where the old count would have put it


def test_a_recorder_that_stops_is_waited_for_and_told_once(server, opened):
    source = opened(server)
    server.stop()
    lost = read_until(source, EventKind.SOURCE_LOST)
    assert texts(lost)[-1] == "The recorder stopped its acquisition. Connecting again."
    server.play(rows(0, 1000))
    server.start(number=50)  # further on than the one before: still another acquisition
    after = read_until(source, EventKind.CLOCK_STEP)
    assert not [text for text in texts(after) if "stopped" in text]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0" * 24, "not Remote Data Access"),
        (message(DATA32, b"\0" * 4), "fewer than its head"),
        (message(DATA32, np.array([1, 9, 0], "<u4").tobytes() + b"12"), "9 points and 3 channels"),
    ],
    ids=["magic", "head", "samples"],
)
def test_nonsense_ends_the_connection_and_another_is_made(server, opened, data, said):
    source = opened(server)
    server.say(data)
    assert said in texts(read_until(source, EventKind.SOURCE_LOST))[-1]
    server.play(rows(0, 1000))
    read_until(source, EventKind.SOURCE_BACK)
    assert read(source, 1) is not None


def test_other_channels_after_a_loss_are_refused_until_the_right_ones_are_back(server, opened):
    source = opened(server)
    server.play(rows(0, 1000))
    server.start(RdaSetup(rate_hz=500.0, names=("Cz", "Fz", "ECG"), resolutions_uv=(1.0,) * 3))
    chunks = read_until(source, EventKind.SOURCE_LOST)
    while not any("in their order" in text for text in texts(chunks)):
        chunks.append(read(source, 1))
    server.start(SETUP)
    read_until(source, EventKind.SOURCE_BACK)
    assert source.spec.channel_names == SETUP.names


def test_a_flood_is_bounded_and_what_was_dropped_of_it_is_told(server, opened):
    source = opened(server, buffer_s=1.0)
    chunks = [read(source, 10)]
    for block in range(1, 401):
        server.send(rows(block))
    while chunks[-1].samples[0, -1] != 0.5 * 4009:
        chunks.append(read(source, 1))
    assert max(chunk.samples.shape[1] for chunk in chunks) <= 500 + SIZE
    told = {event.kind for chunk in chunks for event in chunk.events}
    complete = sum(chunk.samples.shape[1] for chunk in chunks) == 4010
    assert complete or told & {EventKind.CLOCK_STEP, EventKind.GAP}


def test_silence_is_taken_for_a_cable_that_was_pulled(server, monkeypatch, opened):
    monkeypatch.setattr("diverloop.hardware.rda._SILENCE_S", 0.4)
    source = opened(server)
    lost = read_until(source, EventKind.SOURCE_LOST)
    assert "has sent nothing for 0.4 s" in texts(lost)[-1]


def test_where_no_acquisition_runs_the_message_says_what_to_start(server):
    server.stop()
    source = RdaSource(RdaConfig(port=server.port, wait_s=0.1), MonotonicClock())
    with pytest.raises(SourceUnavailable, match="start monitoring or recording"):
        source.open()
    source.close()


def test_a_channel_that_is_not_there_is_named(server):
    server.play(rows(0, 1000))
    source = RdaSource(RdaConfig(port=server.port, not_eeg=("Resp",)), MonotonicClock())
    with pytest.raises(SchemaMismatch, match=r"'Resp'.*it sends Fz, Cz, ECG"):
        source.open()
    source.close()


def test_closing_a_client_that_never_connected_is_harmless():
    RdaClient(RdaConfig()).close()
    with pytest.raises(ConfigError, match="port"):
        RdaConfig(port=0)


def test_blocks_of_changing_size_are_counted_as_they_come_and_missing_ones_by_the_mean():
    count = BlockCount()
    assert [count.place(5, 10), count.place(6, 12), count.place(7, 0)] == [0, 10, 22]
    assert count.place(10, 11) == 22 + 22  # two are missing, of eleven each on average
