"""What a student makes of a recording is kept in shards, the same each time."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import safetensors.numpy

from diverloop import cohort_features
from diverloop.cohort.finding import find_recordings
from diverloop.cohort.item import Place
from diverloop.cohort_features import COLUMNS, FeatureSettings, features_of, features_recipe
from diverloop.decoders.shipped import find_student
from diverloop.runtime.errors import ConfigError, RecordingError

from .modelled import write_npz

torch = pytest.importorskip("torch")
PATH, SHA256 = find_student("eeg-s")


def settings(**changes) -> FeatureSettings:
    asked = {"kind": "student", "model": str(PATH), "sha256": SHA256, "segment_s": 4.0}
    return FeatureSettings(**(asked | changes))


@pytest.fixture(scope="module")
def item(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_npz(folder / "a.npz", seconds=24.0)
    return find_recordings(folder, (".npz",))[0]


def test_features_lie_in_shards_and_the_row_names_them(item, tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_features, "_SHARD_BYTES", 1)  # a shard a segment
    row = features_of(item, settings(), Place(folder=tmp_path, key="ab"))
    shards = sorted((tmp_path / row["features"]).iterdir())
    assert len(shards) == row["n_shards"] == row["n_segments"] > 2
    digest = hashlib.sha256()
    for shard in shards:
        arrays = safetensors.numpy.load_file(shard)
        assert arrays["features"].dtype == np.float32
        assert np.isfinite(arrays["features"]).all()
        digest.update(arrays["features"].tobytes())
    assert digest.hexdigest() == row["features_sha256"]
    assert set(row) == set(COLUMNS)
    again = features_of(item, settings(), Place(folder=tmp_path, key="cd"))
    assert again["features_sha256"] == row["features_sha256"]


def test_half_precision_takes_half_the_room(item, tmp_path):
    row = features_of(item, settings(half=True), Place(folder=tmp_path, key="ab"))
    arrays = safetensors.numpy.load_file(tmp_path / row["features"] / "00000.safetensors")
    assert arrays["features"].dtype == np.float16


def test_a_teacher_gives_features_for_each_channel_and_patch(item, tmp_path):
    from diverloop.decoders.teacher import Teacher, TeacherConfig
    from diverloop.decoders.teacher_files import save_teacher

    torch.manual_seed(0)
    path = tmp_path / "teacher.safetensors"
    sha256 = save_teacher(Teacher(TeacherConfig(width=32, n_layers=1, patch=500)), path, {})
    asked = settings(kind="teacher", model=str(path), sha256=sha256)
    row = features_of(item, asked, Place(folder=tmp_path, key="ab"))
    assert row["shape"] == "16x4x32"


def test_segments_longer_than_the_recording_leave_nothing(item, tmp_path):
    with pytest.raises(RecordingError, match="choose shorter segments"):
        features_of(item, settings(segment_s=40.0), Place(folder=tmp_path, key="ab"))
    assert list((tmp_path / "features").iterdir()) == []


def test_another_file_than_was_asked_for_is_refused(item, tmp_path):
    with pytest.raises(ConfigError, match="another file here"):
        features_of(item, settings(sha256="0" * 64), Place(folder=tmp_path, key="ab"))


def test_lengths_that_no_model_reads_are_refused():
    with pytest.raises(ConfigError, match=r"0\.1 to 60 s"):
        settings(segment_s=100.0)
    assert features_recipe(settings()).identity["model"] == ["student", SHA256]
