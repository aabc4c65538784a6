"""Four streams of four processes at once: nothing is lost, and one that goes is masked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("many_streams.py")

pytestmark = pytest.mark.live


def test_four_streams_at_once_lose_nothing_while_one_goes_and_returns():
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--minutes", "0.07", "--away", "0.5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for role in ("eeg", "eog", "gaze", "audio"):
        counted = found["streams"][role]
        assert counted["sent"] > 50, role
        assert counted["lost"] == 0, role
        assert counted["in_order"], role
    assert found["samples_lost"] == 0
    assert found["events"]["source_back"] == 1
    assert 0 < found["windows_with_gaze_masked"] < found["windows"]
