"""A worker keeps what it computed, refuses other code, and does nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.cohort.finding import find_recordings
from diverloop.cohort.hashing import code_sha256, stamp_of
from diverloop.cohort.item import Place
from diverloop.cohort.outputs import read_output
from diverloop.cohort.working import Task, do

from .working_items import calls, recipe, write_files

pytest.importorskip("distributed")
KEY = "ab" * 32


def task(tmp_path, text: str) -> Task:
    item = find_recordings(write_files(tmp_path / "data", a=text), (".npz",))[0]
    work = recipe(tmp_path)
    return Task(
        item=item,
        recipe=work,
        place=Place(folder=tmp_path / "out", key=KEY),
        stamps={name: stamp_of(name) for name in item.files},
        code=code_sha256(work.code),
    )


def test_what_was_computed_lies_in_the_folder(tmp_path):
    outcome = do(task(tmp_path, "one"))
    assert outcome.failed == ""
    assert outcome.seconds >= 0
    assert read_output(tmp_path / "out", KEY).row == {"size": 3, "first": "one"}


def test_what_is_there_already_is_not_computed_again(tmp_path):
    do(task(tmp_path, "one"))
    outcome = do(task(tmp_path, "one"))
    assert (outcome.seconds, calls(tmp_path)) == (None, ["a.npz"])


def test_a_failure_that_was_kept_is_tried_anew_only_if_somebody_asks(tmp_path):
    work = task(tmp_path, "bad")
    assert do(work).lasting
    assert do(work).failed == "a.npz is bad: record it again."
    assert len(calls(tmp_path)) == 1
    do(replace(work, anew=True))
    assert len(calls(tmp_path)) == 2


def test_a_worker_with_other_code_does_nothing(tmp_path):
    outcome = do(replace(task(tmp_path, "one"), code="other"))
    assert "another version of diverloop" in outcome.failed
    assert not outcome.lasting
    assert calls(tmp_path) == []


def test_a_folder_that_takes_nothing_is_told_and_not_kept(tmp_path):
    (tmp_path / "out").write_text("a file")
    outcome = do(task(tmp_path, "one"))
    assert "cannot be written" in outcome.failed
    assert not outcome.lasting
