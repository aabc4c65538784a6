"""Recordings as sources to learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.training_sources import recordings, settled

from .data import recording_path
from .modelled import block


@pytest.mark.data
def test_the_names_and_hashes_of_recordings_stand_on_the_card():
    (source,) = recordings([recording_path("mi/eegmmidb_S001_R06.npz")])
    assert source.name == "eegmmidb_S001_R06.npz"
    assert len(source.data_id) == 64


class Holed:
    """A source one row of which lacks a tenth of a second."""

    def __init__(self, source, row):
        self._source, self._row = source, row
        self.spec = source.spec

    @property
    def ended(self):
        return self._source.ended

    def read(self, wanted, until_ns):
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None and chunk.first_sample <= 2000 < chunk.stop_sample:
            samples, first = chunk.samples.copy(), 2000 - chunk.first_sample
            samples[self._row, first : first + 25] = np.nan
            return replace(chunk, samples=samples)
        return chunk


@pytest.mark.parametrize(("row", "n_stretches"), [(0, 2), (5, 1)])
def test_after_a_hole_of_a_row_that_counts_the_filters_settle_again(row, n_stretches):
    source = block(seconds=16.0).make(VirtualClock())
    source.open()
    conditioner = StreamConditioner(ConditionConfig(high_pass_hz=0.5, pick=("C3", "C4")))
    conditioner.open(source.spec)
    rows = [source.spec.channel_names.index(name) for name in ("C3", "C4")]
    row = rows[0] if row == 0 else next(k for k in range(source.spec.n_channels) if k not in rows)
    found = list(settled(Holed(source, row), conditioner, rows))
    assert sum(starts for starts, _ in found) == n_stretches
    kept = np.concatenate([samples for _, samples in found], axis=1)
    assert np.isfinite(kept).all()
    missing = 25 * (n_stretches - 1)
    assert kept.shape[1] == 4000 - missing - n_stretches * conditioner.settle_samples
    assert np.abs(kept.mean(axis=1)).max() < 5.0
