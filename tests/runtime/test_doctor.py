from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from importlib import metadata

import pytest

from diverloop.runtime import doctor as subject
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.doctor import examine, summed_up
from diverloop.runtime.realtime import Grant

NEEDED = [
    "numpy<3,>=2.0",
    "nowhere-to-be-found>=1",
    'unicorn-reader>=1; extra == "fit"',
    'numpy>=2; extra == "fit"',
    "diverloop[fit]; extra == 'test'",
    'pytest>=8 ; python_version > "3" and extra == "test"',
    'never-heard-of>=1; extra == "lint"',
    'nor-of-this>=1; extra == "dist"',
    f'only-here>=1; sys_platform == "{sys.platform}" and extra == "fit"',
    'only-elsewhere>=1; sys_platform == "elsewhere" and extra == "fit"',
]


class LateClock(VirtualClock):
    """Wakes up late by the next of the given times, over and over."""

    def __init__(self, *late_ns):
        super().__init__()
        self._late_ns = late_ns
        self._wakes = 0

    def wait_until(self, deadline_ns):
        super().wait_until(deadline_ns + self._late_ns[self._wakes % len(self._late_ns)])
        self._wakes += 1


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_a_quick_look_finds_python_packages_and_disk_but_takes_no_time():
    found = by_name(examine(quick=True))
    assert {"Python", "machine", "package numpy", "free disk"} <= found.keys()
    assert not any(name.startswith(("real time", "timer")) for name in found)
    assert found["Python"].ok
    assert found["package numpy"].got == metadata.version("numpy")


def test_a_full_look_adds_the_grants_and_the_timer():
    names = [finding.name for finding in examine()]
    assert names[-1] == "timer"
    assert sum(name.startswith("real time: ") for name in names) == 7


def test_what_is_not_well_comes_with_advice():
    for finding in examine():
        assert finding.ok is True or finding.advice, finding


def test_packages_are_told_apart_into_needed_and_optional(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: NEEDED)
    found = by_name(subject._packages())
    assert found.keys() == {
        "diverloop", "package numpy", "package nowhere-to-be-found",
        "package unicorn-reader (extra fit)", "package pytest (extra test)",
        "package only-here (extra fit)",
    }  # fmt: skip
    missing = found["package nowhere-to-be-found"]
    assert (missing.ok, missing.advice) == (False, "Run pip install nowhere-to-be-found.")
    optional = found["package unicorn-reader (extra fit)"]
    assert optional.ok is None
    assert 'pip install "diverloop[fit]"' in optional.advice


def test_for_people_packages_are_summed_up_and_a_needed_one_that_is_missing_stands_alone(
    monkeypatch,
):
    monkeypatch.setattr(metadata, "requires", lambda name: NEEDED)
    rows = [(row.ok, row.name, row.got) for row in summed_up(subject._packages())]
    assert rows[1:] == [
        (True, "packages", "2 that diverloop uses are here"),
        (False, "package nowhere-to-be-found", "not installed"),
        (None, "extra fit", "not installed: unicorn-reader, only-here"),
    ]


def test_a_diverloop_that_is_not_installed_says_how_to(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    (finding,) = subject._packages()
    assert (finding.ok, "pip install -e ." in finding.advice) == (False, True)


def test_an_old_python_is_found_out(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 9))
    finding = subject._python()
    assert (finding.ok, finding.advice) == (False, "Install Python 3.11 or newer.")


@pytest.mark.parametrize(("cores", "ok"), [(1, None), (None, None), (8, True)])
def test_one_core_is_possible_but_not_good(monkeypatch, cores, ok):
    monkeypatch.setattr(subject.os, "cpu_count", lambda: cores)
    assert subject._machine().ok is ok


@pytest.mark.parametrize(("free", "ok"), [(4e9, False), (6e9, True)])
def test_a_full_disk_is_found_out(monkeypatch, tmp_path, free, ok):
    usage = namedtuple("usage", "total used free")(1e12, 0, int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert subject._disk(tmp_path).ok is ok


def test_lateness_is_told_in_the_median_and_at_the_99th_percentile():
    finding = subject._timer(LateClock(*[100_000] * 19, 3_014_656))
    assert finding.ok
    assert finding.got == "late by 0.100 ms in the median, 3.015 ms at the 99th percentile"


def test_a_timer_that_is_late_by_a_tenth_of_a_window_comes_with_advice():
    finding = subject._timer(LateClock(*[100_000] * 19, 8_000_000))
    assert finding.ok is None
    assert "close other programs" in finding.advice


def test_a_refused_grant_is_no_failure_and_passes_its_advice_on():
    grant = Grant(name="scheduling", asked="SCHED_FIFO", obtained=False, detail="Refused: why")
    finding = subject._granted(grant)
    assert (finding.ok, finding.advice) == (None, "Refused: why")
    assert finding.got == "SCHED_FIFO: refused"
