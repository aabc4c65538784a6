"""The safety case names tests that exist, and the page is what the claims say."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.safety_case import (
    FIGURES,
    PAGE,
    ROOT,
    Row,
    page,
    read_case,
    read_results,
    text_of,
    wrong,
)

ROWS = read_case()
REQUIREMENTS = {f"SR{n}" for n in range(1, 10)} | {f"LR{n}" for n in range(1, 8)}


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_every_test_that_a_hazard_names_exists(row):
    assert row.tests or row.open
    for test in row.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in names, f"{row.id} names {test}, which is not there"


def test_every_requirement_of_safety_and_record_is_spoken_of():
    spoken = set(re.findall(r"[SLPA]R\d+", " ".join(row.requirement for row in ROWS)))
    assert spoken >= REQUIREMENTS


def test_no_two_hazards_have_one_number():
    assert [n for n, count in Counter(row.id for row in ROWS).items() if count > 1] == []


def test_the_page_is_what_the_claims_say_but_for_the_results():
    def claims(text):
        return re.sub(r"(\*\*result\*\*: ).*", r"\1", text)

    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    again = page(ROWS, {}, figures)
    assert claims(PAGE.read_text(encoding="utf-8")) == claims(again), (
        "run python tests/safety_case.py"
    )


def test_a_run_in_which_a_named_test_failed_or_is_missing_does_not_bear_the_case_out(tmp_path):
    record = tmp_path / "run.xml"
    record.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.test_a" name="test_x[1]"/>'
        '<testcase classname="tests.test_a" name="test_x[2]"><failure/></testcase>'
        '<testcase classname="tests.test_b" name="test_y"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    results = read_results(record)
    blank = {"hazard": "", "cause": "", "control": "", "requirement": ""}
    rows = [
        Row(id="H1", tests=("tests/test_a.py::test_x",), **blank),
        Row(id="H2", tests=("tests/test_b.py",), **blank),
        Row(id="H3", tests=("tests/test_c.py",), **blank),
    ]
    assert wrong(rows, results) == ["H1: 1 failed, 1 passed", "H3: 1 missing, 0 passed"]
    assert text_of(results["tests/test_b.py"]) == "1 skipped, 0 passed"
    assert Path(record).exists()


def test_a_test_that_ran_once_more_counts_as_it_ended_then(tmp_path):
    first, again = tmp_path / "first.xml", tmp_path / "again.xml"
    first.write_text(
        '<testsuite><testcase classname="tests.test_a" name="test_x"><failure/></testcase>'
        '<testcase classname="tests.test_a" name="test_y"/></testsuite>'
    )
    again.write_text('<testsuite><testcase classname="tests.test_a" name="test_x"/></testsuite>')
    assert read_results(first)["tests/test_a.py"] == Counter(passed=1, failed=1)
    assert read_results(first, again)["tests/test_a.py"] == Counter(passed=2)
