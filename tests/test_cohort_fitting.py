"""A model for each recording or subject, kept beside the table, with held-out scores."""

from __future__ import annotations

import pytest

from diverloop.cohort.finding import by_subject, find_recordings
from diverloop.cohort.item import Place
from diverloop.cohort_fitting import COLUMNS, FitSettings, fit_item, fit_recipe, sources_of
from diverloop.runtime.bundle import load_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import DiverloopError, UnknownName

from .modelled import write_npz

SETTINGS = FitSettings(encoder="csp", classes=("left", "right"), start_s=0.75, stop_s=4.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recording with some trials."""
    folder = tmp_path_factory.mktemp("fits")
    write_npz(folder / "sub-1_run-1.npz", seconds=50.0)
    return folder


def test_a_fit_keeps_its_model_and_tells_what_it_had_not_seen(folder, tmp_path):
    pytest.importorskip("sklearn")
    item = find_recordings(folder, (".npz",))[0]
    row = fit_item(item, SETTINGS, Place(folder=tmp_path, key="ab"))
    bundle = load_bundle(tmp_path / row["model"])
    assert row["weights_sha256"] == bundle.card.weights_sha256
    assert set(row) == set(COLUMNS)
    assert row["low"] <= row["score"] <= row["high"]
    assert row["n_correct"] == round(row["score"] * row["n"])
    assert fit_item(item, SETTINGS, Place(folder=tmp_path, key="ab")) == row
    assert load_bundle(tmp_path / row["model"]).card == bundle.card  # the first is left alone
    assert not [one for one in (tmp_path / "models").iterdir() if one.name.startswith(".")]


def test_a_recording_without_trials_leaves_no_model(tmp_path):
    write_npz(tmp_path / "a.npz", seconds=6.0, ev_label=[], ev_sample=[], ev_code=[])
    item = find_recordings(tmp_path, (".npz",))[0]
    with pytest.raises(DiverloopError):
        fit_item(item, SETTINGS, Place(folder=tmp_path / "out", key="ab"))
    assert not (tmp_path / "out").exists()


def test_sources_carry_the_events_that_stand_beside_them(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    write_npz(tmp_path / "sub-1_task-mi_eeg.npz", seconds=6.0)
    (tmp_path / "sub-1_task-mi_events.tsv").write_text("onset\ttrial_type\n1\tup\n")
    items = find_recordings(tmp_path, (".npz",))
    for item in (items[0], by_subject(items)[0]):
        source = sources_of(item, None)[0].make(VirtualClock())
        assert [marker.label for marker in source.recording.markers] == ["up"]


def test_a_way_that_is_not_there_is_refused_before_anything_starts():
    with pytest.raises(UnknownName):
        FitSettings(task="telepathy").plans()
    assert fit_recipe(SETTINGS).leaves == ("models/{key}.bundle",)
