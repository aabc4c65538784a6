"""The table [montage] of a session: which file, and that it is this one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.montage_config import MontageConfig
from diverloop.runtime.session import parse_session, read_session, tables_of

TEXT = b"[[channels]]\ndevice = 'C3'\n"
SHA = hashlib.sha256(TEXT).hexdigest()
SESSION = """
[session]
name = "s"
[source]
kind = "simulator"
[model]
bundle = "m.bundle"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    (tmp_path / "cap.toml").write_bytes(TEXT)
    return tmp_path


def session(folder: Path, table: str):
    path = folder / "s.toml"
    path.write_text(SESSION + table)
    return read_session(path)


def test_a_session_counts_the_file_from_its_folder_and_keeps_its_hash(folder):
    montage = session(folder, '[montage]\nfile = "cap.toml"\n').montage
    assert montage == MontageConfig(file=str(folder / "cap.toml"), sha256=SHA)
    assert montage.content() == TEXT


def test_a_session_without_one_has_none_and_the_tables_give_it_again(folder):
    assert session(folder, "").montage == MontageConfig()
    with_one = session(folder, '[montage]\nfile = "cap.toml"\n')
    assert parse_session(tables_of(with_one), Path("/elsewhere")) == with_one


def test_a_file_that_was_changed_is_refused(folder):
    table = f'[montage]\nfile = "cap.toml"\nsha256 = "{SHA}"\n'
    montage = session(folder, table).montage
    (folder / "cap.toml").write_bytes(TEXT + b"\n")
    with pytest.raises(ConfigError, match=f"is not the one that the session names.*{SHA}"):
        montage.content()
    with pytest.raises(ConfigError, match=r"s.toml: The mapping file .* is not the one"):
        session(folder, table)


def test_a_signed_session_must_name_the_hash():
    unpinned = MontageConfig(file=__file__)
    with pytest.raises(ConfigError, match=r'write sha256 = "[0-9a-f]{64}" into'):
        unpinned.pinned(signed=True)
    pinned = unpinned.pinned(signed=False)
    assert pinned.pinned(signed=True) == pinned
    assert MontageConfig().pinned(signed=True) == MontageConfig()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[montage]\nfile = "none.toml"\n', "There is no mapping file"),
        ('[montage]\nfile = "cap.toml"\nsha256 = "abc"\n', "must be 64 hexadecimal digits"),
        (f'[montage]\nsha256 = "{SHA}"\n', "without montage.file"),
        ('[montage]\nfille = "cap.toml"\n', "Did you mean 'file'"),
        ('[montage]\nfile = "~nobody-here/cap.toml"\n', "home folder of nobody here"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(folder, table, says):
    with pytest.raises(ConfigError, match=says):
        session(folder, table)
