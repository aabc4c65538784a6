"""The watchdog served by a thread of the test: what its sinks are told, and when."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from queue import Queue

import numpy as np
import pytest

from diverloop.runtime import watchdog as module
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import ConfigError, DiverloopError
from diverloop.runtime.messages import Channel, Command, Decision, Event, EventKind, StreamSpec
from diverloop.runtime.watchdog import (
    LONGEST,
    Acting,
    Beat,
    Bye,
    Did,
    Opened,
    Opening,
    Stop,
    Watchdog,
    Woke,
    packed,
    unpacked,
)

SPEC = StreamSpec(name="made", rate_hz=250.0, channels=(Channel(name="C3"),))
DECISION = Decision(classes=("left", "right"), probabilities=np.array([0.3, 0.7]), label="right")
GO = Command(label="right", strength=0.7, velocity=(0.5,))
NEUTRAL = Command(label=None, reason="nothing stands out")
LIMIT_NS = 120_000_000
PATIENCE_S = 10.0


@dataclass(frozen=True)
class NoteConfig:
    """Of a sink that notes what it is told."""

    broken: bool = False


@dataclass
class Noting:
    """A sink that notes what it is told."""

    config: NoteConfig
    told: Queue = field(default_factory=Queue)
    Config = NoteConfig

    def open(self, spec, classes):
        if self.config.broken:
            raise ConfigError("The arm is not plugged in: plug it in.")
        Noting.latest = self

    def act(self, decision, command):
        self.told.put(command)
        return command

    def close(self):
        self.told.put("closed")


@pytest.fixture
def link(monkeypatch):
    monkeypatch.setattr(module, "find", lambda kind, name: Noting)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    served = threading.Thread(target=Watchdog(theirs, LIMIT_NS, MonotonicClock()).run)
    served.start()
    yield ours
    ours.close()
    served.join(PATIENCE_S)
    theirs.close()
    assert not served.is_alive()


def say(link, said):
    link.send(packed(said))


def heard(link):
    """What it says next, but for answers that a command was done as asked."""
    while isinstance(said := unpacked(link.recv(LONGEST)), Did) and said.asked == said.done:
        pass
    return said


def opened(link, **settings):
    say(link, Opening(sinks=(("noting", settings),), spec=SPEC, classes=DECISION.classes))
    assert heard(link) == Opened()
    return Noting.latest.told


def acting(command):
    return Acting(decision=DECISION, command=command)


def test_nothing_moves_before_a_neutral_command_has_come(link):
    told = opened(link)
    say(link, acting(GO))
    refused = told.get(timeout=PATIENCE_S)
    assert refused.label is None
    assert refused.velocity == (0.0,)
    assert "nothing has been commanded yet" in refused.reason
    answer = heard(link)
    assert (answer.asked, answer.done) == (GO, refused)
    say(link, acting(NEUTRAL))
    say(link, acting(GO))
    assert [told.get(timeout=PATIENCE_S) for _ in range(2)] == [NEUTRAL, GO]


def test_a_loop_that_falls_silent_makes_the_outputs_neutral_again_and_again(link):
    told = opened(link)
    say(link, acting(NEUTRAL))
    say(link, acting(GO))
    commands = [told.get(timeout=PATIENCE_S) for _ in range(5)]
    assert commands[:2] == [NEUTRAL, GO]
    assert {c.label for c in commands[2:]} == {None}
    assert all("no sign of life for 120 ms" in c.reason for c in commands[2:])
    say(link, acting(GO))
    woke = heard(link)
    assert isinstance(woke, Woke)
    assert woke.silent_ns >= LIMIT_NS
    assert isinstance(heard(link), Did)  # it has to send a neutral command first


def test_a_sign_of_life_is_answered(link):
    opened(link)
    say(link, Beat())
    assert heard(link) == Beat()


def test_an_emergency_stop_reaches_the_sinks_without_the_loop(link):
    told = opened(link)
    say(link, acting(NEUTRAL))
    say(link, acting(GO))
    say(link, Stop())
    said = [told.get(timeout=PATIENCE_S) for _ in range(3)]
    assert (said[2].label, said[2].reason) == (None, "watchdog: emergency stop")
    say(link, acting(GO))
    assert told.get(timeout=PATIENCE_S).label is None


@pytest.mark.parametrize("goodbye", [True, False])
def test_at_the_end_the_outputs_are_neutral_and_then_closed(link, goodbye):
    told = opened(link)
    say(link, acting(NEUTRAL))
    say(link, acting(GO))
    assert [told.get(timeout=PATIENCE_S) for _ in range(2)] == [NEUTRAL, GO]
    if goodbye:
        say(link, Bye())
    else:
        link.close()
    said = []
    while not said or said[-1] != "closed":
        said.append(told.get(timeout=PATIENCE_S))
    assert said[-2].label is None
    assert said[-2].reason == f"watchdog: the {'session is over' if goodbye else 'loop is gone'}"


def test_a_sink_that_cannot_be_opened_is_told_in_its_own_words(link):
    say(link, Opening(sinks=(("noting", {"broken": True}),), spec=SPEC, classes=("a", "b")))
    assert heard(link) == Opened(refusal="The arm is not plugged in: plug it in.")


def test_whoever_does_not_begin_with_the_sinks_is_not_served(link):
    say(link, Beat())
    link.settimeout(0.05)
    with pytest.raises(TimeoutError):
        link.recv(LONGEST)


@pytest.mark.parametrize("said", [GO, NEUTRAL])
def test_a_command_survives_the_socket_to_the_last_bit(said):
    back = unpacked(packed(acting(said)))
    assert back.command == said
    assert back.decision.probabilities.tolist() == DECISION.probabilities.tolist()


@pytest.mark.parametrize("junk", [b"", b"\xff\x00", b"\x91\xc4\x04Beat", b"\x92\xc4\x01x\xc4\x00"])
def test_what_is_no_message_is_refused(junk):
    with pytest.raises(DiverloopError):
        unpacked(junk)


@dataclass
class Failing(Noting):
    """A sink that tells of somebody and then breaks down, whatever it is asked."""

    def act(self, decision, command):
        raise OSError(5, "unplugged")

    def take_events(self):
        return (Event(kind=EventKind.WATCHDOG, text="Somebody was refused."),)


def test_a_sink_that_fails_is_told_of_and_keeps_no_other_from_resting(link, monkeypatch):
    kinds = {"failing": Failing, "noting": Noting}
    monkeypatch.setattr(module, "find", lambda kind, name: kinds[name])
    say(link, Opening(sinks=(("failing", {}), ("noting", {})), spec=SPEC, classes=("a", "b")))
    assert heard(link) == Opened()
    told = Noting.latest.told
    say(link, acting(NEUTRAL))
    failed, did, refused = (unpacked(link.recv(LONGEST)) for _ in range(3))
    assert "The sink Failing raised OSError ([Errno 5] unplugged)" in failed.event.text
    assert did.done.reason == "the sink failed"
    assert refused.event.text == "Somebody was refused."
    say(link, Stop())
    said = [told.get(timeout=PATIENCE_S) for _ in range(2)]
    assert [command.reason for command in said] == ["the sink failed", "watchdog: emergency stop"]
    say(link, Bye())
    assert told.get(timeout=PATIENCE_S).reason == "watchdog: the session is over"


def test_each_command_is_answered_with_its_number_and_the_moment_it_was_done(link):
    opened(link)
    before_ns = time.monotonic_ns()
    for number, command in enumerate((NEUTRAL, GO)):
        say(link, Acting(decision=DECISION, command=command, number=number))
    answers = [unpacked(link.recv(LONGEST)) for _ in range(2)]
    assert [(one.number, one.done) for one in answers] == [(0, NEUTRAL), (1, GO)]
    assert before_ns <= answers[0].sent_ns <= answers[1].sent_ns <= time.monotonic_ns()
