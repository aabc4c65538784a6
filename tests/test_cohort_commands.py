"""The commands of cohorts: everything is told before workers start, and a page is left behind."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from diverloop import cohort_studying
from diverloop.cli import app
from diverloop.cohort import clusters
from diverloop.studying import Done

from .modelled import quickly_saved, write_npz

distributed = pytest.importorskip("distributed")
pytest.importorskip("pyarrow")


def call(*arguments: object):
    return CliRunner().invoke(app, ["cohort", *map(str, arguments)])


def told(*arguments: object):
    found = call(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def refused(*arguments: object) -> str:
    found = call(*arguments, "--json")
    assert found.exit_code == 2, found.output
    return json.loads(found.stdout)["message"]


@pytest.fixture(scope="module")
def client():
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.fixture
def here(client, monkeypatch):
    """Work is done in this process."""

    @contextmanager
    def opened(config, largest_bytes=0):
        yield client

    monkeypatch.setattr(clusters, "open_client", opened)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    quickly_saved(folder)
    (folder / "data").mkdir()
    write_npz(folder / "data" / "sub-1_run-1.npz", seconds=15.0)
    (folder / "data" / "sub-1_run-2.npz").write_bytes(b"no recording")
    return folder


def test_a_folder_is_replayed_once_and_a_page_is_left(folder, tmp_path, here):
    arguments = ("replay", folder / "data", "--model", folder / "eeg16.bundle", "--out", tmp_path)
    first = told(*arguments)
    assert (first["done"], first["failed"], first["computed"]) == (1, 1, 2)
    assert list(first["failures"]) == ["sub-1_run-2.npz"]
    second = told(*arguments)
    assert (second["computed"], second["reused"]) == (0, 2)
    plain = call(*arguments)
    assert "2 in the cohort: 1 done, 1 failed; 0 computed now, 2 reused." in plain.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert {"results.parquet", "timings.parquet"} <= names
    assert {"summary.html", "summary.md", "summary.json"} <= names


def test_a_study_is_a_cohort_too(tmp_path, here, monkeypatch):
    monkeypatch.setattr(cohort_studying, "do", lambda job: Done(job=job))
    found = told(
        "study", "--part", "simulated", "--drift", "none", "--people", 2, "--trials", 30,
        "--out", tmp_path,
    )  # fmt: skip
    assert found["done"] == 2
    assert (tmp_path / "adaptation.md").is_file()


def test_what_cannot_be_done_is_told_before_workers_start(folder, tmp_path):
    data, out = folder / "data", tmp_path / "out"
    model = ("--model", folder / "eeg16.bundle")
    assert "no folder" in refused("replay", tmp_path / "x", *model, "--out", out)
    assert "tcp://" in refused("replay", data, *model, "--out", out, "--scheduler", "x")
    assert "SLURM" in refused("replay", data, *model, "--out", out, "--slurm", "cpu")
    assert "two labels" in refused("fit", data, "--classes", "left", "--out", out)
    assert "telepathy" in refused("fit", data, "--task", "telepathy", "--out", out)
    assert "storm" in refused("study", "--part", "simulated", "--drift", "storm", "--out", out)


def test_features_need_one_model(folder, tmp_path):
    words = refused("features", folder / "data", "--out", tmp_path)
    assert "either a teacher or a student" in words
