"""Commands that make models, from a recipe to a decoded recording, and how they say no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="these commands need torch")

from .modelled import write_npz
from .test_cli import call, refused, told

RECIPE = """
[[recordings]]
name = "made here"
licence = "CC0-1.0"
modality = "EEG"
line_hz = 50
files = ["one.npz", "two.npz"]
"""
SMALL = ("--batch", 1, "--steps", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A recipe, and the two recordings it names."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "recipe.toml").write_text(RECIPE)
    write_npz(folder / "one.npz", seconds=20.0)
    write_npz(folder / "two.npz", seconds=30.0)
    return folder


@pytest.fixture(scope="module")
def corpus(folder) -> Path:
    made = told("corpus", folder / "recipe.toml", "--out", folder / "corpus", "--data", folder)
    assert len(made["entries"]) == 2
    return folder / "corpus"


@pytest.fixture(scope="module")
def teacher(folder, corpus) -> Path:
    sizes = ("--max-channels", 2, "--max-patches", 2)
    return Path(told("pretrain", corpus, "--out", folder / "teaching", *SMALL, *sizes)["teacher"])


@pytest.fixture(scope="module")
def student(folder, corpus, teacher) -> Path:
    sizes = ("--max-channels", 2, "--max-seconds", 2)
    made = told(
        "distill", corpus, "--teacher", teacher, "--out", folder / "learning", *SMALL, *sizes
    )
    return Path(made["student"])


def test_a_finished_run_is_not_done_again(folder, corpus, teacher):
    before = teacher.read_bytes()
    sizes = ("--max-channels", 2, "--max-patches", 2)
    again = told("pretrain", corpus, "--out", folder / "teaching", *SMALL, *sizes)
    assert Path(again["teacher"]).read_bytes() == before


def test_a_run_with_other_settings_is_refused_in_the_same_folder(folder, corpus, teacher):
    error = refused("pretrain", corpus, "--out", folder / "teaching", "--batch", 2, "--steps", 2)
    assert "teaching" in error["message"]


def test_a_student_says_what_it_is_made_of(student, folder):
    card = told("student", student)
    assert card["config"]["width"] == 128
    assert {row["licence"] for row in card["note"]["corpus"]["recordings"]} == {"CC0-1.0"}
    assert "medical device" in card["notice"]
    assert "CC0-1.0" in call("student", student).stdout


def test_a_student_becomes_a_model_that_decodes(student, folder):
    bundle = folder / "model.bundle"
    write_npz(folder / "labelled.npz", seconds=60.0)
    made = told(
        "fit", folder / "labelled.npz", "--classes", "left,right", "--out", bundle,
        "--encoder", "student", "--student", student,
    )  # fmt: skip
    assert made["scores"]["cross_validation"]["n"] > 0
    card = json.loads((bundle / "card.json").read_text())
    assert card["encoder"] == "student"
    assert card["conditioning"]["rate_hz"] == 500
    reports = ("--reports", folder / "reports")
    run = told("replay", folder / "one.npz", "--model", bundle, *reports)
    assert run["counts"]["decoded"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pretrain", "{f}/none", "--out", "{f}/x"), "corpus"),
        (("pretrain", "{f}/corpus", "--out", "{f}/x", "--size", "gigantic"), "gigantic"),
        (("pretrain", "{f}/corpus", "--out", "{f}/x", "--patch-s", 0.3), "patch"),
        (("pretrain", "{f}/corpus", "--out", "{f}/x", "--modality", "MEG"), "MEG"),
        (("pretrain", "{f}/corpus", "--out", "{f}/x", "--global-batch", 12), "multiple of --batch"),
        (("distill", "{f}/corpus", "--out", "{f}/x", "--teacher", "{f}/one.npz"), "one.npz"),
        (("distill", "{f}/corpus", "--out", "{f}/x", "--teacher", "{f}/none.pt"), "none.pt"),
        (("student", "nobody"), "no student and no file"),
        (("fetch-teacher", "diver-9"), "diver-9"),
        (("corpus", "{f}/none.toml", "--out", "{f}/y", "--data", "{f}"), "none.toml"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(arguments, said, folder, corpus):
    filled = [str(argument).format(f=folder) for argument in arguments]
    assert said in refused(*filled)["message"]


def test_a_recipe_needs_to_know_where_its_recordings_are(folder, monkeypatch):
    monkeypatch.delenv("DIVERLOOP_DATA", raising=False)
    error = refused("corpus", folder / "recipe.toml", "--out", folder / "z")
    assert "--data" in error["message"]


def test_several_processes_do_not_build_a_corpus_at_a_time(folder, monkeypatch: Any):
    monkeypatch.setenv("WORLD_SIZE", "2")
    error = refused("pretrain", folder / "recipe.toml", "--out", folder / "x", "--data", folder)
    assert "diverloop corpus" in error["message"]
