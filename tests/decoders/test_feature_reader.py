"""A reader gives what the model gives, without gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.decoders.corpus_files import CorpusEntry
from diverloop.runtime.errors import ConfigError

torch = pytest.importorskip("torch")

from diverloop.decoders.feature_reader import FeatureReader
from diverloop.decoders.shipped import open_student
from diverloop.decoders.teacher import Teacher, TeacherConfig

ENTRY = CorpusEntry(
    name="x",
    data_id="x",
    licence="x",
    modality="EEG",
    channel_names=("C3", "C4"),
    positions_mm=((-60.0, 0.0, 60.0), (math.nan,) * 3),
    subtypes=(-1, -1),
)
SIGNAL = np.random.default_rng(0).normal(0, 10, (2, 1000)).astype(np.float32)


def test_a_teacher_gives_features_by_channel_and_patch():
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig(width=32, n_layers=1))
    found = FeatureReader(teacher).read(ENTRY, SIGNAL)
    positions = torch.tensor(ENTRY.positions_mm)[None]
    known = teacher(torch.from_numpy(SIGNAL)[None], positions)[0]
    assert found.shape == (2, 2, 32)
    np.testing.assert_allclose(found, known.detach().numpy(), atol=1e-5)


def test_a_student_gives_latents_by_hop():
    found = FeatureReader(open_student("eeg-s")[0]).read(ENTRY, SIGNAL)
    assert found.ndim == 2
    assert np.isfinite(found).all()


def test_a_length_of_no_whole_patches_is_refused():
    reader = FeatureReader(Teacher(TeacherConfig(width=32, n_layers=1)))
    with pytest.raises(ConfigError):
        reader.read(ENTRY, SIGNAL[:, :700])
