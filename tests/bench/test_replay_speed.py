"""The benchmark of replays records, replays, and finds the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("replay_speed.py")


@pytest.mark.long
def test_the_replay_benchmark_finds_the_recorded_run_and_says_how_fast():
    short = ("--seconds", "12", "--live-s", "0", "--fit-s", "80", "--rounds", "1", "--most", "64")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *short], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    case = found["64 channels, 250 Hz"]["recorded on a jumping clock"]
    assert case["equal"]
    assert case["windows_decoded"] > 50
    assert min(case[f"{way}_times_real_time"] for way in ("exact", "verify", "plain")) > 0
    assert "128 channels, 1 kHz" not in found
