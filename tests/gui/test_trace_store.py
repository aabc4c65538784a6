"""The last minutes of every channel: by index, with holes, in memory that does not grow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.gui.trace_store import BIN, TraceStore
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Chunk

from .told import a_stream

RATE_HZ = 100.0


def a_store(keep_s: float = 10.0, n_channels: int = 2) -> TraceStore:
    store = TraceStore(keep_s)
    store.take(a_stream(n_channels, RATE_HZ))
    return store


def a_chunk(first: int, stop: int, n_channels: int = 2) -> Chunk:
    """Each sample tells its own index, each channel a thousand more."""
    samples = np.arange(first, stop) + 1000.0 * np.arange(n_channels)[:, None]
    return Chunk(samples=samples.astype(np.float32), first_sample=first, arrived_ns=0)


def test_samples_are_read_by_their_index():
    store = a_store()
    for first in range(0, 300, 30):
        store.take(a_chunk(first, first + 30))
    assert np.array_equal(store.read(40, 45)[:, 1], np.arange(1040, 1045))
    assert (store.first, store.stop) == (0, 300)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_any_cut_of_the_stream_leaves_the_same(lengths):
    store, stop = a_store(), 0
    for length in lengths:
        store.take(a_chunk(stop, stop + length))
        stop += length
    known = np.arange(store.first, stop)
    assert store.stop == stop
    assert stop - store.first == min(stop, 1008)  # ten seconds, in whole bins
    assert np.array_equal(store.read(store.first, stop)[:, 0], known)
    first_bin, stop_bin = -(-store.first // BIN), stop // BIN
    low, high = store.read_bins(first_bin, stop_bin)
    assert np.array_equal(low[:, 0], np.arange(first_bin, stop_bin) * BIN)
    assert np.array_equal(high[:, 0], np.arange(first_bin, stop_bin) * BIN + BIN - 1)


def test_a_hole_stays_a_hole():
    store = a_store()
    store.take(a_chunk(0, 100))
    store.take(a_chunk(150, 300))
    assert np.isnan(store.read(100, 150)).all()
    assert np.isfinite(store.read(0, 100)).all()
    low, _ = store.read_bins(0, 300 // BIN)
    assert np.isnan(low[100 // BIN]).all()
    assert np.isfinite(low[0]).all()


def test_a_hole_longer_than_the_memory_costs_no_more_than_the_memory():
    store = a_store()
    store.take(a_chunk(0, 100))
    store.take(a_chunk(10**9, 10**9 + 50))
    assert store.stop == 10**9 + 50
    assert np.isnan(store.read(10**9 - 900, 10**9)).all()
    assert store.read(10**9 + 7, 10**9 + 8)[0, 0] == np.float32(10**9 + 7)


def test_what_is_too_old_and_what_has_not_come_are_not_known():
    store = a_store()
    store.take(a_chunk(0, 2000))
    assert np.isnan(store.read(0, 10)).all()
    assert np.isnan(store.read(2000, 2010)).all()


def test_what_is_told_twice_is_taken_once():
    store, chunk = a_store(), a_chunk(0, 100)
    for _ in range(2):
        store.take(chunk)
    long_one = a_chunk(100, 400)
    for _ in range(2):
        store.take(long_one)
    assert (store.first, store.stop, store.age) == (0, 400, 1)


def test_a_stream_that_begins_anew_is_a_new_one():
    store = a_store()
    store.take(a_chunk(5000, 5400))
    store.take(a_chunk(0, 50))
    assert (store.first, store.stop, store.age) == (0, 50, 2)
    store.take(replace(a_stream(3, RATE_HZ), name="another"))
    assert (store.stop, store.age) == (0, 3)


def test_a_chunk_of_other_rows_is_refused_and_counted():
    store = a_store()
    store.take(a_chunk(0, 10, n_channels=5))
    assert (store.refused, store.stop) == (1, 0)


def test_infinity_reads_as_unknown():
    store, chunk = a_store(), a_chunk(0, 10)
    chunk.samples[1, 3] = np.inf
    store.take(chunk)
    assert np.isnan(store.read(3, 4)[0, 1])
    assert np.isfinite(store.read(4, 5)).all()


def test_memory_is_what_was_promised():
    store = TraceStore()
    store.take(a_stream(64, 1000.0))
    assert store.n_bytes == pytest.approx(4.5 * 64 * 180_000, rel=0.01)


def test_no_time_to_keep_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="keep_s must be above 0"):
        TraceStore(0.0)
