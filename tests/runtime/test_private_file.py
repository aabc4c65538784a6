from __future__ import annotations

import os
import stat

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.private_file import read_private, write_private


@pytest.mark.parametrize("durable", [True, False])
def test_what_was_written_is_read_and_is_this_users_alone(tmp_path, durable):
    path = tmp_path / "new" / "secret"
    write_private(path, b"one", "secret", durable=durable)
    write_private(path, b"two", "secret", durable=durable)
    assert read_private(path, "secret") == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["secret"]


def test_a_file_that_has_to_be_the_first_leaves_another_as_it_is(tmp_path):
    path = tmp_path / "secret"
    assert write_private(path, b"one", "secret", first=True)
    assert not write_private(path, b"two", "secret", first=True)
    assert read_private(path, "secret") == b"one"
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_have_rights_to_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    write_private(path, b"one", "secret")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"secret .* has rights {mode:04o}.*chmod 600"):
        read_private(path, "secret")


def test_a_file_that_is_too_long_is_none_of_ours(tmp_path):
    path = tmp_path / "secret"
    write_private(path, b"12345", "secret")
    with pytest.raises(ConfigError, match="more than 4 bytes"):
        read_private(path, "secret", 4)


@pytest.mark.parametrize("durable", [True, False])
def test_a_disk_that_takes_only_a_part_leaves_the_old_file(tmp_path, monkeypatch, durable):
    path = tmp_path / "secret"
    write_private(path, b"one", "secret")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:2]))
        with pytest.raises(ConfigError, match=r"No space left.*free space"):
            write_private(path, b"three", "secret", durable=durable)
    assert read_private(path, "secret") == b"one"
    assert [one.name for one in path.parent.iterdir()] == ["secret"]


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"secret .* cannot be"):
        write_private(tmp_path / "file" / "x", b"", "secret")
    os.mkdir(tmp_path / "folder")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_private(tmp_path / "folder", "secret")
