"""Recordings in a zarr store become the corpus that the same samples become from a file."""

from __future__ import annotations

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", reason="reading zarr needs zarr")

from diverloop.corpus_building import build_corpus
from diverloop.corpus_folder import FolderTerms
from diverloop.corpus_zarr import is_zarr, zarr_sources
from diverloop.runtime.errors import ConfigError, RecordingError, UnitError

from .test_cli import refused, told
from .test_corpus_building import recorded, replayed, rows

TERMS = FolderTerms()


def stored(path, samples, name="one", transposed=False, unit="uV", **attributes):
    """A group with an array; terms in the group, the rest at the array."""
    group = zarr.open_group(str(path), mode="a")
    group.attrs.update({"licence": "CC0-1.0", "line_hz": 50, "credit": "a lab"})
    data = samples.T if transposed else samples
    chunks = (700, data.shape[1]) if transposed else (data.shape[0], 700)
    array = group.create_array(name, shape=data.shape, dtype=data.dtype, chunks=chunks)
    array[:] = data
    told = {"rate_hz": 250.0, "unit": unit, "channel_names": ["C3", "Cz"]}
    array.attrs.update({**told, **attributes})
    return path


@pytest.mark.parametrize(("transposed", "unit", "factor"), [(False, "uV", 1), (True, "mV", 1e-3)])
def test_a_store_gives_what_a_file_with_the_same_samples_gives(tmp_path, transposed, unit, factor):
    recording = recorded(rows("C3", "Cz"), seconds=40.0)
    recording.samples[0, 6000:6100] = np.nan
    samples = recording.samples.astype(np.float64) * factor
    path = stored(tmp_path / "lab.zarr", samples, transposed=transposed, unit=unit)
    assert is_zarr(path)
    corpus = build_corpus(zarr_sources(path, TERMS), tmp_path / "a")
    expected = build_corpus([replayed(recording)], tmp_path / "b")
    entry = corpus.entries[0]
    assert entry.name == "lab.zarr/one"
    assert entry.stretches == expected.entries[0].stretches
    assert len(entry.stretches) == 2
    assert (entry.licence, entry.credit) == ("CC0-1.0", "a lab")
    np.testing.assert_allclose(corpus.samples(0), expected.samples(0), rtol=1e-3, atol=1e-3)


def test_every_array_at_any_depth_is_a_recording_with_its_own_rows(tmp_path):
    samples = recorded(rows("C3", "Cz")).samples
    path = stored(tmp_path / "s.zarr", samples, "sub-1/rest", kinds=["ecog", "ecog"],
                  positions_m=[[0.01, 0.02, 0.03], None])  # fmt: skip
    stored(path, samples, "sub-2/rest", sfreq=250.0, kinds=None)
    corpus = build_corpus(zarr_sources(path, TERMS), tmp_path / "corpus")
    assert [entry.name for entry in corpus.entries] == ["s.zarr/sub-1/rest", "s.zarr/sub-2/rest"]
    assert [entry.modality for entry in corpus.entries] == ["iEEG", "EEG"]
    assert corpus.entries[0].positions_mm[0] == (10.0, 20.0, 30.0)
    assert corpus.entries[0].data_id != corpus.entries[1].data_id


def test_a_second_build_makes_nothing_again_unless_the_store_changed(tmp_path):
    path = stored(tmp_path / "s.zarr", recorded(rows("C3", "Cz")).samples)
    first = build_corpus(zarr_sources(path, TERMS), tmp_path / "corpus")
    made = (tmp_path / "corpus" / first.entries[0].file).stat().st_ino
    again = build_corpus(zarr_sources(path, TERMS), tmp_path / "corpus")
    assert (tmp_path / "corpus" / again.entries[0].file).stat().st_ino == made
    zarr.open(str(path), mode="a")["one"][0, 5] = 3.0
    changed = build_corpus(zarr_sources(path, TERMS), tmp_path / "corpus")
    assert changed.sha256 != first.sha256


@pytest.mark.parametrize(
    ("attributes", "error", "says"),
    [
        ({"rate_hz": 0}, RecordingError, "rate_hz"),
        ({"channel_names": ["C3"]}, RecordingError, "1 channel_names"),
        ({"channel_names": ["C3", "C3"]}, RecordingError, "all names different"),
        ({"unit": "volts?"}, UnitError, "volts"),
        ({"positions_m": [[1, 2], None]}, RecordingError, "three numbers"),
        ({"line_hz": None}, RecordingError, "--line-hz"),
        ({"licence": ""}, RecordingError, "--licence"),
    ],
)
def test_an_array_that_does_not_say_what_it_is_is_told_so(tmp_path, attributes, error, says):
    path = stored(tmp_path / "s.zarr", recorded(rows("C3", "Cz")).samples, **attributes)
    with pytest.raises(error, match=says):
        zarr_sources(path, TERMS)["s.zarr/one"]()


def test_what_is_no_store_and_what_holds_no_recording_is_refused(tmp_path):
    zarr.open_group(str(tmp_path / "empty.zarr"), mode="w")
    with pytest.raises(ConfigError, match="no array of two dimensions"):
        zarr_sources(tmp_path / "empty.zarr", TERMS)
    (tmp_path / "bad.zarr").mkdir()
    (tmp_path / "bad.zarr" / "zarr.json").write_text("{")
    error = refused("corpus", tmp_path / "bad.zarr", "--out", tmp_path / "corpus")
    assert "cannot be read as a zarr store" in error["message"]


def test_a_damaged_chunk_leaves_its_recording_out(tmp_path):
    samples = recorded(rows("C3", "Cz")).samples
    path = stored(tmp_path / "s.zarr", samples)
    stored(path, samples, "two")
    for chunk in (path / "two" / "c").rglob("1"):
        chunk.write_bytes(b"nothing")
    made = told("corpus", path, "--out", tmp_path / "corpus")
    assert [entry["name"] for entry in made["entries"]] == ["s.zarr/one"]
    assert "cannot be read at sample" in made["skipped"]["s.zarr/two"]
