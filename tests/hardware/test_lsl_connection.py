"""A connection to an LSL stream that is lost, or only silent: what is looked for, what counts."""

from __future__ import annotations

from itertools import pairwise

import pytest

from diverloop.hardware import lsl_connection
from diverloop.hardware.lsl_connection import Connection
from diverloop.hardware.lsl_inlet import LslConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import EventKind

SECOND_NS = 1_000_000_000
LOST, BACK, IMPOSTOR = EventKind.SOURCE_LOST, EventKind.SOURCE_BACK, EventKind.IMPOSTOR


class Inlet:
    """A connection that can be closed."""

    closed = False

    def close_stream(self):
        self.closed = True


class Offset:
    """No clock to compare with."""

    def __init__(self, inlet, before_s):
        self.inlet, self.seconds = inlet, before_s or 0.25

    def stop(self):
        pass


class Search:
    """Finds what a test has put in `found`."""

    made: list[Search]

    def __init__(self, wanted, buffer_s, accept, pin):
        self.wanted, self.stopped, self.found, self.refusal = wanted, False, None, ""
        self.made.append(self)

    def wait(self, timeout_s):
        return self.found

    def take_refusal(self):
        refusal, self.refusal = self.refusal, ""
        return refusal

    def stop(self):
        self.stopped = True


class Rig:
    """A connection that is up, its clock, its searches and what it told."""

    def __init__(self):
        self.clock, self.told, self.searches = VirtualClock(), [], Search.made
        config = LslConfig(name="amp", silent_s=7.0)
        self.link = Connection(
            config, self.clock, lambda inlet: None, lambda kind, text: self.told.append(kind)
        )
        self.first = Inlet()
        self.link.begin(self.first, "amp", "serial-1")
        self.link.heard()

    def silent(self, seconds):
        self.clock.advance(round(seconds * SECOND_NS))
        return self.link.mind_silence()


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.setattr(Search, "made", [], raising=False)
    monkeypatch.setattr(lsl_connection, "Finder", Search)
    monkeypatch.setattr(lsl_connection, "ClockOffset", Offset)
    return Rig()


def test_a_stream_that_is_silent_for_too_long_is_looked_for_while_the_old_one_stays(rig):
    assert not rig.silent(6.9)
    assert (rig.searches, rig.told) == ([], [])
    rig.silent(0.2)
    (search,) = rig.searches
    assert search.wanted["source_id"] == "serial-1"
    assert rig.told == [LOST]
    assert rig.link.inlet is rig.first
    assert not rig.first.closed


def test_what_the_old_connection_still_brings_ends_the_search_and_is_no_outage(rig):
    rig.silent(8)
    rig.link.heard()
    assert rig.searches[0].stopped
    assert rig.told == [LOST, BACK]
    assert not rig.link.outage
    rig.silent(1)
    assert len(rig.searches) == 1


def test_a_host_that_has_started_anew_is_taken_and_what_follows_comes_after_a_hole(rig):
    rig.silent(8)
    rig.searches[0].found = again = Inlet()
    rig.link._offset.seconds = 5000.0
    assert rig.link.mind_silence()
    assert rig.link.offset_s == 5000.0, "until it is measured anew"
    assert rig.link.inlet is again
    assert rig.first.closed
    assert rig.link.outage
    assert rig.told == [LOST], "it is back once samples come"
    rig.link.heard()
    assert rig.told == [LOST, BACK]


def test_a_sender_that_only_rests_is_dialled_less_and_less_often(rig):
    at_s = []
    for second in range(200):
        if rig.searches and rig.searches[-1].found is None:
            rig.searches[-1].found = Inlet()
            at_s.append(second)
        rig.silent(1.0)
    gaps = [after - before for before, after in pairwise(at_s)]
    assert gaps[0] < gaps[1] < gaps[2] <= 62
    assert rig.told == [LOST]


def test_a_sender_that_said_goodbye_is_back_as_soon_as_it_is_found(rig):
    rig.link.lose()
    assert (rig.told, rig.link.inlet, rig.link.outage) == ([LOST], None, True)
    rig.silent(60)
    assert len(rig.searches) == 1, "it is looked for already"
    rig.searches[0].refusal = "another one"
    rig.link.await_return(0)
    rig.searches[0].found = Inlet()
    rig.link.await_return(0)
    assert rig.told == [LOST, LOST, BACK]


def test_a_goodbye_during_a_search_begins_no_other_one(rig):
    rig.silent(8)
    rig.link.lose()
    assert len(rig.searches) == 1
    assert rig.told == [LOST]


def test_closing_ends_the_search_and_the_connection(rig):
    rig.silent(8)
    rig.link.close()
    rig.link.close()
    assert rig.searches[0].stopped
    assert rig.first.closed
    assert rig.link.offset_s == 0.0
