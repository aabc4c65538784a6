"""What a data set says of itself, and how files are moved into it."""

from __future__ import annotations

import json

import pytest

from diverloop.runtime.record.bids_dataset import (
    NOTICE,
    describe_dataset,
    describe_decisions,
    move_in,
    write_json,
    write_text,
)


def test_the_data_set_names_its_generator_and_is_no_medical_device(tmp_path):
    pytest.importorskip("mne_bids")
    describe_dataset(tmp_path, "A study", "CC0", ("A. Author",))
    content = json.loads((tmp_path / "dataset_description.json").read_text())
    assert content["GeneratedBy"][0]["Name"] == "diverloop"
    assert content["DatasetType"] == "raw"
    assert content["Authors"] == ["A. Author"]
    assert NOTICE in (tmp_path / "README").read_text()


def test_the_derivative_names_the_model_that_decided(tmp_path):
    describe_decisions(tmp_path, "ab" * 32)
    content = json.loads((tmp_path / "dataset_description.json").read_text())
    assert content["DatasetType"] == "derivative"
    assert "ab" * 32 in content["GeneratedBy"][0]["Description"]


def test_moving_in_merges_tables_adds_generators_and_keeps_a_readme(tmp_path):
    root = tmp_path / "root"
    for name in ("a", "b"):
        made = tmp_path / name
        made.mkdir()
        write_text(made / "participants.tsv", f"participant_id\tage\nsub-{name}\tn/a\n")
        write_text(made / "README", name)
        write_json(made / "dataset_description.json", {"GeneratedBy": [{"Name": name}]})
        move_in(made, root)
    assert (root / "participants.tsv").read_text().split() == [
        "participant_id", "age", "sub-a", "n/a", "sub-b", "n/a",
    ]  # fmt: skip
    assert (root / "README").read_text() == "a"
    content = json.loads((root / "dataset_description.json").read_text())
    assert [entry["Name"] for entry in content["GeneratedBy"]] == ["a", "b"]


def test_moving_in_lists_what_is_new_or_changed(tmp_path):
    made = tmp_path / "made" / "sub-x"
    made.mkdir(parents=True)
    write_text(made / "x.tsv", "a\n")
    assert move_in(tmp_path / "made", tmp_path / "root") == (tmp_path / "root" / "sub-x" / "x.tsv",)
