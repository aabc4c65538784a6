"""Capture: chunks in, the report out, whatever the pieces, the stamps and the length."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Chunk, Marker, StreamSpec
from diverloop.runtime.timing_capture import Moments, TimingCapture, capture_live

RATE_HZ, BEGAN_S, DELAY_S = 500.0, 8000.0, 0.0313
SPEC = StreamSpec(name="amp", rate_hz=RATE_HZ, channels=(Channel(name="C3"), Channel(name="AUX")))


def flashes(seconds, seed=0):
    at_s = 1 + np.cumsum(np.random.default_rng(seed).uniform(0.3, 0.6, int(4 * seconds)))
    return at_s[at_s < seconds - 0.5]


class Amplifier:
    """A source whose true rate is not the nominal one, as no amplifier's is."""

    def __init__(self, seconds=20.0, piece=25, ppm=40.0, scatter_s=0.0, stamped=True, lost=()):
        self.spec = SPEC
        self.clock = VirtualClock()
        self.opened = self.closed = 0
        self._piece, self._lost = piece, lost
        self._period_s = (1 + ppm * 1e-6) / RATE_HZ
        self._n = round(seconds * RATE_HZ)
        self._at = 0
        self._cues_s = flashes(seconds)
        lit_s = (self._cues_s + DELAY_S) / (self._period_s * RATE_HZ)
        light = SimulatedPhotodiode(PhotodiodeConfig(rise_s=0.0003), RATE_HZ, lit_s)
        self._light = light.samples(0, self._n)
        self._rng, self._scatter_s = np.random.default_rng(1), scatter_s
        self._stamped = stamped

    @property
    def ended(self):
        return self._at >= self._n

    def open(self):
        self.opened += 1

    def close(self):
        self.closed += 1

    def read(self, wanted, until_ns):
        first, stop = self._at, min(self._at + self._piece, self._n)
        self._at = stop
        self.clock.advance(round((stop - first) * self._period_s * 1e9))
        markers = tuple(
            self._marker(at_s) for at_s in self._cues_s if first <= at_s / self._period_s < stop
        )
        if any(a <= first < b for a, b in self._lost):
            first = -1
        stamp_s = BEGAN_S + (stop - 1) * self._period_s + self._scatter_s * abs(self._rng.normal())
        light = self._light[first:stop] if first >= 0 else self._light[:0]
        samples = np.stack((np.zeros(len(light)), light)).astype(np.float32)
        return Chunk(
            samples=samples,
            first_sample=first,
            arrived_ns=self.clock.now_ns(),
            lsl_corrected_s=stamp_s if self._stamped else math.nan,
            markers=markers,
        )

    def _marker(self, at_s):
        stamp_s = BEGAN_S + at_s if self._stamped else math.nan
        return Marker(label="flash", sample=round(at_s / self._period_s), lsl_corrected_s=stamp_s)


def measured(source, labels="flash", channel="AUX", seconds=1e6, **options):
    return capture_live(
        source,
        source.clock,
        lambda spec: TimingCapture(spec, channel, labels),
        seconds=seconds,
        **options,
    )


@settings(max_examples=8)
@given(piece=st.sampled_from([1, 7, 25, 250, 5000]))
def test_any_cut_of_the_stream_gives_the_same_delay(piece):
    report = measured(Amplifier(piece=piece)).report()
    assert report.fine
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S, abs=0.2)
    assert report.jitter_ms < 0.15
    assert report.n_missing == report.n_extra == 0


def test_hours_are_looked_at_a_minute_at_a_time_and_nothing_is_lost_at_the_seams():
    source = Amplifier(seconds=400.0, piece=100)
    capture = measured(source)
    assert sum(len(values) for _, values in capture._parts) < 75 * RATE_HZ
    report = capture.report()
    assert report.n_pairs == len(source._cues_s)
    assert report.n_missing == report.n_extra == 0
    assert abs(report.drift.ppm) < 1  # the stamps follow the true rate, so nothing runs apart
    assert capture.report().n_pairs == report.n_pairs


def test_stamps_that_scatter_are_averaged():
    report = measured(Amplifier(scatter_s=0.004)).report()
    # What all stamps are late by, 0.67 scatters in the median, cannot be told from a delay.
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S + 2.7, abs=0.5)
    assert report.jitter_mad_ms < 0.6


def test_without_stamps_markers_are_known_to_whole_samples():
    report = measured(Amplifier(stamped=False)).report()
    assert not report.fine
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S, abs=1)


def test_lost_samples_cost_their_own_flashes_only():
    report = measured(Amplifier(lost=((2000, 3000),))).report()
    assert 3 <= report.n_missing <= 6
    assert report.delay.median_ms == pytest.approx(1e3 * DELAY_S, abs=0.2)


def test_a_person_can_end_it_and_the_source_is_closed():
    source, looks = Amplifier(), []
    capture = measured(source, stop=lambda: len(looks) > 10, on_progress=looks.append)
    assert (source.opened, source.closed) == (1, 1)
    assert capture.seconds < 1
    assert not source.ended


def test_it_ends_when_its_time_is_over():
    source = Amplifier()
    assert measured(source, seconds=3.0).seconds == pytest.approx(3, abs=0.1)


def test_a_channel_that_is_not_there_is_refused_with_those_that_are():
    source = Amplifier()
    with pytest.raises(RecordingError, match="no channel 'Fz'; the stream has: C3, AUX"):
        measured(source, channel="Fz")
    assert source.closed == 1


def test_markers_are_chosen_by_patterns_and_others_are_named():
    assert measured(Amplifier(), "cue*, fla??").report().n_pairs > 30
    with pytest.raises(RecordingError, match="No marker fits 'cue'; there were: flash"):
        measured(Amplifier(), "cue").report()


def test_a_dead_sensor_is_told_of_by_the_channels_name():
    with pytest.raises(RecordingError, match=r"Channel 'C3'.*does not go between two levels"):
        measured(Amplifier(), channel="C3").report()


def test_moments_become_fractions_of_samples_and_back():
    moments = Moments(RATE_HZ)
    assert not moments.known
    for sample in range(0, 5000, 10):
        moments.add(sample, BEGAN_S + sample / RATE_HZ)
    moments.add(5000, math.nan)
    at = moments.samples(BEGAN_S + np.array([-1.0, 1.2345, 20.0]))
    np.testing.assert_allclose(at, [-500, 617.25, 10_000], atol=1e-3)


def test_markers_of_another_clock_than_the_signals_are_not_taken_for_fine():
    source = Amplifier()
    plain = source._marker
    source._marker = lambda at_s: replace(plain(at_s), lsl_corrected_s=math.nan)
    assert not measured(source).report().fine
