"""What a view knows of the loop's latency."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from diverloop.gui.latency_history import STEPS, LatencyHistory, edges_ms
from diverloop.runtime.messages import Event, EventKind

from .told import a_turn


def late(kind: EventKind, at_s: float, count: int = 1) -> Event:
    return Event(kind=kind, text="late", count=count, at_ns=round(at_s * 1e9))


def test_stages_follow_each_other_and_their_medians_are_those_of_the_turns():
    history = LatencyHistory()
    for n in range(1, 30):
        history.take(a_turn(25 * n))
    assert np.allclose(history.last_ms, 0.3 * np.arange(1, 8))
    assert np.allclose(history.medians_ms(), [0.3] * len(STEPS))
    assert history.quantiles_ms()[0] == pytest.approx(2.1, rel=0.01)


def test_the_histogram_has_every_turn_in_the_bin_of_its_time():
    history = LatencyHistory()
    for n in range(1, 11):
        history.take(a_turn(25 * n))
    (place,) = np.flatnonzero(history.counts)
    assert history.counts.sum() == 10
    assert edges_ms()[place] <= 2.1 < edges_ms()[place + 1]


def test_a_refused_window_is_not_counted():
    history = LatencyHistory()
    history.take(dataclasses.replace(a_turn(250), embedding=None))
    assert (history.decided, history.last_ms) == (0, [])


def test_missed_and_skipped_are_counted_in_their_ten_seconds():
    history = LatencyHistory()
    assert history.take_event(late(EventKind.MISSED, 3.0))
    assert history.take_event(late(EventKind.LATE, 12.0, count=4))
    assert history.take_event(late(EventKind.MISSED, 4.0))
    assert not history.take_event(late(EventKind.GAP, 12.0))
    assert (history.missed, history.skipped) == (2, 4)
    assert [(b.number, b.missed, b.skipped) for b in history.bins] == [(0, 2, 0), (1, 0, 4)]


def test_the_bins_are_bounded_and_what_is_too_old_for_them_is_still_in_the_sum():
    history = LatencyHistory()
    for n in range(200):
        history.take_event(late(EventKind.MISSED, 10.0 * n))
    history.take_event(late(EventKind.MISSED, 0.0))
    assert len(history.bins) == 60
    assert history.missed == 201


def test_the_interval_tells_how_even_the_acts_are():
    history = LatencyHistory()
    assert math.isnan(history.interval_ms()[0])
    for n in range(1, 50):
        history.take(a_turn(25 * n))
    assert history.interval_ms() == pytest.approx((100.0, 0.0))


def test_a_session_that_begins_again_is_counted_from_the_start():
    history = LatencyHistory()
    for n in (1000, 1025, 25):
        history.take(a_turn(n))
    assert history.decided == 1


def test_times_that_no_histogram_holds_are_in_its_outermost_bins():
    history = LatencyHistory()
    for delay_ns in (0, 10**12):
        turn = a_turn(250)
        times = dataclasses.replace(turn.times, acted_ns=turn.times.due_ns + delay_ns)
        history.take(dataclasses.replace(turn, times=times))
    assert history.counts[0] == history.counts[-1] == 1
