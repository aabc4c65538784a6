"""The software loop-back: two processes of their own, through LSL, into the source of a session."""

from __future__ import annotations

import uuid

import pytest

from diverloop.hardware.loopback import measure_loopback
from diverloop.hardware.loopback_sender import LoopbackConfig
from diverloop.runtime.clock import MonotonicClock

pytestmark = pytest.mark.live


def test_edges_and_markers_come_back_together():
    config = LoopbackConfig(name=f"loop-{uuid.uuid4().hex}", seconds=7.0, rate_hz=500.0)
    seen = []
    report = measure_loopback(config, MonotonicClock(), on_progress=seen.append)
    assert report.markers.n_pairs >= len(config.schedule_s) - 1
    assert report.markers.fine
    # The task wakes a little late and stamps when it is awake: an idle machine 0.1 ms, never early.
    assert -20 < report.markers.delay.median_ms < 0.3
    assert 0 < report.transport.median_ms < 50
    assert report.transport.min_ms > 0
    assert report.n_lost == 0
    assert report.n_samples == pytest.approx(3500, abs=10)
    assert max(seen) > 6
    assert set(report.to_json()) == {"config", "markers", "transport", "n_samples", "n_lost"}
