from __future__ import annotations

import numpy as np

from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.marking import MarkedSource

FAR_NS = 10**12


def marked(**changes) -> MarkedSource:
    settings = SimulatorConfig(montage="eeg8", chunk_s=0.1, duration_s=8.0, **changes)
    return MarkedSource(SimulatedParticipant(settings, VirtualClock()), ("left", "right"))


def opened(**changes) -> MarkedSource:
    source = marked(**changes)
    source.open()
    return source


def test_a_marker_stands_at_the_first_sample_that_comes_after_it_was_put():
    source = opened(cued=True)
    source.read(50, FAR_NS)
    source.mark("left")
    assert (source.came, source.waiting) == (50, True)
    chunk = source.read(25, FAR_NS)
    assert [(marker.label, marker.sample) for marker in chunk.markers] == [("left", 50)]
    assert not source.waiting
    # 25 samples, so 24 periods before the last of them.
    assert np.isclose(chunk.lsl_raw_s - chunk.markers[0].lsl_raw_s, 24 / 250)
    assert source.read(25, FAR_NS).markers == ()


def test_cues_of_somebody_else_are_renamed_and_nothing_else_is():
    source, labels = opened(), []
    while not source.ended:
        chunk = source.read(250, FAR_NS)
        labels += [marker.label for marker in chunk.markers]
    assert labels
    assert {label for label in labels if label != "rest"} <= {"other:left", "other:right"}


def test_what_waits_at_the_end_stands_at_the_last_sample():
    source = opened(cued=True)
    source.read(50, FAR_NS)
    source.mark("reject")
    chunk = source.flush()
    assert chunk.samples.shape == (8, 0)
    assert [(marker.label, marker.sample) for marker in chunk.markers] == [("reject", 49)]
    assert source.flush().markers == ()


def test_it_is_a_source_like_any_other():
    clock = VirtualClock()
    settings = SimulatorConfig(montage="eeg8", duration_s=2.0)
    check_source(MarkedSource(SimulatedParticipant(settings, clock)), clock)
