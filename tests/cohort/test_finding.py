"""Recordings are found with all their files, and with whose they are."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from diverloop.cohort.finding import by_subject, find_recordings
from diverloop.runtime.errors import ConfigError, RecordingError

SUFFIXES = (".npz", ".edf", ".vhdr", ".set")


def touch(path, text: str = "x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def dataset(tmp_path):
    """A BIDS dataset of two people, with what does not belong to it."""
    touch(tmp_path / "dataset_description.json", json.dumps({"Name": "x", "BIDSVersion": "1.10.0"}))
    for name in ("01", "02"):
        stem = f"sub-{name}_ses-a_task-mi_run-1"
        folder = tmp_path / f"sub-{name}" / "ses-a" / "eeg"
        touch(folder / f"{stem}_eeg.edf")
        touch(folder / f"{stem}_events.tsv", "onset\tduration\ttrial_type\n")
        touch(folder / f"{stem}_coordsystem.set")
    touch(tmp_path / "derivatives" / "sub-01" / "sub-01_task-mi_eeg.edf")
    touch(tmp_path / "sourcedata" / "raw_eeg.edf")
    return tmp_path


def test_a_bids_dataset_gives_raw_recordings_with_their_entities_and_events(dataset):
    items = find_recordings(dataset, SUFFIXES)
    assert [item.subject for item in items] == ["01", "02"]
    first = items[0]
    assert (first.session, first.task, first.run) == ("a", "mi", "1")
    assert first.events.endswith("sub-01_ses-a_task-mi_run-1_events.tsv")
    assert first.files == (*first.recordings, first.events)
    assert first.name == "sub-01/ses-a/eeg/sub-01_ses-a_task-mi_run-1_eeg.edf"


def test_a_header_brings_the_files_that_it_names(tmp_path):
    touch(tmp_path / "a.vhdr", "[Common Infos]\nDataFile=signal.eeg\nMarkerFile=$b.vmrk\n")
    touch(tmp_path / "signal.eeg", "1234")
    touch(tmp_path / "a.vmrk")
    touch(tmp_path / "b.set")
    touch(tmp_path / "b.fdt")
    found = find_recordings(tmp_path, SUFFIXES)
    names = [[file.rpartition("/")[2] for file in item.files] for item in found]
    assert names == [["a.vhdr", "a.vmrk", "signal.eeg"], ["b.set", "b.fdt"]]
    assert [item.n_recordings for item in found] == [1, 1]


def test_outside_a_dataset_a_table_of_events_still_counts_for_what_a_recording_is(tmp_path):
    touch(tmp_path / "sub-01_eeg.edf")
    touch(tmp_path / "sub-01_events.tsv", "onset\tduration\n")
    touch(tmp_path / "walk.edf")
    touch(tmp_path / "walk_events.tsv", "onset\tduration\n")
    first, second = find_recordings(tmp_path, [".edf"])
    assert [Path(name).name for name in first.files] == ["sub-01_eeg.edf", "sub-01_events.tsv"]
    assert not first.events
    assert len(second.files) == 1


def test_hidden_folders_and_results_are_not_looked_into(tmp_path):
    touch(tmp_path / "a.npz")
    touch(tmp_path / "out" / "b.npz")
    touch(tmp_path / ".cache" / "c.npz")
    touch(tmp_path / ".d.npz")
    found = find_recordings(tmp_path, SUFFIXES, leave_out=[tmp_path / "out"])
    assert [item.name for item in found] == ["a.npz"]


def test_a_pattern_finds_subjects_where_names_are_of_no_standard(tmp_path):
    for name in ("S001_R02", "S001_R01", "S002_R01"):
        touch(tmp_path / f"{name}.npz")
    items = find_recordings(tmp_path, SUFFIXES, subject_pattern="(S[0-9]+)_R")
    grouped = by_subject(items)
    assert [(one.name, one.n_recordings) for one in grouped] == [("S001", 2), ("S002", 1)]
    assert [name.rpartition("/")[2] for name in grouped[0].recordings] == [
        "S001_R01.npz",
        "S001_R02.npz",
    ]


def test_events_of_a_subject_are_named_without_the_folder_of_the_dataset(dataset):
    told = by_subject(find_recordings(dataset, SUFFIXES))[0].asked["events"]
    assert told == ["sub-01_ses-a_task-mi_run-1_events.tsv"]


def test_a_recording_whose_content_was_not_fetched_is_an_item_like_others(dataset):
    for suffix in ("edf", "vhdr"):
        gone = dataset / "sub-01" / "ses-a" / "eeg" / f"sub-01_task-rest_eeg.{suffix}"
        gone.symlink_to(dataset / ".git" / "annex" / "nothing")
    items = find_recordings(dataset, SUFFIXES)
    assert [item.n_bytes > 0 for item in items] == [True, False, False, True]


def test_a_folder_that_cannot_be_read_is_told_instead_of_passed_over(dataset, monkeypatch):
    real = os.scandir

    def scandir(path):
        if Path(path).name == "sub-02":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(RecordingError, match="sub-02 cannot be read"):
        find_recordings(dataset, SUFFIXES)


def test_what_cannot_be_found_is_told(tmp_path):
    with pytest.raises(RecordingError, match="no folder"):
        find_recordings(tmp_path / "nowhere", SUFFIXES)
    with pytest.raises(RecordingError, match="holds no recording"):
        find_recordings(tmp_path, SUFFIXES)
    touch(tmp_path / "a.npz")
    with pytest.raises(ConfigError, match="no regular expression"):
        find_recordings(tmp_path, SUFFIXES, subject_pattern="(")
    with pytest.raises(ConfigError, match="2 groups"):
        find_recordings(tmp_path, SUFFIXES, subject_pattern="(a)(b)")
    with pytest.raises(ConfigError, match=r"name of a\.npz does not tell its subject"):
        by_subject(find_recordings(tmp_path, SUFFIXES))
