"""A record in memory: its length, its moments, its signal with the holes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from diverloop.runtime.messages import Channel, Chunk, StreamSpec
from diverloop.runtime.record.contents import Note, Record

SPEC = StreamSpec(name="amp", rate_hz=200.0, channels=(Channel(name="C3"), Channel(name="C4")))


def chunk(first: int, stop: int) -> Chunk:
    index = np.arange(first, stop, dtype=np.float32)
    return Chunk(samples=np.vstack([index, -index]), first_sample=first, arrived_ns=0)


def record(n_times: int = 100, **changes) -> Record:
    chunks = (chunk(0, 30), chunk(30, 31), chunk(40, 90))
    made = {"path": Path("x.xdf"), "spec": SPEC, "n_times": n_times, "chunks": lambda: iter(chunks)}
    return Record(**made | changes)


def test_its_length_counts_the_holes():
    assert record().duration_s == 0.5
    assert record(n_times=0).duration_s == 0.0


def test_lost_samples_are_nan_and_all_others_what_they_were():
    samples = record().samples()
    assert (samples.dtype, samples.shape) == (np.float32, (2, 100))
    lost = np.isnan(samples).all(axis=0)
    assert np.flatnonzero(lost).tolist() == [*range(31, 40), *range(90, 100)]
    held = np.flatnonzero(~lost)
    np.testing.assert_array_equal(samples[:, held], [held, -held])


def test_the_signal_can_be_read_again_and_again():
    again = record()
    np.testing.assert_array_equal(again.samples(), again.samples())


@pytest.mark.parametrize(
    ("at_ns", "sample"),
    [
        (7_000_000_000, 0), (7_005_000_000, 1), (7_007_400_000, 1), (7_007_600_000, 2),
        (7_495_000_000, 99), (8_000_000_000, 99), (0, 0), (-1, 0), (10**18, 99),
    ],
)  # fmt: skip
def test_a_moment_of_the_loop_is_a_sample_inside_the_recording(at_ns, sample):
    assert record(start_ns=7_000_000_000).sample_at(at_ns) == sample


def test_of_an_empty_recording_every_moment_is_sample_0():
    assert record(n_times=0).sample_at(10**12) == 0


def test_what_is_not_known_is_empty():
    empty = record()
    assert (empty.manifest, empty.card) == (None, None)
    assert empty.markers == empty.turns == empty.events == empty.notes == empty.remarks == ()
    assert (empty.start_lsl_s, empty.start_ns) == (0.0, 0)


def test_both_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().n_times = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        Note(text="x", who="y", at_ns=0).text = "z"
