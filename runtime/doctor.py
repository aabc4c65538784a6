"""Look at the machine before a participant does: what is here, what is missing, how punctual it is.

Imports no heavy package: what is installed is read from its metadata.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from .clock import MonotonicClock
from .histogram import Histogram
from .realtime import Grant, probe
from .stages import Clock

_PYTHON = (3, 11)
_N_DEADLINES, _DEADLINE_NS = 200, 1_000_000
_LATE_MS = 5.0  # a window is due every 50 ms or so: a tenth of it
_FREE_GB = 5.0  # 64 channels at 1 kHz write 0.9 GB an hour
_PACKAGE = "package "
# Extras that nobody lacks who only uses diverloop.
_DEVELOPERS = frozenset({"test", "fuzz", "lint", "docs", "supply", "dist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What.
    ok : bool, optional
        True: fine. False: will stop a session or spoil it. None: a session can do without.
    got : str
        What was found.
    advice : str
        What to do about it; empty when there is nothing to do.
    """

    name: str
    ok: bool | None
    got: str
    advice: str = ""


def examine(*, quick: bool = False) -> tuple[Finding, ...]:
    """Look at Python, the machine, the packages, the disk, and its punctuality.

    Parameters
    ----------
    quick : bool
        Leave out what takes time: the real-time grants, which are tried and given back, and the
        lateness of the timer, together about half a second.

    Returns
    -------
    findings : tuple of Finding
        In the order a person would ask.
    """
    findings = [_python(), _machine(), *_packages(), _disk(Path.cwd())]
    if not quick:
        findings += [_granted(grant) for grant in probe()]
        findings.append(_timer(MonotonicClock()))
    return tuple(findings)


def summed_up(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same in fewer rows, for people: packages that are here in one, missing ones by extra.

    Parameters
    ----------
    findings : iterable of Finding
        From `examine`.

    Returns
    -------
    findings : tuple of Finding
        In the same order; each row of packages stands where the first of them stood.
    """
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        optional = finding.name.startswith(_PACKAGE) and finding.ok is not False
        key = finding.advice if optional else f"alone: {finding.name}"
        alike.setdefault(key, []).append(finding)
    return tuple(_in_one(group) for group in alike.values())


def _in_one(alike: list[Finding]) -> Finding:
    """One row for packages of which the same has to be said."""
    first = alike[0]
    if not first.name.startswith(_PACKAGE) or first.ok is False:
        return first
    if first.ok:
        return replace(first, name="packages", got=f"{len(alike)} that diverloop uses are here")
    names = ", ".join(finding.name.removeprefix(_PACKAGE).split(" (")[0] for finding in alike)
    extra = first.name.partition("(extra ")[2].rstrip(")").split(", ")[0]
    return replace(first, name=f"extra {extra}", got=f"not installed: {names}")


def _python() -> Finding:
    least = ".".join(map(str, _PYTHON))
    enough = sys.version_info >= _PYTHON
    return Finding(
        name="Python",
        ok=enough,
        got=f"{platform.python_implementation()} {platform.python_version()}",
        advice="" if enough else f"Install Python {least} or newer.",
    )


def _machine() -> Finding:
    cores = os.cpu_count() or 1
    return Finding(
        name="machine",
        ok=True if cores > 1 else None,
        got=f"{platform.platform()}, {cores} core{'s' * (cores != 1)}",
        advice="" if cores > 1 else "One core serves loop and screen in turn: expect late windows.",
    )


def _packages() -> Iterator[Finding]:
    """One finding for each package that diverloop's own metadata names, extras included."""
    try:
        needed = metadata.requires("diverloop") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            name="diverloop",
            ok=False,
            got="not installed in this Python",
            advice="Run pip install -e . in the checkout.",
        )
        return
    yield Finding(name="diverloop", ok=True, got=metadata.version("diverloop"))
    for name, extras in _wanted(needed).items():
        found = _package(name, extras)
        if found.ok or not extras or not _DEVELOPERS.issuperset(extras):
            yield found


def _wanted(needed: list[str]) -> dict[str, tuple[str, ...]]:
    """Package names, each with the extras that bring it; an empty tuple means always."""
    wanted: dict[str, tuple[str, ...]] = {}
    for line in needed:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
        if name == "diverloop":  # an extra made of other extras
            continue
        system = re.search(r"sys_platform\s*==\s*['\"]([^'\"]+)", line)
        if system is not None and system.group(1) != sys.platform:
            continue
        if extra is None:
            wanted[name] = ()
        elif wanted.get(name) != ():
            wanted[name] = (*wanted.get(name, ()), extra.group(1))
    return wanted


def _package(name: str, extras: tuple[str, ...]) -> Finding:
    role = f"{_PACKAGE}{name}" + (f" (extra {', '.join(extras)})" if extras else "")
    try:
        return Finding(name=role, ok=True, got=metadata.version(name))
    except metadata.PackageNotFoundError:
        install = f'pip install "diverloop[{extras[0]}]"' if extras else f"pip install {name}"
        return Finding(
            name=role,
            ok=None if extras else False,
            got="not installed",
            advice=f"Run {install}" + (", if you want what it brings." if extras else "."),
        )


def _disk(folder: Path) -> Finding:
    free_gb = shutil.disk_usage(folder).free / 1e9
    enough = free_gb >= _FREE_GB
    return Finding(
        name="free disk",
        ok=enough,
        got=f"{free_gb:.1f} GB in {folder}",
        advice=""
        if enough
        else f"Free {_FREE_GB:g} GB: an hour of 64 channels at 1 kHz takes 0.9 GB.",
    )


def _granted(grant: Grant) -> Finding:
    return Finding(
        name=f"real time: {grant.name}",
        ok=True if grant.obtained else None,
        got=f"{grant.asked}: {'granted' if grant.obtained else 'refused'}",
        advice=grant.detail,
    )


def _timer(clock: Clock) -> Finding:
    """How late the clock wakes up, at absolute deadlines a millisecond apart."""
    late = Histogram()
    start_ns = clock.now_ns()
    for turn in range(1, _N_DEADLINES + 1):
        deadline_ns = start_ns + turn * _DEADLINE_NS
        clock.wait_until(deadline_ns)
        late.record(clock.now_ns() - deadline_ns)
    p50_ms, p99_ms = (late.quantile_ns(q) / 1e6 for q in (0.5, 0.99))
    fine = p99_ms < _LATE_MS
    return Finding(
        name="timer",
        ok=True if fine else None,
        got=f"late by {p50_ms:.3f} ms in the median, {p99_ms:.3f} ms at the 99th percentile",
        advice=""
        if fine
        else f"More than {_LATE_MS:g} ms late: close other programs, use mains power, and see "
        "the real-time findings.",
    )
