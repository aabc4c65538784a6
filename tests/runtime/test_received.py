"""Rows as sent become signal in one way only, and nothing is lost on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from diverloop.runtime.received import Received, Sent

FORMATS = ("<f4", "<f8", "<i1", "<i2", "<i4")


def sent(dtype: str, *microvolts: float) -> Sent:
    return Sent(dtype=dtype, microvolts=microvolts)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_row_becomes_a_column_in_microvolts(dtype):
    values = np.array([[1, -2], [3, 4], [5, 100]], dtype)
    samples = sent(dtype, 1.0, 0.5).to_microvolts(values)
    assert samples.dtype == np.float32
    assert samples.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(samples, [[1, 3, 5], [-1, 2, 50]])


def test_floats_in_microvolts_keep_every_bit():
    bits = np.array([0x00000001, 0x80000000, 0x7FC00001, 0x7F800000, 0xFF800000, 0x3F800001])
    values = bits.astype("<u4").view("<f4").reshape(3, 2)
    samples = sent("<f4", 1.0, 1.0).to_microvolts(values)
    np.testing.assert_array_equal(samples.view("<u4"), values.view("<u4").T)


@given(values=npst.arrays("<i2", st.tuples(st.integers(0, 20), st.just(3))))
def test_every_cut_of_the_rows_gives_the_same_signal(values):
    form = sent("<i2", 0.1, 1.0, 1000.0)
    whole = form.to_microvolts(values)
    for cut in range(len(values) + 1):
        parts = [form.to_microvolts(values[:cut]), form.to_microvolts(values[cut:])]
        np.testing.assert_array_equal(np.hstack(parts), whole)


@pytest.mark.parametrize("dtype", ["<f4", "<i2"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_the_signal_has_memory_of_its_own(dtype, factor, layout):
    values = np.array(np.arange(6).reshape(3, 2), dtype, order=layout)
    samples = sent(dtype, factor, factor).to_microvolts(values)
    assert not np.shares_memory(samples, values)
    samples[:] = -1
    np.testing.assert_array_equal(values, np.arange(6).reshape(3, 2))


def test_no_rows_are_no_samples():
    assert sent("<i2", 1.0, 0.5).to_microvolts(np.empty((0, 2), "<i2")).shape == (2, 0)


def test_both_are_frozen():
    rows = Received(values=np.zeros((1, 1)), stamps_s=np.zeros(1), first_row=0)
    assert rows.offset_s == 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        rows.first_row = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        sent("<f4", 1.0).dtype = "<f8"


def test_rows_are_chosen_ordered_and_scaled_after_they_became_microvolts():
    mapped = Sent(dtype="<i2", microvolts=(0.5, 1.0, 2.0), rows=(2, 0), factors=(1.0, -3.0))
    values = np.array([[2, 4, 6], [8, 10, 12]], "<i2")
    assert (mapped.n_rows, sent("<i2", 1.0, 1.0).n_rows) == (2, 2)
    np.testing.assert_array_equal(mapped.to_microvolts(values), [[12, 24], [-3, -12]])
    plain = sent("<f4", 1.0, 1.0)
    samples = np.ones((2, 3), np.float32)
    assert plain.arranged(samples) is samples
