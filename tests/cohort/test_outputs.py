"""Outputs are whole or absent, and a damaged one counts as absent."""

from __future__ import annotations

import os

import pytest

from diverloop.cohort.hashing import Stamp
from diverloop.cohort.outputs import (
    Output,
    is_complete,
    path_of,
    read_output,
    read_stamps,
    whole_folder,
    write_output,
    write_stamps,
    write_whole,
)
from diverloop.runtime.errors import RecordingError

KEY = "ab" * 32


def full(target) -> None:
    with whole_folder(target) as draft:
        draft.mkdir()
        (target.parent / "file" / "inside").touch()


def test_a_folder_is_whole_or_absent_and_the_first_of_two_that_are_equal_stays(tmp_path):
    target = tmp_path / "models" / "ab.bundle"
    with whole_folder(target) as draft:
        draft.mkdir(parents=True)
        assert draft.suffix == ".bundle"
        (draft / "card").write_text("first")
        assert not target.exists()
    with whole_folder(target) as late:  # of another worker, to whom the same work was given
        late.mkdir()
        (late / "card").write_text("second")
    assert (target / "card").read_text() == "first"
    (target.parent / "file").touch()
    with pytest.raises(RecordingError, match="cannot be kept"):
        full(target)
    (target.parent / "file").unlink()
    assert [path.name for path in target.parent.iterdir()] == ["ab.bundle"]


def test_an_output_is_read_as_it_was_written_but_for_nan(tmp_path):
    write_output(tmp_path, Output(key=KEY, row={"n": 3, "x": float("nan"), "who": "é"}))
    assert read_output(tmp_path, KEY) == Output(key=KEY, row={"n": 3, "x": None, "who": "é"})
    assert path_of(tmp_path, KEY).parent.name == "ab"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 2, "key": "KEY", "row": {}, "failed": ""}',
        b'{"format": 1, "key": "other", "row": {}, "failed": ""}',
        b'{"format": 1, "key": "KEY", "row": [], "failed": ""}',
    ],
)
def test_an_output_that_is_damaged_or_of_another_make_is_none(tmp_path, content):
    path = path_of(tmp_path, KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content.replace(b"KEY", KEY.encode()))
    assert read_output(tmp_path, KEY) is None


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def refuse(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RecordingError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_an_output_without_what_it_left_is_not_complete(tmp_path):
    done, failed = Output(key=KEY, row={"n": 1}), Output(key=KEY, failed="It is bad.")
    leaves = ("models/{key}.bundle",)
    assert not is_complete(tmp_path, done, leaves)
    assert is_complete(tmp_path, failed, leaves)
    (tmp_path / "models" / f"{KEY}.bundle").mkdir(parents=True)
    assert is_complete(tmp_path, done, leaves)


def test_stamps_are_kept_and_a_damaged_file_of_them_is_forgotten(tmp_path):
    stamps = {"a": Stamp(n_bytes=1, changed_ns=2, status_ns=3, sha256="x", settled=True)}
    assert read_stamps(tmp_path) == {}
    write_stamps(tmp_path, stamps)
    assert read_stamps(tmp_path) == stamps
    (tmp_path / "hashes.json").write_text('{"a": {"n_bytes": 1}}')
    assert read_stamps(tmp_path) == {}
