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
