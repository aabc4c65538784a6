"""Markers of a screen: as an inlet gets them, and when."""

from __future__ import annotations

import pylsl
import pytest

from diverloop.hardware.flip_outlet import FlipOutlet, lsl_ahead_s
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import ConfigError

pytestmark = pytest.mark.live


def test_a_marker_arrives_with_the_time_of_its_flip():
    clock = MonotonicClock()
    outlet = FlipOutlet("flips-of-a-test", clock)
    (found,) = pylsl.resolve_byprop("name", "flips-of-a-test", 1, 20.0)
    inlet = pylsl.StreamInlet(found, recover=False)
    inlet.open_stream(20.0)
    assert outlet.has_listener()
    flip_ns = clock.now_ns() - 40_000_000  # sent two frames after it was seen
    outlet.send("left", flip_ns)
    (label,), stamp_s = inlet.pull_sample(20.0)
    assert label == "left"
    assert stamp_s == pytest.approx(flip_ns / 1e9 + lsl_ahead_s(clock), abs=1e-4)
    inlet.close_stream()
    outlet.close()
    outlet.send("right", 0)  # nobody is there any more
    assert not outlet.has_listener()


def test_a_stream_without_a_name_is_refused():
    with pytest.raises(ConfigError, match="needs a name"):
        FlipOutlet("", MonotonicClock())
