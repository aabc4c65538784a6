"""What is said of processes, among them some that end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from diverloop.tests.bench.machine_load import Machine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_process_that_has_ended_is_left_out_and_breaks_nothing():
    waits = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(waits, stdin=pipe, stdout=pipe) as recorder:
        assert recorder.stdout.readline()
        machine = Machine({"loop": os.getpid(), "recorder": recorder.pid})
        assert set(machine.spent()["cpu_percent_of_a_core"]) >= {"loop", "recorder"}
        recorder.kill()
    spent = machine.spent()
    assert "loop" in spent["cpu_percent_of_a_core"]
    assert "recorder" not in spent["cpu_percent_of_a_core"]
    assert min(spent["cpu_percent_of_a_core"].values()) >= 0
    assert spent["written_mb"] == 0
