"""The safety case: hazard, cause, control, requirement, test, result; made from a run of the tests.

    python tests/safety_case.py                  run the named tests, write docs/safety-case.md
    python tests/safety_case.py --junit F.xml    the same from the record of a run that has been
    python tests/safety_case.py --check F.xml    say whether that run bears the case out, and end
                                                 with 1 if a named test failed, or was not run

What is claimed stands in ``tests/safety_case.toml``, and nowhere else: the page is never edited by
hand. A row without a test says so, as a row whose test was skipped does. Figures of programs that
take minutes are read from ``tests/safety_figures.json``, with the date and the machine on which
they were measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
CASE = ROOT / "tests" / "safety_case.toml"
FIGURES = ROOT / "tests" / "safety_figures.json"
PAGE = ROOT / "docs" / "safety-case.md"

HEAD = """\
# The safety case

Investigational, not a medical device. This page is written by `python tests/safety_case.py` from
what is claimed (`tests/safety_case.toml`), a run of the tests that bear it out, and figures that
were measured by programs (`tests/safety_figures.json`). It says what was tested, not that nothing
else can go wrong; the hazards of a device, of stimulation hardware and of a protocol are not in it.

The gate checks in every run that each named test exists and passes.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A hazard and what is done about it.

    Parameters
    ----------
    id, hazard, cause, control, requirement : str
        As the page shows them.
    tests : tuple of str
        Test files, or ``file::name`` of one test.
    figures : tuple of str
        Keys in the file of figures.
    open : str
        What is not shown yet; empty if nothing is known to be missing.
    """

    id: str
    hazard: str
    cause: str
    control: str
    requirement: str
    tests: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    open: str = ""


def read_case(path: Path = CASE) -> list[Row]:
    """What is claimed, in order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["row"]
    return [
        Row(**{key: tuple(value) if isinstance(value, list) else value for key, value in t.items()})
        for t in tables
    ]


def read_results(*records: Path) -> dict[str, Counter[str]]:
    """How often each test passed, failed or was skipped, by file and by ``file::name``.

    A test that a later record holds once more counts as that one says.
    """
    last: dict[tuple[str, str], str] = {}
    for record in records:
        for case in ElementTree.parse(record).iter("testcase"):
            file = case.get("classname", "").replace(".", "/") + ".py"
            last[file, case.get("name", "")] = outcome_of(case)
    found: dict[str, Counter[str]] = {}
    for (file, name), outcome in last.items():
        for key in (file, f"{file}::{name.partition('[')[0]}"):
            found.setdefault(key, Counter())[outcome] += 1
    return found


def outcome_of(case: ElementTree.Element) -> str:
    """What became of one test of a record."""
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def result_of(row: Row, results: Mapping[str, Counter[str]]) -> Counter[str]:
    """Outcomes of a row's tests; ``missing`` counts those that the run did not hold."""
    total: Counter[str] = Counter()
    for test in row.tests:
        total += results.get(test, Counter(missing=1))
    return total


def text_of(outcomes: Counter[str]) -> str:
    """Outcomes in words."""
    if not outcomes:
        return "no test"
    bad = [
        f"{outcomes[kind]} {kind}" for kind in ("failed", "missing", "skipped") if outcomes[kind]
    ]
    return ", ".join([*bad, f"{outcomes['passed']} passed"])


def page(rows: Iterable[Row], results: Mapping[str, Counter[str]], figures: Mapping) -> str:
    """The whole page."""
    parts = [HEAD]
    for row in rows:
        tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in row.tests) or "none"
        measured = [
            f"- **measured**: {figures[key]['text']} ({figures[key]['when']})"
            for key in row.figures
        ]
        parts.append(
            "\n".join(
                [
                    f"## {row.id}: {row.hazard}",
                    "",
                    f"- **cause**: {row.cause}",
                    f"- **control**: {row.control}",
                    f"- **requirement**: {row.requirement}",
                    f"- **tests**: {tests}",
                    f"- **result**: {text_of(result_of(row, results))}",
                    *measured,
                    *([f"- **open**: {row.open}"] if row.open else []),
                    "",
                ]
            )
        )
    return "\n".join(parts)


def run(rows: Iterable[Row], junit: Path) -> None:
    """Run every named test once."""
    wanted = sorted({test for row in rows for test in row.tests})
    whole = {test for test in wanted if "::" not in test}
    wanted = [t for t in wanted if t in whole or t.partition("::")[0] not in whole]
    command = [
        sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile",
        f"--junitxml={junit}", *wanted,
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=False)


def wrong(rows: Iterable[Row], results: Mapping[str, Counter[str]]) -> list[str]:
    """Rows that a run does not bear out."""
    return [
        f"{row.id}: {text_of(outcomes)}"
        for row in rows
        if (outcomes := result_of(row, results))["failed"] or outcomes["missing"]
    ]


def main() -> int:
    """Write the page, or check a run against it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--junit", type=Path, nargs="+")
    parser.add_argument("--check", type=Path, nargs="+")
    chosen = parser.parse_args()
    rows = read_case()
    records = chosen.check or chosen.junit
    with tempfile.TemporaryDirectory() as folder:
        if not records:
            records = [Path(folder) / "tests.xml"]
            run(rows, records[0])
        results = read_results(*records)
    if faults := wrong(rows, results):
        print("The safety case is not borne out:", *faults, sep="\n  ", file=sys.stderr)
        return 1
    if not chosen.check:
        figures = json.loads(FIGURES.read_text(encoding="utf-8"))
        PAGE.write_text(page(rows, results, figures), encoding="utf-8")
    print(f"safety case: {len(rows)} hazards, all of their tests passed or say why not")
    return 0


if __name__ == "__main__":
    sys.exit(main())
