"""Where the loop is: times of what is cut from the stream."""

from __future__ import annotations

import math

import numpy as np

from diverloop.runtime.messages import Chunk
from diverloop.runtime.pace import Pace
from diverloop.runtime.position import Position
from diverloop.runtime.windows import Slot


def arrived(first, n, at_ns, lsl_s=math.nan):
    samples = np.zeros((1, n), np.float32)
    return Chunk(
        samples=samples,
        first_sample=first,
        arrived_ns=at_ns,
        lsl_raw_s=lsl_s,
        lsl_corrected_s=lsl_s + 1,
    )


def test_the_last_sample_of_a_window_was_produced_as_long_ago_as_samples_came_after_it():
    at = Position(Pace.between(1000.0, 1000.0), 1000.0, 5)
    assert (at.came, at.arrived_ns, at.conditioned_ns) == (0, 5, 5)
    at.receive(arrived(0, 100, 7_000_000, lsl_s=2.0), 8_000_000)
    assert (at.came, at.arrived_ns, at.conditioned_ns) == (100, 7_000_000, 8_000_000)
    assert at.due_ns(Slot(first=0, stop=100)) == 7_000_000
    assert at.due_ns(Slot(first=0, stop=98)) == 5_000_000
    raw_s, corrected_s = at.lsl_times(Slot(first=0, stop=98))
    assert (raw_s, corrected_s) == (1.998, 2.998)


def test_before_anything_came_there_is_no_time_of_the_sender():
    at = Position(Pace.between(250.0, 250.0), 250.0, 0)
    assert all(math.isnan(time) for time in at.lsl_times(Slot(first=0, stop=1)))


def test_what_a_network_held_up_is_as_old_as_it_was_under_way_longer_than_the_quickest():
    at = Position(Pace.between(1000.0, 1000.0), 1000.0, 0)
    ms = 1_000_000
    assert at.receive(arrived(0, 20, 30 * ms), 30 * ms) == 0
    assert at.receive(arrived(20, 20, 49 * ms), 49 * ms) == 0  # quicker by 1 ms
    # Three seconds of silence, then all at once: the first is old, the last is not.
    old_ns = at.receive(arrived(40, 20, 3000 * ms), 3000 * ms)
    assert old_ns == 3000 * ms - 69 * ms - round(0.02 * 20 * ms)
    assert at.receive(arrived(60, 2931, 3000 * ms), 3000 * ms) == 0


def test_a_way_that_has_become_longer_for_good_is_the_new_one_after_a_while():
    at = Position(Pace.between(1000.0, 1000.0), 1000.0, 0)
    at.receive(arrived(0, 100, 100_000_000), 0)
    late = [
        at.receive(arrived(first, 100, (first + 100) * 1_000_000 + 300_000_000), 0)
        for first in range(100, 20_000, 100)
    ]
    assert late[0] > 290_000_000
    assert late[-1] == 0
    assert next(n for n, ns in enumerate(late) if ns < 10_000_000) == 145


def test_a_sender_whose_clock_is_slow_never_seems_to_be_held_up():
    at = Position(Pace.between(1000.0, 1000.0), 1000.0, 0)
    late = [
        at.receive(arrived(first, 100, round((first + 100) * 1.01e6)), 0)
        for first in range(0, 100_000, 100)
    ]
    assert max(late) == 0
