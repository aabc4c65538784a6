"""The table: equal rows give equal bytes; times are kept apart, over several runs."""

from __future__ import annotations

import pytest

from diverloop.cohort.engine import Ran
from diverloop.cohort.item import Item
from diverloop.cohort.outputs import Output, write_output
from diverloop.cohort.table import TABLE, read_table, rows_of, write_table, write_timings
from diverloop.cohort.working import Outcome
from diverloop.runtime.errors import RecordingError

from .working_items import recipe

pytest.importorskip("pyarrow")

ITEMS = (Item(name="a", subject="01"), Item(name="b"), Item(name="c"))
KEYS = {"a": "1" * 64, "b": "2" * 64}


def ran(*outcomes: Outcome) -> Ran:
    return Ran(
        items=ITEMS,
        keys=KEYS,
        data={"a": "x", "b": "y"},
        computed=(),
        reused=(),
        unfinished={"c": "It could not be read."},
        outcomes=outcomes,
    )


@pytest.fixture
def folder(tmp_path):
    write_output(tmp_path, Output(key=KEYS["a"], row={"size": 4, "first": "w", "beside": [1]}))
    write_output(tmp_path, Output(key=KEYS["b"], failed="It is bad."))
    return tmp_path


def test_rows_say_whose_they_are_what_came_of_it_and_why_not(folder):
    work = recipe(folder)
    first, second, third = rows_of(ran(), work, folder)
    assert (first["subject"], first["state"], first["size"]) == ("01", "done", 4)
    assert "beside" not in first
    assert (second["state"], second["reason"], second["size"]) == ("failed", "It is bad.", None)
    assert (third["reason"], third["key"]) == ("It could not be read.", "")


def test_an_output_that_vanished_is_a_failure_and_not_a_hole(folder, tmp_path):
    rows = rows_of(ran(), recipe(folder), tmp_path / "elsewhere")
    assert rows[0]["reason"] == "Its output was lost: run again."


def test_equal_rows_make_equal_bytes(folder):
    work = recipe(folder)
    write_table(rows_of(ran(), work, folder), work, folder)
    first = (folder / TABLE).read_bytes()
    write_table(rows_of(ran(), work, folder), work, folder)
    assert (folder / TABLE).read_bytes() == first
    assert [row["name"] for row in read_table(folder / TABLE)] == ["a", "b", "c"]


def test_times_are_those_of_the_run_that_computed(folder):
    write_timings(ran(Outcome(key=KEYS["a"], seconds=1.5, worker="w1")), folder)
    path = write_timings(
        ran(Outcome(key=KEYS["a"], worker="w2"), Outcome(key=KEYS["b"], seconds=2.0)), folder
    )
    assert [(row["name"], row["seconds"]) for row in read_table(path)] == [("a", 1.5), ("b", 2.0)]


def test_a_table_that_is_damaged_is_told_in_one_sentence(tmp_path):
    (tmp_path / TABLE).write_bytes(b"PAR1 nonsense")
    with pytest.raises(RecordingError, match="no result is lost"):
        read_table(tmp_path / TABLE)
