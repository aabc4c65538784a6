"""Recordings as sources to learn from."""

from __future__ import annotations

import pytest

from diverloop.training_sources import recordings

from .data import recording_path


@pytest.mark.data
def test_the_names_and_hashes_of_recordings_stand_on_the_card():
    (source,) = recordings([recording_path("mi/eegmmidb_S001_R06.npz")])
    assert source.name == "eegmmidb_S001_R06.npz"
    assert len(source.data_id) == 64
