"""A file is there whole, or the old one is."""

import pytest

from diverloop.decoders.whole_files import whole_file


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def test_the_name_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as draft:
        draft.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    assert names(path.parent) == ["a.txt"]


def stop_half_way(path):
    with whole_file(path) as draft:
        draft.write_text("new")
        raise RuntimeError("half way")


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"):
        stop_half_way(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_overwritten(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as draft:
        draft.write_text("first")
    draft.write_text("longer than the next, and not whole")
    with whole_file(path) as again:
        again.write_text("next")
    assert again == draft
    assert path.read_text() == "next"
    assert names(tmp_path) == ["a.txt"]


def test_an_empty_block_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.txt"):
        pass
    assert not names(tmp_path)
