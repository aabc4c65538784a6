"""The ten kills of the bench, as a test that takes its time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch")

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def told(name, *arguments):
    script = Path(__file__).with_name(name)
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False,
        timeout=1700,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", ["pretrain", "distill"])
def test_a_run_that_was_killed_ten_times_is_the_run_that_never_was(case):
    found = told("killed_training.py", "--only", case)
    assert len(found[case]["kills"]) == 10
    assert {kill["exit"] for kill in found[case]["kills"]} == {-9}
    assert found[case]["identical_to_the_bit"]


def test_two_processes_killed_and_finished_by_one_stay_within_the_tolerance():
    found = told(
        "killed_training.py", "--only", "distill in two processes, finished by one",
        "--kills", "3", "--steps", "30",
    )  # fmt: skip
    assert found["held"]


def test_two_processes_train_as_one_does_to_the_stated_tolerance():
    found = told("two_processes.py", "--steps", "20")
    assert found["held"]
