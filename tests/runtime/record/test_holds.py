"""A session that was killed is told from one that runs or hangs, by who holds its log."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.record.audit import AuditLog
from diverloop.runtime.record.audit_chain import LOG_NAME
from diverloop.runtime.record.holds import hold, left_behind
from diverloop.runtime.record.signing import new_key

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks that die with their holder")

_HOLDER = """
import os, sys
from pathlib import Path
from diverloop.runtime.record.holds import hold
print(hold(os.open(sys.argv[1], os.O_WRONLY)), flush=True)
sys.stdin.read()
"""


def test_a_log_is_held_while_it_is_written_and_let_go_at_its_end(tmp_path):
    with closing(AuditLog.create(tmp_path, new_key(), MonotonicClock())):
        assert not left_behind(tmp_path)
    assert left_behind(tmp_path)


def test_a_process_that_was_killed_holds_nothing_any_more(tmp_path):
    log = tmp_path / LOG_NAME
    log.touch()
    command = [sys.executable, "-c", _HOLDER, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"True\n"
        assert not left_behind(tmp_path)
        handle = os.open(log, os.O_WRONLY)
        assert not hold(handle)
        os.close(handle)
        holder.kill()
        holder.wait()
        assert left_behind(tmp_path)


def test_a_folder_without_a_log_tells_nothing(tmp_path):
    assert not left_behind(tmp_path)
