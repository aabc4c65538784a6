"""Streams beside the signal are read in threads of their own, and nothing waits for them."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest

from diverloop.hardware.lsl_inlet import LslConfig
from diverloop.hardware.null import NullConfig
from diverloop.hardware.side_streams import Side, SideStreams, beside_settings, rows_of
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import SourceUnavailable
from diverloop.runtime.messages import Aside, Channel, Chunk, Event, EventKind, StreamSpec
from diverloop.runtime.received import Received, Sent

PLAIN = StreamSpec(name="plain", rate_hz=100.0, channels=(Channel(name="a"), Channel(name="b")))
DEADLINE_S = 5.0


class Fake:
    """A source that gives what it is told to, and can be missing or broken."""

    def __init__(self, spec: StreamSpec = PLAIN, *, fails: Exception | None = None) -> None:
        self.spec, self.fails = spec, fails
        self.chunks: deque[Chunk | Exception] = deque()
        self.ended = False
        self.taken, self.closed = threading.Event(), threading.Event()

    def open(self) -> None:
        if self.fails:
            raise self.fails

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        if not self.chunks:
            self.taken.set()
            self.closed.wait(0.005)
            return None
        chunk = self.chunks.popleft()
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed.set()


def chunk(first: int = 0, n: int = 4, **other) -> Chunk:
    samples = np.arange(first, first + n, dtype=np.float32) * np.ones((2, 1), np.float32)
    return Chunk(samples=samples, first_sample=first, arrived_ns=first + 1, **other)


class Rig:
    """A signal, and sources beside it that are made one after the other."""

    def __init__(self, *sides: Fake) -> None:
        self.signal, self.made = Fake(), deque(sides)
        side = Side(
            role="gaze", make=lambda: self.made.popleft() if len(self.made) > 1 else sides[-1]
        )
        self.source = SideStreams(self.signal, [side], MonotonicClock())
        self.asides: list[Aside] = []
        self.events: list[Event] = []

    def __enter__(self) -> Rig:
        self.source.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def read(self) -> Chunk | None:
        found = self.source.read(1, 0)
        if found is not None:
            self.asides += found.beside
            self.events += found.events
        return found

    def until(self, so) -> None:
        clock = MonotonicClock()
        deadline_ns = clock.now_ns() + round(DEADLINE_S * 1e9)
        while not so():
            assert clock.now_ns() < deadline_ns, (self.asides, self.events)
            self.read()


def test_what_came_beside_rides_on_the_chunks_of_the_signal():
    side = Fake()
    side.chunks += [chunk(0), chunk(4)]
    with Rig(side) as rig:
        assert side.taken.wait(DEADLINE_S)
        rig.signal.chunks.append(chunk(10, 2))
        found = rig.read()
        assert found is not None
        assert found.samples.shape == (2, 2)
        assert [aside.spec for aside in found.beside] == [PLAIN, None]
        rows = np.concatenate([aside.rows.values for aside in found.beside])
        np.testing.assert_array_equal(rows[:, 0], np.arange(8))
        assert [aside.rows.first_row for aside in found.beside] == [0, 4]
        assert found.beside[1].rows.stamps_s[0] == pytest.approx(0.04)
    assert side.closed.is_set()


def test_without_a_signal_it_comes_on_an_empty_chunk():
    side = Fake()
    side.chunks.append(chunk())
    with Rig(side) as rig:
        assert side.taken.wait(DEADLINE_S)
        found = rig.read()
    assert found is not None
    assert found.samples.shape == (2, 0)
    assert len(found.beside) == 1


def test_the_signal_is_handed_over_as_it_is_when_nothing_is_beside_it():
    with Rig(Fake()) as rig:
        one = chunk()
        rig.signal.chunks.append(one)
        assert rig.read() is one
        assert rig.read() is None


def test_a_stream_that_is_not_there_is_told_of_once_and_found_later(monkeypatch):
    monkeypatch.setattr("diverloop.hardware.side_streams._AGAIN_S", 0.01)
    gone = [Fake(fails=SourceUnavailable("Nobody answers.")) for _ in range(3)]
    there = Fake()
    there.chunks.append(chunk())
    with Rig(*gone, there) as rig:
        rig.until(lambda: rig.asides)
    assert [event.kind for event in rig.events] == [EventKind.SOURCE_LOST, EventKind.SOURCE_BACK]
    assert "'gaze' beside the signal cannot be had: Nobody answers." in rig.events[0].text


def test_a_driver_that_breaks_is_told_of_and_opened_again(monkeypatch):
    monkeypatch.setattr("diverloop.hardware.side_streams._AGAIN_S", 0.01)
    broken, mended = Fake(), Fake()
    broken.chunks += [chunk(), ZeroDivisionError("by a driver")]
    mended.chunks.append(chunk())
    with Rig(broken, mended) as rig:
        rig.until(lambda: len(rig.asides) == 2)
    assert rig.events[0].kind is EventKind.FAILED
    assert "ZeroDivisionError (by a driver)" in rig.events[0].text
    assert broken.closed.is_set()


def test_a_stream_that_comes_back_with_other_channels_is_refused(monkeypatch):
    monkeypatch.setattr("diverloop.hardware.side_streams._AGAIN_S", 0.01)
    other = StreamSpec(name="other", rate_hz=50.0, channels=(Channel(name="z"),))
    broken, changed = Fake(), Fake(other)
    broken.chunks += [chunk(), OSError("the cable")]
    changed.chunks.append(chunk())
    with Rig(broken, changed) as rig:
        rig.until(lambda: len(rig.events) == 2)
        assert len(rig.asides) == 1
    assert "It came back with 1 channels at 50 Hz (z, ...)" in rig.events[1].text


def test_only_what_concerns_the_connection_is_passed_on():
    side = Fake()
    events = (
        Event(kind=EventKind.RATE, text="Too fast.", lasting=True),
        Event(kind=EventKind.SOURCE_LOST, text="It is gone."),
    )
    side.chunks.append(chunk(events=events))
    with Rig(side) as rig:
        rig.until(lambda: rig.events)
    (told,) = rig.events
    assert told.text == "It is gone. (It is 'gaze', beside the signal.)"
    assert not told.lasting


def test_rows_that_a_source_kept_as_sent_are_handed_on_as_they_are():
    rows = Received(values=np.zeros((1, 2), "<i2"), stamps_s=np.zeros(1), first_row=7)
    sent = StreamSpec(
        name="s",
        rate_hz=1.0,
        channels=PLAIN.channels,
        sent=Sent(dtype="<i2", microvolts=(1.0, 1.0)),
    )
    assert rows_of(chunk(received=(rows,)), sent, 0) == (rows,)
    assert rows_of(chunk(0, 0), PLAIN, 0) == ()


def test_a_stream_beside_looks_for_a_short_time_and_for_no_markers():
    settings = beside_settings(LslConfig(name="eye", wait_s=60.0))
    assert (settings.name, settings.wait_s, settings.markers) == ("eye", 2.0, "")
    assert beside_settings(NullConfig()) == NullConfig()
