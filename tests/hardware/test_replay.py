"""A replayed recording is the recording, in order, at its time, with its holes left open."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.recordings import Recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.errors import ConfigError, RecordingError, SourceError
from diverloop.runtime.messages import Channel, EventKind, Marker, StreamSpec
from diverloop.runtime.stages import Source

from ..data import recording_path

RATE_HZ = 250.0
SECOND_NS = 1_000_000_000
FOREVER_NS = 10**15


def made(n_times=500, gaps=((120, 171), (300, 450)), markers=(0, 7, 119, 140, 171, 499)):
    """Row 0 holds the stream index, so any chunk can be checked against its place."""
    samples = np.vstack([np.arange(n_times), -np.arange(n_times)]).astype(np.float32)
    for start, stop in gaps:
        samples[:, start:stop] = np.nan
    return Recording(
        spec=StreamSpec(
            name="made", rate_hz=RATE_HZ, channels=(Channel(name="C3"), Channel(name="C4"))
        ),
        samples=samples,
        data_id="0" * 64,
        path="made.npz",
        markers=tuple(Marker(label=f"at {at}", sample=at) for at in markers),
        gaps=gaps,
        start_lsl_s=70.0,
    )


def opened(recording=None, clock=None, **changes):
    clock = clock or VirtualClock(5 * SECOND_NS)
    config = ReplayConfig(path="made.npz", **changes)
    source = ReplaySource(config, clock, recording or made())
    source.open()
    return source, clock


def read_all(source, wanted=25):
    chunks = []
    while not source.ended:
        chunk = source.read(wanted, FOREVER_NS)
        assert chunk is not None
        chunks.append(chunk)
    return chunks


@given(wanted=st.integers(1, 200), chunk_s=st.floats(0.002, 0.5))
def test_all_samples_come_once_at_their_index_whatever_the_cut(wanted, chunk_s):
    recording = made()
    source, _ = opened(recording, chunk_s=chunk_s)
    chunks = read_all(source, wanted)
    came = np.concatenate([np.arange(c.first_sample, c.stop_sample) for c in chunks])
    np.testing.assert_array_equal(came, np.r_[0:120, 171:300, 450:500])
    np.testing.assert_array_equal(
        np.hstack([c.samples for c in chunks]), recording.samples[:, came]
    )
    assert [m for c in chunks for m in c.markers] == [
        replace(m, lsl_raw_s=recording.lsl_s(m.sample), lsl_corrected_s=recording.lsl_s(m.sample))
        for m in recording.markers
    ]


def test_it_is_a_source():
    source, _ = opened()
    assert isinstance(source, Source)
    assert source.spec == made().spec


def test_a_chunk_arrives_when_its_last_piece_was_recorded():
    source, clock = opened(chunk_s=0.02)
    chunk = source.read(12, FOREVER_NS)
    assert chunk.samples.shape == (2, 15)  # three pieces of 5
    assert chunk.arrived_ns == clock.now_ns() == 5 * SECOND_NS + round(15 / RATE_HZ * 1e9)
    assert chunk.lsl_raw_s == chunk.lsl_corrected_s == 70.0 + 14 / RATE_HZ


def test_it_waits_for_no_more_than_is_wanted():
    source, clock = opened(chunk_s=0.02)
    assert source.read(10, FOREVER_NS).samples.shape == (2, 10)
    assert clock.now_ns() == 5 * SECOND_NS + round(10 / RATE_HZ * 1e9)


def test_at_the_deadline_it_returns_what_is_there():
    source, clock = opened(chunk_s=0.02)
    deadline_ns = clock.now_ns() + round(0.05 * SECOND_NS)
    assert source.read(100, deadline_ns).stop_sample == 10
    assert clock.now_ns() == deadline_ns


def test_at_the_deadline_it_returns_none_when_nothing_came():
    source, clock = opened(chunk_s=0.02)
    deadline_ns = clock.now_ns() + round(0.01 * SECOND_NS)
    assert source.read(1, deadline_ns) is None
    assert clock.now_ns() == deadline_ns
    assert not source.ended


def test_a_caller_that_is_late_gets_all_that_has_arrived():
    source, clock = opened(chunk_s=0.02)
    clock.advance(round(0.2 * SECOND_NS))
    assert source.read(5, clock.now_ns()).stop_sample == 50


def test_no_chunk_reaches_across_a_gap_and_the_next_one_says_what_is_missing():
    source, clock = opened()
    clock.advance(100 * SECOND_NS)
    first, second, third = read_all(source, 10_000)
    assert (first.first_sample, first.stop_sample) == (0, 120)
    assert (second.first_sample, second.stop_sample) == (171, 300)
    assert (third.first_sample, third.stop_sample) == (450, 500)
    assert first.events == ()
    (gap,) = second.events
    assert (gap.kind, gap.sample, gap.count) == (EventKind.GAP, 120, 51)
    assert "51 samples (0.204 s)" in gap.text
    assert gap.at_ns == clock.now_ns()


def test_a_gap_at_the_start_is_told_with_the_first_chunk():
    source, _ = opened(made(gaps=((0, 40),)))
    chunk = source.read(1, FOREVER_NS)
    assert chunk.first_sample == 40
    assert chunk.events[0].count == 40


def test_a_marker_in_a_gap_comes_with_the_next_chunk_and_keeps_its_index():
    source, _ = opened()
    labels = {m.label: (m.sample, c.first_sample) for c in read_all(source) for m in c.markers}
    assert labels["at 140"] == (140, 171)


def test_a_value_that_is_not_a_number_is_passed_on_as_recorded():
    recording = made(gaps=())
    recording.samples[0, 33] = np.nan
    source, _ = opened(recording)
    assert np.isnan(np.hstack([c.samples for c in read_all(source)])[0, 33])


def test_a_chunk_belongs_to_its_receiver():
    recording = made()
    source, _ = opened(recording)
    chunk = source.read(10, FOREVER_NS)
    assert chunk.samples.flags.owndata
    chunk.samples[:] = 99
    assert recording.samples[0, 3] == 3


def test_after_the_end_nothing_comes_and_no_time_is_lost():
    source, clock = opened()
    read_all(source)
    before_ns = clock.now_ns()
    assert source.ended
    assert source.read(1, FOREVER_NS) is None
    assert clock.now_ns() == before_ns


def test_a_stretch_counts_from_zero():
    source, _ = opened(start_s=0.1, stop_s=0.3)
    chunks = read_all(source)
    assert chunks[0].first_sample == 0
    assert chunks[0].samples[0, 0] == 25
    assert chunks[-1].stop_sample == 50
    assert chunks[0].lsl_raw_s == pytest.approx(70.0 + (25 + chunks[0].stop_sample - 1) / RATE_HZ)


def test_opening_again_starts_from_the_beginning():
    source, _ = opened()
    once = read_all(source)
    source.close()
    source.close()
    with pytest.raises(SourceError, match=r"call open\(\) first"):
        source.read(1, FOREVER_NS)
    source.open()
    again = read_all(source)
    assert [c.first_sample for c in again] == [c.first_sample for c in once]
    assert [c.markers for c in again] == [c.markers for c in once]


def test_on_a_monotonic_clock_nothing_comes_before_its_time():
    clock = MonotonicClock()
    before_ns = clock.now_ns()
    source, _ = opened(made(60, gaps=(), markers=()), clock)
    for chunk in read_all(source, 10):
        # A microsecond for the rounding of seconds to nanoseconds in the operating system.
        assert chunk.arrived_ns - before_ns > chunk.stop_sample / RATE_HZ * 1e9 - 1e3


def test_a_missing_file_is_named_on_opening(tmp_path):
    source = ReplaySource(ReplayConfig(path=str(tmp_path / "gone.npz")), VirtualClock())
    with pytest.raises(RecordingError, match=r"gone\.npz"):
        source.open()


@pytest.mark.parametrize(
    "changes",
    [
        {"path": ""},
        {"chunk_s": 0.0},
        {"chunk_s": 11.0},
        {"chunk_s": math.nan},
        {"start_s": -1.0},
        {"start_s": math.inf},
        {"start_s": 3.0, "stop_s": 3.0},
        {"stop_s": math.nan},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        ReplayConfig(**({"path": "made.npz"} | changes))


@pytest.mark.data
def test_a_real_recording_is_replayed_to_the_last_sample_and_marker():
    path = recording_path("mi/eegmmidb_S001_R06.npz")
    source = ReplaySource(ReplayConfig(path=str(path)), VirtualClock())
    source.open()
    chunks = read_all(source, 40)
    np.testing.assert_array_equal(np.hstack([c.samples for c in chunks]), source.recording.samples)
    assert sum(len(c.markers) for c in chunks) == 30
    for chunk in chunks:
        assert all(chunk.first_sample <= m.sample < chunk.stop_sample for m in chunk.markers)
