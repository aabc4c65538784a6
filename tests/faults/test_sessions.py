"""Sessions in which things go wrong are recorded, and replayed as they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("sessions.py")


def record(tmp_path: Path, data: str, *arguments: str) -> dict:
    """Run the program; what it says."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--jobs", "2", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DIVERLOOP_DATA": data},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.live
def test_simulated_sessions_with_faults_replay_exactly(tmp_path):
    found = record(tmp_path, str(tmp_path / "no data"), "--n", "4", "--live-s", "4")
    assert found["sessions"] == found["equal"] == 4
    assert found["share_of_turns_equal"] == 1
    assert found["windows_decoded"] > 100
    assert sum(found["injected"].values()) > 10
    assert found["discrepancies"] == []
