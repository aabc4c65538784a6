"""What happened, at which time of the stream, and no more than can be kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from diverloop.gui.event_list import GROUPS, MARKER, MOST, SELECTED, EventList, time_text
from diverloop.runtime.messages import Chunk, Event, EventKind, Marker

from .told import a_stream, a_turn


def filled() -> EventList:
    events = EventList()
    events.take(a_stream())
    marker = Marker(label="left", sample=250)
    samples = np.zeros((4, 500), np.float32)
    events.take(Chunk(samples=samples, first_sample=0, arrived_ns=10**10, markers=(marker,)))
    return events


def test_markers_events_and_selections_stand_at_their_time_the_newest_first():
    events = filled()
    events.take(Event(kind=EventKind.GAP, text="lost", sample=375))
    events.take(Event(kind=EventKind.GUARD, text="armed", at_ns=10**10 + 500_000_000))
    turn = a_turn(625, 0.9)
    events.take(replace(turn, command=replace(turn.command, selected=True)))
    events.take(a_turn(700))
    rows = [(row.kind, row.at_s) for row in events.newest()]
    assert rows == [(SELECTED, 2.5), ("guard", 2.5), ("gap", 1.5), (MARKER, 1.0)]


def test_a_time_that_nobody_knows_is_a_dash():
    events = EventList()
    events.take(Event(kind=EventKind.GUARD, text="before the stream"))
    (row,) = events.newest()
    assert math.isnan(row.at_s)
    assert time_text(row.at_s) == "-"
    assert time_text(3723.45) == "1:02:03.4"
    assert time_text(59.99) == "0:01:00.0"


def test_every_kind_stands_in_one_group():
    kinds = [kind for group in GROUPS.values() for kind in group]
    assert sorted(kinds) == sorted([MARKER, SELECTED, *map(str, EventKind)])


def test_a_flood_keeps_the_newest_and_counts_all():
    events = EventList()
    for n in range(MOST + 500):
        events.take(Event(kind=EventKind.LATE, text=str(n)))
    rows = list(events.newest())
    assert (len(rows), events.count, rows[0].text) == (MOST, MOST + 500, str(MOST + 499))


def test_what_matters_differs_by_its_sign_too():
    events = filled()
    for kind in (EventKind.STOPPED, EventKind.GAP, EventKind.FRESH):
        events.take(Event(kind=kind, text="it"))
    signs = [row.sign for row in events.newest()]
    assert len(set(signs)) == len(signs) == 4
