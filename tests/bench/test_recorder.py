"""The recorder's benchmark measures what it says, on a stream small enough for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("recorder.py")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the program reads /proc"),
]


def test_the_recorder_benchmark_counts_every_row_and_compares_with_and_without(tmp_path):
    small = ("--channels", "16", "--rate", "250", "--minutes", "0.1")
    blocks = ("--pairs", "1", "--block-s", "3", "--folder", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *small, *blocks], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    loss = found["loss"]
    assert loss["nothing_lost"]
    assert loss["sent"]["rows"] == loss["recorded"]["rows"] == 1500
    assert loss["recorded"]["first_row"] == 0
    assert sum(loss["sent"]["markers"]) > 20
    assert loss["cpu_percent_of_a_core"]["recorder"] > 0
    assert found["cost"]["rows_wrong"] == 0
    assert found["cost"]["loop"]["p99"]["of_all"]["ratio"] > 0
