"""A recording of a cohort is decoded as the command ``replay`` does it, and its row is plain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.cohort.finding import find_recordings
from diverloop.cohort.item import Place
from diverloop.cohort_replaying import COLUMNS, ReplaySettings, replay_item, replay_recipe
from diverloop.hardware.recordings import data_id_of, read_recording
from diverloop.hardware.replay import ReplayConfig
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.errors import SchemaMismatch
from diverloop.runtime.session import PartConfig, SessionConfig

from .modelled import quickly_saved, write_npz

PLACE = Place(folder=Path("nowhere"), key="ab", sha256=("x",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A bundle of 16 electrodes, another of 8, and a recording of the first."""
    folder = tmp_path_factory.mktemp("cohort")
    quickly_saved(folder)
    quickly_saved(folder, "eeg8")
    (folder / "data").mkdir()
    write_npz(folder / "data" / "sub-1_run-1.npz", seconds=20.0)
    return folder


def settings(folder: Path, *montages: str) -> ReplaySettings:
    paths = [folder / f"{name}.bundle" for name in montages]
    return ReplaySettings(
        models=tuple((str(path), load_bundle(path).card.sha256) for path in paths)
    )


def item(folder: Path):
    return find_recordings(folder / "data", (".npz",))[0]


def test_a_row_holds_what_the_command_decides_window_for_window(folder, tmp_path):
    row = replay_item(item(folder), settings(folder, "eeg16"), PLACE)
    source = ReplayConfig(path=item(folder).recordings[0])
    session = SessionConfig(
        name="replay",
        source=PartConfig(kind="replay", settings=source),
        model=folder / "eeg16.bundle",
    )
    options = RunOptions(live=False, armed=True, decisions=tmp_path / "decisions.jsonl")
    report = run_session(session, options)
    digest = hashlib.sha256()
    for record in read_decisions(tmp_path / "decisions.jsonl"):
        record.pop("latency_ms")
        digest.update(json.dumps(record, sort_keys=True).encode() + b"\n")
    assert row["decisions_sha256"] == digest.hexdigest()
    assert row["decoded"] == report.latency.decoded > 50
    assert (row["n"], row["n_correct"]) == (report.score.n, report.score.n_correct)
    assert row["duration_s"] == pytest.approx(20.0)
    assert set(row) <= set(COLUMNS)
    assert row["fitted_on"] is False


def test_of_several_models_the_first_that_takes_the_stream_decodes(folder):
    row = replay_item(item(folder), settings(folder, "eeg8", "eeg16"), PLACE)
    assert row["model_sha256"] == load_bundle(folder / "eeg16.bundle").card.sha256


def test_a_recording_that_no_model_takes_is_refused(folder, tmp_path):
    write_npz(tmp_path / "few.npz", rows=["C3", "C4"])
    few = find_recordings(tmp_path, (".npz",))[0]
    with pytest.raises(SchemaMismatch, match="None of the 2 models"):
        replay_item(few, settings(folder, "eeg8", "eeg16"), PLACE)
    with pytest.raises(SchemaMismatch, match="missing channels"):
        replay_item(few, settings(folder, "eeg16"), PLACE)


def test_what_the_model_was_fitted_on_is_marked(folder):
    learnt = load_bundle(folder / "eeg16.bundle").card.trained_on[0].data_id
    place = Place(folder=folder, key="ab", sha256=(learnt,))
    assert replay_item(item(folder), settings(folder, "eeg16"), place)["fitted_on"] is True


def test_the_recipe_knows_models_by_hash_and_not_by_path(folder):
    recipe = replay_recipe(settings(folder, "eeg16"))
    assert str(folder) not in json.dumps(dict(recipe.identity))
    assert recipe.readers[".edf"] == "mne"


@pytest.mark.parametrize("bids", [True, False], ids=["dataset", "other folder"])
def test_what_was_fitted_on_is_marked_where_a_table_beside_it_gave_the_markers(
    folder, tmp_path, bids
):
    data = tmp_path / "dataset"
    (data / "sub-1" / "eeg").mkdir(parents=True)
    if bids:
        (data / "dataset_description.json").write_text("{}")
    none = {"ev_sample": np.array([], int), "ev_label": np.array([], str)}
    path = write_npz(data / "sub-1" / "eeg" / "sub-1_task-mi_eeg.npz", seconds=20.0, **none)
    table = path.with_name("sub-1_task-mi_events.tsv")
    table.write_text("onset\ttrial_type\n1.0\tleft\n")
    known = load_bundle(folder / "eeg16.bundle")
    part = replace(known.card.trained_on[0], data_id=read_recording(path).data_id)
    save_bundle(
        replace(known, card=replace(known.card, trained_on=(part,))), tmp_path / "eeg16.bundle"
    )
    place = Place(folder=tmp_path, key="ab", sha256=(data_id_of([path]), data_id_of([table])))
    (found,) = find_recordings(data, (".npz",))
    assert replay_item(found, settings(tmp_path, "eeg16"), place)["fitted_on"] is True
    other = replace(place, sha256=(data_id_of([path]), "another table"))
    assert replay_item(found, settings(tmp_path, "eeg16"), other)["fitted_on"] is False
