"""From a selected class to marked pulses, through assembly's seams, on a clock that is told."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.simulated_stimulator import Failure
from diverloop.hardware.stimulation_config import StimulationSinkConfig, TrainConfig
from diverloop.hardware.stimulation_sink import StimulationSink
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.messages import Channel, Chunk, Command, Decision, EventKind, StreamSpec
from diverloop.runtime.record.audit import read_audit
from diverloop.runtime.session import parse_session, tables_of
from diverloop.runtime.stimulation import CLINICIAN, StimulationPermission
from diverloop.runtime.stimulation_limits import Contact, StimulationLimits
from diverloop.runtime.stimulator import Attends

S, MS = 1_000_000_000, 1_000_000
SPEC = StreamSpec(name="made", rate_hz=1000.0, channels=(Channel(name="C3"),))
CLASSES = ("yes", "no")
TRAIN = TrainConfig(
    label="yes", anodes=("LA1",), cathodes=("LA2",), amplitude_na=1_000_000, width_ns=200_000,
    second_amplitude_na=1_000_000, second_width_ns=200_000, rate_millihz=50_000,
    duration_us=500_000,
)  # fmt: skip
CONTACTS = tuple(Contact(name=name, area_um2=5_026_548) for name in ("LA1", "LA2"))
SELECTED = Command(label="yes", strength=1.0, selected=True)


def settings(folder, **changes) -> StimulationSinkConfig:
    usual = {
        "enabled": True, "ledger": str(folder), "begin_ledger": True, "contacts": CONTACTS,
        "trains": (TRAIN,), "limits": StimulationLimits(allowed=("LA1", "LA2")),
    }  # fmt: skip
    return StimulationSinkConfig(**usual | changes)


def decision(label="yes") -> Decision:
    return Decision(
        classes=CLASSES, probabilities=np.array([0.9, 0.1]), label=label, stop_sample=500
    )


class Stream:
    """A source that delivers what was waited for, on a virtual clock."""

    def __init__(self, clock):
        self.spec, self.ended, self.clock, self.next = SPEC, False, clock, 0
        self.waited_ns = []

    def open(self):
        self.next = 0

    def read(self, wanted, until_ns):
        began_ns = self.clock.now_ns()
        self.clock.wait_until(min(until_ns, began_ns + wanted * MS))
        self.waited_ns.append(self.clock.now_ns() - began_ns)
        n = (self.clock.now_ns() - began_ns) // MS
        if not n:
            return None
        self.next += n
        return Chunk(
            samples=np.zeros((1, n), np.float32),
            first_sample=self.next - n,
            arrived_ns=self.clock.now_ns(),
        )

    def close(self):
        pass


class Room:
    """A sink, its stream, a guard that is armed and a clinician who permits."""

    def __init__(self, config, permitted=True, background=False):
        self.clock, self.guard = VirtualClock(5 * S), Guard()
        self.guard.tell(Signal.PERSON_ARMS)
        given = StimulationPermission(
            who="C1", role=CLINICIAN, second_factor=True, enabled_until_ns=10**15
        )
        self.sink = StimulationSink(config)
        self.stream = Stream(self.clock)
        self.source = self.sink.attend(
            self.stream,
            clock=self.clock,
            guard=self.guard,
            permission=lambda: given if permitted else None,
            background=background,
        )
        self.source.open()
        self.sink.open(SPEC, CLASSES)
        self.markers, self.events = [], []

    def select(self, command=SELECTED):
        return self.sink.act(decision(), command)

    def read(self, ms, wanted=50):
        end_ns = self.clock.now_ns() + ms * MS
        while self.clock.now_ns() < end_ns:
            chunk = self.source.read(wanted, min(end_ns, self.clock.now_ns() + 200 * MS))
            if chunk is not None:
                self.markers += [(marker.label, marker.sample) for marker in chunk.markers]
                self.events += chunk.events


@pytest.fixture
def room(tmp_path):
    room = Room(settings(tmp_path / "P01"))
    yield room
    room.sink.close()


def test_the_sink_conforms_switched_off():
    check_sink(StimulationSink(), SPEC)


def test_the_sink_conforms_switched_on(tmp_path):
    room = Room(settings(tmp_path / "P01"))
    room.sink.close()
    check_sink(room.sink, SPEC)
    assert isinstance(room.sink, Attends)


def test_a_selected_class_becomes_a_train_whose_every_pulse_is_marked(room):
    room.read(100)
    assert room.select() == SELECTED
    room.read(1000)
    # 25 pulses at 50 Hz, the first with sample 99: as that has gone by, the next one is marked.
    assert room.markers == [("pulse", sample) for sample in (100, *range(119, 599, 20))]
    texts = [event.text for event in room.events]
    assert {event.kind for event in room.events} == {EventKind.STIMULATION}
    assert "allowed and begins" in texts[0]
    assert texts[-1] == "Stimulation was delivered: 25 of 25 pulses of 0.2 uC."


def test_what_is_not_selected_or_asks_for_nothing_passes(room):
    for command in (
        Command(label="yes", strength=0.5),
        Command(label="no", selected=True),
        Command(label=None, reason="quiet"),
    ):
        assert room.select(command) is command
    assert not room.sink.gate.busy


def test_a_denied_train_makes_the_command_neutral_and_says_why(tmp_path):
    room = Room(settings(tmp_path / "P01"), permitted=False)
    done = room.select(replace(SELECTED, velocity=(0.5,)))
    assert (done.label, done.velocity) == (None, (0.0,))
    assert done.reason == "stimulation was denied: permission"
    room.read(60)
    assert "Stimulation was denied (permission)" in room.events[0].text
    room.sink.close()


@pytest.mark.parametrize("enabled", [False, True])
def test_a_sink_that_is_off_or_closed_delivers_nothing(tmp_path, enabled):
    room = Room(settings(tmp_path / "P01", enabled=enabled))
    room.sink.close()
    room.sink.close()
    assert room.select() == Command(label=None, reason="stimulation is off")
    if not enabled:
        assert room.source is room.stream
        assert not (tmp_path / "P01").exists()


@pytest.mark.parametrize("signal", [Signal.EMERGENCY_STOP, Signal.PERSON_DISARMS])
def test_a_stop_reaches_a_train_although_the_stream_brings_nothing(room, signal):
    room.read(100)
    assert room.select().label == "yes"
    room.read(100)
    room.source.read(10_000, room.clock.now_ns() + 10 * S)  # as from a stream that is dead
    assert room.stream.waited_ns[-1] == 20 * MS
    assert room.sink.gate.busy
    room.guard.tell(signal)
    room.source.read(1, room.clock.now_ns() + 10 * S)
    assert not room.sink.gate.busy
    room.read(1000)
    assert len(room.markers) <= 7


def test_events_come_although_no_sample_does(room):
    room.select()
    chunk = room.source.read(0, room.clock.now_ns())
    assert chunk.samples.shape == (1, 0)
    assert len(chunk.events) == 1


def test_a_stalled_device_is_told_and_denies(room):
    room.sink.stimulator.fail(Failure.SILENT)
    room.select()
    room.read(700)
    assert any("does not say" in event.text for event in room.events)
    room.read(20_000, wanted=200)
    assert "all counts" in room.select().reason


def test_a_restart_remembers(tmp_path):
    room = Room(settings(tmp_path / "P01"))
    assert room.select().label == "yes"
    room.read(100)
    room.sink.close()
    again = Room(settings(tmp_path / "P01", begin_ledger=False))
    # By the wall clock no time has passed: what was given lies ahead, or has just ended.
    assert "rest: got" in again.select().reason
    again.sink.close()
    given = [
        e.details for e in read_audit(tmp_path / "P01") if e.details.get("state") == "delivered"
    ]
    assert [details["pc:LA1"] for details in given] == [6 * 200_000]


def test_the_disk_has_a_thread_of_its_own_if_it_may(tmp_path, monkeypatch):
    room = Room(settings(tmp_path / "P01"), background=True)
    written, by = threading.Event(), []
    write = room.sink.gate.write

    def noted():
        by.append(threading.current_thread().name)
        write()
        written.set()

    monkeypatch.setattr(room.sink.gate, "write", noted)
    room.select()
    room.read(600)
    assert written.wait(10)
    room.sink.close()
    assert set(by) == {"dose ledger"}


def test_a_class_that_the_model_has_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="names the class 'maybe', the model has yes, no"):
        Room(settings(tmp_path / "P01", trains=(replace(TRAIN, label="maybe"),)))


def test_without_a_ledger_nothing_starts(tmp_path):
    with pytest.raises(RecordingError, match="There is no dose ledger"):
        Room(settings(tmp_path / "P01", begin_ledger=False))


def test_a_sink_that_sees_no_guard_is_not_opened(tmp_path):
    with pytest.raises(ConfigError, match="needs the loop's guard"):
        StimulationSink(settings(tmp_path / "P01")).open(SPEC, CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "real"}, "drives no real stimulator"),
        ({"ledger": ""}, "sinks.ledger is empty"),
        ({"marker": ""}, "sinks.marker is empty"),
        ({"limits": StimulationLimits()}, "could never be delivered .contact at LA1"),
        ({"trains": (TRAIN, TRAIN)}, "sinks.trains must be different"),
        ({"contacts": CONTACTS[:1] * 2}, "sinks.contacts must be different"),
        ({"trains": (replace(TRAIN, amplitude_na=9_000_000),)}, "density at LA1: got 35.8"),
        ({"trains": (replace(TRAIN, amplitude_na=math.nan),)}, "could never be delivered .form"),
    ],
)
def test_settings_that_could_never_deliver_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, **changes)


def test_a_session_file_says_all_of_it_and_is_read_back_the_same(tmp_path):
    contacts = [{"name": name, "area_um2": 5_026_548} for name in ("LA1", "LA2")]
    train = {
        "label": "yes", "anodes": ["LA1"], "cathodes": ["LA2"], "amplitude_na": 1_000_000,
        "width_ns": 200_000, "second_amplitude_na": 1_000_000, "second_width_ns": 200_000,
        "rate_millihz": 50_000, "duration_us": 500_000,
    }  # fmt: skip
    sink = {
        "kind": "stimulation", "enabled": True, "ledger": "dose/P01", "contacts": contacts,
        "trains": [train], "limits": {"allowed": ["LA1", "LA2"], "rate_millihz": 100_000},
    }  # fmt: skip
    tables = {
        "session": {"name": "s"}, "source": {"kind": "simulator"}, "model": {"bundle": "m"},
        "sinks": [sink],
    }  # fmt: skip
    session = parse_session(tables, tmp_path)
    assert session.sinks[0].settings.trains == (TRAIN,)
    assert session.sinks[0].settings.limits.rate_millihz == 100_000
    assert parse_session(tables_of(session), tmp_path) == session
    sink["limits"] = {"rate_millihz": 300_000}
    with pytest.raises(ConfigError, match="never looser than this release allows"):
        parse_session(tables, tmp_path)
