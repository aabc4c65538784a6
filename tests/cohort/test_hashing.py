"""A key changes with everything that could change the result, and with nothing else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from diverloop.cohort import hashing
from diverloop.cohort.finding import find_recordings
from diverloop.cohort.hashing import (
    Stamp,
    code_sha256,
    data_sha256,
    hash_files,
    key_of,
    stamp_of,
    version_of,
)
from diverloop.runtime.errors import RecordingError

from .working_items import recipe, write_files

OLD_NS = 10**18  # long ago: nobody is still writing


def settled(path) -> str:
    os.utime(path, ns=(OLD_NS, OLD_NS))
    return str(path)


def key(folder, work, **changes) -> str:
    item = replace(find_recordings(folder, (".npz", ".xdf"))[0], **changes)
    stamps = dict(hash_files([(name, None) for name in item.files]))
    return key_of(item, data_sha256(item, stamps), work)


def test_equal_files_have_equal_keys_whatever_they_are_called(tmp_path):
    one = write_files(tmp_path / "one", a="text")
    two = write_files(tmp_path / "two", b="text")
    assert key(one, recipe(tmp_path)) == key(two, recipe(tmp_path / "elsewhere"))


def test_bytes_settings_kind_question_and_ending_change_the_key(tmp_path, monkeypatch):
    folder = write_files(tmp_path / "data", a="text")
    work = recipe(tmp_path)
    keys = {
        key(folder, work),
        key(folder, recipe(tmp_path, step_s=0.1)),
        key(folder, replace(work, kind="other")),
        key(folder, work, asked={"drift": "none"}),
        key(folder, replace(work, code=("cohort/item.py", "cohort/table.py"))),
        key(folder, replace(work, readers={".npz": "pytest"})),
    }
    monkeypatch.setattr(hashing, "version_of", lambda name: "another")
    keys.add(key(folder, work))
    (folder / "a.npz").rename(folder / "a.xdf")
    keys.add(key(folder, work))
    (folder / "a.xdf").write_text("longer text", encoding="utf-8")
    keys.add(key(folder, work))
    assert len(keys) == 9


def test_a_file_that_nobody_touched_is_not_read_again(tmp_path):
    path = settled(write_files(tmp_path, a="text") / "a.npz")
    ((_, first),) = hash_files([(path, None)])
    invented = replace(first, sha256="known")
    assert hash_files([(path, invented)]) == [(path, invented)]


def test_a_file_that_was_just_written_is_read_again(tmp_path):
    path = str(write_files(tmp_path, a="text") / "a.npz")
    ((_, first),) = hash_files([(path, None)])
    assert not first.settled
    assert hash_files([(path, replace(first, sha256="known"))])[0][1].sha256 == first.sha256


def test_another_file_under_the_same_name_is_read_again(tmp_path):
    path = settled(write_files(tmp_path, a="text") / "a.npz")
    ((_, first),) = hash_files([(path, None)])
    settled(write_files(tmp_path, a="word") / "a.npz")
    ((_, second),) = hash_files([(path, first)])
    assert second.sha256 != first.sha256


def test_what_cannot_be_read_is_a_reason_and_not_the_end(tmp_path):
    path = str(write_files(tmp_path, a="text") / "a.npz")
    found = dict(hash_files([(str(tmp_path / "gone"), None), (path, None)]))
    assert "cannot be read here" in found[str(tmp_path / "gone")]
    assert isinstance(found[path], Stamp)
    with pytest.raises(RecordingError, match="same path"):
        stamp_of(str(tmp_path / "gone"))


def test_the_hash_of_code_follows_its_files():
    assert code_sha256(("cohort",)) != code_sha256(("cohort", "runtime/ring.py"))
    assert len(code_sha256(("cohort",))) == 64


def test_a_library_that_is_missing_has_no_version():
    assert version_of("numpy")
    assert version_of("no-such-distribution") == ""
