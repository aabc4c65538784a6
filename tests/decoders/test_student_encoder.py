"""A student as the loop's encoder: one window, one embedding, whatever electrodes are masked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.shipped import find_student, open_student
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_encoder import (
    StudentEncoder,
    StudentEncoderConfig,
)
from diverloop.decoders.student_files import save_student
from diverloop.runtime.bundle import join_parts
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window

ROWS = tuple(Channel(name=f"E{i}", position_m=(0.01 * i, 0.0, 0.09)) for i in range(5))
SPEC = StreamSpec(name="test", rate_hz=500.0, channels=(*ROWS, Channel(name="unknown")))
N_TIMES = 230  # four hops and a rest


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    torch.manual_seed(3)
    student = Student(StudentConfig(width=32, n_layers=1, n_latents=2, context=6))
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    save_student(student, path, {"made_by": "a test"})
    return path


@pytest.fixture
def encoder(path):
    config = StudentEncoderConfig.for_stream(SPEC, str(path))
    return StudentEncoder.fit(noise(9, 6, N_TIMES), None, config)


def window(samples: np.ndarray, usable: np.ndarray | None = None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def noise(*shape: int) -> np.ndarray:
    return 20 * np.random.default_rng(1).standard_normal(shape)


def test_it_keeps_every_clause_of_an_encoder(encoder):
    check_encoder(encoder, SPEC, N_TIMES)


def test_it_says_what_the_student_says(encoder, path):
    student, _ = open_student(str(path))
    samples = noise(6, N_TIMES)
    encoder.open(SPEC, N_TIMES)
    positions = [[10.0 * i, 0.0, 90.0] for i in range(5)] + [[np.nan] * 3]
    with torch.no_grad():
        heard = student(
            torch.tensor(samples[None, :, 30:], dtype=torch.float32),
            positions=torch.tensor([positions]),
            modality=torch.tensor([0]),
        )
    expected = heard.embedding.mean(1)[0].numpy()
    np.testing.assert_allclose(encoder.encode(window(samples)).values, expected, atol=1e-5)


def test_many_windows_are_encoded_as_one_is(encoder):
    windows = noise(21, 6, N_TIMES)
    windows[7, 2, 5] = np.nan
    many = encoder.encode_many(windows)
    encoder.open(SPEC, N_TIMES)
    for features, samples in zip(many, windows, strict=True):
        np.testing.assert_allclose(features, encoder.encode(window(samples)).values, atol=1e-5)
    assert np.isnan(many[7]).all()


def test_masked_rows_lower_the_quality_and_nothing_else_of_them_is_seen(encoder):
    encoder.open(SPEC, N_TIMES)
    usable = np.array([True, True, False, True, True, True])
    embedding = encoder.encode(window(noise(6, N_TIMES), usable))
    assert embedding.quality == pytest.approx(5 / 6)
    usual = encoder.encode_many(noise(9, 6, N_TIMES)).mean(axis=0)
    n = 24  # readings of a row
    rows = slice(len(usual) - 4 * n, len(usual) - 3 * n)
    np.testing.assert_allclose(embedding.values[rows], usual[rows], atol=1e-5)
    none = encoder.encode(window(noise(6, N_TIMES), np.zeros(6, bool)))
    assert none.quality == 0
    assert np.isnan(none.values).all()


def test_a_bundle_holds_all_of_it(encoder):
    arrays = join_parts(encoder=encoder.to_arrays())
    part = {name.removeprefix("encoder."): array for name, array in arrays.items()}
    again = StudentEncoder.from_arrays(encoder.config, part)
    samples = noise(6, N_TIMES)
    values = []
    for one in (encoder, again):
        one.open(SPEC, N_TIMES)
        values.append(one.encode(window(samples)).values)
    np.testing.assert_array_equal(*values)
    assert len(encoder.config.sha256) == 64
    with pytest.raises(BundleError, match="fit the model again"):
        StudentEncoder.from_arrays(
            encoder.config, {"usual": np.ones((6, 24)), "student.norm.weight": np.ones(32)}
        )


def test_another_rate_and_too_short_a_window_are_refused(encoder):
    with pytest.raises(SchemaMismatch, match=r"set conditioning\.rate_hz = 500"):
        encoder.open(replace(SPEC, rate_hz=250.0), N_TIMES)
    with pytest.raises(SchemaMismatch, match="lengthen it"):
        encoder.open(SPEC, 49)


def test_rows_without_a_place_are_named_when_the_numbers_differ(path):
    config = StudentEncoderConfig.for_stream(SPEC, str(path))
    assert config.positions_mm[5] is None
    with pytest.raises(ConfigError, match="4 rows and positions_mm names 6"):
        StudentEncoder.fit(np.zeros((1, 4, N_TIMES)), None, config)


def test_the_modality_follows_from_the_electrodes():
    grid = tuple(Channel(name=f"G{i}", kind="ecog") for i in range(4))
    assert StudentEncoderConfig.for_stream(SPEC).modality == "EEG"
    assert StudentEncoderConfig.for_stream(replace(SPEC, channels=grid)).modality == "iEEG"


def test_no_student_and_no_file_is_told_in_one_sentence():
    with pytest.raises(ConfigError, match="is no student and no file"):
        find_student("eeg-xs")
