"""Nothing is computed twice, nothing is lost, a failure stays where it happened."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from diverloop.cohort import engine
from diverloop.cohort.clusters import DEATHS, ClusterConfig, open_client
from diverloop.cohort.engine import needed_bytes, run_cohort
from diverloop.cohort.finding import find_recordings
from diverloop.cohort.outputs import path_of
from diverloop.cohort.table import TABLE, read_table, rows_of, write_table, write_timings

from .working_items import calls, recipe, write_files

distributed = pytest.importorskip("distributed")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def client():
    """Two threads of this process."""
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.fixture
def cohort(tmp_path) -> Path:
    return write_files(tmp_path / "data", a="one", b="two words", c="three")


def ran(client, folder: Path, work, out: Path, **options):
    """A cohort, its table written."""
    done = run_cohort(client, find_recordings(folder, (".npz",)), work, out, **options)
    rows = rows_of(done, work, out)
    write_table(rows, work, out)
    write_timings(done, out)
    return done, {row["name"]: row for row in rows}


def test_every_item_becomes_a_row_in_order_of_names(client, cohort, tmp_path):
    done, rows = ran(client, cohort, recipe(tmp_path), tmp_path / "out")
    assert list(rows) == ["a.npz", "b.npz", "c.npz"]
    assert [row["size"] for row in rows.values()] == [3, 9, 5]
    assert len(done.computed) == 3
    assert read_table(tmp_path / "out" / TABLE)[1]["first"] == "two"


def test_a_second_run_computes_nothing_and_gives_the_same_bytes(client, cohort, tmp_path):
    ran(client, cohort, recipe(tmp_path), tmp_path / "out")
    before = (tmp_path / "out" / TABLE).read_bytes()
    done, _ = ran(client, cohort, recipe(tmp_path), tmp_path / "out")
    assert (done.computed, len(done.reused)) == ((), 3)
    assert len(calls(tmp_path)) == 3
    assert (tmp_path / "out" / TABLE).read_bytes() == before


def test_only_what_is_missing_damaged_or_changed_is_computed_again(client, cohort, tmp_path):
    out = tmp_path / "out"
    done, _ = ran(client, cohort, recipe(tmp_path), out)
    path_of(out, done.keys["a.npz"]).unlink()
    path_of(out, done.keys["b.npz"]).write_bytes(b'{"format": 1, "ke')
    again, _ = ran(client, cohort, recipe(tmp_path), out)
    assert sorted(calls(tmp_path)[3:]) == ["a.npz", "b.npz"]
    assert len(again.reused) == 1
    (cohort / "c.npz").write_text("four", encoding="utf-8")
    _, rows = ran(client, cohort, recipe(tmp_path), out)
    assert calls(tmp_path)[5:] == ["c.npz"]
    assert rows["c.npz"]["first"] == "four"


def test_other_settings_are_other_work(client, cohort, tmp_path):
    ran(client, cohort, recipe(tmp_path), tmp_path / "out")
    done, _ = ran(client, cohort, recipe(tmp_path, step_s=0.2), tmp_path / "out")
    assert len(done.computed) == 3


def test_equal_bytes_under_two_names_are_computed_once_and_stand_in_two_rows(client, tmp_path):
    folder = write_files(tmp_path / "data", a="same", b="same")
    done, rows = ran(client, folder, recipe(tmp_path), tmp_path / "out")
    assert len(done.computed) == len(calls(tmp_path)) == 1
    assert rows["a.npz"]["key"] == rows["b.npz"]["key"]


def test_failures_stay_with_their_recording_and_are_told_in_one_sentence(client, tmp_path):
    folder = write_files(tmp_path / "data", a="one", b="bad", c="foreign")
    _, rows = ran(client, folder, recipe(tmp_path), tmp_path / "out")
    assert [row["state"] for row in rows.values()] == ["done", "failed", "failed"]
    assert rows["b.npz"]["reason"] == "b.npz is bad: record it again."
    assert "ZeroDivisionError: division by zero" in rows["c.npz"]["reason"]
    assert rows["b.npz"]["size"] is None


def test_a_failure_of_ours_is_kept_and_one_of_the_machine_is_tried_again(client, tmp_path):
    folder = write_files(tmp_path / "data", b="bad", c="foreign")
    ran(client, folder, recipe(tmp_path), tmp_path / "out")
    ran(client, folder, recipe(tmp_path), tmp_path / "out")
    assert sorted(calls(tmp_path)) == ["b.npz", "c.npz", "c.npz"]
    ran(client, folder, recipe(tmp_path), tmp_path / "out", retry_failed=True)
    assert calls(tmp_path).count("b.npz") == 2


def test_a_recording_that_changes_while_it_is_read_is_not_kept(client, tmp_path):
    folder = write_files(tmp_path / "data", a="touched")
    done, rows = ran(client, folder, recipe(tmp_path), tmp_path / "out")
    assert "was written to while it was read" in rows["a.npz"]["reason"]
    assert not path_of(tmp_path / "out", done.keys["a.npz"]).exists()


def test_a_recording_that_nobody_may_read_is_told_and_the_others_go_on(client, cohort, tmp_path):
    items = find_recordings(cohort, (".npz",))
    (cohort / "b.npz").unlink()
    work = recipe(tmp_path)
    done = run_cohort(client, items, work, tmp_path / "out")
    rows = {row["name"]: row for row in rows_of(done, work, tmp_path / "out")}
    assert "cannot be read here" in rows["b.npz"]["reason"]
    assert rows["c.npz"]["state"] == "done"


def test_a_task_that_the_scheduler_gave_up_is_told_and_ends_nothing():
    result, error = engine._ended(SimpleNamespace(status="cancelled"))
    assert result is None
    assert engine._reason(error, 0) == "The scheduler gave it up: run again."


def test_an_item_that_needs_more_than_all_have_still_gets_its_turn(client, cohort, tmp_path):
    work, items = recipe(tmp_path), find_recordings(cohort, (".npz",))
    done = run_cohort(client, items, work, tmp_path / "out", needs=lambda item: 1 << 60)
    assert len(done.computed) == 3


def test_a_large_file_is_expected_to_need_more_than_a_small_one(cohort):
    small = find_recordings(cohort, (".npz",))[0]
    (cohort / "a.npz").write_bytes(bytes(1 << 20))
    large = find_recordings(cohort, (".npz",))[0]
    assert needed_bytes(large) > needed_bytes(small) + (1 << 20)


@pytest.mark.long
def test_killed_workers_lose_nothing_and_double_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, _roots())))
    texts = {f"f{place:02d}": f"text {place}" for place in range(12)}
    folder = write_files(tmp_path / "data", **texts, k="deadly", o="once")
    with open_client(ClusterConfig(workers=2)) as client:
        _, rows = ran(client, folder, recipe(tmp_path), tmp_path / "out")
        first = (tmp_path / "out" / TABLE).read_bytes()
        again, _ = ran(client, folder, recipe(tmp_path), tmp_path / "out")
    assert f"ended {DEATHS} workers" in rows["k.npz"]["reason"]
    assert rows["o.npz"]["state"] == "done"
    assert sum(row["state"] == "done" for row in rows.values()) == 13
    assert calls(tmp_path).count("k.npz") == 2 * DEATHS
    assert calls(tmp_path).count("o.npz") == 2
    assert all(calls(tmp_path).count(f"{name}.npz") == 1 for name in texts)
    assert len(again.reused) == 13
    assert (tmp_path / "out" / TABLE).read_bytes() == first


def _roots() -> list[Path]:
    """Where workers find the package, and these tests within it."""
    return [Path(__file__).resolve().parents[3]]
