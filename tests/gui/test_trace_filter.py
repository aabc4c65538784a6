"""The view filter: causal, the same however it is read, and honest about itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from diverloop.gui.trace_filter import FilterChoice, TraceFilter
from diverloop.gui.trace_store import TraceStore
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Chunk

from .told import a_stream

RATE_HZ = 250.0
BAND = FilterChoice(passes="1 to 40 Hz", mains_hz=50)
BOTH = np.arange(2)


def a_store(seconds: float = 12.0) -> TraceStore:
    """Channel 0: 10 Hz of 20 uV on 500 uV. Channel 1: 50 Hz of 100 uV."""
    store = TraceStore(60.0)
    store.take(a_stream(2, RATE_HZ))
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = np.stack(
        [500 + 20 * np.sin(2 * np.pi * 10 * at_s), 100 * np.sin(2 * np.pi * 50 * at_s)]
    )
    store.take(Chunk(samples=samples.astype(np.float32), first_sample=0, arrived_ns=0))
    return store


def test_it_takes_out_offset_and_mains_and_leaves_the_rhythm():
    shown = TraceFilter(a_store(), BAND, BOTH).read(2500, 3000)
    assert abs(shown[:, 0].mean()) < 1
    assert np.ptp(shown[:, 0]) == pytest.approx(40, rel=0.05)
    assert np.ptp(shown[:, 1]) < 2


def test_any_cut_reads_the_same():
    store = a_store()
    whole = TraceFilter(store, BAND, BOTH).read(0, 3000)
    pieces, cut = TraceFilter(store, BAND, BOTH), [0, 7, 8, 300, 1100, 3000]
    read = [pieces.read(*part) for part in pairwise(cut)]
    assert np.array_equal(np.concatenate(read), whole)
    assert np.array_equal(pieces.read(2500, 3000), whole[2500:])  # a little back


def test_a_jump_runs_in_before_it_shows_anything():
    store = a_store()
    whole = TraceFilter(store, BAND, BOTH).read(0, 3000)
    jumped = TraceFilter(store, BAND, BOTH)
    jumped.read(2900, 3000)
    assert np.allclose(jumped.read(1500, 1600), whole[1500:1600], atol=3)


def test_a_hole_is_a_hole_and_no_step():
    store = a_store(4.0)
    samples = np.array([[500.0], [0.0]], np.float32).repeat(500, axis=1)
    store.take(Chunk(samples=samples, first_sample=1200, arrived_ns=0))
    shown = TraceFilter(store, FilterChoice(passes="from 1 Hz"), BOTH).read(0, 1700)
    assert np.isnan(shown[1000:1200]).all()
    assert np.isfinite(shown[1200:]).all()
    assert np.abs(shown[1200:, 0]).max() < 30


def test_only_chosen_channels_are_read():
    shown = TraceFilter(a_store(), FilterChoice(), np.array([1])).read(0, 10)
    assert shown.shape == (10, 1)
    assert abs(shown).max() <= 100


def test_a_slow_stream_is_shown_without_what_it_cannot_have():
    assert len(BAND.design(40.0)) == len(FilterChoice(passes="from 1 Hz").design(40.0))


def test_it_says_that_the_decoder_does_not_see_this():
    assert "not what the decoder sees" in BAND.text
    assert "without 50 Hz" in BAND.text
    assert FilterChoice().text == ""


def test_another_filter_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="choose out of these"):
        FilterChoice(mains_hz=55)
