from __future__ import annotations

import subprocess
import sys

import pytest

from diverloop.hardware import lsl_check
from diverloop.hardware.lsl_check import check_lsl

CHILD = """
from diverloop.hardware.lsl_check import check_lsl
finding = check_lsl()
assert finding.ok, finding
print(finding.got)
"""


class Deaf:
    """A pylsl that finds no stream."""

    def library_version(self):
        return 118

    def StreamInfo(self, *arguments):
        return arguments

    def StreamOutlet(self, info):
        return info

    def resolve_byprop(self, *arguments, **limits):
        return []


@pytest.mark.live
def test_a_sample_goes_through_lsl_and_back():
    # A process of its own: the check confines LSL for as long as its process lives.
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("liblsl ")
    assert "round trip" in done.stdout


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_a_missing_library_is_told_with_the_way_to_get_it(monkeypatch, error):
    def load():
        raise error("LSL binary library file was not found.\nA long list of places.")

    monkeypatch.setattr(lsl_check, "_load", load)
    finding = check_lsl()
    assert finding.ok is False
    assert finding.got.endswith("LSL binary library file was not found.")
    assert "pip install mne-lsl" in finding.advice
    assert "PYLSL_LIB" in finding.advice


def test_a_network_that_does_not_carry_its_own_stream_is_told(monkeypatch):
    monkeypatch.setattr(lsl_check, "_load", Deaf)
    finding = check_lsl()
    assert finding.ok is False
    assert finding.got == "liblsl 118, but its own stream was not found within 1.5 s"
    assert "loopback" in finding.advice
