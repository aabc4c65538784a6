"""One name, one holder, and nobody holds it longer than they live."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from diverloop.runtime.claim import Claim
from diverloop.runtime.errors import ConfigError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")


def test_a_name_is_had_once_and_again_when_it_is_released(tmp_path):
    first = Claim("arm", tmp_path / "locks")
    with pytest.raises(ConfigError, match="sends under the name 'arm' already"):
        Claim("arm", tmp_path / "locks")
    other = Claim("hand", tmp_path / "locks")
    first.release()
    first.release()
    Claim("arm", tmp_path / "locks").release()
    other.release()


def test_a_holder_that_is_killed_holds_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from diverloop.runtime.claim import Claim\n"
        "held = Claim('arm', Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError):
            Claim("arm", tmp_path)
        holder.kill()
        holder.wait()
    claim = Claim("arm", tmp_path)
    assert claim._file >= 0
    claim.release()


def test_a_disk_without_locks_refuses_nobody(tmp_path, monkeypatch):
    import fcntl

    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert Claim("arm", tmp_path)._file == -1
    assert Claim("arm", tmp_path)._file == -1


def test_a_folder_that_cannot_be_made_refuses_nobody(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert Claim("arm", tmp_path / "file")._file == -1
