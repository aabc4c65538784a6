"""Telemetry for people with a key: who sees it, and who no longer does."""

from __future__ import annotations

import zmq

from diverloop.runtime.access import Action, Role, Why
from diverloop.runtime.doorkeeper import Admission, Doorkeeper
from diverloop.runtime.keys import new_curve_key, server_key
from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.people import People
from diverloop.runtime.telemetry import TelemetryPublisher, TelemetrySubscriber

from .link_rooms import Hour

LIMIT_MS = 20_000
EVENT = Event(kind=EventKind.GAP, text="40 samples are gone.")


class House:
    """A publisher for people with a key, and one viewer."""

    def __init__(self, folder, address="tcp://127.0.0.1:*"):
        self.folder = folder
        self.key = new_curve_key()
        People(folder).enrol("v1", Role.VIEWER, self.key.public)
        self.notes = []
        self.clock = Hour()
        self.admission = Admission(
            key=server_key(folder),
            people=People(folder),
            report=self.notes.append,
            clock=self.clock,
        )
        self.publisher = TelemetryPublisher(address, self.admission)

    def subscriber(self, key=None):
        to = self.publisher.address.replace("0.0.0.0", "127.0.0.1")
        return TelemetrySubscriber(to, key=key or self.key, server=self.admission.key.public)

    def until_noted(self, why, subscriber):
        for _ in range(200):
            self.publisher.watch(EVENT)
            assert subscriber.poll(50) is None
            if any(note.why is why for note in self.notes):
                return True
        return False


def test_a_viewer_with_a_key_sees_telemetry_beyond_this_machine(tmp_path):
    house = House(tmp_path, "tcp://0.0.0.0:*")
    subscriber = house.subscriber()
    assert house.publisher.wait_for_subscriber(LIMIT_MS)
    house.publisher.watch(EVENT)
    assert subscriber.poll(LIMIT_MS) == EVENT
    subscriber.close()
    house.publisher.close()
    assert house.notes == []


def test_a_key_that_nobody_has_sees_nothing_and_is_noted(tmp_path):
    house = House(tmp_path)
    subscriber = house.subscriber(new_curve_key())
    assert house.until_noted(Why.UNKNOWN_KEY, subscriber)
    subscriber.close()
    house.publisher.close()


def test_without_a_key_nobody_sees_anything(tmp_path):
    house = House(tmp_path)
    subscriber = TelemetrySubscriber(house.publisher.address)
    assert house.until_noted(Why.NO_KEY, subscriber)
    subscriber.close()
    house.publisher.close()


def test_who_is_revoked_while_watching_is_shown_out_within_a_second(tmp_path):
    house = House(tmp_path)
    other_key = new_curve_key()
    People(tmp_path).enrol("v2", Role.VIEWER, other_key.public)
    revoked = house.subscriber()
    assert house.publisher.wait_for_subscriber(LIMIT_MS)
    stays = house.subscriber(other_key)
    assert house.publisher.wait_for_subscriber(LIMIT_MS)
    People(tmp_path).revoke("v1")
    house.clock.ns += 1_000_000_001
    house.publisher.watch(EVENT)
    assert revoked.poll(LIMIT_MS) == EVENT, "the last that was sent before the look"
    assert stays.poll(LIMIT_MS) == EVENT
    assert house.publisher.wait_for_subscriber(LIMIT_MS), "the other comes back by itself"
    house.publisher.watch(EVENT)
    assert stays.poll(LIMIT_MS) == EVENT
    assert house.until_noted(Why.REVOKED, revoked)
    for one in (revoked, stays, house.publisher):
        one.close()


def test_a_question_about_a_connection_that_is_of_another_form_is_answered_no(tmp_path):
    house = House(tmp_path)
    context = zmq.Context()
    keeper = Doorkeeper(context, house.admission, Action.WATCH)
    for asked in ([], [b"1.0"], [b"2.0"] * 7, [b"1.0", b"7", b"", b"", b"", b"PLAIN", b"x"]):
        assert keeper._answer(asked)[2] == b"400"
    good = [b"1.0", b"7", b"", b"", b"", b"CURVE", b"x" * 32]
    assert keeper._answer(good)[1:3] == [b"7", b"400"]
    keeper.close()
    context.term()
    house.publisher.close()
