"""Recorder, loop, player and all at once are killed, and what they leave is as promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("kills.py")


@pytest.mark.live
def test_whoever_is_killed_what_is_left_is_as_promised():
    command = [sys.executable, str(PROGRAM), "--n", "4", "--jobs", "2", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert done.returncode == 0
    assert found["as_promised"] == found["sessions"] == 4
    assert found["kills"] >= 3
    assert found["rows_checked"] > 500
    assert found["turns_equal"] == found["turns_compared"] > 10
