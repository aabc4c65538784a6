"""The timing of a recording: fractions of a sample where it holds stamps, whole ones elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.recorded_timing import capture_recording
from diverloop.hardware.recordings import Recording
from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Marker, StreamSpec

RATE_HZ, BEGAN_S, DELAY_S, PPM = 250.0, 5000.0, -0.0182, 80e-6


def recording(seconds=60.0):
    """Of an amplifier that is faster than it says: on the nominal grid the delay seems to drift."""
    cues_s = 1 + np.cumsum(np.random.default_rng(2).uniform(0.3, 0.6, 100))
    cues_s = cues_s[cues_s < seconds - 1]
    true_hz = RATE_HZ * (1 + PPM)
    config = PhotodiodeConfig(rise_s=0.0003)
    n = round(seconds * RATE_HZ)
    # The simulated amplifier counts samples at its true rate.
    light = SimulatedPhotodiode(config, true_hz, cues_s + DELAY_S).samples(0, n)
    return Recording(
        spec=StreamSpec(name="amp", rate_hz=RATE_HZ, channels=(Channel(name="AUX", kind="misc"),)),
        samples=light[None],
        data_id="0" * 64,
        path="a.xdf",
        start_lsl_s=BEGAN_S,
        markers=tuple(
            Marker(label="flash", sample=int(np.ceil(at * true_hz)), lsl_corrected_s=BEGAN_S + at)
            for at in cues_s
        ),
        stamps=tuple((at, BEGAN_S + at / true_hz) for at in range(0, n, 25)),
    )


def test_stamps_place_markers_between_samples_and_follow_the_true_rate():
    report = capture_recording(recording(), "AUX", "flash").report()
    assert report.fine
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S, abs=0.2)
    assert report.jitter_ms < 0.25
    assert abs(report.drift.ppm) < 3


def test_without_stamps_a_marker_is_its_sample():
    report = capture_recording(replace(recording(), stamps=()), "AUX").report()
    assert not report.fine
    # These markers name the first sample after them, half a sample late in the mean.
    assert report.delay.mean_ms == pytest.approx(1e3 * DELAY_S - 2, abs=0.4)
    assert report.jitter_ms == pytest.approx(4 / np.sqrt(12), rel=0.25)


def test_an_excerpt_keeps_its_stamps_and_its_delay():
    part = recording().excerpt(10.0, 50.0)
    assert part.stamps[0][0] == 0
    report = capture_recording(part, "AUX").report()
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S, abs=0.2)


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(RecordingError, match="There is no channel 'Cz'; the stream has: AUX"):
        capture_recording(recording(), "Cz")
