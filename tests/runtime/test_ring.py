"""The ring is compared with the plainest model there is: a dict from stream index to sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import SamplesLost
from diverloop.runtime.ring import Ring

writes = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 25)), min_size=1, max_size=25)
no_gaps = st.lists(st.integers(0, 25), min_size=1, max_size=25)


def numbered(first: int, stop: int, n_channels: int = 2) -> np.ndarray:
    """Row 0 holds the stream index, so any view can be checked against its place."""
    rows = np.arange(1, n_channels + 1)[:, None]
    return np.arange(first, stop, dtype=np.float64) * rows


def filled(ring: Ring, plan) -> dict[int, float]:
    """Write, jumping ahead before each write; return what should still be there."""
    model: dict[int, float] = {}
    for jump, size in plan:
        first = ring.stop + jump
        assert ring.write(numbered(first, first + size), first) == jump
        model.update({index: float(index) for index in range(first, first + size)})
        assert ring.stop == first + size
    return {i: v for i, v in model.items() if i >= ring.stop - ring.capacity}


@given(plan=writes, capacity=st.integers(1, 30), data=st.data())
def test_every_range_is_read_as_written_or_refused_as_in_a_plain_list(plan, capacity, data):
    ring = Ring(2, capacity)
    model = filled(ring, plan)
    lowest = max(-2, ring.stop - capacity - 3)
    for first in range(lowest, ring.stop + 2):
        stop = data.draw(st.integers(first + 1, max(first + 1, ring.stop + 3)))
        there = all(index in model for index in range(first, stop))
        assert ring.holds(first, stop) is there
        if there:
            np.testing.assert_array_equal(ring.view(first, stop), numbered(first, stop))
        else:
            with pytest.raises(SamplesLost):
                ring.view(first, stop)


@given(sizes=no_gaps, capacity=st.integers(1, 30))
def test_how_samples_are_cut_into_writes_does_not_matter(sizes, capacity):
    whole, cut = Ring(2, capacity), Ring(2, capacity)
    filled(cut, [(0, size) for size in sizes])
    whole.write(numbered(0, sum(sizes)), 0)
    first = max(0, whole.stop - capacity)
    assert cut.stop == whole.stop
    if first < whole.stop:
        np.testing.assert_array_equal(cut.view(first, cut.stop), whole.view(first, whole.stop))


@given(sizes=no_gaps)
def test_every_view_is_contiguous_read_only_and_the_rings_own_memory(sizes):
    ring = Ring(3, 20)
    memory = ring._memory
    for size in sizes:
        ring.write(numbered(ring.stop, ring.stop + size, 3), ring.stop)
        first = max(0, ring.stop - 20)
        view = ring.view(first, ring.stop)
        assert np.shares_memory(view, memory) or not view.size
        assert not view.flags.writeable
        assert view.strides == memory.strides  # each row is one stretch, nothing wraps
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0


def test_the_writers_array_is_copied():
    ring = Ring(2, 10)
    samples = numbered(0, 4)
    ring.write(samples, 0)
    samples[:] = -1
    np.testing.assert_array_equal(ring.view(0, 4), numbered(0, 4))


def test_memory_never_grows_or_moves():
    ring = Ring(2, 50)
    before = ring._memory.__array_interface__["data"], ring._memory.nbytes
    filled(ring, [(jump, size) for size in (1, 7, 49, 50, 51, 333) for jump in (0, 3, 200)] * 30)
    assert (ring._memory.__array_interface__["data"], ring._memory.nbytes) == before


def test_holes_that_have_been_overwritten_are_forgotten():
    ring = Ring(1, 40)
    for _ in range(1000):
        ring.write(np.ones((1, 1)), ring.stop + 1)
    assert len(ring._holes) <= 21


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_keep_the_type_that_was_asked_for(dtype):
    ring = Ring(1, 5, dtype)
    ring.write(np.ones((1, 3)), 0)
    assert ring.view(0, 3).dtype == dtype


def test_a_refusal_says_what_was_asked_what_is_there_and_where_the_holes_are():
    ring = Ring(2, 20)
    filled(ring, [(0, 10), (5, 10)])
    with pytest.raises(SamplesLost, match=r"8 to 16 were asked.* to 25 with holes at \[\(10, 15\)"):
        ring.view(8, 16)
    assert ring.holds(5, 10)
    assert ring.holds(15, 25)
    assert not ring.holds(9, 11)
    assert not ring.holds(14, 16)


def test_an_index_that_goes_back_is_refused_and_changes_nothing():
    ring = Ring(2, 20)
    filled(ring, [(0, 10)])
    with pytest.raises(ValueError, match="Sample 9 comes after sample 9: a source must deliver"):
        ring.write(numbered(9, 12), 9)
    assert ring.stop == 10
    np.testing.assert_array_equal(ring.view(0, 10), numbered(0, 10))


def test_a_write_of_nothing_further_ahead_says_that_samples_are_lost():
    ring = Ring(2, 20)
    filled(ring, [(0, 10)])
    assert ring.write(numbered(15, 15), 15) == 5
    assert ring.stop == 15
    assert not ring.holds(9, 12)
    assert ring.write(numbered(15, 18), 15) == 0
    assert ring.holds(15, 18)


@pytest.mark.parametrize(("n_channels", "capacity"), [(0, 5), (3, 0), (-1, 5)])
def test_a_ring_without_rows_or_columns_is_refused(n_channels, capacity):
    with pytest.raises(ValueError, match=f"at least 1 .* got {n_channels} and {capacity}"):
        Ring(n_channels, capacity)
