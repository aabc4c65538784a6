"""What every device's client is wrapped in: the queue, the gaps, the way back after a loss."""

from __future__ import annotations

import queue
import threading

import numpy as np
import pytest

from diverloop.hardware.linked import Block, LinkConfig, LinkedSource, NetworkConfig
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import (
    ConfigError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
)
from diverloop.runtime.messages import Channel, EventKind, StreamSpec
from diverloop.runtime.received import Sent

RATE_HZ = 1000.0
SECOND_NS = 1_000_000_000


def spec(names=("C3", "C4"), dtype="<i2", microvolts=0.5) -> StreamSpec:
    return StreamSpec(
        name="made",
        rate_hz=RATE_HZ,
        channels=tuple(Channel(name=name) for name in names),
        source_id="made-1",
        sent=Sent(dtype=dtype, microvolts=(microvolts,) * len(names)),
    )


def block(number: int, n_times: int = 10, markers=()) -> Block:
    """Both rows hold the device's own number of the sample."""
    values = np.repeat(np.arange(number, number + n_times, dtype="<i2")[:, None], 2, axis=1)
    return Block(values=values, number=number, markers=markers)


class ScriptedClient:
    """Says what a test puts into its queue: blocks, errors, and specs for connections."""

    def __init__(self, *connections) -> None:
        self.connections = queue.Queue()
        for connection in connections or (spec(),):
            self.connections.put(connection)
        self.says: queue.Queue = queue.Queue()
        self.unfinished = False  # until the next call, what was said last may not be queued yet
        self.n_closed = 0
        self.closing = threading.Event()

    def connect(self, wait_s: float) -> StreamSpec:
        try:
            item = self.connections.get(timeout=wait_s)
        except queue.Empty:
            raise SourceUnavailable("nobody answers") from None
        if isinstance(item, Exception):
            raise item
        return item

    def receive(self, timeout_s: float):
        if self.unfinished:
            self.says.task_done()
        self.unfinished = False
        try:
            item = self.says.get(timeout=min(timeout_s, 0.01))
        except queue.Empty:
            return ()
        self.unfinished = True
        if isinstance(item, Exception):
            raise item
        return (item,)

    def close(self) -> None:
        self.n_closed += 1


@pytest.fixture
def opened():
    sources = []

    def make(client: ScriptedClient, **settings) -> LinkedSource:
        source = LinkedSource(client, LinkConfig(**settings), MonotonicClock())
        sources.append(source)
        source.open()
        return source

    yield make
    for source in sources:
        source.close()


def read(source: LinkedSource, wanted: int, within_s: float = 5.0):
    return source.read(wanted, MonotonicClock().now_ns() + round(within_s * SECOND_NS))


def read_until(source: LinkedSource, kind: EventKind):
    """All chunks up to the one that brings an event."""
    chunks = []
    while not (chunks and any(event.kind is kind for event in chunks[-1].events)):
        chunk = read(source, 1)
        assert chunk is not None, f"{kind} never came"
        chunks.append(chunk)
    return chunks


class Ticking(ScriptedClient):
    """Sends ten samples every ten milliseconds, for ever."""

    def receive(self, timeout_s: float):
        self.closing.wait(0.01)
        self.number = getattr(self, "number", 400) + 10
        return (block(self.number),)


def test_it_conforms():
    clock = MonotonicClock()
    source = LinkedSource(Ticking(), LinkConfig(), clock)
    check_source(source, clock, seconds=0.3)
    assert source._client.n_closed >= 2


def test_samples_come_in_microvolts_with_their_rows_as_sent_and_their_marker(opened):
    client = ScriptedClient()
    source = opened(client)
    client.says.put(block(100, 10))
    client.says.put(block(110, 10, markers=((113, "left"),)))
    chunk = read(source, 20)
    assert (chunk.first_sample, chunk.stop_sample) == (0, 20)
    np.testing.assert_array_equal(chunk.samples[0], 0.5 * np.arange(100, 120))
    assert [received.values.dtype.str for received in chunk.received] == ["<i2", "<i2"]
    assert chunk.rows == ((0, 10), (10, 20))
    (marker,) = chunk.markers
    assert (marker.label, marker.sample) == ("left", 13)
    assert marker.lsl_raw_s == 0.013


def test_a_hole_in_the_count_begins_another_chunk_and_is_told(opened):
    client = ScriptedClient()
    source = opened(client)
    for number in (0, 10, 25, 35):
        client.says.put(block(number))
    first, second = read(source, 40), read(source, 1)
    assert (first.first_sample, first.stop_sample) == (0, 20)
    assert (second.first_sample, second.stop_sample) == (25, 45)
    assert [event.kind for event in second.events] == [EventKind.GAP]
    assert second.rows == ((20, 30), (30, 40))


def test_rows_that_came_twice_are_kept_as_received_and_not_handed_over(opened):
    client = ScriptedClient()
    source = opened(client)
    for number in (0, 5, 15):
        client.says.put(block(number))
    chunks = [read(source, 30), read(source, 1)]
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples[0] for chunk in chunks], axis=None), 0.5 * np.arange(25)
    )
    assert sum(len(received.stamps_s) for chunk in chunks for received in chunk.received) == 30
    assert chunks[1].rows == ((15, 20), (20, 30))


def test_a_device_that_goes_and_comes_back_is_found_again_and_its_absence_is_a_gap(opened):
    client = ScriptedClient(spec(), SourceUnavailable("not yet"), spec())
    source = opened(client)
    client.says.put(block(0))
    assert read(source, 10).stop_sample == 10
    client.says.put(LinkLost("The cable was pulled."))
    lost = read_until(source, EventKind.SOURCE_LOST)[-1]
    assert lost.events[0].text == "The cable was pulled. Connecting again."
    read_until(source, EventKind.SOURCE_BACK)
    client.says.put(block(0))
    after = read_until(source, EventKind.CLOCK_STEP)[-1]
    # At the least the pause before the next try lies between them.
    assert after.first_sample > 10 + 0.2 * RATE_HZ
    np.testing.assert_array_equal(after.samples[0], 0.5 * np.arange(10))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (spec(names=("C4", "C3")), "not the 2 at 1000 Hz in their order"),
        (spec(microvolts=0.1), "other units or another number format"),
    ],
    ids=["swapped", "scaled"],
)
def test_a_device_that_comes_back_as_another_is_refused_once_and_waited_for(opened, other, said):
    client = ScriptedClient(spec(), other, other, spec())
    source = opened(client)
    client.says.put(block(0))
    client.says.put(LinkLost("gone"))
    chunks = read_until(source, EventKind.SOURCE_BACK)
    texts = [event.text for chunk in chunks for event in chunk.events]
    assert len([text for text in texts if said in text]) == 1


def test_a_driver_that_breaks_down_is_told_and_connected_again(opened):
    client = ScriptedClient(spec(), RuntimeError("no handle"), spec())
    source = opened(client)
    client.says.put(RuntimeError("-7 in\nthe library."))
    chunks = read_until(source, EventKind.SOURCE_BACK)
    assert [event.text for chunk in chunks for event in chunk.events] == [
        "The device's driver raised RuntimeError (-7 in the library). Connecting again.",
        "The device's driver raised RuntimeError (no handle).",
        "The device 'made' is back.",
    ]


def test_a_loop_that_sleeps_too_long_loses_the_oldest_samples_and_sees_the_gap(opened):
    client = ScriptedClient()
    source = opened(client, buffer_s=1.0)
    client.says.put(block(0))
    assert read(source, 10).stop_sample == 10
    # As many as a fast machine may send at once without its count being doubted.
    for number in range(10, 2010, 10):
        client.says.put(block(number))
    client.says.join()
    chunk = read_until(source, EventKind.GAP)[-1]
    assert chunk.stop_sample == 2010
    assert chunk.samples.shape[1] == 1000


def test_nothing_in_time_is_none_and_costs_no_more_than_the_deadline(opened):
    assert read(opened(ScriptedClient()), 10, within_s=0.02) is None


def test_a_device_that_is_not_there_yet_is_waited_for(opened):
    source = opened(ScriptedClient(SourceUnavailable("not yet"), spec()))
    assert source.spec.channel_names == ("C3", "C4")


def test_a_device_that_never_comes_and_one_that_cannot_be_used_are_refused():
    missing = LinkedSource(
        ScriptedClient(SourceUnavailable("no")), LinkConfig(wait_s=0.1), MonotonicClock()
    )
    with pytest.raises(SourceUnavailable, match="open"):
        _ = missing.spec
    with pytest.raises(SourceUnavailable):
        missing.open()
    broken = LinkedSource(ScriptedClient(RuntimeError()), LinkConfig(), MonotonicClock())
    with pytest.raises(SourceUnavailable, match=r"raised RuntimeError \(no reason given\)"):
        broken.open()
    broken.close()
    wrong = LinkedSource(ScriptedClient(SchemaMismatch("bad")), LinkConfig(), MonotonicClock())
    with pytest.raises(SchemaMismatch, match="bad"):
        wrong.open()
    missing.close()
    wrong.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wait_s": 0.0}, "wait_s must be in"),
        ({"buffer_s": 1000.0}, "buffer_s must be in"),
        ({"host": ""}, "host must not be empty"),
        ({"port": 70_000}, "port must be in"),
    ],
    ids=["wait", "buffer", "host", "port"],
)
def test_settings_out_of_range_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        NetworkConfig(**{"port": 1972} | settings)


def test_a_client_that_connects_while_the_source_is_closed_is_closed_after_all(opened):
    closed_at = []

    class Slow(ScriptedClient):
        connecting = threading.Event()

        def connect(self, wait_s: float) -> StreamSpec:
            if self.n_closed:
                self.connecting.set()
                self.closing.wait(5.0)
                closed_at.append(self.n_closed)
            return super().connect(wait_s)

        def close(self) -> None:
            super().close()
            if self.connecting.is_set():
                self.closing.set()

    client = Slow(spec(), spec())
    source = opened(client)
    client.says.put(LinkLost("gone"))
    assert client.connecting.wait(5.0)
    source.close()
    assert client.n_closed > closed_at[0]
