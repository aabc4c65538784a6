"""From samples to strokes: no spike is lost, no line crosses a gap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.gui.look import DARK
from diverloop.gui.trace_pixels import SHADES, bin_extents, extents, shades, stroke
from diverloop.gui.trace_store import TraceStore
from diverloop.runtime.messages import Chunk

from .told import a_stream


def reader(values):
    def read(first, stop):
        return values[first:stop, None]

    return read


@settings(max_examples=20)
@given(st.floats(0.2, 9.7), st.integers(0, 40))
def test_strokes_meet_and_hold_every_sample(per_column, first):
    values = np.random.default_rng(0).normal(size=1000)
    low, high = extents(reader(values), first, first + 20, per_column, 999)
    assert (low[1:] <= high[:-1] + 1e-9).all()
    assert (high[1:] >= low[:-1] - 1e-9).all()
    for n in range(20):
        begin, end = (first + n) * per_column, (first + n + 1) * per_column
        inside = values[int(np.ceil(begin)) : int(np.floor(end)) + 1]
        if len(inside):
            assert low[n, 0] <= inside.min()
            assert high[n, 0] >= inside.max()


@settings(max_examples=20)
@given(st.floats(0.2, 9.7), st.integers(1, 19))
def test_columns_are_the_same_however_they_are_cut(per_column, cut):
    values = np.random.default_rng(0).normal(size=400)
    whole = extents(reader(values), 3, 23, per_column, 399)
    pieces = [
        extents(reader(values), *part, per_column, 399) for part in ((3, 3 + cut), (3 + cut, 23))
    ]
    for place in (0, 1):
        assert np.array_equal(np.concatenate([piece[place] for piece in pieces]), whole[place])


def test_a_column_that_is_not_over_shows_what_is_there():
    values = np.arange(100.0)
    low, high = extents(reader(values), 9, 10, 10.0, 94)
    assert (low[0, 0], high[0, 0]) == (90, 94)


def test_a_gap_blanks_the_columns_that_it_touches_and_no_others():
    values = np.ones(100)
    values[41:59] = np.nan
    low, _ = extents(reader(values), 0, 10, 10.0, 99)
    assert np.flatnonzero(np.isnan(low[:, 0])).tolist() == [4, 5]


def test_bins_hold_what_the_samples_hold():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(2, 6000)).astype(np.float32)
    samples[1, 3333] = 50
    store = TraceStore(60.0)
    store.take(a_stream(2, 100.0))
    store.take(Chunk(samples=samples, first_sample=0, arrived_ns=0))
    low, high = bin_extents(store, np.arange(2), 0, 40, 100.0)
    exact_low, exact_high = extents(lambda a, b: samples.T[a:b], 0, 40, 100.0, 5999)
    assert (low <= exact_low).mean() > 0.7  # at least as far, up to a bin's edge
    assert np.abs(high.mean() - exact_high.mean()) < 0.1
    assert (high[:, 1] == 50).sum() in (1, 2)


def test_shades_go_from_the_ground_to_the_colour():
    steps = shades(DARK.surface, DARK.good)
    assert hex(steps[0]) == "0xff" + DARK.surface[1:]
    assert hex(steps[SHADES]) == "0xff" + DARK.good[1:]


def test_a_stroke_is_solid_between_soft_ends_and_stays_inside():
    pixels = np.zeros((10, 4), np.uint32)
    steps = np.arange(SHADES + 1, dtype=np.uint32)[None]
    stroke(pixels, np.array([1]), np.array([2.5]), np.array([6.25]), steps)
    assert pixels[:, 1].tolist() == [
        0,
        0,
        SHADES // 2,
        SHADES,
        SHADES,
        SHADES,
        SHADES // 4,
        0,
        0,
        0,
    ]
    assert not pixels[:, [0, 2, 3]].any()
    stroke(pixels, np.array([3]), np.array([-50.0]), np.array([500.0]), steps)
    assert (pixels[1:-1, 3] == SHADES).all()


@pytest.mark.parametrize("y", [0.0, 3.0, 3.4, 8.999])
def test_a_flat_trace_is_one_pixel_of_ink(y):
    pixels = np.zeros((10, 1), np.uint32)
    steps = np.arange(SHADES + 1, dtype=np.uint32)[None]
    stroke(pixels, np.array([0]), np.array([y]), np.array([y]), steps)
    assert SHADES / 2 <= pixels.sum() <= SHADES + 1
