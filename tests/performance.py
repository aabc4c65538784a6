"""The performance page: benchmarks run one after the other, their figures, and nothing by hand.

    python tests/performance.py                  run every benchmark, write docs/performance.md
    python tests/performance.py --only loop      run one of them; the others stay as they were
    python tests/performance.py --page           write the page from the figures that are there

What is run, and which of its figures are shown, stands in ``tests/performance.toml``. Figures are
kept in ``tests/performance_figures.json`` with the day, the machine and what else it was doing;
all that a benchmark said is left in ``build/performance``. It takes most of an hour, and wants a
machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "performance.toml"
FIGURES = ROOT / "tests" / "performance_figures.json"
PAGE = ROOT / "docs" / "performance.md"
WHOLE = ROOT / "build" / "performance"

HEAD = """\
# Performance

Investigational, not a medical device. This page is written by `python tests/performance.py`, which
runs the benchmarks named here one after the other; no figure is put in by hand. Each was measured
on one machine on one day: compare figures of one table, and medians before tails. Beside other
runtimes, over longer runs and with what was learnt from them: [](benchmarks.md).
"""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a benchmark.

    Parameters
    ----------
    what, unit : str
        As the page shows them.
    at : str
        Where it stands in the JSON: names and places, divided by slashes.
    times : float
        What it is multiplied by.
    """

    what: str
    at: str
    unit: str
    times: float = 1.0

    def read(self, told: Any) -> float:
        """Its value in what the benchmark printed."""
        for step in self.at.split("/"):
            told = told[int(step)] if isinstance(told, list) else told[step]
        return float(told) * self.times


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A benchmark: what is run, and what is shown of it."""

    id: str
    title: str
    command: str
    about: str
    figures: tuple[Figure, ...]


def read_list(path: Path = LIST) -> list[Bench]:
    """Every benchmark of the page, in its order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["bench"]
    return [
        Bench(**{**table, "figures": tuple(Figure(**row) for row in table["figures"])})
        for table in tables
    ]


def measure(bench: Bench) -> dict[str, Any]:
    """Run it; its figures, and under which circumstances."""
    load, began_s = os.getloadavg()[0], time.monotonic()
    # Started as a script, as its command says: beside the package, never from inside it.
    said = subprocess.run(
        [sys.executable, *shlex.split(bench.command)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        env={"OMP_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen", **os.environ},
    )  # fmt: skip
    WHOLE.mkdir(parents=True, exist_ok=True)
    (WHOLE / f"{bench.id}.json").write_text(said.stdout, encoding="utf-8")
    told = json.loads(said.stdout)
    return {
        "when": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}",
        "load_before": round(load, 2),
        "took_s": round(time.monotonic() - began_s),
        "values": {figure.what: figure.read(told) for figure in bench.figures},
    }


def in_words(value: float) -> str:
    """Three digits, which is more than any of it is worth."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def section(bench: Bench, found: Mapping[str, Any] | None) -> str:
    """One benchmark of the page."""
    lines = [f"## {bench.title}", "", bench.about, "", "<!-- not run: takes minutes -->", ""]
    lines += ["```console", f"$ python {bench.command}", "```", ""]
    if found is None:
        return "\n".join([*lines, "Not measured yet.", ""])
    lines += ["| | |", "| --- | --- |"]
    lines += [
        f"| {figure.what} | {in_words(found['values'][figure.what])} {figure.unit} |"
        for figure in bench.figures
    ]
    circumstances = (
        f"{found['when']}, {found['machine']}; {found['took_s']} s, load of the machine before: "
        f"{found['load_before']}."
    )
    return "\n".join([*lines, "", circumstances, ""])


def page(benches: Sequence[Bench], figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(bench, figures.get(bench.id)) for bench in benches)])


def main() -> int:
    """Run what was asked for and write the page."""
    benches = read_list()
    names = [bench.id for bench in benches]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--page", action="store_true", help="write the page, run nothing")
    chosen = parser.parse_args()
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for bench in benches:
        if bench.id in chosen.only and not chosen.page:
            print(f"performance: {bench.command}", flush=True)
            figures[bench.id] = measure(bench)
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(benches, figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
