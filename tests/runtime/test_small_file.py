"""Small files are read whole; what is too long, or never ends, is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.small_file import read_small
from diverloop.runtime.toml_file import read_toml


def test_a_small_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_small(tmp_path / "a", 3) == b"abc"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_too_long_or_never_ends_is_not_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "a", tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\x00")):
        with pytest.raises(OSError, match=r"allowed are 2|no regular file|folder|null"):
            read_small(path, 2)


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5_000, "a = \xff"])
def test_a_trap_in_a_settings_file_is_refused_with_a_sentence(tmp_path, text):
    (tmp_path / "s.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"s\.toml"):
        read_toml(tmp_path / "s.toml")
