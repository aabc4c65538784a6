"""Blackrock processors: against a fake of the library, and against the library where it is."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from diverloop.hardware import blackrock
from diverloop.hardware.blackrock import (
    BlackrockClient,
    BlackrockConfig,
    BlackrockSource,
    StampCount,
    open_session,
)
from diverloop.hardware.blackrock_server import BlackrockServer, BlackrockSetup
from diverloop.hardware.linked import LinkedSource
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import (
    ConfigError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
    UnitError,
)
from diverloop.runtime.messages import EventKind

MS = 1_000_000
CONFIG = BlackrockConfig(device="NPLAY", group="1000")
UV = {"scale": 0.25, "offset": 0.0, "unit": "uV"}


class FakeSession:
    """Has the calls of `pycbsdk.Session`, and hands over what a test gives it."""

    def __init__(self, labels=("e1", "e2", "ain1"), **conversions) -> None:
        self.labels, self.conversions, self.n_closed = labels, conversions, 0

    def get_group_channels(self, group_id):
        return list(range(1, len(self.labels) + 1)) if group_id == 2 else []

    def get_channel_label(self, chan_id):
        return self.labels[chan_id - 1]

    def get_channel_type(self, chan_id):
        return 1 if self.labels[chan_id - 1].startswith("ain") else 0

    def get_channel_conversion(self, chan_id):
        return self.conversions.get(self.labels[chan_id - 1], UV)

    def on_group_batch(self, rate):
        return lambda call: setattr(self, "batch", call)

    def on_event(self, channel_type):
        return lambda call: setattr(self, "event", call)

    def close(self):
        self.n_closed += 1

    def give(self, first: int, n_times: int = 10):
        """Every channel holds the sample's own number; stamps are a millisecond apart."""
        wide = len(self.labels) + len(self.labels) % 2
        numbers = np.arange(first, first + n_times)
        stamps = (5 * 10**15 + MS * numbers).astype(np.uint64)
        self.batch(np.repeat(numbers.astype(np.int16)[:, None], wide, axis=1), stamps)


def connected(session: FakeSession, **settings):
    config = BlackrockConfig(device="NPLAY", group="1000", **settings)
    client = BlackrockClient(config, lambda device: session)
    return client, client.connect(1.0)


def test_channels_come_with_their_kinds_and_units_and_samples_without_their_padding():
    session = FakeSession(ain1={"scale": 0.1526, "offset": 0.0, "unit": "mV"})
    client, spec = connected(session)
    assert [(channel.name, channel.kind) for channel in spec.channels] == [
        ("e1", "lfp"), ("e2", "lfp"), ("ain1", "misc"),
    ]  # fmt: skip
    assert spec.rate_hz == 1000.0
    assert spec.sent.microvolts == (0.25, 0.25, float(np.float32(152.6)))
    session.give(0)
    session.give(10)
    (block,) = client.receive(1.0)
    assert block.number == 0
    assert block.values.shape == (20, 3)
    assert block.values.dtype == np.int16
    np.testing.assert_array_equal(block.values[:, 1], np.arange(20))


def test_missing_stamps_cut_a_block_and_are_counted():
    session = FakeSession()
    client, _ = connected(session)
    session.give(0)
    session.give(17)
    assert [(block.number, len(block.values)) for block in client.receive(1.0)] == [
        (0, 10), (17, 10),
    ]  # fmt: skip


def test_a_value_at_the_digital_input_is_a_marker_at_its_sample():
    session = FakeSession()
    client, _ = connected(session)
    data = (9).to_bytes(4, sys.byteorder) + b"\xff\xff\0\0"
    session.event(SimpleNamespace(time=5 * 10**15 + 4 * MS + 3), data)
    session.give(0)
    (block,) = client.receive(1.0)
    assert block.markers == ((4, "9"),)


def test_silence_ends_the_connection(monkeypatch):
    monkeypatch.setattr(blackrock, "_SILENCE_S", 0.02)
    client, _ = connected(FakeSession())
    assert client.receive(0.01) == ()
    with pytest.raises(LinkLost, match="has sent nothing"):
        client.receive(0.01)


def test_channels_that_somebody_changed_end_the_connection():
    session = FakeSession()
    client, _ = connected(session)
    session.labels = ("e1", "e2", "e3", "ain1")
    session.give(0)
    with pytest.raises(LinkLost, match="group '1000' were changed"):
        client.receive(1.0)
    client.close()
    client.close()
    assert session.n_closed == 1
    session.give(0)
    with pytest.raises(LinkLost, match="was closed"):
        client.receive(1.0)


@pytest.mark.parametrize(
    ("session", "error", "said"),
    [
        (FakeSession(labels=()), SchemaMismatch, "No channel of the NPLAY"),
        (FakeSession(labels=("a", "a")), SchemaMismatch, "names that differ"),
        (FakeSession(e1={"scale": 1, "offset": 0, "unit": "MPa"}), UnitError, "MPa"),
        (FakeSession(e1={"scale": 1, "offset": 90, "unit": "uV"}), UnitError, "from 90 on"),
        (FakeSession(e1={"scale": 0, "offset": 0, "unit": "uV"}), UnitError, "positive"),
        (FakeSession(e1=None), UnitError, "no scaling"),
    ],
    ids=["empty", "names", "unit", "offset", "scale", "none"],
)
def test_a_processor_whose_channels_cannot_be_used_is_refused(session, error, said):
    with pytest.raises(error, match=said):
        connected(session)


def test_a_clock_that_is_a_little_off_loses_and_doubles_nothing():
    count = StampCount(30_000.0)
    stamps = (1e15 + np.arange(90_000) * (1e9 / 30_000.0) * 1.0004).astype(np.uint64)
    np.testing.assert_array_equal(count.number(stamps[:500]), np.arange(500))
    np.testing.assert_array_equal(count.number(stamps[500:]), np.arange(500, 90_000))
    assert count.nearest(int(stamps[-4])) == 89_996


def test_a_clock_that_was_set_back_is_a_count_that_goes_back():
    count = StampCount(1000.0)
    assert count.nearest(5) == 0
    count.number(np.array([9 * 10**12], np.uint64))
    assert count.number(np.array([0, MS], np.uint64)).tolist() == [-9_000_000, -8_999_999]


def test_it_conforms_as_a_source():
    clock = MonotonicClock()
    session = FakeSession()

    class Ticking(BlackrockClient):
        def receive(self, timeout_s):
            self.first = getattr(self, "first", -10) + 10
            session.give(self.first)
            clock.wait_until(clock.now_ns() + 10 * MS)
            return super().receive(timeout_s)

    check_source(
        LinkedSource(Ticking(CONFIG, lambda _: session), CONFIG, clock), clock, seconds=0.1
    )
    assert session.n_closed == 1
    assert isinstance(BlackrockSource(CONFIG, clock), LinkedSource)


def test_a_library_that_is_missing_or_cannot_run_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycbsdk", None)
    with pytest.raises(ConfigError, match=r"diverloop\[blackrock\]"):
        open_session("NSP")

    def session(error):
        def fail(device):
            raise error

        monkeypatch.setitem(sys.modules, "pycbsdk", types.SimpleNamespace(Session=fail))

    session(OSError("cannot load"))
    with pytest.raises(ConfigError, match="CBSDK_LIB_PATH"):
        open_session("NSP")
    session(RuntimeError("Failed to detect protocol"))
    with pytest.raises(SourceUnavailable, match="type NSP can be reached"):
        open_session("NSP")
    session(RuntimeError("Receive buffer size too small (got 1, requested 2)"))
    with pytest.raises(SourceUnavailable, match="sudo sysctl"):
        open_session("NSP")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "HUB9"}, "HUB3, NPLAY, got 'HUB9'"),
        ({"group": "44100"}, "got '44100'"),
        ({"electrodes": "emg"}, "got 'emg'"),
        ({"wait_s": 0.0}, "wait_s"),
    ],
    ids=["device", "group", "electrodes", "wait"],
)
def test_settings_out_of_range_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        BlackrockConfig(**settings)


@pytest.mark.live
@pytest.mark.parametrize("gemini", [False, True], ids=["ticks", "nanoseconds"])
def test_the_library_itself_connects_to_the_stand_in(gemini):
    pytest.importorskip("pycbsdk")
    clock = MonotonicClock()
    setup = BlackrockSetup(labels=("e1", "e2", "e3"), gemini=gemini)
    with BlackrockServer(setup) as server:
        source = BlackrockSource(BlackrockConfig(device="NPLAY", group="1000"), clock)
        try:
            source.open()
            assert source.spec.channel_names == ("e1", "e2", "e3")
            rows = np.repeat(np.arange(200)[:, None], 3, axis=1)
            server.send(rows[:100])
            server.mark(5)
            server.skip(50)
            server.send(rows[100:])
            chunks = []
            while not chunks or chunks[-1].stop_sample < 250:
                chunks.append(source.read(200, clock.now_ns() + 5_000 * MS))
            signal = np.concatenate([chunk.samples[2] for chunk in chunks])
            np.testing.assert_array_equal(signal, 0.25 * np.arange(200))
            markers = [mark for chunk in chunks for mark in chunk.markers]
            assert [(mark.label, mark.sample) for mark in markers] == [("5", 100)]
            gaps = [e for c in chunks for e in c.events if e.kind is EventKind.GAP]
            assert [event.count for event in gaps] == [50]
            server.regroup(BlackrockSetup(labels=("e1", "e2"), gemini=gemini))
            server.play(rows[:, :2])
            told = []
            while not any("not the 3 at 1000 Hz" in text for text in told):
                chunk = source.read(1, clock.now_ns() + 20_000 * MS)
                told += [event.text for event in chunk.events]
            assert "were changed" in told[0]
        finally:
            source.close()
