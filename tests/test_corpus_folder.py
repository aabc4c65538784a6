"""A BIDS folder becomes a corpus: what its tables say counts, what cannot be used is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diverloop.cohort.finding import find_recordings
from diverloop.corpus_building import build_corpus
from diverloop.corpus_folder import FolderTerms, bids_sources, is_bids
from diverloop.runtime.errors import ConfigError, RecordingError

from .test_cli import refused, told

NAMES = ("C3", "Cz", "C4", "EOG")


def signal(path, seconds=12.0, rate_hz=250.0, names=NAMES):
    rng = np.random.default_rng(len(path.name))
    data = 10 * rng.standard_normal((len(names), round(seconds * rate_hz)))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, data=data.astype(np.float32), scale=np.ones(len(names)), offset=np.zeros(len(names)),
        units=np.array("uV"), fs=np.array(rate_hz), ch_names=np.array(names),
        ch_types=np.array(["eeg"] * len(names)), ch_pos=np.full((len(names), 3), np.nan),
        ev_sample=np.zeros(0, int), ev_code=np.zeros(0, int), ev_label=np.array([], str),
    )  # fmt: skip
    return path


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Two people; the mains are said once for all, the channels once for each."""
    top = tmp_path / "bids"
    top.mkdir()
    about = {"Name": "Two people", "BIDSVersion": "1.9.0", "License": "CC0-1.0"}
    (top / "dataset_description.json").write_text(json.dumps(about))
    (top / "task-rest_eeg.json").write_text(json.dumps({"PowerLineFrequency": 60}))
    signal(top / "sub-01/eeg/sub-01_task-rest_run-1_eeg.npz")
    signal(top / "sub-01/eeg/sub-01_task-rest_run-2_eeg.npz")
    signal(top / "sub-02/ses-a/ieeg/sub-02_ses-a_task-rest_ieeg.npz", names=("A1", "A2", "A3"))
    table(
        top / "sub-01/eeg/sub-01_task-rest_channels.tsv",
        ("name", "type", "units", "status"), ("C3", "EEG", "uV", "good"),
        ("Cz", "EEG", "uV", "bad"), ("C4", "EEG", "uV", "good"), ("EOG", "EOG", "uV", "good"),
    )  # fmt: skip
    below = top / "sub-02/ses-a/ieeg"
    table(
        below / "sub-02_ses-a_task-rest_channels.tsv", ("name", "type", "units"),
        ("A1", "SEEG", "uV"), ("A2", "SEEG", "uV"), ("A3", "SEEG", "uV"),
    )  # fmt: skip
    table(
        below / "sub-02_ses-a_space-MNI152Lin_electrodes.tsv", ("name", "x", "y", "z", "size"),
        ("A1", "10", "20", "30", "n/a"), ("A2", "11", "20", "30", "n/a"),
        ("A3", "n/a", "n/a", "n/a", "n/a"),
    )  # fmt: skip
    (below / "sub-02_ses-a_space-MNI152Lin_coordsystem.json").write_text(
        json.dumps({"iEEGCoordinateSystem": "MNI152Lin", "iEEGCoordinateUnits": "mm"})
    )
    (below / "sub-02_ses-a_task-rest_ieeg.json").write_text(json.dumps({"PowerLineFrequency": 50}))
    (top / "derivatives/sub-01/eeg").mkdir(parents=True)
    signal(top / "derivatives/sub-01/eeg/sub-01_task-rest_eeg.npz")
    return top


def test_types_bad_channels_places_and_mains_come_from_the_tables(folder, tmp_path):
    assert is_bids(folder)
    corpus = build_corpus(bids_sources(folder, FolderTerms()), tmp_path / "corpus")
    one, two, three = corpus.entries
    assert one.name == "sub-01/eeg/sub-01_task-rest_run-1_eeg.npz"
    assert one.channel_names == two.channel_names == ("C3", "C4")
    assert (one.modality, three.modality) == ("EEG", "iEEG")
    assert (one.licence, one.credit) == ("CC0-1.0", "Two people")
    assert (one.conditioning["line_hz"], three.conditioning["line_hz"]) == (60.0, 50.0)
    assert three.positions_mm[:2] == ((10.0, 20.0, 30.0), (11.0, 20.0, 30.0))
    assert np.isnan(three.positions_mm[2]).all()
    assert set(three.subtypes) == {2}


def test_a_recording_that_cannot_be_used_is_left_out_with_its_reason(folder, tmp_path):
    (folder / "sub-01/eeg/sub-01_task-rest_run-1_eeg.npz").write_bytes(b"nothing")
    made = told("corpus", folder, "--out", tmp_path / "corpus")
    assert len(made["entries"]) == 2
    ((name, why),) = made["skipped"].items()
    assert name.endswith("run-1_eeg.npz")
    assert "run-1_eeg.npz" in why
    scalp = told("corpus", folder, "--out", tmp_path / "scalp", "--modality", "EEG")
    assert [entry["name"][:6] for entry in scalp["entries"]] == ["sub-01"]
    assert any("no EEG electrode" in why for why in scalp["skipped"].values())


def test_what_the_folder_leaves_open_has_to_be_said(folder, tmp_path):
    (folder / "task-rest_eeg.json").unlink()
    sources = bids_sources(folder, FolderTerms())
    with pytest.raises(RecordingError, match=r"PowerLineFrequency.*--line-hz"):
        next(iter(sources.values()))()
    sources = bids_sources(folder, FolderTerms(line_hz=50.0, licence="own"))
    assert next(iter(sources.values()))().line_hz == 50.0
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    with pytest.raises(ConfigError, match="names no License"):
        bids_sources(folder, FolderTerms())


def test_a_cohort_finds_the_same_recordings_and_nothing_hidden_is_among_them(folder):
    signal(folder / "sub-01/eeg/._sub-01_task-rest_run-1_eeg.npz")  # as macOS leaves them
    sources = bids_sources(folder, FolderTerms())
    assert list(sources) == [item.name for item in find_recordings(folder, (".npz",))]
    assert len(sources) == 3


def test_all_channels_bad_is_told(folder):
    path = folder / "sub-01/eeg/sub-01_task-rest_channels.tsv"
    path.write_text(path.read_text().replace("good", "bad"))
    with pytest.raises(RecordingError, match="no electrode that is not bad"):
        next(iter(bids_sources(folder, FolderTerms()).values()))()


def test_a_folder_of_another_kind_is_refused(tmp_path, folder):
    (tmp_path / "plain").mkdir()
    error = refused("corpus", tmp_path / "plain", "--out", tmp_path / "corpus")
    assert "neither a BIDS folder" in error["message"]
    (tmp_path / "plain" / "dataset_description.json").write_text('{"License": "CC0"}')
    error = refused("corpus", tmp_path / "plain", "--out", tmp_path / "corpus")
    assert "no EEG or intracranial recording" in error["message"]
    (tmp_path / "plain" / "dataset_description.json").write_text("[")
    error = refused("corpus", tmp_path / "plain", "--out", tmp_path / "corpus")
    assert "cannot be read" in error["message"]
